/* SPDX-License-Identifier: MIT */
/* The lease: bytes of a block that Python may look at, until it ends.
 *
 * Arrays over them are told to their lease (adopt), which makes them empty when it ends. numpy
 * also makes arrays of which nobody is told (np.asarray of a view): these keep the lease alive,
 * and the lease the memory, also when producer or consumer were closed. So nothing that a
 * program keeps too long can crash it.
 */
#include "native.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include <stdlib.h>
#include <string.h>

int dxn_lease_setup(void)
{
	return _import_array();
}

dxn_lease *
dxn_lease_new(dxn_end *end, dxn_lease_kind kind, const void *data, size_t bytes, bool read_only)
{
	dxn_lease *made = PyObject_New(dxn_lease, &dxn_lease_type);
	PyObject *views = made ? PyList_New(0) : NULL;

	if (!views) {
		if (made)
			PyObject_Free(made);
		return NULL;
	}
	memset((char *)made + sizeof made->ob_base, 0, sizeof *made - sizeof made->ob_base);
	made->views = views;
	made->kind = kind;
	made->data = (unsigned char *)(uintptr_t)data;
	made->bytes = bytes;
	made->read_only = read_only;
	made->is_live = true;
	Py_INCREF(end);
	made->end = end;
	end->lease_count++;
	made->next = end->leases;
	if (made->next)
		made->next->previous = made;
	end->leases = made;
	return made;
}

/* ---- the end of a lease ------------------------------------------------------------------- */

/* What the array shows from now on: nothing, or zeros where it has no dimension to be
 * empty in. */
static void bury(dxn_lease *self, PyObject *object)
{
	PyArrayObject_fields *array = (PyArrayObject_fields *)object;

	if (array->nd == 0 && !self->grave)
		self->grave = calloc(1, self->bytes);
	PyArray_CLEARFLAGS((PyArrayObject *)object, NPY_ARRAY_WRITEABLE);
	for (int i = 0; i < array->nd; i++)
		array->dimensions[i] = 0;
	if (array->nd == 0 && self->grave)
		array->data = self->grave;
}

void dxn_lease_revoke(dxn_lease *self)
{
	PyObject *array;

	if (!self->is_live)
		return;
	self->is_live = false;
	if (self->next)
		self->next->previous = self->previous;
	if (self->previous)
		self->previous->next = self->next;
	else
		self->end->leases = self->next;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->views); i++) {
		array = PyWeakref_GET_OBJECT(PyList_GET_ITEM(self->views, i));
		if (array != Py_None)
			bury(self, array);
	}
	PyList_SetSlice(self->views, 0, PY_SSIZE_T_MAX, NULL);
}

bool dxn_lease_check(dxn_lease *self)
{
	if (dxn_door_is_forked(&self->end->door))
		dxn_raise_text(DXH_EFORKED, "DXH_EFORKED: the view belongs to the parent process: "
		                            "open the block here");
	else if (!self->is_live && self->kind == DXN_LEASE_ZONE)
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the block of this zone was closed");
	else if (!self->is_live)
		dxn_raise_text(DXH_ESTATE, "DXH_ESTATE: a view of a slot is for the inside of its "
		                           "with block: copy what is to be kept");
	else if (self->kind == DXN_LEASE_PEEK && !dxh_peek_holds(&self->peek))
		dxn_raise_text(DXH_ELAPPED, "DXH_ELAPPED: the item was overwritten while it was "
		                            "looked at: discard what was derived from it");
	else
		return true;
	return false;
}

static PyObject *lease_check(PyObject *object, PyObject *unused)
{
	(void)unused;
	if (!dxn_lease_check((dxn_lease *)object))
		return NULL;
	Py_RETURN_NONE;
}

/* ---- arrays ------------------------------------------------------------------------------- */

/* Forget arrays that are gone, when they have become as many as those that are there. */
static bool sweep(dxn_lease *self)
{
	PyObject *kept;

	if (PyList_GET_SIZE(self->views) < 2 * self->swept + 16)
		return true;
	kept = PyList_New(0);
	for (Py_ssize_t i = 0; kept && i < PyList_GET_SIZE(self->views); i++)
		if (PyWeakref_GET_OBJECT(PyList_GET_ITEM(self->views, i)) != Py_None &&
		    PyList_Append(kept, PyList_GET_ITEM(self->views, i)) == -1)
			Py_CLEAR(kept);
	if (!kept)
		return false;
	Py_SETREF(self->views, kept);
	self->swept = PyList_GET_SIZE(kept);
	return true;
}

