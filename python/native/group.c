/* SPDX-License-Identifier: MIT */
/* Where completions come home: one group for each event loop, by whose descriptor the loop
 * learns of them; and one for all others of the process, which only counts, so that a thread
 * can wait for any of many, whoever posted them.
 *
 *   field     written by       read by      order
 *   ended     dxn_home_tell()  wait_any()       futex, seq_cst with `sleepers`
 *   sleepers  wait_any()       dxn_home_tell()  seq_cst: the one sees the sleeper, or the
 *                                               other sees the end
 */
#include "native.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- the home group --------------------------------------------------------------------- */

static _Atomic uint32_t ended, sleepers;

void dxn_home_tell(void)
{
	atomic_fetch_add(&ended, 1);
	if (atomic_load(&sleepers) > 0)
		syscall(SYS_futex, &ended, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* On the I/O thread: never Python. */
static void note_end(void *unused, const dxh_event *unused_too)
{
	(void)unused;
	(void)unused_too;
	dxn_home_tell();
}

dxh_group *dxn_home_group(void)
{
	static dxh_group *home;
	static unsigned process;
	dxh_status status;

	if (home && process == dxn_process)
		return home;
	/* A parent's group is not closed: it is the parent's. */
	home = NULL;
	process = dxn_process;
	status = dxh_group_open_inline(note_end, NULL, &home);
	if (status != DXH_OK)
		dxn_raise(status);
	return home;
}

static dxh_status sleep_step(void *context, int64_t deadline_ns)
{
	struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
	uint32_t seen = *(uint32_t *)context;

	atomic_fetch_add(&sleepers, 1);
	while (atomic_load(&ended) == seen && dxh_now_ns() < deadline_ns)
		syscall(SYS_futex, &ended, FUTEX_WAIT_BITSET_PRIVATE, seen,
		        deadline_ns == DXH_FOREVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
	atomic_fetch_sub(&sleepers, 1);
	return atomic_load(&ended) == seen ? DXH_EWAIT : DXH_OK;
}

bool dxn_home_wait(dxh_completion handle, int64_t deadline_ns, dxh_status *status)
{
	uint32_t seen;

	/* Bounded by the deadline; each turn but the last sleeps. */
	do {
		seen = atomic_load(&ended);
		*status = dxh_poll(handle);
		if (*status != DXH_EWAIT)
			return true;
		if (!dxn_wait(sleep_step, &seen, deadline_ns, status))
			return false;
	} while (*status != DXH_EWAIT);
	return true;
}

/* 1: one has ended. 0: none. -1: raised. */
static int any_ended(PyObject *completions)
{
	dxn_completion *one;

	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(completions); i++) {
		one = (dxn_completion *)PyList_GET_ITEM(completions, i);
		if (Py_TYPE(one) != &dxn_completion_type) {
			PyErr_SetString(PyExc_TypeError, "wait_any() takes completions");
			return -1;
		}
		if (one->value || dxh_poll(one->handle) != DXH_EWAIT)
			return 1;
		if (one->group) {
			dxn_raise_text(DXH_ESTATE, "DXH_ESTATE: it was posted for an event loop: "
			                           "await it there, or use result()");
			return -1;
		}
	}
	return 0;
}

PyObject *dxn_wait_any(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
	uint32_t seen;
	int64_t deadline_ns;
	dxh_status status;
	int found;

	(void)module;
	if (!dxn_arguments("wait_any", count, 2) || !dxn_deadline(arguments[1], &deadline_ns))
		return NULL;
	if (!PyList_CheckExact(arguments[0])) {
		PyErr_SetString(PyExc_TypeError, "wait_any() takes a list");
		return NULL;
	}
	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		seen = atomic_load(&ended);
		found = any_ended(arguments[0]);
		if (found != 0)
			return found == -1 ? NULL : PyBool_FromLong(1);
		if (!dxn_wait(sleep_step, &seen, deadline_ns, &status))
			return NULL;
		if (status == DXH_EWAIT)
			Py_RETURN_FALSE;
	}
}

/* ---- groups of event loops -------------------------------------------------------------- */

struct dxn_group {
	PyObject ob_base;
	dxh_group *group;
	PyObject *pending; /* dict of address to completion: alive until it has come home */
};

static int group_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {NULL};
	dxn_group *self = (dxn_group *)object;
	dxh_status status;

	if (self->pending) {
		PyErr_SetString(PyExc_RuntimeError, "this group is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, ":Group", names))
		return -1;
	self->pending = PyDict_New();
	if (!self->pending)
		return -1;
	status = dxh_group_open(&self->group);
	if (status == DXH_OK)
		return 0;
	dxn_raise(status);
	return -1;
}

dxh_group *dxn_group_of(PyObject *group)
{
	if (Py_TYPE(group) != &dxn_group_type) {
		PyErr_SetString(PyExc_TypeError, "a Group or None is needed");
		return NULL;
	}
	if (!((dxn_group *)group)->group)
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the event loop's group is closed");
	return ((dxn_group *)group)->group;
}

bool dxn_group_expect(PyObject *group, PyObject *completion)
{
	PyObject *key = PyLong_FromVoidPtr(completion);
	bool put = key && PyDict_SetItem(((dxn_group *)group)->pending, key, completion) == 0;

	Py_XDECREF(key);
	return put;
}

/* The completion of that address if it is expected, or None. */
static PyObject *take_expected(dxn_group *self, void *completion)
{
	PyObject *key = PyLong_FromVoidPtr(completion), *found;

	if (!key)
		return NULL;
	found = PyDict_GetItemWithError(self->pending, key);
	Py_XINCREF(found);
	if (found && PyDict_DelItem(self->pending, key) == -1)
		Py_CLEAR(found);
	Py_DECREF(key);
	if (!found && !PyErr_Occurred())
		Py_RETURN_NONE;
	return found;
}

void dxn_group_forget(PyObject *group, PyObject *completion)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	Py_XDECREF(take_expected((dxn_group *)group, completion));
	PyErr_Restore(type, value, traceback);
}

/* take(): those that have ended, without waiting. */
static PyObject *group_take(PyObject *object, PyObject *unused)
{
	enum { AT_ONCE = 64 };
	dxn_group *self = (dxn_group *)object;
	dxh_group *group = dxn_group_of(object);
	PyObject *list = group ? PyList_New(0) : NULL, *one;
	dxh_event events[AT_ONCE];
	size_t count;

	(void)unused;
	/* Until it is empty: only then is the descriptor armed for what comes next. */
	while (list && dxh_group_wait(group, 1, events, AT_ONCE, DXH_NOW, &count) == DXH_OK)
		for (size_t i = 0; list && i < count; i++) {
			one = take_expected(self, events[i].user);
			if (!one || (one != Py_None && PyList_Append(list, one) == -1))
				Py_CLEAR(list);
			Py_XDECREF(one);
		}
	return list;
}

static PyObject *group_fd(PyObject *object, PyObject *unused)
{
	dxh_group *group = dxn_group_of(object);
	int fd = group ? dxh_group_fd(group) : -1;

	(void)unused;
	if (group && fd == -1)
		return dxn_raise(DXH_ELIMIT);
	return group ? PyLong_FromLong(fd) : NULL;
}

static PyObject *group_close(PyObject *object, PyObject *unused)
{
	dxn_group *self = (dxn_group *)object;

	(void)unused;
	if (self->group)
		dxh_group_close(&self->group);
	if (self->pending)
		PyDict_Clear(self->pending);
	Py_RETURN_NONE;
}

static void group_dealloc(PyObject *object)
{
	Py_XDECREF(group_close(object, NULL));
	Py_XDECREF(((dxn_group *)object)->pending);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef group_methods[] = {
	{"take", group_take, METH_NOARGS, NULL},
	{"fd", group_fd, METH_NOARGS, NULL},
	{"close", group_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_group_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Group",
	.tp_basicsize = sizeof(dxn_group),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = group_init,
	.tp_dealloc = group_dealloc,
	.tp_methods = group_methods,
};
