/* SPDX-License-Identifier: MIT */
/* The hub: opening, draining, closing in an order that leaves no thread behind. */
#include "native.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static int hub_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"name",
	                        "operations_max",
	                        "body_bytes_max",
	                        "frame_bytes",
	                        "connect_timeout",
	                        "reconnect_min",
	                        "reconnect_max",
	                        "sample_one_in",
	                        "metrics_block",
	                        NULL};
	dxn_hub *self = (dxn_hub *)object;
	dxh_hub_config config = {0};
	PyObject *connect, *shortest, *longest;
	dxh_status status;

	if (self->hub) {
		PyErr_SetString(PyExc_RuntimeError, "this hub is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "zO&O&O&OOOO&z:Hub", names,
	                                 &config.name, dxn_u32, &config.operations_max, dxn_u64,
	                                 &config.body_bytes_max, dxn_u32, &config.frame_bytes,
	                                 &connect, &shortest, &longest, dxn_int,
	                                 &config.sample_one_in, &config.metrics_block))
		return -1;
	if (!dxn_ns(connect, &config.connect_timeout_ns) ||
	    !dxn_ns(shortest, &config.reconnect_min_ns) ||
	    !dxn_ns(longest, &config.reconnect_max_ns))
		return -1;
	dxn_door_init(&self->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_hub_open(&config, &self->hub);
	Py_END_ALLOW_THREADS
	if (status == DXH_OK)
		return 0;
	dxn_raise(status);
	return -1;
}

dxh_hub *dxn_hub_open_of(dxn_hub *self)
{
	if (dxn_hub_is_closed(self)) {
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the hub is closed: open a new one");
		return NULL;
	}
	return self->hub;
}

bool dxn_hub_is_closed(const dxn_hub *self)
{
	return !self->hub || self->door.closing;
}

static PyObject *hub_close(PyObject *object, PyObject *unused)
{
	dxn_hub *self = (dxn_hub *)object;
	dxh_hub *closing;

	(void)unused;
	if (dxn_hub_is_closed(self))
		Py_RETURN_NONE;
	dxn_ends_close(self, NULL);
	dxn_watchers_close(self, NULL);
	self->door.closing = true;
	if (!dxn_door_is_forked(&self->door))
		dxn_services_stop(self);
	if (!dxn_door_is_forked(&self->door))
		dxn_subscriptions_stop(self, NULL);
	dxn_door_close(&self->door);
	closing = self->hub;
	self->hub = NULL;
	Py_BEGIN_ALLOW_THREADS
	dxh_hub_close(&closing);
	Py_END_ALLOW_THREADS
	self->is_gone = true;
	dxn_state_listener_drop_all(&self->listeners);
	Py_RETURN_NONE;
}

/* end_questions(broker): who was interrupted in one left a thread behind that still waits for the
 * answer, for ever perhaps. Before the hub closes it is told that no answer comes. */
static PyObject *hub_end_questions(PyObject *object, PyObject *given)
{
	dxn_hub *self = (dxn_hub *)object;
	dxn_peer *broker;

	if (!dxn_broker_of(given, &broker)) {
		PyErr_Clear(); /* closed already */
		Py_RETURN_NONE;
	}
	if (!broker || broker->door.inside == 0 || dxn_door_is_forked(&self->door))
		Py_RETURN_NONE;
	dxn_door_enter(&self->door);
	Py_BEGIN_ALLOW_THREADS
	dxh_hub_drain(self->hub, DXH_NOW, NULL); /* at the latest 50 ms later */
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->door);
	Py_RETURN_NONE;
}

static PyObject *report_as_tuple(const dxh_drain_report *report)
{
	return Py_BuildValue("KKKKK", (unsigned long long)report->completed,
	                     (unsigned long long)report->abandoned,
	                     (unsigned long long)report->notifications_sent,
	                     (unsigned long long)report->notifications_left,
	                     (unsigned long long)report->answers_left);
}

static PyObject *hub_drain(PyObject *object, PyObject *timeout)
{
	dxn_hub *self = (dxn_hub *)object;
	dxh_hub *hub = dxn_hub_open_of(self);
	dxh_drain_report report;
	int64_t deadline_ns;
	dxh_status status;

	if (!hub || !dxn_deadline(timeout, &deadline_ns))
		return NULL;
	dxn_door_enter(&self->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_hub_drain(hub, deadline_ns, &report);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->door);
	if (status != DXH_OK && status != DXH_EWAIT)
		return dxn_raise(status);
	return report_as_tuple(&report);
}

static PyObject *row_as_tuple(const dxh_drain_row *row)
{
	return Py_BuildValue("NNsiKKKKN", dxn_str(row->endpoint), dxn_str(row->client),
	                     dxh_lane_name(row->lane), (int)row->state,
	                     (unsigned long long)row->unsent, (unsigned long long)row->unsent_bytes,
	                     (unsigned long long)row->unanswered,
	                     (unsigned long long)row->unanswered_bytes, dxn_str(row->reason));
}

static PyObject *hub_drain_rows(PyObject *object, PyObject *unused)
{
	dxh_hub *hub = dxn_hub_open_of((dxn_hub *)object);
	PyObject *rows = hub ? PyList_New(0) : NULL;
	const dxh_drain_row *row;
	PyObject *made;

	(void)unused;
	for (size_t i = 0; rows && (row = dxh_hub_drain_row(hub, i)); i++) {
		made = row_as_tuple(row);
		if (!made || PyList_Append(rows, made) == -1)
			Py_CLEAR(rows);
		Py_XDECREF(made);
	}
	return rows;
}