/* adopt(array): whether it lies in these bytes; then it ends with the lease. */
static PyObject *lease_adopt(PyObject *object, PyObject *array)
{
	dxn_lease *self = (dxn_lease *)object;
	const unsigned char *data;
	PyObject *weak;
	int failed;

	if (!PyArray_Check(array)) {
		PyErr_SetString(PyExc_TypeError, "adopt() takes an array");
		return NULL;
	}
	data = PyArray_DATA((PyArrayObject *)array);
	if (data < self->data || data >= self->data + self->bytes)
		Py_RETURN_FALSE;
	if (!sweep(self))
		return NULL;
	weak = PyWeakref_NewRef(array, NULL);
	failed = weak ? PyList_Append(self->views, weak) : -1;
	Py_XDECREF(weak);
	if (failed)
		return NULL;
	if (!self->is_live)
		bury(self, array);
	Py_RETURN_TRUE;
}

static int lease_buffer(PyObject *object, Py_buffer *view, int flags)
{
	dxn_lease *self = (dxn_lease *)object;

	view->obj = NULL;
	if (!dxn_lease_check(self))
		return -1;
	return PyBuffer_FillInfo(view, object, self->data, (Py_ssize_t)self->bytes, self->read_only,
	                         flags);
}

/* ---- writing and looking -------------------------------------------------------------------- */

/* The views end before anybody else can see the slot. */
static bool end_write(dxn_lease *self)
{
	if (self->kind != DXN_LEASE_WRITE || !dxn_lease_check(self) || !dxn_end_check(self->end))
		return false;
	return true;
}

/* commit(bytes, checked) */
static PyObject *lease_commit(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_lease *self = (dxn_lease *)object;
	size_t bytes;
	int checked;
	dxh_status status;

	if (!dxn_arguments("commit", count, 2) || !end_write(self))
		return NULL;
	bytes = PyLong_AsSize_t(arguments[0]);
	checked = PyObject_IsTrue(arguments[1]);
	if (PyErr_Occurred())
		return NULL;
	dxn_door_enter(&self->end->door);
	Py_BEGIN_ALLOW_THREADS
	status = checked ? dxh_write_commit_checked(&self->slot, bytes)
	                 : dxh_write_commit(&self->slot, bytes);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->end->door);
	if (status == DXH_OK)
		dxn_lease_revoke(self);
	return dxn_none_or_raise(status);
}

static PyObject *lease_abort(PyObject *object, PyObject *unused)
{
	dxn_lease *self = (dxn_lease *)object;

	(void)unused;
	if (!end_write(self))
		return NULL;
	dxn_lease_revoke(self);
	return dxn_none_or_raise(dxh_write_abort(&self->slot));
}

/* end(): raises when what was seen was not the item; it then counts as lost. */
static PyObject *lease_end(PyObject *object, PyObject *unused)
{
	dxn_lease *self = (dxn_lease *)object;
	dxh_status status;

	(void)unused;
	if (self->kind != DXN_LEASE_PEEK || !self->is_live)
		return dxn_raise_text(DXH_ESTATE, "DXH_ESTATE: no item is looked at");
	if (!dxn_end_check(self->end))
		return NULL;
	dxn_lease_revoke(self);
	status = dxh_peek_end(&self->peek);
	if (status == DXH_OK)
		Py_RETURN_NONE;
	return dxn_raise_lost(status, 1);
}

/* ---- atomics ------------------------------------------------------------------------------- */

enum atomic_operation {
	ATOMIC_LOAD,
	ATOMIC_STORE,
	ATOMIC_EXCHANGE,
	ATOMIC_ADD,
	ATOMIC_AND,
	ATOMIC_OR,
	ATOMIC_COMPARE_EXCHANGE
};

/* Sequentially consistent: Python's users have no order to choose. What was there before is
 * returned; *done tells whether a compare-exchange was made. */
#define DEFINE_ATOMIC(type)                                                                        \
	static uint64_t atomic_##type(void *at, int operation, uint64_t operand, uint64_t wanted,  \
	                              bool *done)                                                  \
	{                                                                                          \
		type *word = at, expected = (type)wanted;                                          \
                                                                                                   \
		*done = true;                                                                      \
		switch (operation) {                                                               \
		case ATOMIC_LOAD:                                                                  \
			return __atomic_load_n(word, __ATOMIC_SEQ_CST);                            \
		case ATOMIC_STORE:                                                                 \
		case ATOMIC_EXCHANGE:                                                              \
			return __atomic_exchange_n(word, (type)operand, __ATOMIC_SEQ_CST);         \
		case ATOMIC_ADD:                                                                   \
			return __atomic_fetch_add(word, (type)operand, __ATOMIC_SEQ_CST);          \
		case ATOMIC_AND:                                                                   \
			return __atomic_fetch_and(word, (type)operand, __ATOMIC_SEQ_CST);          \
		case ATOMIC_OR:                                                                    \
			return __atomic_fetch_or(word, (type)operand, __ATOMIC_SEQ_CST);           \
		default:                                                                           \
			*done = __atomic_compare_exchange_n(word, &expected, (type)operand, false, \
			                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);   \
			return expected;                                                           \
		}                                                                                  \
	}
