/* SPDX-License-Identifier: MIT */
/* From a status to the exception that python/dxh/errors.py has for it. */
#include "native.h"

static PyObject *classes;

PyObject *dxn_set_errors(PyObject *module, PyObject *given)
{
	(void)module;
	if (!PyDict_Check(given)) {
		PyErr_SetString(PyExc_TypeError, "errors() takes a dict of status to class");
		return NULL;
	}
	Py_INCREF(given);
	Py_XSETREF(classes, given);
	Py_RETURN_NONE;
}

/* Borrowed. 0 stands for a status that this binding does not know. */
static PyObject *class_of(dxh_status status)
{
	PyObject *key, *found = NULL;

	for (long code = (long)status;; code = 0) {
		key = PyLong_FromLong(code);
		if (!key)
			return NULL;
		found = classes ? PyDict_GetItemWithError(classes, key) : NULL;
		Py_DECREF(key);
		if (found || PyErr_Occurred() || code == 0)
			break;
	}
	return found || PyErr_Occurred() ? found : PyExc_RuntimeError;
}

static PyObject *make(dxh_status status, const char *text)
{
	PyObject *class = class_of(status);
	PyObject *made = class ? PyObject_CallFunction(class, "N", dxn_str(text)) : NULL;
	PyObject *code = made ? PyLong_FromLong((long)status) : NULL;

	if (!code || PyObject_SetAttrString(made, "status_code", code) == -1)
		Py_CLEAR(made);
	Py_XDECREF(code);
	return made;
}

static PyObject *raise(PyObject *error)
{
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(error);
	return NULL;
}

PyObject *dxn_raise(dxh_status status)
{
	return dxn_raise_text(status, dxh_last_error());
}

PyObject *dxn_raise_text(dxh_status status, const char *text)
{
	return raise(make(status, text));
}

PyObject *dxn_raise_lost(dxh_status status, uint64_t lost)
{
	PyObject *made = make(status, dxh_last_error());
	PyObject *count = made ? PyLong_FromUnsignedLongLong(lost) : NULL;

	if (!count || PyObject_SetAttrString(made, "lost", count) == -1)
		Py_CLEAR(made);
	Py_XDECREF(count);
	return raise(made);
}

PyObject *dxn_none_or_raise(dxh_status status)
{
	if (status != DXH_OK)
		return dxn_raise(status);
	Py_RETURN_NONE;
}

PyObject *dxn_error_of_reply(dxh_status status, const dxh_reply *reply)
{
	PyObject *made = make(status, dxh_last_error());
	PyObject *certainty = made ? PyLong_FromLong((long)reply->certainty) : NULL;
	PyObject *text = certainty ? PyUnicode_DecodeUTF8(reply->body,
	                                                  (Py_ssize_t)reply->body_bytes, "replace")
	                           : NULL;

	if (!text || PyObject_SetAttrString(made, "certainty_code", certainty) == -1 ||
	    PyObject_SetAttrString(made, "text", text) == -1)
		Py_CLEAR(made);
	Py_XDECREF(certainty);
	Py_XDECREF(text);
	return made;
}
