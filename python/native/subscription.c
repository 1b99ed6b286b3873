/* SPDX-License-Identifier: MIT */
/* Notes of a service, by topic. */
#include "native.h"

#include <string.h>

struct dxn_subscription {
	PyObject ob_base;
	dxn_peer *peer;
	dxh_subscription *subscription; /* NULL: closed */
	dxn_door door;
	dxn_subscription *previous, *next; /* of the hub's open ones */
};

/* ---- open ones -------------------------------------------------------------------------- */

static void link_subscription(dxn_subscription *self)
{
	dxn_hub *hub = self->peer->hub;

	self->next = hub->subscriptions;
	if (self->next)
		self->next->previous = self;
	hub->subscriptions = self;
}

static void unlink_subscription(dxn_subscription *self)
{
	dxn_hub *hub = self->peer->hub;

	if (self->next)
		self->next->previous = self->previous;
	if (self->previous)
		self->previous->next = self->next;
	else if (hub->subscriptions == self)
		hub->subscriptions = self->next;
	self->next = self->previous = NULL;
}

void dxn_subscriptions_stop(dxn_hub *hub, const dxn_peer *peer)
{
	/* With a peer that is closed its subscriptions went, whoever made one meanwhile. */
	for (dxn_subscription *each = hub->subscriptions; each; each = each->next)
		if (each->peer->peer && (!peer || each->peer == peer))
			dxh_subscription_stop(each->subscription);
}

static int subscription_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"peer", "prefix", "inbox_max", "inbox_bytes", "tell_gaps", NULL};
	dxn_subscription *self = (dxn_subscription *)object;
	dxh_subscription_config config = {0};
	const char *prefix;
	PyObject *peer;
	dxh_peer *open;
	int tell_gaps;
	dxh_status status;

	if (self->peer) {
		PyErr_SetString(PyExc_RuntimeError, "this subscription is open already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!sO&O&p:Subscription", names,
	                                 &dxn_peer_type, &peer, &prefix, dxn_u32, &config.inbox_max,
	                                 dxn_u64, &config.inbox_bytes, &tell_gaps))
		return -1;
	open = dxn_peer_open_of((dxn_peer *)peer);
	if (!open)
		return -1;
	config.tell_gaps = (uint32_t)tell_gaps;
	dxn_door_init(&self->door);
	Py_INCREF(peer);
	self->peer = (dxn_peer *)peer;
	status = dxh_subscribe(open, prefix, &config, &self->subscription);
	if (status != DXH_OK) {
		dxn_raise(status);
		return -1;
	}
	link_subscription(self);
	return 0;
}

/* With its peer or its hub its pointer became invalid. */
static bool is_closed(const dxn_subscription *self)
{
	return !self->subscription || self->door.closing || !self->peer->peer ||
	       self->peer->door.closing || dxn_hub_is_closed(self->peer->hub);
}

static dxh_subscription *open_of(dxn_subscription *self)
{
	if (!is_closed(self))
		return self->subscription;
	dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the subscription is closed: subscribe again");
	return NULL;
}

/* false: raised. */
static bool wait_inside(dxn_subscription *self, dxn_step step, void *context, PyObject *timeout,
                        dxh_status *status)
{
	int64_t deadline_ns;
	bool went;

	if (!dxn_deadline(timeout, &deadline_ns))
		return false;
	dxn_peer_enter(self->peer);
	dxn_door_enter(&self->door);
	went = dxn_try(step, context, deadline_ns, status) ||
	       dxn_wait(step, context, deadline_ns, status);
	dxn_door_leave(&self->door);
	dxn_peer_leave(self->peer);
	return went;
}

static dxh_status confirm_step(void *subscription, int64_t deadline_ns)
{
	return dxh_subscription_await(subscription, deadline_ns);
}

/* confirm(timeout) */
static PyObject *subscription_confirm(PyObject *object, PyObject *timeout)
{
	dxn_subscription *self = (dxn_subscription *)object;
	dxh_subscription *subscription = open_of(self);
	dxh_status status;

	if (!subscription || !wait_inside(self, confirm_step, subscription, timeout, &status))
		return NULL;
	return dxn_none_or_raise(status);
}

