/* SPDX-License-Identifier: MIT */
/* The broker: one in this process, and questions to any. */
#include "native.h"

#include <assert.h>
#include <string.h>

typedef struct broker {
	PyObject ob_base;
	dxn_hub *hub;
	dxh_broker *broker; /* NULL: stopped */
	unsigned process;
} broker;

static int broker_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"hub",
	                        "endpoint",
	                        "channels_max",
	                        "beat_ms",
	                        "beats_missed",
	                        "clients_max",
	                        "insecure",
	                        "key_file",
	                        "allow_file",
	                        "allow_any",
	                        "beats_kept",
	                        "consumers_max",
	                        "client_channels",
	                        "client_consumers",
	                        "rights_file",
	                        NULL};
	broker *self = (broker *)object;
	dxh_broker_config config = {0};
	const char *endpoint;
	PyObject *hub;
	dxh_status status;

	if (self->hub) {
		PyErr_SetString(PyExc_RuntimeError, "this broker was started already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!sO&O&O&O&pzzpO&O&O&O&z:Broker",
	                                 names, &dxn_hub_type, &hub, &endpoint, dxn_u32,
	                                 &config.channels_max, dxn_u32, &config.beat_ms, dxn_u32,
	                                 &config.beats_missed, dxn_u32, &config.clients_max,
	                                 &config.insecure, &config.key_file, &config.allow_file,
	                                 &config.allow_any, dxn_u32, &config.beats_kept, dxn_u32,
	                                 &config.consumers_max, dxn_u32, &config.client_channels,
	                                 dxn_u32, &config.client_consumers, &config.rights_file) ||
	    !dxn_hub_open_of((dxn_hub *)hub))
		return -1;
	Py_INCREF(hub);
	self->hub = (dxn_hub *)hub;
	self->process = dxn_process;
	/* Until it is stopped the hub cannot be closed. */
	dxn_door_enter(&self->hub->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_broker_start(self->hub->hub, endpoint, &config, &self->broker);
	Py_END_ALLOW_THREADS
	if (status == DXH_OK)
		return 0;
	dxn_door_leave(&self->hub->door);
	dxn_raise(status);
	return -1;
}

static PyObject *broker_stop(PyObject *object, PyObject *unused)
{
	broker *self = (broker *)object;
	dxh_broker *stopping = self->broker;

	(void)unused;
	self->broker = NULL;
	if (!stopping)
		Py_RETURN_NONE;
	Py_BEGIN_ALLOW_THREADS
	dxh_broker_stop(&stopping);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->hub->door);
	Py_RETURN_NONE;
}

static PyObject *broker_endpoint(PyObject *object, void *unused)
{
	broker *self = (broker *)object;

	(void)unused;
	if (self->broker)
		return dxn_str(dxh_broker_endpoint(self->broker));
	return dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the broker was stopped");
}

