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

/* The spare copy of a latch of ours, which holds the current value: begun when it is first wanted,
 * and kept so until it is committed. To read it changes nothing, for anybody. NULL: raised. */
static void *spare_of(dxn_end *self, PyObject *name, size_t bytes)
{
	PyObject *known = self->latches ? PyDict_GetItemWithError(self->latches, name) : NULL;
	const char *text = dxn_text(name);
	void *spare = NULL;
	dxh_status status;

	if (known || PyErr_Occurred())
		return known ? PyLong_AsVoidPtr(known) : NULL;
	if (!self->latches && !(self->latches = PyDict_New()))
		return NULL;
	status = dxh_latch_begin(self->producer, text, bytes, &spare);
	if (status != DXH_OK)
		return dxn_raise(status);
	known = PyLong_FromVoidPtr(spare);
	/* Committed as it is, it harms nobody. */
	if ((!known || PyDict_SetItem(self->latches, name, known) == -1) &&
	    dxh_latch_commit(self->producer, text) == DXH_OK)
		spare = NULL;
	Py_XDECREF(known);
	return spare;
}

/* false: raised. */
static bool load(dxn_end *self, PyObject *name, void *value, size_t bytes)
{
	const void *spare;
	dxh_status status;

	if (self->producer) {
		spare = spare_of(self, name, bytes);
		if (spare)
			memcpy(value, spare, bytes);
		return spare;
	}
	status = dxh_latch_read(self->consumer, dxn_text(name), value, bytes);
	if (status != DXH_OK)
		dxn_raise(status);
	return status == DXH_OK;
}

/* latch_load(name, bytes) */
PyObject *dxn_end_latch_load(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	Py_ssize_t bytes;
	PyObject *value;

	if (!dxn_arguments("latch_load", count, 2) || !dxn_end_check(self))
		return NULL;
	bytes = PyLong_AsSsize_t(arguments[1]);
	if (PyErr_Occurred() || !dxn_text(arguments[0]))
		return NULL;
	value = PyByteArray_FromStringAndSize(NULL, bytes);
	if (value && !load(self, arguments[0], PyByteArray_AS_STRING(value), (size_t)bytes))
		Py_CLEAR(value);
	return value;
}

/* latch_store(name, value), of a producer */
PyObject *dxn_end_latch_store(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_end *self = (dxn_end *)object;
	const char *name;
	Py_buffer value;
	void *spare;

	if (!dxn_arguments("latch_store", count, 2) || !dxn_end_check(self))
		return NULL;
	name = dxn_text(arguments[0]);
	if (!name || !dxn_bytes(arguments[1], &value))
		return NULL;
	spare = spare_of(self, arguments[0], (size_t)value.len);
	if (spare)
		memcpy(spare, value.buf, (size_t)value.len);
	dxn_bytes_done(&value);
	if (!spare || PyDict_DelItem(self->latches, arguments[0]) == -1)
		return NULL;
	return dxn_none_or_raise(dxh_latch_commit(self->producer, name));
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
