/* SPDX-License-Identifier: MIT */
/* Structs of numbers as dicts. */
#include "native.h"

#include <string.h>

static PyObject *value_of(const void *at, const dxn_member *member)
{
	union {
		uint64_t u64;
		int64_t i64;
		uint32_t u32;
		int integer;
		const char *text;
	} value;

	switch (member->kind) {
	case 'Q':
		memcpy(&value.u64, at, sizeof value.u64);
		return PyLong_FromUnsignedLongLong(value.u64);
	case 'q':
		memcpy(&value.i64, at, sizeof value.i64);
		return PyLong_FromLongLong(value.i64);
	case 'I':
		memcpy(&value.u32, at, sizeof value.u32);
		return PyLong_FromUnsignedLong(value.u32);
	case 'i':
		memcpy(&value.integer, at, sizeof value.integer);
		return PyLong_FromLong(value.integer);
	case 'p':
		memcpy(&value.text, at, sizeof value.text);
		return dxn_str(value.text ? value.text : "");
	case 'h':
		return PyBytes_FromStringAndSize(at, (Py_ssize_t)member->bytes);
	default:
		return dxn_str(at);
	}
}

PyObject *dxn_dict_of(const void *object, const dxn_member *members, size_t count)
{
	PyObject *found = PyDict_New(), *value;

	for (size_t i = 0; found && i < count; i++) {
		value = value_of((const char *)object + members[i].offset, &members[i]);
		if (!value || PyDict_SetItemString(found, members[i].name, value) == -1)
			Py_CLEAR(found);
		Py_XDECREF(value);
	}
	return found;
}

PyObject *dxn_list_of(const void *array, size_t count, size_t each_bytes, const dxn_member *members,
                      size_t member_count)
{
	PyObject *list = PyList_New(0), *made;

	for (size_t i = 0; list && i < count; i++) {
		made = dxn_dict_of((const char *)array + i * each_bytes, members, member_count);
		if (!made || PyList_Append(list, made) == -1)
			Py_CLEAR(list);
		Py_XDECREF(made);
	}
	return list;
}

bool dxn_put(PyObject *dict, const char *name, PyObject *value)
{
	bool done = dict && value && PyDict_SetItemString(dict, name, value) == 0;

	Py_XDECREF(value);
	return done;
}
