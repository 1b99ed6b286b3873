/* SPDX-License-Identifier: MIT */
/* Consuming: attaching, reading copies, looking at items where they lie, zones and latches. */
#include "native.h"

/* ---- attaching ----------------------------------------------------------------------------- */

typedef struct opening {
	const char *name;
	dxh_consumer_config config;
	dxh_peer *broker; /* NULL: by the name of the block */
	int socket;       /* a unix socket from which a block without a name comes; else -1 */
	int64_t deadline_ns;
	dxh_consumer *opened;
} opening;

/* A channel is looked for by the library, which paces that, for as long as it may take: who
 * may be interrupted looks for a short while, again and again (python/dxh/blocks.py). */
static dxh_status open_step(void *context, int64_t until_ns)
{
	opening *what = context;

	if (what->broker)
		return dxh_consume(what->broker, what->name, &what->config, what->deadline_ns,
		                   &what->opened);
	if (what->socket != -1)
		return dxh_consumer_receive_fds(what->socket, until_ns, &what->config,
		                                &what->opened);
	return dxh_consumer_open(what->name, &what->config, &what->opened);
}

/* false: raised. */
static bool open_block(dxn_end *self, opening *what, dxn_peer *broker)
{
	dxh_status status;
	bool went;

	if (broker)
		dxn_peer_enter(broker);
	went = dxn_wait(open_step, what, what->deadline_ns, &status);
	if (broker)
		dxn_peer_leave(broker);
	if (went && status != DXH_OK)
		dxn_raise(status);
	self->consumer = what->opened;
	return went && status == DXH_OK;
}

static int consumer_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"name",
	                        "directory",
	                        "file",
	                        "discipline",
	                        "start",
	                        "start_ticket",
	                        "slot",
	                        "zones",
	                        "owner_uid_plus1",
	                        "checksum_key",
	                        "write_zones",
	                        "accept_appended",
	                        "broker",
	                        "socket",
	                        "timeout",
	                        NULL};
	dxn_end *self = (dxn_end *)object;
	opening what = {0};
	dxh_consumer_config *config = &what.config;
	dxh_zone_spec zones[DXH_ZONES_MAX] = {0};
	PyObject *slot, *wanted, *broker, *timeout;
	unsigned long long start_ticket;
	dxn_arena arena = {NULL};
	Py_buffer key = {0};
	int discipline, start, failed = -1;

	if (self->consumer) {
		PyErr_SetString(PyExc_RuntimeError, "this consumer is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "zzziiKOOIz*ppOiO:Consumer", names,
	                                 &what.name, &config->directory, &config->file, &discipline,
	                                 &start, &start_ticket, &slot, &wanted,
	                                 &config->owner_uid_plus1, &key, &config->write_zones,
	                                 &config->accept_appended, &broker, &what.socket, &timeout))
		return -1;
	config->discipline = (dxh_discipline)discipline;
	config->start = (dxh_start)start;
	config->start_ticket = start_ticket;
	config->checksum_key = key.buf;
	if (key.obj && key.len != DXH_CHECKSUM_KEY_BYTES) {
		PyErr_Format(PyExc_ValueError, "checksum_key has %zd bytes, not %d", key.len,
		             DXH_CHECKSUM_KEY_BYTES);
		goto done;
	}
	if (broker != Py_None && Py_TYPE(broker) != &dxn_peer_type) {
		PyErr_SetString(PyExc_TypeError, "broker is a Peer or None");
		goto done;
	}
	what.broker = broker == Py_None ? NULL : dxn_peer_open_of((dxn_peer *)broker);
	if ((broker != Py_None && !what.broker) || !dxn_read_slot(&arena, slot, &config->slot) ||
	    !dxn_read_zones(&arena, wanted, zones) || !dxn_deadline(timeout, &what.deadline_ns))
		goto done;
	config->zones = zones[0].name ? zones : NULL;
	if (!open_block(self, &what, what.broker ? (dxn_peer *)broker : NULL))
		goto done;
	dxn_end_opened(self, what.broker ? ((dxn_peer *)broker)->hub : NULL);
	failed = 0;
done:
	dxn_arena_free(&arena);
	dxn_bytes_done(&key);
	return failed;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reading {
	dxn_end *self;
	dxh_consumer *consumer;
	int64_t deadline_ns;
	void *copy; /* NULL: look in place */
	size_t capacity_bytes;
	dxh_item item;
	dxh_peek peek;
} reading;

