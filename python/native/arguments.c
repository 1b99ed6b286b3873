/* SPDX-License-Identifier: MIT */
/* From Python's values to those of the C API, and bytes back. */
#include "native.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static bool seconds_to_ns(double seconds, int64_t *ns)
{
	if (isnan(seconds)) {
		PyErr_SetString(PyExc_ValueError, "a time in seconds is not NaN");
		return false;
	}
	*ns = seconds >= 9.2e9    ? INT64_MAX
	      : seconds <= -9.2e9 ? INT64_MIN
	                          : (int64_t)ceil(seconds * 1e9);
	return true;
}

bool dxn_ns(PyObject *seconds, int64_t *ns)
{
	double given = PyFloat_AsDouble(seconds);

	if (given == -1.0 && PyErr_Occurred())
		return false;
	return seconds_to_ns(given, ns);
}

bool dxn_deadline(PyObject *timeout, int64_t *deadline_ns)
{
	int64_t ns;

	*deadline_ns = DXH_FOREVER;
	if (timeout == Py_None)
		return true;
	if (!dxn_ns(timeout, &ns))
		return false;
	*deadline_ns = ns <= 0 ? DXH_NOW : dxh_in_ns(ns);
	return true;
}

const char *dxn_text(PyObject *text)
{
	Py_ssize_t bytes;
	const char *utf8;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "a str is needed, not %s", Py_TYPE(text)->tp_name);
		return NULL;
	}
	utf8 = PyUnicode_AsUTF8AndSize(text, &bytes);
	if (utf8 && strlen(utf8) != (size_t)bytes) {
		PyErr_SetString(PyExc_ValueError, "a NUL character stands inside the text");
		return NULL;
	}
	return utf8;
}

bool dxn_text_or_none(PyObject *text, const char **utf8)
{
	*utf8 = text == Py_None ? NULL : dxn_text(text);
	return *utf8 || text == Py_None;
}

PyObject *dxn_str(const char *utf8)
{
	if (!utf8)
		Py_RETURN_NONE;
	return PyUnicode_DecodeUTF8(utf8, (Py_ssize_t)strlen(utf8), "replace");
}

/* false: raised. */
static bool in_range(PyObject *given, long long min, unsigned long long max, uint64_t *bits)
{
	PyObject *index = PyNumber_Index(given);
	int beyond = 0;
	long long number = index ? PyLong_AsLongLongAndOverflow(index, &beyond) : 0;
	bool fits = beyond == 0 && (number < 0 ? number >= min : (uint64_t)number <= max);

	if (!index)
		return false;
	*bits = (uint64_t)number;
	if (beyond > 0) {
		*bits = PyLong_AsUnsignedLongLong(index);
		fits = !PyErr_Occurred() && *bits <= max;
	}
	Py_DECREF(index);
	if (fits)
		return true;
	PyErr_Clear();
	PyErr_Format(PyExc_ValueError, "%R is not a number from %lld to %llu", given, min, max);
	return false;
}

int dxn_u32(PyObject *given, void *number)
{
	uint64_t bits;
	bool fits = in_range(given, 0, UINT32_MAX, &bits);

	if (fits)
		*(uint32_t *)number = (uint32_t)bits;
	return fits;
}

int dxn_u64(PyObject *given, void *number)
{
	return in_range(given, 0, UINT64_MAX, number);
}

int dxn_uid(PyObject *given, void *uid_plus1)
{
	uint64_t uid;
	bool fits = given != Py_None && in_range(given, 0, UINT32_MAX - 1, &uid);

	if (fits)
		*(uint32_t *)uid_plus1 = (uint32_t)uid + 1;
	return fits || given == Py_None;
}

int dxn_int(PyObject *given, void *number)
{
	uint64_t bits;
	bool fits = in_range(given, INT_MIN, INT_MAX, &bits);

	if (fits)
		*(int *)number = (int)bits;
	return fits;
}

bool dxn_bytes(PyObject *body, Py_buffer *view)
{
	memset(view, 0, sizeof *view);
	return body == Py_None || PyObject_GetBuffer(body, view, PyBUF_C_CONTIGUOUS) == 0;
}

void dxn_bytes_done(Py_buffer *view)
{
	if (view->obj)
		PyBuffer_Release(view);
}

bool dxn_key_fits(const Py_buffer *key)
{
	bool fits = !key->obj || key->len == DXH_CHECKSUM_KEY_BYTES;

	if (!fits)
		PyErr_Format(PyExc_ValueError, "checksum_key has %zd bytes, not %d", key->len,
		             DXH_CHECKSUM_KEY_BYTES);
	return fits;
}

bool dxn_broker_of(PyObject *given, dxn_peer **broker)
{
	*broker = NULL;
	if (given == Py_None)
		return true;
	if (Py_TYPE(given) != &dxn_peer_type) {
		PyErr_SetString(PyExc_TypeError, "broker is a Peer or None");
		return false;
	}
	*broker = (dxn_peer *)given;
	return dxn_peer_open_of(*broker) != NULL;
}

PyObject *dxn_copy(const void *bytes, size_t count)
{
	PyObject *made;
	char *to;

	if (count < DXN_COPY_BYTES)
		return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)count);
	made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count);
	if (!made)
		return NULL;
	to = PyBytes_AS_STRING(made);
	Py_BEGIN_ALLOW_THREADS
	memcpy(to, bytes, count);
	Py_END_ALLOW_THREADS
	return made;
}

bool dxn_arguments(const char *name, Py_ssize_t got, Py_ssize_t wanted)
{
	if (got != wanted)
		PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, not %zd", name, wanted,
		             got);
	return got == wanted;
}