DEFINE_ATOMIC(uint8_t)
DEFINE_ATOMIC(uint16_t)
DEFINE_ATOMIC(uint32_t)
DEFINE_ATOMIC(uint64_t)

static uint64_t
operate(void *at, Py_ssize_t bytes, int operation, uint64_t operand, uint64_t wanted, bool *done)
{
	switch (bytes) {
	case 1:
		return atomic_uint8_t(at, operation, operand, wanted, done);
	case 2:
		return atomic_uint16_t(at, operation, operand, wanted, done);
	case 4:
		return atomic_uint32_t(at, operation, operand, wanted, done);
	default:
		return atomic_uint64_t(at, operation, operand, wanted, done);
	}
}

/* Where a word lies. NULL: raised. */
static void *word_at(dxn_lease *self, size_t offset, Py_ssize_t bytes, int operation)
{
	bool is_word = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;

	if (!dxn_lease_check(self))
		return NULL;
	if (!is_word || offset > self->bytes || (size_t)bytes > self->bytes - offset ||
	    (uintptr_t)(self->data + offset) % (size_t)bytes != 0)
		return dxn_raise_text(DXH_ESIZE, "DXH_ESIZE: an atomic has 1, 2, 4 or 8 bytes and "
		                                 "is aligned to its size");
	if (self->read_only && operation != ATOMIC_LOAD)
		return dxn_raise_text(DXH_ESTATE, "DXH_ESTATE: this zone is for reading only");
	return self->data + offset;
}

/* atomic(operation, offset, bytes, operand, expected): (what was there before, done) */
static PyObject *lease_atomic(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_lease *self = (dxn_lease *)object;
	uint64_t operand, wanted, before;
	Py_ssize_t bytes;
	size_t offset;
	long operation;
	void *word;
	bool done;

	if (!dxn_arguments("atomic", count, 5))
		return NULL;
	operation = PyLong_AsLong(arguments[0]);
	offset = PyLong_AsSize_t(arguments[1]);
	bytes = PyLong_AsSsize_t(arguments[2]);
	operand = PyLong_AsUnsignedLongLong(arguments[3]);
	wanted = PyLong_AsUnsignedLongLong(arguments[4]);
	if (PyErr_Occurred())
		return NULL;
	word = word_at(self, offset, bytes, (int)operation);
	if (!word)
		return NULL;
	before = operate(word, bytes, (int)operation, operand, wanted, &done);
	return Py_BuildValue("KO", (unsigned long long)before, done ? Py_True : Py_False);
}

/* ---- the type --------------------------------------------------------------------------------- */

static PyObject *lease_ticket(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(((dxn_lease *)object)->slot.ticket);
}

static PyObject *lease_is_live(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(((dxn_lease *)object)->is_live);
}

static PyObject *lease_bytes(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromSize_t(((dxn_lease *)object)->bytes);
}

/* One that was forgotten is given up: the next write or look goes on. */
static void give_up(dxn_lease *self)
{
	bool is_open = self->is_live && !dxn_door_is_forked(&self->end->door);

	dxn_lease_revoke(self);
	if (is_open && self->kind == DXN_LEASE_WRITE && self->end->producer)
		dxh_write_abort(&self->slot);
	if (is_open && self->kind == DXN_LEASE_PEEK && self->end->consumer &&
	    dxh_peek_end(&self->peek) != DXH_OK)
		return; /* it did not hold, and is counted; nobody is there to be told */
}

static void lease_dealloc(PyObject *object)
{
	dxn_lease *self = (dxn_lease *)object;
	dxn_end *end = self->end;

	give_up(self);
	if (self->weak_references)
		PyObject_ClearWeakRefs(object);
	Py_DECREF(self->views);
	free(self->grave);
	end->lease_count--;
	if (end->lease_count == 0)
		dxh_memory_free(&end->memory);
	Py_DECREF(end);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef lease_methods[] = {
	{"check", lease_check, METH_NOARGS, NULL},
	{"adopt", lease_adopt, METH_O, NULL},
	FAST("commit", lease_commit),
	{"abort", lease_abort, METH_NOARGS, NULL},
	{"end", lease_end, METH_NOARGS, NULL},
	FAST("atomic", lease_atomic),
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef lease_getset[] = {
	{"ticket", lease_ticket, NULL, NULL, NULL},
	{"is_live", lease_is_live, NULL, NULL, NULL},
	{"bytes", lease_bytes, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyBufferProcs lease_as_buffer = {.bf_getbuffer = lease_buffer};

PyTypeObject dxn_lease_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Lease",
	.tp_basicsize = sizeof(dxn_lease),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_weaklistoffset = offsetof(dxn_lease, weak_references),
	.tp_dealloc = lease_dealloc,
	.tp_as_buffer = &lease_as_buffer,
	.tp_methods = lease_methods,
	.tp_getset = lease_getset,
};
