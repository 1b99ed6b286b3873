/* SPDX-License-Identifier: MIT */
/* One operation under way. It is resolved once: then its value or error is here, and its
 * slot is free for the next. */
#include "native.h"

#include <unistd.h>

dxn_completion *dxn_completion_new(PyObject *group)
{
	dxn_completion *made = PyObject_GC_New(dxn_completion, &dxn_completion_type);

	if (!made)
		return NULL;
	made->handle = DXH_NO_COMPLETION;
	made->value = NULL;
	Py_XINCREF(group);
	made->group = group;
	made->failed = made->has_waiter = made->is_resolving = false;
	PyObject_GC_Track(made);
	return made;
}

PyObject *dxn_take_reply(dxh_status status, const dxh_reply *reply)
{
	PyObject *error;

	if (status == DXH_OK)
		return dxn_copy(reply->body, reply->body_bytes);
	/* The handle is stale, or a parent's: nothing was told. */
	if (status == DXH_ESTALE || status == DXH_EFORKED || status == DXH_EDEADLK)
		return dxn_raise(status);
	error = dxn_error_of_reply(status, reply);
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(error);
	return NULL;
}

struct awaiting {
	dxh_completion handle;
	dxh_reply *reply;
};

static dxh_status await_step(void *context, int64_t deadline_ns)
{
	struct awaiting *what = context;

	return dxh_await(what->handle, deadline_ns, what->reply);
}

bool dxn_await(dxh_completion handle, int64_t deadline_ns, dxh_reply *reply, dxh_status *status)
{
	struct awaiting what = {handle, reply};

	return dxn_wait(await_step, &what, deadline_ns, status);
}

/* Without the frames of the time before, which would become more with each. */
static PyObject *raise_again(const dxn_completion *self)
{
	PyException_SetTraceback(self->value, Py_None);
	PyErr_SetObject((PyObject *)Py_TYPE(self->value), self->value);
	return NULL;
}

static PyObject *given_already(const dxn_completion *self)
{
	if (self->failed)
		return raise_again(self);
	Py_INCREF(self->value);
	return self->value;
}

static PyObject *raised_just_now(void)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	Py_XDECREF(type);
	Py_XDECREF(traceback);
	return value;
}

/* Another thread is copying this reply just now, without the lock. */
static void let_it_copy(const dxn_completion *self)
{
	while (self->is_resolving) {
		Py_BEGIN_ALLOW_THREADS
		usleep(50);
		Py_END_ALLOW_THREADS
	}
}

/* Keep what has ended, and give the slot back: once, whatever threads come. Of what was given
 * back before its group came to it no event comes, so others who wait are told here. */
static void resolve(dxn_completion *self, dxh_status status, const dxh_reply *reply)
{
	PyObject *value;

	let_it_copy(self);
	if (self->value)
		return;
	self->is_resolving = true;
	value = dxn_take_reply(status, reply);
	self->failed = !value;
	self->value = value ? value : raised_just_now();
	self->is_resolving = false;
	dxh_release(self->handle);
	self->handle = DXH_NO_COMPLETION;
	if (self->group)
		dxn_group_forget(self->group, (PyObject *)self);
	else
		dxn_home_tell();
}

/* Of an event loop's, which no other thread is told of. */
static dxh_status look_again_step(void *context, int64_t until_ns)
{
	const dxn_completion *self = context;
	dxh_status status;

	/* Bounded by the deadline; each turn sleeps. */
	while ((status = dxh_poll(self->handle)) == DXH_EWAIT && dxh_now_ns() < until_ns)
		usleep(1000);
	return status;
}

/* The first thread sleeps on the completion itself, others on all that end. */
static bool wait_for_end(dxn_completion *self, int64_t deadline_ns, dxh_status *status)
{
	bool went;

	if (self->has_waiter && self->group)
		return dxn_wait(look_again_step, self, deadline_ns, status);
	if (self->has_waiter)
		return dxn_home_wait(self->handle, deadline_ns, status);
	self->has_waiter = true;
	went = dxn_await(self->handle, deadline_ns, NULL, status);
	self->has_waiter = false;
	return went;
}

static void resolve_if_ended(dxn_completion *self)
{
	dxh_reply reply;
	dxh_status status;

	if (self->value)
		return;
	status = dxh_result(self->handle, &reply);
	if (status != DXH_EWAIT)
		resolve(self, status, &reply);
}

/* wait(timeout): True once it has ended, False when this wait is over. */
static PyObject *completion_wait(PyObject *object, PyObject *timeout)
{
	dxn_completion *self = (dxn_completion *)object;
	int64_t deadline_ns;
	dxh_status status;
	bool went = true;

	if (!dxn_deadline(timeout, &deadline_ns))
		return NULL;
	Py_INCREF(self);
	if (!self->value && dxh_poll(self->handle) == DXH_EWAIT)
		went = wait_for_end(self, deadline_ns, &status);
	if (went)
		resolve_if_ended(self);
	Py_DECREF(self);
	return went ? PyBool_FromLong(self->value != NULL) : NULL;
}

static PyObject *completion_done(PyObject *object, PyObject *unused)
{
	dxn_completion *self = (dxn_completion *)object;

	(void)unused;
	return PyBool_FromLong(self->value || dxh_poll(self->handle) != DXH_EWAIT);
}

/* The bytes of the reply, or raises; only of what has ended. */
static PyObject *completion_take(PyObject *object, PyObject *unused)
{
	dxn_completion *self = (dxn_completion *)object;

	(void)unused;
	resolve_if_ended(self);
	return self->value ? given_already(self) : dxn_raise(DXH_EWAIT);
}

static PyObject *completion_cancel(PyObject *object, PyObject *unused)
{
	dxn_completion *self = (dxn_completion *)object;
	dxh_cancel_answer answer = DXH_CANCEL_TOO_LATE;
	dxh_status status;

	(void)unused;
	if (self->value)
		return PyLong_FromLong((long)answer);
	status = dxh_cancel(self->handle, &answer);
	return status == DXH_OK ? PyLong_FromLong((long)answer) : dxn_raise(status);
}

/* An error that was raised knows the frames it went through, and one of them this object. The
 * group is not visited: it holds this object as long as it is under way. */
static int completion_traverse(PyObject *object, visitproc visit, void *arg)
{
	Py_VISIT(((dxn_completion *)object)->value);
	return 0;
}

/* What is left behind is an operation whose result was given away, and no reason to resolve it
 * again. */
static int completion_clear(PyObject *object)
{
	dxn_completion *self = (dxn_completion *)object;
	PyObject *value = self->value;

	if (value)
		self->value = Py_NewRef(Py_None);
	self->failed = false;
	Py_XDECREF(value);
	return 0;
}

static void completion_dealloc(PyObject *object)
{
	dxn_completion *self = (dxn_completion *)object;

	PyObject_GC_UnTrack(object);
	if (self->handle != DXH_NO_COMPLETION)
		dxh_release(self->handle);
	Py_XDECREF(self->value);
	Py_XDECREF(self->group);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef completion_methods[] = {
	{"wait", completion_wait, METH_O, NULL},
	{"done", completion_done, METH_NOARGS, NULL},
	{"take", completion_take, METH_NOARGS, NULL},
	{"cancel", completion_cancel, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_completion_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Completion",
	.tp_basicsize = sizeof(dxn_completion),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_traverse = completion_traverse,
	.tp_clear = completion_clear,
	.tp_dealloc = completion_dealloc,
	.tp_methods = completion_methods,
};
