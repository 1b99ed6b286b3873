/* SPDX-License-Identifier: MIT */
/* Keys of CURVE. */
#include "native.h"

typedef dxh_status (*key_call)(const char *path, char public_key[DXH_KEY_BYTES]);

static PyObject *public_key(PyObject *path, key_call call)
{
	char key[DXH_KEY_BYTES];
	const char *text = dxn_text(path);
	dxh_status status;

	if (!text)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	status = call(text, key);
	Py_END_ALLOW_THREADS
	return status == DXH_OK ? PyUnicode_FromString(key) : dxn_raise(status);
}

PyObject *dxn_key_make(PyObject *module, PyObject *path)
{
	(void)module;
	return public_key(path, dxh_key_make);
}

PyObject *dxn_key_public(PyObject *module, PyObject *path)
{
	(void)module;
	return public_key(path, dxh_key_public);
}
