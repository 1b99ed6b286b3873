/* SPDX-License-Identifier: MIT */
/* Consuming: attaching, reading copies, looking at items where they lie. */
#include "native.h"

/* ---- attaching ----------------------------------------------------------------------------- */

typedef struct opening {
	const char *name;
	dxh_consumer_config config;
	dxn_peer *broker; /* NULL: by the name of the block */
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
		return dxh_consume(what->broker->peer, what->name, &what->config, what->deadline_ns,
		                   &what->opened);
	if (what->socket != -1)
		return dxh_consumer_receive_fds(what->socket, until_ns, &what->config,
		                                &what->opened);
	return dxh_consumer_open(what->name, &what->config, &what->opened);
}

/* false: raised. */
static bool open_block(dxn_end *self, opening *what)
{
	dxh_status status;
	bool went;

	if (what->broker)
		dxn_peer_enter(what->broker);
	went = dxn_wait(open_step, what, what->deadline_ns, &status);
	if (what->broker)
		dxn_peer_leave(what->broker);
	if (went && status != DXH_OK)
		dxn_raise(status);
	self->consumer = what->opened;
	return went && status == DXH_OK;
}

static int consumer_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"name",        "directory",    "file",        "discipline",
	                        "start",       "start_ticket", "slot",        "zones",
	                        "owner_uid",   "checksum_key", "write_zones", "accept_appended",
	                        "follow_name", "broker",       "socket",      "timeout",
	                        NULL};
	dxn_end *self = (dxn_end *)object;
	opening what = {0};
	dxh_consumer_config *config = &what.config;
	dxh_zone_spec zones[DXH_ZONES_MAX] = {0};
	PyObject *slot, *wanted, *broker, *timeout;
	dxn_arena arena = {NULL};
	Py_buffer key = {0};
	int discipline, start, failed = -1;

	if (self->consumer) {
		PyErr_SetString(PyExc_RuntimeError, "this consumer is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(
		    arguments, keywords, "zzzO&O&O&OOO&z*pppOO&O:Consumer", names, &what.name,
		    &config->directory, &config->file, dxn_int, &discipline, dxn_int, &start,
		    dxn_u64, &config->start_ticket, &slot, &wanted, dxn_uid,
		    &config->owner_uid_plus1, &key, &config->write_zones, &config->accept_appended,
		    &config->follow_name, &broker, dxn_int, &what.socket, &timeout))
		return -1;
	config->discipline = (dxh_discipline)discipline;
	config->start = (dxh_start)start;
	config->checksum_key = key.buf;
	if (!dxn_key_fits(&key) || !dxn_broker_of(broker, &what.broker) ||
	    !dxn_read_slot(&arena, slot, &config->slot) || !dxn_read_zones(&arena, wanted, zones) ||
	    !dxn_deadline(timeout, &what.deadline_ns))
		goto done;
	config->zones = zones[0].name ? zones : NULL;
	if (!open_block(self, &what))
		goto done;
	dxn_end_opened(self, what.broker);
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
	void *copy;            /* NULL: look in place */
	size_t capacity_bytes; /* of several: of each */
	dxh_item *items;       /* NULL: one */
	size_t max, count;
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

	if (what->items) {
		status = dxh_read_n(what->consumer, what->copy, what->capacity_bytes, what->max,
		                    until_ns, what->items, &what->count);
		what->item = what->items[0];
	} else if (what->copy) {
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

/* Small items are copied, and looked at where they have a checksum, in no time. */
static bool is_soon_done(const reading *what)
{
	size_t most = what->items ? what->max : 1;

	if (!what->copy)
		return what->self->item_bytes < DXN_COPY_BYTES;
	return what->capacity_bytes * most < DXN_COPY_BYTES;
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
		went = (is_soon_done(what) &&
		        dxn_try(read_step, what, what->deadline_ns, &status)) ||
		       dxn_wait_at(&self->door, read_step, what, what->deadline_ns, &status);
		dxn_door_leave(&self->door);
		if (!went)
			return false;
		if (status == DXH_OK || status == DXH_ELAPPED || status == DXH_EEVICTED ||
		    status == DXH_ECORRUPT)
			note_loss(self, &what->item);
	} while (status == DXH_ELAPPED);
	if (status == DXH_OK)
		self->item_bytes = what->item.bytes;
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

/* A list of tuples of those that were read. */
static PyObject *items_as_list(dxn_end *self, const reading *what)
{
	PyObject *list = PyList_New((Py_ssize_t)what->count), *made;

	for (size_t i = 0; list && i < what->count; i++) {
		made = item_as_tuple(self, &what->items[i]);
		if (made)
			PyList_SET_ITEM(list, (Py_ssize_t)i, made);
		else
			Py_CLEAR(list);
	}
	return list;
}

/* read_many(buffer, bytes of each, timeout): what is there, at least one. */
static PyObject *consumer_read_many(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	PyObject *made = NULL;
	Py_buffer view;
	reading what;

	if (!dxn_arguments("read_many", count, 3) || !begin_reading(self, arguments[2], &what))
		return NULL;
	what.capacity_bytes = PyLong_AsSize_t(arguments[1]);
	if (PyErr_Occurred() ||
	    PyObject_GetBuffer(arguments[0], &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) == -1)
		return NULL;
	what.copy = view.buf;
	what.max = what.capacity_bytes > 0 ? (size_t)view.len / what.capacity_bytes : 0;
	what.items = PyMem_Calloc(what.max + 1, sizeof *what.items);
	if (!what.items)
		PyErr_NoMemory();
	else if (read_item(self, &what))
		made = items_as_list(self, &what);
	PyMem_Free(what.items);
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
	uint64_t ticket;
	int start;

	if (!dxn_arguments("seek", count, 2) || !dxn_int(arguments[0], &start) ||
	    !dxn_u64(arguments[1], &ticket) || !dxn_end_check(self))
		return NULL;
	return dxn_none_or_raise(dxh_consumer_seek(self->consumer, (dxh_start)start, ticket));
}

static PyObject *consumer_check(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	return dxn_none_or_raise(dxh_consumer_check(self->consumer));
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

/* metrics(): those of a hub, whose block this is. */
static PyObject *consumer_metrics(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxh_metrics metrics;
	PyObject *latency, *one;
	dxh_status status;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	status = dxh_metrics_read(self->consumer, &metrics);
	if (status != DXH_OK)
		return dxn_raise(status);
	latency = PyList_New(0);
	for (int stage = 0; latency && stage <= DXH_STAGE_WAKE; stage++) {
		one = dxn_latency_dict(&metrics.latency[stage]);
		if (!one || PyList_Append(latency, one) == -1)
			Py_CLEAR(latency);
		Py_XDECREF(one);
	}
	if (!latency)
		return NULL;
	return Py_BuildValue("{sNsNsLsLsNsN}", "hub", dxn_str(metrics.hub), "version",
	                     dxn_str(metrics.version), "pid", (long long)metrics.pid, "opened_ns",
	                     (long long)metrics.opened_ns, "stats", dxn_stats_dict(&metrics.stats),
	                     "latency", latency);
}

static PyMethodDef consumer_methods[] = {
	FAST("read", consumer_read),
	FAST("read_many", consumer_read_many),
	{"metrics", consumer_metrics, METH_NOARGS, NULL},
	{"peek", consumer_peek, METH_O, NULL},
	FAST("seek", consumer_seek),
	{"check", consumer_check, METH_NOARGS, NULL},
	{"fd", consumer_fd, METH_NOARGS, NULL},
	FAST("zone", dxn_end_zone),
	FAST("latch_load", dxn_end_latch_load),
	{"digest_set", dxn_end_digest_set, METH_O, NULL},
	FAST("digest_verify", dxn_end_digest_verify),
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
