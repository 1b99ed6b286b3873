/* SPDX-License-Identifier: MIT */
/* Zones of a block, at either end: leases of plain ones, whole values of latches, digests. */
#include "native.h"

#include <string.h>

/* ---- plain ones ------------------------------------------------------------------------------ */

static dxh_status
find_zone(dxn_end *self, const char *name, size_t bytes, bool writable, void **zone)
{
	const void *seen = NULL;
	dxh_status status;

	if (self->producer)
		return dxh_producer_zone(self->producer, name, NULL, bytes, zone);
	if (writable)
		return dxh_consumer_zone_writable(self->consumer, name, NULL, bytes, zone);
	status = dxh_consumer_zone(self->consumer, name, NULL, bytes, &seen);
	*zone = (void *)(uintptr_t)seen; /* its lease is read-only */
	return status;
}

/* zone(name, bytes, writable) */
PyObject *dxn_end_zone(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	void *zone = NULL;
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
	status = find_zone(self, name, bytes, writable, &zone);
	if (status != DXH_OK)
		return dxn_raise(status);
	return (PyObject *)dxn_lease_new(self, DXN_LEASE_ZONE, zone, bytes, !writable);
}

/* ---- latches --------------------------------------------------------------------------------- */

/* Exchange the value of a latch. The spare copy begins as the current value: to commit it
 * unchanged harms nobody. */
static dxh_status
exchange(dxh_producer *producer, const char *name, size_t bytes, void *before, const void *after)
{
	void *spare;
	dxh_status status = dxh_latch_begin(producer, name, bytes, &spare);

	if (status != DXH_OK)
		return status;
	if (before)
		memcpy(before, spare, bytes);
	if (after)
		memcpy(spare, after, bytes);
	return dxh_latch_commit(producer, name);
}

/* latch_load(name, bytes) */
PyObject *dxn_end_latch_load(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
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
	status = self->producer ? exchange(self->producer, name, (size_t)bytes,
	                                   PyByteArray_AS_STRING(value), NULL)
	                        : dxh_latch_read(self->consumer, name, PyByteArray_AS_STRING(value),
	                                         (size_t)bytes);
	if (status == DXH_OK)
		return value;
	Py_DECREF(value);
	return dxn_raise(status);
}

/* latch_store(name, value), of a producer */
PyObject *dxn_end_latch_store(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	const char *name;
	Py_buffer value;
	dxh_status status;

	if (!dxn_arguments("latch_store", count, 2) || !dxn_end_check(self))
		return NULL;
	name = dxn_text(arguments[0]);
	if (!name || !dxn_bytes(arguments[1], &value))
		return NULL;
	status = exchange(self->producer, name, (size_t)value.len, NULL, value.buf);
	dxn_bytes_done(&value);
	return dxn_none_or_raise(status);
}

/* ---- digests --------------------------------------------------------------------------------- */

/* digest_set(name) */
PyObject *dxn_end_digest_set(PyObject *object, PyObject *given)
{
	dxn_end *self = (dxn_end *)object;
	const char *name = dxn_text(given);

	if (!name || !dxn_end_check(self))
		return NULL;
	return dxn_none_or_raise(self->producer
	                                 ? dxh_producer_zone_digest_set(self->producer, name)
	                                 : dxh_consumer_zone_digest_set(self->consumer, name));
}

/* digest_verify(name, bytes): the value that was verified. */
PyObject *dxn_end_digest_verify(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	const char *name;
	Py_ssize_t bytes;
	PyObject *value;
	char *copy;
	dxh_status status;

	if (!dxn_arguments("digest_verify", count, 2) || !dxn_end_check(self))
		return NULL;
	name = dxn_text(arguments[0]);
	bytes = PyLong_AsSsize_t(arguments[1]);
	value = PyErr_Occurred() ? NULL : PyByteArray_FromStringAndSize(NULL, bytes);
	if (!value)
		return NULL;
	copy = PyByteArray_AS_STRING(value);
	status = self->producer ? dxh_producer_zone_digest_verify(self->producer, name, copy,
	                                                          (size_t)bytes)
	                        : dxh_consumer_zone_digest_verify(self->consumer, name, copy,
	                                                          (size_t)bytes);
	if (status == DXH_OK)
		return value;
	Py_DECREF(value);
	return dxn_raise(status);
}
