/* SPDX-License-Identifier: MIT */
/* Producing: opening a block, writing slots where they lie. */
#include "native.h"

#include <string.h>

/* What it takes to open one. */
typedef struct opening {
	const char *name;
	dxh_channel_config config;
	dxn_peer *broker; /* NULL: without a channel */
	int64_t deadline_ns;
	dxh_producer *opened;
} opening;

/* To wait for a live producer to go the block is opened again and again, so that a signal can
 * end it; the library looks as often. */
static dxh_status open_step(void *context, int64_t until_ns)
{
	opening *what = context;
	int64_t left_ns = until_ns - dxh_now_ns();
	dxh_status status;

	what->config.block.owner_wait_ns = left_ns > 0 ? left_ns : 0;
	if (what->config.block.memfd)
		what->config.block.owner_wait_ns = 0;
	if (what->broker)
		status = dxh_produce(what->broker->peer, what->name, &what->config,
		                     what->deadline_ns, &what->opened);
	else
		status = dxh_producer_open(what->name, &what->config.block, &what->opened);
	return status == DXH_EBUSY ? DXH_EWAIT : status;
}

/* false: raised. */
static bool open_block(dxn_end *self, opening *what, int64_t owner_wait_ns)
{
	dxh_status status;
	bool went;

	if (what->broker)
		dxn_peer_enter(what->broker);
	went = dxn_wait(open_step, what, dxh_in_ns(owner_wait_ns), &status);
	if (what->broker)
		dxn_peer_leave(what->broker);
	if (went && status != DXH_OK)
		dxn_raise(status == DXH_EWAIT ? DXH_EBUSY : status);
	self->producer = what->opened;
	return went && status == DXH_OK;
}

/* That which was bound for the channel. false: raised. */
static bool lend_service(dxn_end *self)
{
	dxh_service *service = dxh_channel_service(self->producer);

	if (!service)
		return true;
	self->service = dxn_service_lent(self->hub, service);
	return self->service != NULL;
}

static int producer_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {
		"name",     "zones",           "slot",         "slot_count",      "directory",
		"mode",     "group",           "no_wait",      "unlink_on_close", "owner_wait",
		"checksum", "checksum_manual", "checksum_key", "readers_max",     "evict",
		"memfd",    "lock_memory",     "huge_pages",   "zones_writable",  "no_timestamps",
		"broker",   "endpoint",        "serve",        "stall_ms",        "timeout",
		NULL};
	dxn_end *self = (dxn_end *)object;
	opening what = {0};
	dxh_block_config *block = &what.config.block;
	PyObject *zones, *slot, *owner_wait, *broker, *timeout;
	dxn_arena arena = {NULL};
	Py_buffer key = {0};
	int64_t owner_wait_ns;
	int failed = -1;

	if (self->producer) {
		PyErr_SetString(PyExc_RuntimeError, "this producer is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(
		    arguments, keywords, "sOOO&zO&zppOO&pz*O&ppppppOzpO&O:Producer", names,
		    &what.name, &zones, &slot, dxn_u32, &block->slot_count, &block->directory,
		    dxn_u32, &block->mode, &block->group, &block->no_wait, &block->unlink_on_close,
		    &owner_wait, dxn_u32, &block->checksum, &block->checksum_manual, &key, dxn_u32,
		    &block->readers_max, &block->evict, &block->memfd, &block->lock_memory,
		    &block->huge_pages, &block->zones_writable, &block->no_timestamps, &broker,
		    &what.config.endpoint, &what.config.serve, dxn_u32, &what.config.stall_ms,
		    &timeout))
		return -1;
	block->checksum_key = key.buf;
	if (!dxn_key_fits(&key) || !dxn_broker_of(broker, &what.broker) ||
	    !dxn_read_zones(&arena, zones, block->zones) ||
	    !dxn_read_slot(&arena, slot, &block->slot) || !dxn_ns(owner_wait, &owner_wait_ns) ||
	    !dxn_deadline(timeout, &what.deadline_ns) || !open_block(self, &what, owner_wait_ns))
		goto done;
	self->may_be_held = block->readers_max > 0;
	self->evicts = block->evict != 0;
	dxn_end_opened(self, what.broker);
	failed = lend_service(self) ? 0 : -1;
done:
	dxn_arena_free(&arena);
	dxn_bytes_done(&key);
	return failed;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* A write, or what is to be published, and how long it may be held back. */