#define STAT(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_hub_stats, name), 'Q', 0                                       \
	}
static const dxn_member stats_members[] = {
	STAT(posted),
	STAT(done),
	STAT(errors),
	STAT(expired),
	STAT(canceled),
	STAT(lost),
	STAT(unsendable),
	STAT(closed),
	STAT(flushed),
	STAT(open_now),
	STAT(notifications_posted),
	STAT(notifications_sent),
	STAT(notifications_dropped),
	STAT(requests_received),
	STAT(requests_refused),
	STAT(requests_expired),
	STAT(replies_sent),
	STAT(replies_dropped),
	STAT(notifications_received),
	STAT(notifications_refused),
	STAT(frames_sent),
	STAT(records_sent),
	STAT(frames_received),
	STAT(records_received),
	STAT(frames_bad),
	STAT(replies_late),
	STAT(replies_foreign),
	STAT(wakeups),
	STAT(doorbells),
	STAT(futex_wakes),
	STAT(reconnects),
	STAT(slots_now),
	STAT(memory_bytes),
	STAT(notes_published),
	STAT(notes_sent),
	STAT(notes_dropped),
	STAT(retries),
	STAT(retries_refused),
	STAT(clients_refused),
	STAT(callbacks),
	STAT(callbacks_slow),
	STAT(control_refused),
	STAT(requests_unknown),
	STAT(notifications_unread),
	STAT(notes_received),
	STAT(notes_refused),
	STAT(notes_stray),
	STAT(notes_unread),
	STAT(parts_dropped),
	STAT(held),
	STAT(repeats_answered),
	STAT(repeats_joined),
	STAT(repeats_refused),
	STAT(replies_evicted),
	STAT(replies_forgotten),
};
static_assert(sizeof stats_members / sizeof *stats_members == sizeof(dxh_hub_stats) / 8,
              "a counter is missing here");

PyObject *dxn_stats_dict(const dxh_hub_stats *stats)
{
	return DXN_DICT(stats, stats_members);
}

static PyObject *hub_stats(PyObject *object, PyObject *unused)
{
	dxh_hub *hub = dxn_hub_open_of((dxn_hub *)object);
	dxh_hub_stats stats;
	dxh_status status;

	(void)unused;
	if (!hub)
		return NULL;
	status = dxh_hub_stats_get(hub, &stats);
	return status == DXH_OK ? dxn_stats_dict(&stats) : dxn_raise(status);
}

#define TIME(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_latency, name), 'Q', 0                                         \
	}
static const dxn_member latency_members[] = {TIME(count),  TIME(p50_ns),  TIME(p90_ns),
                                             TIME(p99_ns), TIME(p999_ns), TIME(max_ns)};

PyObject *dxn_latency_dict(const dxh_latency *latency)
{
	return DXN_DICT(latency, latency_members);
}

static PyObject *hub_latency(PyObject *object, PyObject *stage)
{
	dxh_hub *hub = dxn_hub_open_of((dxn_hub *)object);
	int wanted;
	dxh_latency latency;
	dxh_status status;

	if (!hub || !dxn_int(stage, &wanted))
		return NULL;
	status = dxh_hub_latency_get(hub, (dxh_stage)wanted, &latency);
	return status == DXH_OK ? dxn_latency_dict(&latency) : dxn_raise(status);
}

/* On the I/O thread, which waits for nobody: no Python. */
static void add_line(void *context, const char *line)
{
	fprintf(context, "%s\n", line);
}

/* dump(): text, a line each. */
static PyObject *hub_dump(PyObject *object, PyObject *unused)
{
	dxn_hub *self = (dxn_hub *)object;
	dxh_hub *hub = dxn_hub_open_of(self);
	PyObject *told;
	char *text = NULL;
	size_t bytes = 0;
	dxh_status status;
	FILE *stream;

	(void)unused;
	if (!hub)
		return NULL;
	stream = open_memstream(&text, &bytes);
	if (!stream)
		return PyErr_NoMemory();
	dxn_door_enter(&self->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_hub_dump(hub, add_line, stream);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->door);
	fclose(stream);
	told = status == DXH_OK ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)bytes, "replace")
	                        : dxn_raise(status);
	free(text);
	return told;
}

static void hub_dealloc(PyObject *object)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	Py_XDECREF(hub_close(object, NULL));
	PyErr_Restore(type, value, traceback);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef hub_methods[] = {
	{"close", hub_close, METH_NOARGS, NULL}, {"end_questions", hub_end_questions, METH_O, NULL},
	{"drain", hub_drain, METH_O, NULL},      {"drain_rows", hub_drain_rows, METH_NOARGS, NULL},
	{"stats", hub_stats, METH_NOARGS, NULL}, {"latency", hub_latency, METH_O, NULL},
	{"dump", hub_dump, METH_NOARGS, NULL},   {NULL, NULL, 0, NULL},
};

PyTypeObject dxn_hub_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Hub",
	.tp_basicsize = sizeof(dxn_hub),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = hub_init,
	.tp_dealloc = hub_dealloc,
	.tp_methods = hub_methods,
};
