/* SPDX-License-Identifier: MIT */
/* dxh._native: its types and functions, put together. */
#include "native.h"

static PyObject *version(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyUnicode_FromString(dxh_version());
}

/* statuses(): a list of (name, code, text, advice). */
static PyObject *statuses(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
#define ROW(name, code, text, advice) #name, code, text, advice,
#define FORMAT(name, code, text, advice) "(siss)"
	return Py_BuildValue("[" DXH_STATUS_LIST(FORMAT) "]", DXH_STATUS_LIST(ROW) 0);
#undef ROW
#undef FORMAT
}

static PyMethodDef functions[] = {
	{"errors", dxn_set_errors, METH_O, NULL},
	{"version", version, METH_NOARGS, NULL},
	{"statuses", statuses, METH_NOARGS, NULL},
	{"unlink", (PyCFunction)(void (*)(void))dxn_unlink, METH_FASTCALL, NULL},
	{"stat", (PyCFunction)(void (*)(void))dxn_stat, METH_FASTCALL, NULL},
	{"inspect", (PyCFunction)(void (*)(void))dxn_inspect, METH_FASTCALL, NULL},
	{"recover", (PyCFunction)(void (*)(void))dxn_recover, METH_FASTCALL, NULL},
	{"rules", dxn_rules, METH_NOARGS, NULL},
	{"facts", (PyCFunction)(void (*)(void))dxn_facts, METH_FASTCALL, NULL},
	{"block_size", dxn_block_size, METH_VARARGS, NULL},
	{"gc", (PyCFunction)(void (*)(void))dxn_gc, METH_FASTCALL, NULL},
	{"discover", (PyCFunction)(void (*)(void))dxn_discover, METH_FASTCALL, NULL},
	{"describe", (PyCFunction)(void (*)(void))dxn_describe, METH_FASTCALL, NULL},
	{"broker_stats", (PyCFunction)(void (*)(void))dxn_broker_stats, METH_FASTCALL, NULL},
	{"channels", (PyCFunction)(void (*)(void))dxn_channels, METH_FASTCALL, NULL},
	{"log_to", dxn_log_to, METH_O, NULL},
	{"errands_end", dxn_errands_end, METH_NOARGS, NULL},
	{"key_make", dxn_key_make, METH_O, NULL},
	{"key_public", dxn_key_public, METH_O, NULL},
	{"wait_any", (PyCFunction)(void (*)(void))dxn_wait_any, METH_FASTCALL, NULL},
	{NULL, NULL, 0, NULL},
};

static const struct type {
	const char *name;
	PyTypeObject *type;
} types[] = {
	{"Hub", &dxn_hub_type},
	{"Peer", &dxn_peer_type},
	{"Completion", &dxn_completion_type},
	{"Group", &dxn_group_type},
	{"Subscription", &dxn_subscription_type},
	{"Service", &dxn_service_type},
	{"Request", &dxn_request_type},
	{"Broker", &dxn_broker_type},
	{"Lease", &dxn_lease_type},
	{"Producer", &dxn_producer_type},
	{"Consumer", &dxn_consumer_type},
	{"Pacer", &dxn_pacer_type},
	{"Watcher", &dxn_watcher_type},
};

/* Threads of the library find Python by the main interpreter, and what is open belongs to
 * the process: another interpreter would end things under the feet of the first. */
static int refuse_sub_interpreter(void)
{
	if (PyInterpreterState_Get() == PyInterpreterState_Main())
		return 0;
	PyErr_SetString(PyExc_ImportError, "dxh cannot be imported in a sub-interpreter: import it "
	                                   "in the main one, or in a process of its own");
	return -1;
}

static int execute(PyObject *module)
{
	if (refuse_sub_interpreter() == -1 || dxn_door_setup() == -1 || dxn_errands_setup() == -1 ||
	    dxn_lease_setup() == -1)
		return -1;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (PyType_Ready(types[i].type) == -1 ||
		    PyModule_AddObjectRef(module, types[i].name, (PyObject *)types[i].type) == -1)
			return -1;
	return 0;
}

/* In two phases, so that each interpreter that imports it is looked at. */
static PyModuleDef_Slot slots[] = {
	{Py_mod_exec, (void *)(uintptr_t)execute},
	{0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,  .m_name = "dxh._native", .m_size = 0,
	.m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&definition);
}