static bool was_told(const reading *what, dxh_status status)
{
	dxh_consumer_stats stats;

	return what->self->told == status &&
	       dxh_consumer_stats_get(what->consumer, &stats) == DXH_OK &&
	       stats.epoch == what->self->told_epoch;
}

/* That the producer is gone the library tells once at once, then at the end of each wait: of
 * waits in steps only the last end counts. */
static dxh_status read_step(void *context, int64_t until_ns)
{
	reading *what = context;
	dxh_status status;

	if (what->copy) {
		status = dxh_read_next(what->consumer, what->copy, what->capacity_bytes, until_ns,
		                       &what->item);
	} else {
		status = dxh_peek_begin(what->consumer, until_ns, &what->peek);
		what->item = what->peek.item;
	}
	if ((status == DXH_EDEAD || status == DXH_ECLOSED) && until_ns < what->deadline_ns &&
	    was_told(what, status))
		return DXH_EWAIT;
	return status;
}

static void note_loss(dxn_end *self, const dxh_item *item)
{
	if (item->lost == 0)
		return;
	if (self->lost == 0)
		self->lost_first = item->lost_first;
	self->lost += item->lost;
	self->lost_last = item->lost_last;
}

static void note_told(reading *what, dxh_status status)
{
	dxh_consumer_stats stats;

	what->self->told = status;
	if (dxh_consumer_stats_get(what->consumer, &stats) == DXH_OK)
		what->self->told_epoch = stats.epoch;
}

/* Until there is an item. Losses are kept and told with it. false: raised. */
static bool read_item(dxn_end *self, reading *what)
{
	dxh_status status;
	bool went;

	/* Ends: who is lapped again and again is set ever nearer to the newest item. */
	do {
		what->item = (dxh_item){0};
		dxn_door_enter(&self->door);
		went = dxn_wait_at(&self->door, read_step, what, what->deadline_ns, &status);
		dxn_door_leave(&self->door);
		if (!went)
			return false;
		if (status == DXH_OK || status == DXH_ELAPPED || status == DXH_EEVICTED ||
		    status == DXH_ECORRUPT)
			note_loss(self, &what->item);
	} while (status == DXH_ELAPPED);
	if (status == DXH_EDEAD || status == DXH_ECLOSED)
		note_told(what, status);
	else
		self->told = DXH_OK;
	if (status == DXH_EEVICTED || status == DXH_ECORRUPT) {
		dxn_raise_lost(status, self->lost);
		self->lost = 0;
	} else if (status != DXH_OK) {
		dxn_raise(status);
	}
	return status == DXH_OK;
}

/* (ticket, bytes, timestamp_ns, epoch, lost, lost_first, lost_last) */
static PyObject *item_as_tuple(dxn_end *self, const dxh_item *item)
{
	PyObject *made =
		Py_BuildValue("KnLKKKK", (unsigned long long)item->ticket, (Py_ssize_t)item->bytes,
	                      (long long)item->timestamp_ns, (unsigned long long)item->epoch,
	                      (unsigned long long)self->lost, (unsigned long long)self->lost_first,
	                      (unsigned long long)self->lost_last);

	self->lost = self->lost_first = self->lost_last = 0;
	return made;
}

static bool begin_reading(dxn_end *self, PyObject *timeout, reading *what)
{
	*what = (reading){.self = self};
	if (!dxn_end_check(self) || !dxn_deadline(timeout, &what->deadline_ns))
		return false;
	what->consumer = self->consumer;
	return true;
}

/* read(buffer, timeout): the next item copied into the buffer. */
static PyObject *consumer_read(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	PyObject *made = NULL;
	Py_buffer view;
	reading what;

	if (!dxn_arguments("read", count, 2) || !begin_reading(self, arguments[1], &what) ||
	    PyObject_GetBuffer(arguments[0], &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) == -1)
		return NULL;
	what.copy = view.buf ? view.buf : (void *)&what; /* of no bytes */
	what.capacity_bytes = (size_t)view.len;
	if (read_item(self, &what))
		made = item_as_tuple(self, &what.item);
	PyBuffer_Release(&view);
	return made;
}

/* peek(timeout): (lease, tuple) of the next item, where it lies. */
static PyObject *consumer_peek(PyObject *object, PyObject *timeout)
{
	dxn_end *self = (dxn_end *)object;
	dxn_lease *lease;
	PyObject *told;
	reading what;

	if (!begin_reading(self, timeout, &what) || !read_item(self, &what))
		return NULL;
	lease = dxn_lease_new(self, DXN_LEASE_PEEK, what.peek.data, what.item.bytes, true);
	if (!lease) {
		if (dxh_peek_end(&what.peek) != DXH_OK)
			return NULL; /* the want of memory is raised already */
		return NULL;
	}
	lease->peek = what.peek;
	told = item_as_tuple(self, &what.item);
	return told ? Py_BuildValue("NN", lease, told) : (Py_DECREF(lease), NULL);
}

