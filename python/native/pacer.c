/* SPDX-License-Identifier: MIT */
/* A fixed rate on an absolute schedule. */
#include "native.h"

typedef struct pacer {
	PyObject ob_base;
	dxh_pacer pacer;
	bool is_waited; /* a thread sleeps in it, without the interpreter's lock */
} pacer;

static int pacer_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"period_ns", "ticks_per_period", "first_ns", "catch_up", NULL};
	pacer *self = (pacer *)object;
	long long period_ns, ticks, first_ns;

	self->pacer = (dxh_pacer){0};
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "LLLp:Pacer", names, &period_ns,
	                                 &ticks, &first_ns, &self->pacer.catch_up))
		return -1;
	self->pacer.period_ns = period_ns;
	self->pacer.ticks_per_period = ticks;
	self->pacer.first_ns = first_ns;
	return 0;
}

struct tick {
	dxh_pacer *pacer;
	dxh_pace pace;
};

static dxh_status wait_step(void *context, int64_t until_ns)
{
	struct tick *what = context;

	return dxh_pacer_wait(what->pacer, until_ns, &what->pace);
}

/* (tick, due_ns, late_ns, missed) */
static PyObject *pace_as_tuple(const dxh_pace *pace)
{
	return Py_BuildValue("KLLK", (unsigned long long)pace->tick, (long long)pace->due_ns,
	                     (long long)pace->late_ns, (unsigned long long)pace->missed);
}

/* wait(timeout) */
static PyObject *pacer_wait(PyObject *object, PyObject *timeout)
{
	pacer *self = (pacer *)object;
	struct tick what = {.pacer = &self->pacer};
	int64_t deadline_ns;
	dxh_status status;
	bool went;

	if (!dxn_deadline(timeout, &deadline_ns))
		return NULL;
	if (self->is_waited)
		return dxn_raise_text(DXH_EBUSY, "DXH_EBUSY: another thread waits for it");
	self->is_waited = true;
	Py_INCREF(self);
	went = dxn_try(wait_step, &what, deadline_ns, &status) ||
	       dxn_wait(wait_step, &what, deadline_ns, &status);
	self->is_waited = false;
	Py_DECREF(self);
	if (!went)
		return NULL;
	return status == DXH_OK ? pace_as_tuple(&what.pace) : dxn_raise(status);
}

static PyObject *pacer_due_ns(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromLongLong(dxh_pacer_due_ns(&((pacer *)object)->pacer));
}

static PyObject *pacer_missed(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(((pacer *)object)->pacer.missed);
}

static PyMethodDef pacer_methods[] = {
	{"wait", pacer_wait, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef pacer_getset[] = {
	{"due_ns", pacer_due_ns, NULL, NULL, NULL},
	{"missed", pacer_missed, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject dxn_pacer_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Pacer",
	.tp_basicsize = sizeof(pacer),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = pacer_init,
	.tp_methods = pacer_methods,
	.tp_getset = pacer_getset,
};
