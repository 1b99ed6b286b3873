/* SPDX-License-Identifier: MIT */
/* A function of Python's that is told of the states of a peer's connection. The I/O thread
 * knows them, and leaves each as an errand.
 *
 *   field    written by                     read by           order
 *   holders  dxn_state_listener_new(), take_state  drop()            acq_rel: who comes last frees
 *   next     keep_for_close()                      drop_all()        the interpreter's lock
 */
#include "native.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct dxn_state_listener {
	atomic_int holders; /* the peer, and each errand under way */
	PyObject *call;     /* call(state, reason) */
	dxn_state_listener *next;
};

typedef struct news {
	dxn_errand errand;
	dxn_state_listener *listener;
	int state;
	char reason[];
} news;

dxn_state_listener *dxn_state_listener_new(PyObject *call)
{
	dxn_state_listener *made = malloc(sizeof *made);

	if (!made) {
		PyErr_NoMemory();
		return NULL;
	}
	atomic_init(&made->holders, 1);
	Py_INCREF(call);
	made->call = call;
	made->next = NULL;
	return made;
}

void dxn_state_listener_drop(dxn_state_listener *self)
{
	if (!self || atomic_fetch_sub_explicit(&self->holders, 1, memory_order_acq_rel) > 1)
		return;
	Py_DECREF(self->call);
	free(self);
}

void dxn_state_listener_keep(dxn_state_listener **kept, dxn_state_listener *self)
{
	if (!self)
		return;
	self->next = *kept;
	*kept = self;
}

void dxn_state_listener_drop_all(dxn_state_listener **kept)
{
	dxn_state_listener *each = *kept, *next;

	*kept = NULL;
	for (; each; each = next) {
		next = each->next;
		dxn_state_listener_drop(each);
	}
}

static void run_news(dxn_errand *errand)
{
	news *self = (news *)errand;
	PyObject *reason = dxn_str(self->reason);

	if (reason)
		Py_XDECREF(PyObject_CallFunction(self->listener->call, "iO", self->state, reason));
	if (PyErr_Occurred())
		PyErr_WriteUnraisable(self->listener->call);
	Py_XDECREF(reason);
	dxn_state_listener_drop(self->listener);
	free(self);
}

void dxn_state_listener_tell(void *context, dxh_peer *peer, dxh_peer_state state,
                             const char *reason)
{
	dxn_state_listener *self = context;
	size_t bytes = strlen(reason) + 1;
	news *made = malloc(sizeof *made + bytes);

	(void)peer;
	if (!made)
		return;
	*made = (news){.errand = {.run = run_news}, .listener = self, .state = (int)state};
	memcpy(made->reason, reason, bytes);
	atomic_fetch_add_explicit(&self->holders, 1, memory_order_relaxed); /* we hold it already */
	if (dxn_errand_leave(&made->errand))
		return;
	/* Never the last: the peer lives while it tells. */
	atomic_fetch_sub_explicit(&self->holders, 1, memory_order_relaxed);
	free(made);
}