/* seek(start, ticket) */
static PyObject *consumer_seek(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	unsigned long long ticket;
	long start;

	if (!dxn_arguments("seek", count, 2) || !dxn_end_check(self))
		return NULL;
	start = PyLong_AsLong(arguments[0]);
	ticket = PyLong_AsUnsignedLongLong(arguments[1]);
	if (PyErr_Occurred())
		return NULL;
	return dxn_none_or_raise(dxh_consumer_seek(self->consumer, (dxh_start)start, ticket));
}

static PyObject *consumer_fd(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxh_status status;
	int fd;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	status = dxh_consumer_fd(self->consumer, &fd);
	return status == DXH_OK ? PyLong_FromLong(fd) : dxn_raise(status);
}

/* ---- zones ------------------------------------------------------------------------------------ */

/* zone(name, bytes, writable) */
static PyObject *consumer_zone(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	const void *zone = NULL;
	void *writable_zone = NULL;
	const char *name;
	size_t bytes;
	int writable;
	dxh_status status;

	if (!dxn_arguments("zone", count, 3) || !dxn_end_check(self))
		return NULL;
	name = dxn_text(arguments[0]);
	bytes = PyLong_AsSize_t(arguments[1]);
	writable = PyObject_IsTrue(arguments[2]);
	if (!name || PyErr_Occurred())
		return NULL;
	status = writable ? dxh_consumer_zone_writable(self->consumer, name, NULL, bytes,
	                                               &writable_zone)
	                  : dxh_consumer_zone(self->consumer, name, NULL, bytes, &zone);
	if (status != DXH_OK)
		return dxn_raise(status);
	return (PyObject *)dxn_lease_new(self, DXN_LEASE_ZONE, writable ? writable_zone : zone,
	                                 bytes, !writable);
}

/* latch_load(name, bytes) */
static PyObject *consumer_latch_load(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	const char *name;
	Py_ssize_t bytes;
	PyObject *value;
	dxh_status status;

	if (!dxn_arguments("latch_load", count, 2) || !dxn_end_check(self))
		return NULL;
	name = dxn_text(arguments[0]);
	bytes = PyLong_AsSsize_t(arguments[1]);
	if (!name || PyErr_Occurred())
		return NULL;
	value = PyByteArray_FromStringAndSize(NULL, bytes);
	if (!value)
		return NULL;
	status = dxh_latch_read(self->consumer, name, PyByteArray_AS_STRING(value), (size_t)bytes);
	if (status == DXH_OK)
		return value;
	Py_DECREF(value);
	return dxn_raise(status);
}

/* ---- facts -------------------------------------------------------------------------------------- */

#define STAT(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_consumer_stats, name), 'Q', 0                                  \
	}
static const dxn_member stats_members[] = {
	STAT(read),    STAT(read_bytes),  STAT(lost),
	STAT(skipped), STAT(retries),     STAT(corrupt),
	STAT(lag),     STAT(next_ticket), STAT(head),
	STAT(epoch),   STAT(evicted),     {"lag_ns", offsetof(dxh_consumer_stats, lag_ns), 'q', 0}};

static PyObject *consumer_stats(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxh_consumer_stats stats;
	dxh_status status;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	status = dxh_consumer_stats_get(self->consumer, &stats);
	return status == DXH_OK ? DXN_DICT(&stats, stats_members) : dxn_raise(status);
}

#define FAST(name, function)                                                                       \
	{                                                                                          \
		name, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL                   \
	}
static PyMethodDef consumer_methods[] = {
	FAST("read", consumer_read),
	{"peek", consumer_peek, METH_O, NULL},
	FAST("seek", consumer_seek),
	{"fd", consumer_fd, METH_NOARGS, NULL},
	FAST("zone", consumer_zone),
	FAST("latch_load", consumer_latch_load),
	{"stats", consumer_stats, METH_NOARGS, NULL},
	{"info", dxn_end_info, METH_NOARGS, NULL},
	{"schema", dxn_end_schema, METH_NOARGS, NULL},
	{"close", dxn_end_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_consumer_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Consumer",
	.tp_basicsize = sizeof(dxn_end),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = consumer_init,
	.tp_dealloc = dxn_end_dealloc,
	.tp_methods = consumer_methods,
};