typedef struct writing {
	dxh_producer *producer;
	int64_t deadline_ns;
	dxh_write_slot slot;
	const void *data; /* of an item; NULL: none, only begin */
	size_t bytes;
	const dxh_publish_item *items; /* of several */
	size_t item_count;
	size_t published;
	bool interrupted; /* by a signal's handler, which raised */
} writing;

static dxh_status write_step(void *context, int64_t until_ns)
{
	writing *what = context;
	size_t published = 0;
	dxh_status status;

	if (what->item_count > 0) {
		status = dxh_publish_n(what->producer, what->items + what->published,
		                       what->item_count - what->published, until_ns, &published);
		what->published += published;
		return status;
	}
	if (what->data)
		return dxh_publish(what->producer, what->data, what->bytes, until_ns);
	return dxh_write_begin(what->producer, until_ns, &what->slot);
}

/* A writer that evicts does so when its time is over: its wait is one piece. */
static dxh_status write_at_once(void *context, int64_t unused)
{
	writing *what = context;

	(void)unused;
	return write_step(what, what->deadline_ns);
}

/* false: raised. */
static bool write_patiently(dxn_end *self, writing *what)
{
	dxh_status status;
	bool went = true;

	what->producer = self->producer;
	if (self->evicts && what->deadline_ns == DXH_FOREVER) {
		PyErr_SetString(PyExc_ValueError,
		                "a producer that evicts needs a timeout: it says when");
		return false;
	}
	if (!self->may_be_held && what->bytes < DXN_COPY_BYTES) {
		status = write_step(what, DXH_NOW);
	} else {
		dxn_door_enter(&self->door);
		went = dxn_wait_at(&self->door, self->evicts ? write_at_once : write_step, what,
		                   self->evicts ? DXH_NOW : what->deadline_ns, &status);
		dxn_door_leave(&self->door);
	}
	if (went && status != DXH_OK)
		dxn_raise(status);
	what->interrupted = !went && !self->door.closing;
	return went && status == DXH_OK;
}

/* begin(timeout): a lease of the next slot. */
static PyObject *producer_begin(PyObject *object, PyObject *timeout)
{
	dxn_end *self = (dxn_end *)object;
	writing what = {0};
	dxn_lease *made;

	if (!dxn_end_check(self) || !dxn_deadline(timeout, &what.deadline_ns) ||
	    !write_patiently(self, &what))
		return NULL;
	made = dxn_lease_new(self, DXN_LEASE_WRITE, what.slot.data, what.slot.capacity_bytes,
	                     false);
	if (made)
		made->slot = what.slot;
	else
		dxh_write_abort(&what.slot);
	return (PyObject *)made;
}

/* publish(data, timeout) */
static PyObject *producer_publish(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	writing what = {0};
	Py_buffer view;
	bool published;

	if (!dxn_arguments("publish", count, 2) || !dxn_end_check(self) ||
	    !dxn_deadline(arguments[1], &what.deadline_ns) || !dxn_bytes(arguments[0], &view))
		return NULL;
	what.data = view.buf ? view.buf : "";
	what.bytes = (size_t)view.len;
	published = write_patiently(self, &what);
	dxn_bytes_done(&view);
	if (!published)
		return NULL;
	Py_RETURN_NONE;
}

/* Views of `count` objects, and what is to be published of them. */
static Py_ssize_t read_items(PyObject *list, Py_buffer *views, dxh_publish_item *items)
{
	Py_ssize_t count = PyList_GET_SIZE(list), i;

	for (i = 0; i < count && dxn_bytes(PyList_GET_ITEM(list, i), &views[i]); i++)
		items[i] = (dxh_publish_item){views[i].buf, (size_t)views[i].len};
	return i;
}

