/* SPDX-License-Identifier: MIT */
/* What a producer and a consumer have in common: one thread at a time, and a close that ends
 * every view before the memory goes.
 */
#include "native.h"

bool dxn_end_check(const dxn_end *self)
{
	if ((!self->producer && !self->consumer) || self->door.closing)
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: it is closed here: open it again");
	else if (dxn_door_is_forked(&self->door))
		dxn_raise_text(DXH_EFORKED, "DXH_EFORKED: it belongs to the parent process: open "
		                            "one here");
	else if (self->door.inside > 0)
		dxn_raise_text(DXH_EBUSY, "DXH_EBUSY: another thread is in it: open one for each "
		                          "thread");
	else
		return true;
	return false;
}

bool dxn_end_enter(dxn_end *self)
{
	if (!dxn_end_check(self))
		return false;
	dxn_door_enter(&self->door);
	return true;
}

void dxn_end_opened(dxn_end *self, dxn_peer *broker)
{
	dxn_hub *hub;

	dxn_door_init(&self->door);
	if (!broker)
		return;
	hub = broker->hub;
	Py_INCREF(hub);
	self->hub = hub;
	Py_INCREF(broker);
	self->broker = broker;
	self->next = hub->ends;
	if (self->next)
		self->next->previous = self;
	hub->ends = self;
}

/* From here on nobody finds it by its hub, which waits for dxn_door_leave(), as its broker's peer
 * does. */
static void unlink_end(dxn_end *self)
{
	dxn_door_enter(&self->hub->door);
	dxn_door_enter(&self->broker->door);
	if (self->next)
		self->next->previous = self->previous;
	if (self->previous)
		self->previous->next = self->next;
	else
		self->hub->ends = self->next;
	self->next = self->previous = NULL;
}

/* Of a block of the parent process nothing is closed: what fork() copied of it harms nobody
 * and goes with this process. */
static dxh_status close_both(dxn_end *self)
{
	dxh_producer *producer = self->producer;
	dxh_consumer *consumer = self->consumer;
	dxh_memory *memory = NULL;
	bool is_pointed_into = self->lease_count > 0;
	dxh_status status = DXH_OK;

	self->producer = NULL;
	self->consumer = NULL;
	if (dxn_door_is_forked(&self->door))
		return DXH_OK;
	Py_BEGIN_ALLOW_THREADS
	if (producer)
		status = is_pointed_into ? dxh_producer_close_keeping(&producer, &memory)
		                         : dxh_producer_close(&producer);
	if (consumer)
		status = is_pointed_into ? dxh_consumer_close_keeping(&consumer, &memory)
		                         : dxh_consumer_close(&consumer);
	Py_END_ALLOW_THREADS
	/* The last one that pointed into it may have gone meanwhile. */
	if (self->lease_count > 0)
		self->memory = memory;
	else
		dxh_memory_free(&memory);
	return status;
}

PyObject *dxn_end_close(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxn_hub *hub = self->hub;
	dxn_peer *broker = self->broker;
	dxh_status status;

	(void)unused;
	if ((!self->producer && !self->consumer) || self->door.closing)
		Py_RETURN_NONE;
	if (hub)
		unlink_end(self);
	if (self->service && !dxn_door_is_forked(&self->door))
		dxn_service_end(self->service);
	dxn_door_close(&self->door);
	while (self->leases)
		dxn_lease_revoke(self->leases);
	status = close_both(self);
	if (hub) {
		dxn_door_leave(&broker->door);
		dxn_door_leave(&hub->door);
	}
	Py_CLEAR(self->service);
	Py_CLEAR(self->broker);
	Py_CLEAR(self->hub);
	return dxn_none_or_raise(status);
}

static dxn_end *find_end(const dxn_hub *hub, const dxn_peer *broker)
{
	dxn_end *found = hub->ends;

	while (broker && found && found->broker != broker)
		found = found->next;
	return found;
}

void dxn_ends_close(dxn_hub *hub, const dxn_peer *broker)
{
	PyObject *each, *closed;

	while ((each = (PyObject *)find_end(hub, broker))) {
		Py_INCREF(each);
		closed = dxn_end_close(each, NULL);
		if (!closed)
			PyErr_WriteUnraisable(each);
		Py_XDECREF(closed);
		Py_DECREF(each);
	}
}

/* No lease is left: each holds its end. */
void dxn_end_dealloc(PyObject *object)
{
	PyObject *type, *value, *traceback, *closed;

	PyErr_Fetch(&type, &value, &traceback);
	closed = dxn_end_close(object, NULL);
	Py_XDECREF(closed);
	PyErr_Restore(type, value, traceback);
	Py_XDECREF(((dxn_end *)object)->latches);
	Py_TYPE(object)->tp_free(object);
}

#define INFO(name, kind)                                                                           \
	{                                                                                          \
#name, offsetof(dxh_block_info, name), kind, 0                                     \
	}
static const dxn_member info_members[] = {
	INFO(name, 's'),
	{"uuid", offsetof(dxh_block_info, uuid), 'h', 16},
	{"schema_hash", offsetof(dxh_block_info, schema_hash), 'h', 32},
	INFO(block_bytes, 'Q'),
	INFO(epoch, 'Q'),
	INFO(head, 'Q'),
	INFO(slot_bytes, 'Q'),
	INFO(slot_count, 'I'),
	INFO(zone_count, 'I'),
	INFO(schema_bytes, 'I'),
	INFO(producer, 'i'),
	INFO(producer_pid, 'q'),
	INFO(unlinked, 'i'),
	INFO(clock_offset_ns, 'q'),
};

PyObject *dxn_block_info(const dxh_block_info *info)
{
	return DXN_DICT(info, info_members);
}

PyObject *dxn_end_info(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	dxh_block_info info;
	dxh_status status;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	status = self->producer ? dxh_producer_info(self->producer, &info)
	                        : dxh_consumer_info(self->consumer, &info);
	return status == DXH_OK ? dxn_block_info(&info) : dxn_raise(status);
}

PyObject *dxn_end_schema(PyObject *object, PyObject *unused)
{
	dxn_end *self = (dxn_end *)object;
	const void *schema;
	size_t bytes = 0;

	(void)unused;
	if (!dxn_end_check(self))
		return NULL;
	schema = self->producer ? dxh_producer_schema(self->producer, &bytes)
	                        : dxh_consumer_schema(self->consumer, &bytes);
	return schema ? PyBytes_FromStringAndSize(schema, (Py_ssize_t)bytes)
	              : dxn_raise(DXH_ESTATE);
}

/* ---- by name ------------------------------------------------------------------------------ */

/* directory or None, and name. false: raised. */
static bool read_names(PyObject *const *arguments, const char **directory, const char **name)
{
	*name = dxn_text(arguments[1]);
	return *name && dxn_text_or_none(arguments[0], directory);
}

PyObject *dxn_unlink(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	const char *directory, *name;

	(void)module;
	if (!dxn_arguments("unlink", count, 2) || !read_names(arguments, &directory, &name))
		return NULL;
	return dxn_none_or_raise(dxh_block_unlink(directory, name));
}

PyObject *dxn_stat(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	const char *directory, *name;
	dxh_block_info info;
	dxh_status status;

	(void)module;
	if (!dxn_arguments("stat", count, 2) || !read_names(arguments, &directory, &name))
		return NULL;
	status = dxh_block_stat(directory, name, &info);
	return status == DXH_OK ? dxn_block_info(&info) : dxn_raise(status);
}