static void broker_dealloc(PyObject *object)
{
	Py_XDECREF(broker_stop(object, NULL));
	Py_XDECREF(((broker *)object)->hub);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef broker_methods[] = {
	{"stop", broker_stop, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef broker_getset[] = {
	{"endpoint", broker_endpoint, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject dxn_broker_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Broker",
	.tp_basicsize = sizeof(broker),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = broker_init,
	.tp_dealloc = broker_dealloc,
	.tp_methods = broker_methods,
	.tp_getset = broker_getset,
};

/* ---- questions ---------------------------------------------------------------------------- */

#define INFO(name, kind)                                                                           \
	{                                                                                          \
#name, offsetof(dxh_channel_info, name), kind, 0                                   \
	}
static const dxn_member info_members[] = {
	INFO(name, 's'),
	INFO(state, 'i'),
	INFO(reason, 's'),
	INFO(directory, 's'),
	INFO(endpoint, 's'),
	{"schema_hash", offsetof(dxh_channel_info, schema_hash), 'h', 32},
	{"block_uuid", offsetof(dxh_channel_info, block_uuid), 'h', 16},
	INFO(producer_uid, 'Q'),
	INFO(producer_pid, 'q'),
	INFO(epoch, 'Q'),
	INFO(slot_bytes, 'Q'),
	INFO(slot_count, 'I'),
	INFO(zone_count, 'I'),
	INFO(checksum_errors, 'Q'),
	INFO(consumers, 'I'),
};

dxh_peer *dxn_broker_peer(PyObject *peer)
{
	if (Py_TYPE(peer) != &dxn_peer_type) {
		PyErr_SetString(PyExc_TypeError, "a Peer is needed");
		return NULL;
	}
	return dxn_peer_open_of((dxn_peer *)peer);
}

PyObject *dxn_channel_info(const dxh_channel_info *info)
{
	return DXN_DICT(info, info_members);
}

PyObject *dxn_discover(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_peer *peer;
	const char *name;
	int64_t deadline_ns;
	dxh_channel_info info;
	dxh_status status;

	(void)module;
	if (!dxn_arguments("discover", count, 3))
		return NULL;
	peer = dxn_broker_peer(arguments[0]);
	name = peer ? dxn_text(arguments[1]) : NULL;
	if (!name || !dxn_deadline(arguments[2], &deadline_ns))
		return NULL;
	dxn_peer_enter((dxn_peer *)arguments[0]);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_discover(peer, name, deadline_ns, &info);
	Py_END_ALLOW_THREADS
	dxn_peer_leave((dxn_peer *)arguments[0]);
	return status == DXH_OK ? dxn_channel_info(&info) : dxn_raise(status);
}

enum { PAGE = 32 };

static bool append_page(PyObject *list, const dxh_channel_info *page, size_t count)
{
	PyObject *made;
	int failed = 0;

	for (size_t i = 0; i < count && !failed; i++) {
		made = dxn_channel_info(&page[i]);
		failed = made ? PyList_Append(list, made) : -1;
		Py_XDECREF(made);
	}
	return !failed;
}

PyObject *dxn_channels(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_channel_info page[PAGE];
	char after[DXH_CHANNEL_NAME_MAX + 1] = "";
	size_t got = 0;
	int64_t deadline_ns;
	dxh_status status;
	dxh_peer *peer;
	PyObject *list;

	(void)module;
	if (!dxn_arguments("channels", count, 2))
		return NULL;
	peer = dxn_broker_peer(arguments[0]);
	if (!peer || !dxn_deadline(arguments[1], &deadline_ns))
		return NULL;
	list = PyList_New(0);
	/* Each page begins behind the last name of the one before. */
	do {
		dxn_peer_enter((dxn_peer *)arguments[0]);
		Py_BEGIN_ALLOW_THREADS
		status = dxh_list(peer, after[0] ? after : NULL, deadline_ns, page, PAGE, &got,
		                  NULL);
		Py_END_ALLOW_THREADS
		dxn_peer_leave((dxn_peer *)arguments[0]);
		if (status != DXH_OK)
			dxn_raise(status);
		if (status != DXH_OK || !append_page(list, page, got)) {
			Py_CLEAR(list);
			return NULL;
		}
		if (got > 0)
			strcpy(after, page[got - 1].name);
	} while (got == PAGE);
	return list;
}

#define STAT(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_broker_stats, name), 'Q', 0                                    \
	}
static const dxn_member stats_members[] = {
	STAT(uptime_ms),
	STAT(requests),
	STAT(registrations),
	STAT(deregistrations),
	STAT(discoveries),
	STAT(lists),
	STAT(descriptions),
	STAT(metrics),
	STAT(consumer_registrations),
	STAT(consumer_deregistrations),
	STAT(refused),
	STAT(beats),
	STAT(beats_stray),
	STAT(checksum_errors),
	STAT(events),
	STAT(channels_now),
	STAT(channels_live_now),
	STAT(consumers_now),
	STAT(watchers_now),
	STAT(schema_bytes_now),
};
static_assert(sizeof stats_members / sizeof *stats_members == sizeof(dxh_broker_stats) / 8,
              "a counter is missing here");

/* broker_stats(peer, timeout) */
PyObject *dxn_broker_stats(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_broker_stats stats;
	int64_t deadline_ns;
	dxh_status status;
	dxh_peer *peer;

	(void)module;
	if (!dxn_arguments("broker_stats", count, 2))
		return NULL;
	peer = dxn_broker_peer(arguments[0]);
	if (!peer || !dxn_deadline(arguments[1], &deadline_ns))
		return NULL;
	dxn_peer_enter((dxn_peer *)arguments[0]);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_broker_stats_get(peer, deadline_ns, &stats);
	Py_END_ALLOW_THREADS
	dxn_peer_leave((dxn_peer *)arguments[0]);
	return status == DXH_OK ? DXN_DICT(&stats, stats_members) : dxn_raise(status);
}