/* publish_many(list, timeout): how many were. */
static PyObject *
producer_publish_many(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	writing what = {.bytes = DXN_COPY_BYTES};
	dxh_publish_item *items;
	Py_buffer *views;
	Py_ssize_t wanted, got;
	bool published = false;

	if (!dxn_arguments("publish_many", count, 2) || !dxn_end_check(self) ||
	    !dxn_deadline(arguments[1], &what.deadline_ns))
		return NULL;
	if (!PyList_CheckExact(arguments[0])) {
		PyErr_SetString(PyExc_TypeError, "publish_many() takes a list");
		return NULL;
	}
	wanted = PyList_GET_SIZE(arguments[0]);
	if (wanted == 0)
		return PyLong_FromLong(0);
	items = PyMem_Calloc((size_t)wanted, sizeof *items);
	views = PyMem_Calloc((size_t)wanted, sizeof *views);
	got = items && views ? read_items(arguments[0], views, items) : 0;
	what.items = items;
	what.item_count = (size_t)wanted;
	if (!items || !views)
		PyErr_NoMemory();
	else if (got == wanted)
		published = write_patiently(self, &what);
	for (Py_ssize_t i = 0; i < got; i++)
		dxn_bytes_done(&views[i]);
	PyMem_Free(items);
	PyMem_Free(views);
	/* Held back in the midst of them: how many went is worth more than the reason. */
	if (!published && what.published > 0 && !what.interrupted) {
		PyErr_Clear();
		published = true;
	}
	return published ? PyLong_FromSize_t(what.published) : NULL;
}

/* ---- blocks without a name ---------------------------------------------------------- */

struct sending {
	dxh_producer *producer;
	int socket;
	uint32_t uid_plus1;
};

static dxh_status send_step(void *context, int64_t until_ns)
{
	struct sending *what = context;

	return dxh_producer_send_fds(what->producer, what->socket, what->uid_plus1, until_ns);
}

/* send(socket, uid or None, timeout) */
static PyObject *producer_send(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	struct sending what = {self->producer, -1, 0};
	int64_t deadline_ns;
	dxh_status status;
	bool went;

	if (!dxn_arguments("send", count, 3) || !dxn_deadline(arguments[2], &deadline_ns))
		return NULL;
	if (!dxn_int(arguments[0], &what.socket) || !dxn_uid(arguments[1], &what.uid_plus1) ||
	    !dxn_end_enter(self))
		return NULL;
	went = dxn_wait_at(&self->door, send_step, &what, deadline_ns, &status);
	dxn_door_leave(&self->door);
	return went ? dxn_none_or_raise(status) : NULL;
}

/* ---- facts ------------------------------------------------------------------------------------ */

#define STAT(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_producer_stats, name), 'Q', 0                                  \
	}
static const dxn_member stats_members[] = {STAT(items),   STAT(bytes),        STAT(aborted),
                                           STAT(wakes),   STAT(next_ticket),  STAT(write_max_ns),
                                           STAT(epoch),   STAT(block_bytes),  STAT(held),
                                           STAT(evicted), STAT(locked_bytes), STAT(huge_bytes)};

static PyObject *producer_stats(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxh_producer_stats stats;
	dxh_status status;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	status = dxh_producer_stats_get(self->producer, &stats);
	return status == DXH_OK ? DXN_DICT(&stats, stats_members) : dxn_raise(status);
}

/* service(): that of the channel, or None */
static PyObject *producer_service(PyObject *object, PyObject *unused)
{
	PyObject *service = (PyObject *)((dxn_end *)object)->service;

	(void)unused;
	return Py_NewRef(service ? service : Py_None);
}

static PyObject *producer_progress(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;

	(void)unused;
	/* Not while another thread is in it: that one makes progress. */
	if (!dxn_end_check(self))
		return NULL;
	return dxn_none_or_raise(dxh_channel_progress(self->producer));
}

static PyMethodDef producer_methods[] = {
	{"begin", producer_begin, METH_O, NULL},
	FAST("publish", producer_publish),
	FAST("publish_many", producer_publish_many),
	FAST("zone", dxn_end_zone),
	FAST("latch_load", dxn_end_latch_load),
	FAST("latch_store", dxn_end_latch_store),
	{"digest_set", dxn_end_digest_set, METH_O, NULL},
	FAST("digest_verify", dxn_end_digest_verify),
	FAST("send", producer_send),
	{"service", producer_service, METH_NOARGS, NULL},
	{"progress", producer_progress, METH_NOARGS, NULL},
	{"stats", producer_stats, METH_NOARGS, NULL},
	{"info", dxn_end_info, METH_NOARGS, NULL},
	{"schema", dxn_end_schema, METH_NOARGS, NULL},
	{"close", dxn_end_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_producer_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Producer",
	.tp_basicsize = sizeof(dxn_end),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = producer_init,
	.tp_dealloc = dxn_end_dealloc,
	.tp_methods = producer_methods,
};