struct receiving {
	dxh_subscription *subscription;
	const dxh_note *note;
};

static dxh_status receive_step(void *context, int64_t deadline_ns)
{
	struct receiving *what = context;

	return dxh_subscription_receive(what->subscription, deadline_ns, &what->note);
}

/* receive(timeout): (topic, body, sequence, lost, reconnected) */
static PyObject *subscription_receive(PyObject *object, PyObject *timeout)
{
	dxn_subscription *self = (dxn_subscription *)object;
	struct receiving what = {open_of(self), NULL};
	PyObject *made;
	dxh_status status;

	if (!what.subscription || !wait_inside(self, receive_step, &what, timeout, &status))
		return NULL;
	if (status != DXH_OK)
		return dxn_raise(status);
	made = Py_BuildValue("NNKKO", dxn_str(what.note->topic),
	                     dxn_copy(what.note->body, what.note->body_bytes),
	                     (unsigned long long)what.note->sequence,
	                     (unsigned long long)what.note->lost,
	                     what.note->reconnected ? Py_True : Py_False);
	dxh_note_release(what.note);
	return made;
}

static PyObject *subscription_fd(PyObject *object, PyObject *unused)
{
	dxh_subscription *subscription = open_of((dxn_subscription *)object);
	int fd = subscription ? dxh_subscription_fd(subscription) : -1;

	(void)unused;
	if (subscription && fd == -1)
		return dxn_raise(DXH_ELIMIT);
	return subscription ? PyLong_FromLong(fd) : NULL;
}

#define STAT(name)                                                                                 \
	{                                                                                          \
#name, offsetof(dxh_subscription_stats, name), 'Q', 0                              \
	}
static const dxn_member stats_members[] = {STAT(received), STAT(lost), STAT(waiting),
                                           STAT(renewals)};

static PyObject *subscription_stats(PyObject *object, PyObject *unused)
{
	dxh_subscription *subscription = open_of((dxn_subscription *)object);
	dxh_subscription_stats stats;
	dxh_status status;

	(void)unused;
	if (!subscription)
		return NULL;
	status = dxh_subscription_stats_get(subscription, &stats);
	return status == DXH_OK ? DXN_DICT(&stats, stats_members) : dxn_raise(status);
}

static PyObject *subscription_close(PyObject *object, PyObject *unused)
{
	dxn_subscription *self = (dxn_subscription *)object;
	dxh_subscription *closing;

	(void)unused;
	if (is_closed(self))
		Py_RETURN_NONE;
	dxn_peer_enter(self->peer);
	dxh_subscription_stop(self->subscription);
	unlink_subscription(self);
	dxn_door_close(&self->door);
	closing = self->subscription;
	self->subscription = NULL;
	Py_BEGIN_ALLOW_THREADS
	dxh_subscription_close(&closing);
	Py_END_ALLOW_THREADS
	dxn_peer_leave(self->peer);
	Py_RETURN_NONE;
}

static void subscription_dealloc(PyObject *object)
{
	dxn_subscription *self = (dxn_subscription *)object;
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (self->peer) {
		Py_XDECREF(subscription_close(object, NULL));
		unlink_subscription(self); /* also when its peer was closed before */
	}
	PyErr_Restore(type, value, traceback);
	Py_XDECREF(self->peer);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef subscription_methods[] = {
	{"confirm", subscription_confirm, METH_O, NULL},
	{"receive", subscription_receive, METH_O, NULL},
	{"fd", subscription_fd, METH_NOARGS, NULL},
	{"stats", subscription_stats, METH_NOARGS, NULL},
	{"close", subscription_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject dxn_subscription_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Subscription",
	.tp_basicsize = sizeof(dxn_subscription),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = subscription_init,
	.tp_dealloc = subscription_dealloc,
	.tp_methods = subscription_methods,
};
