/* SPDX-License-Identifier: MIT */
/* Channels that come and go, as their broker tells. */
#include "native.h"

struct dxn_watcher {
	PyObject ob_base;
	dxn_peer *broker;
	dxh_watcher *watcher; /* NULL: closed */
	dxn_door door;
	dxn_watcher *previous, *next; /* of the hub's open ones */
};

static void link_watcher(dxn_watcher *self)
{
	dxn_hub *hub = self->broker->hub;

	self->next = hub->watchers;
	if (self->next)
		self->next->previous = self;
	hub->watchers = self;
}

static void unlink_watcher(dxn_watcher *self)
{
	if (self->next)
		self->next->previous = self->previous;
	if (self->previous)
		self->previous->next = self->next;
	else
		self->broker->hub->watchers = self->next;
	self->next = self->previous = NULL;
}

/* Watcher(broker, prefix, events_max, timeout) */
static int watcher_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"broker", "prefix", "events_max", "timeout", NULL};
	dxn_watcher *self = (dxn_watcher *)object;
	dxh_watch_config config = {0};
	PyObject *broker, *timeout;
	int64_t deadline_ns;
	const char *prefix;
	dxh_status status;
	dxh_peer *open;

	if (self->broker) {
		PyErr_SetString(PyExc_RuntimeError, "this watcher is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!sO&O:Watcher", names,
	                                 &dxn_peer_type, &broker, &prefix, dxn_u32,
	                                 &config.events_max, &timeout))
		return -1;
	open = dxn_peer_open_of((dxn_peer *)broker);
	if (!open || !dxn_deadline(timeout, &deadline_ns))
		return -1;
	dxn_door_init(&self->door);
	Py_INCREF(broker);
	self->broker = (dxn_peer *)broker;
	dxn_peer_enter(self->broker);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_watch(open, prefix, &config, deadline_ns, &self->watcher);
	Py_END_ALLOW_THREADS
	if (status == DXH_OK)
		link_watcher(self); /* before who closes the peer may look for it */
	dxn_peer_leave(self->broker);
	if (status == DXH_OK)
		return 0;
	dxn_raise(status);
	return -1;
}

static dxh_watcher *open_of(dxn_watcher *self)
{
	if (self->watcher && !self->door.closing && dxn_peer_open_of(self->broker))
		return self->watcher;
	PyErr_Clear();
	dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the watcher is closed: watch again");
	return NULL;
}

struct watching {
	dxh_watcher *watcher;
	dxh_watch_event event;
};

static dxh_status next_step(void *context, int64_t deadline_ns)
{
	struct watching *what = context;

	return dxh_watcher_next(what->watcher, deadline_ns, &what->event);
}

#define EVENT(name, kind)                                                                          \
	{                                                                                          \
#name, offsetof(dxh_watch_event, name), kind, 0                                    \
	}
static const dxn_member event_members[] = {
	EVENT(kind, 'i'),   EVENT(channel, 's'), EVENT(reason, 's'),   EVENT(producer, 'Q'),
	EVENT(pid, 'q'),    EVENT(epoch, 'Q'),   EVENT(consumer, 'Q'), EVENT(checksum_errors, 'Q'),
	EVENT(broker, 'Q'), EVENT(number, 'Q'),  EVENT(lost, 'Q'),
};

/* next(timeout): dict */
static PyObject *watcher_next(PyObject *object, PyObject *timeout)
{
	dxn_watcher *self = (dxn_watcher *)object;
	struct watching what = {.watcher = open_of(self)};
	int64_t deadline_ns;
	dxh_status status;
	bool went;

	if (!what.watcher || !dxn_deadline(timeout, &deadline_ns))
		return NULL;
	if (self->door.inside > 0)
		return dxn_raise_text(DXH_EBUSY, "DXH_EBUSY: another thread waits in it");
	dxn_peer_enter(self->broker);
	dxn_door_enter(&self->door);
	went = dxn_try(next_step, &what, deadline_ns, &status) ||
	       dxn_wait(next_step, &what, deadline_ns, &status);
	dxn_door_leave(&self->door);
	dxn_peer_leave(self->broker);
	if (!went)
		return NULL;
	return status == DXH_OK ? DXN_DICT(&what.event, event_members) : dxn_raise(status);
}

static PyObject *watcher_fd(PyObject *object, PyObject *unused)
{
	dxh_watcher *watcher = open_of((dxn_watcher *)object);
	int fd = watcher ? dxh_watcher_fd(watcher) : -1;

	(void)unused;
	if (watcher && fd == -1)
		return dxn_raise(DXH_ELIMIT);
	return watcher ? PyLong_FromLong(fd) : NULL;
}

static PyObject *watcher_close(PyObject *object, PyObject *unused)
{
	dxn_watcher *self = (dxn_watcher *)object;
	dxh_watcher *closing;

	(void)unused;
	if (!self->watcher || self->door.closing)
		Py_RETURN_NONE;
	dxn_peer_enter(self->broker);
	if (!dxn_door_is_forked(&self->door))
		dxh_watcher_stop(self->watcher);
	unlink_watcher(self);
	dxn_door_close(&self->door);
	closing = self->watcher;
	self->watcher = NULL;
	if (!dxn_door_is_forked(&self->door)) {
		Py_BEGIN_ALLOW_THREADS
		dxh_watcher_close(&closing);
		Py_END_ALLOW_THREADS
	}
	dxn_peer_leave(self->broker);
	Py_RETURN_NONE;
}

void dxn_watchers_close(dxn_hub *hub, const dxn_peer *peer)
{
	dxn_watcher *each = hub->watchers;

	while (each) {
		if (peer && each->broker != peer) {
			each = each->next;
			continue;
		}
		Py_INCREF(each);
		Py_XDECREF(watcher_close((PyObject *)each, NULL));
		Py_DECREF(each);
		each = hub->watchers; /* others may have gone meanwhile */
	}
}

static void watcher_dealloc(PyObject *object)
{
	dxn_watcher *self = (dxn_watcher *)object;
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (self->broker)
		Py_XDECREF(watcher_close(object, NULL));
	PyErr_Restore(type, value, traceback);
	Py_XDECREF(self->broker);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef watcher_methods[] = {
	{"next", watcher_next, METH_O, NULL},
	{"fd", watcher_fd, METH_NOARGS, NULL},
	{"close", watcher_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_watcher_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Watcher",
	.tp_basicsize = sizeof(dxn_watcher),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = watcher_init,
	.tp_dealloc = watcher_dealloc,
	.tp_methods = watcher_methods,
};
