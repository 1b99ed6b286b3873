/* SPDX-License-Identifier: MIT */
/* The asking side: connect, post, call, notify, flush. */
#include "native.h"

/* A peer's own patience is asked for in steps of this length, so that a signal can end
 * it; see dxn_wait(). */
enum { PATIENCE_STEP_NS = 100000000 };

static int peer_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {
		"hub",         "endpoint",  "requests_max", "notify_frames",  "full_wait",
		"server_key",  "key_file",  "retries_max",  "retry_percent",  "retry_min",
		"retry_max",   "beat",      "silence",      "requests_bytes", "batch_records",
		"batch_bytes", "linger_us", "drop_oldest",  "on_state",       "broker",
		"timeout",     NULL};
	dxn_peer *self = (dxn_peer *)object;
	dxh_peer_config config = {0};
	PyObject *hub, *full_wait, *retry_min, *retry_max, *beat, *silence, *on_state, *broker,
		*timeout;
	dxn_peer *of_broker;
	int64_t deadline_ns;
	const char *endpoint;
	int drop_oldest;
	dxh_status status;

	if (self->hub) {
		PyErr_SetString(PyExc_RuntimeError, "this peer is connected already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(
		    arguments, keywords, "O!sO&O&OzzO&O&OOOOO&O&O&O&pOOO:Peer", names,
		    &dxn_hub_type, &hub, &endpoint, dxn_u32, &config.requests_max, dxn_u32,
		    &config.notify_frames, &full_wait, &config.server_key, &config.key_file,
		    dxn_u32, &config.retries_max, dxn_u32, &config.retry_percent, &retry_min,
		    &retry_max, &beat, &silence, dxn_u64, &config.requests_bytes, dxn_u32,
		    &config.batch_records, dxn_u32, &config.batch_bytes, dxn_u32, &config.linger_us,
		    &drop_oldest, &on_state, &broker, &timeout))
		return -1;
	if (!dxn_ns(full_wait, &self->full_wait_ns) || !dxn_ns(retry_min, &config.retry_min_ns) ||
	    !dxn_ns(retry_max, &config.retry_max_ns) || !dxn_ns(beat, &config.beat_ns) ||
	    !dxn_ns(silence, &config.silence_ns) || !dxn_hub_open_of((dxn_hub *)hub) ||
	    !dxn_broker_of(broker, &of_broker) || !dxn_deadline(timeout, &deadline_ns))
		return -1;
	Py_XINCREF(of_broker);
	self->broker = of_broker;
	config.full_wait_ns =
		self->full_wait_ns < PATIENCE_STEP_NS ? self->full_wait_ns : PATIENCE_STEP_NS;
	if (on_state != Py_None) {
		self->listener = dxn_state_listener_new(on_state);
		if (!self->listener)
			return -1;
		config.on_state = dxn_state_listener_tell;
		config.context = self->listener;
	}
	config.notify_full = drop_oldest ? DXH_NOTIFY_DROP_OLDEST : DXH_NOTIFY_REFUSE;
	dxn_door_init(&self->door);
	Py_INCREF(hub);
	self->hub = (dxn_hub *)hub;
	dxn_door_enter(&self->hub->door);
	if (self->broker)
		dxn_door_enter(&self->broker->door);
	Py_BEGIN_ALLOW_THREADS
	status = self->broker ? dxh_channel_peer(self->broker->peer, endpoint, &config, deadline_ns,
	                                         &self->peer)
	                      : dxh_peer_connect(self->hub->hub, endpoint, &config, &self->peer);
	Py_END_ALLOW_THREADS
	if (self->broker)
		dxn_door_leave(&self->broker->door);
	dxn_door_leave(&self->hub->door);
	if (status == DXH_OK)
		return 0;
	dxn_raise(status);
	return -1;
}

dxh_peer *dxn_peer_open_of(dxn_peer *self)
{
	if (self->hub && !dxn_hub_open_of(self->hub))
		return NULL;
	if (!self->peer || self->door.closing) {
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the peer is closed: connect again");
		return NULL;
	}
	return self->peer;
}

void dxn_peer_enter(dxn_peer *self)
{
	dxn_door_enter(&self->hub->door);
	dxn_door_enter(&self->door);
}

void dxn_peer_leave(dxn_peer *self)
{
	dxn_door_leave(&self->door);
	dxn_door_leave(&self->hub->door);
}

static PyObject *peer_close(PyObject *object, PyObject *unused)
{
	dxn_peer *self = (dxn_peer *)object;
	dxh_peer *closing;

	(void)unused;
	if (!self->peer || self->door.closing || dxn_hub_is_closed(self->hub))
		Py_RETURN_NONE;
	dxn_door_enter(&self->hub->door);
	if (!dxn_door_is_forked(&self->door))
		dxn_subscriptions_stop(self->hub, self);
	dxn_watchers_close(self->hub, self);
	dxn_door_close(&self->door);
	/* Of a broker: also what came of the last questions, and what others close just now. */
	dxn_ends_close(self->hub, self);
	dxn_door_close(&self->door);
	closing = self->peer;
	self->peer = NULL;
	Py_BEGIN_ALLOW_THREADS
	dxh_peer_close(&closing);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->hub->door);
	dxn_state_listener_drop(self->listener); /* also breaks a circle that leads back here */
	self->listener = NULL;
	Py_RETURN_NONE;
}

/* ---- posting ---------------------------------------------------------------------- */

/* Something to be posted, and how. */
typedef struct posting {
	dxh_peer *peer;
	const char *subject;
	Py_buffer body;
	int64_t deadline_ns;
	uint32_t flags;
	dxh_group *group; /* NULL: none */
	void *user;
	bool is_notification;
	dxh_completion done;
} posting;

static dxh_status post(posting *what)
{
	dxh_request_item item;

	if (what->is_notification)
		return dxh_notify(what->peer, what->subject, what->body.buf,
		                  (size_t)what->body.len);
	item = (dxh_request_item){.subject = what->subject,
	                          .body = what->body.buf,
	                          .body_bytes = (size_t)what->body.len,
	                          .deadline_ns = what->deadline_ns,
	                          .user = what->user,
	                          .flags = what->flags};
	return dxh_post_batch(what->peer, &item, 1, what->group, &what->done);
}

/* That no credit is free is worth another step only if it was waited for: other bounds
 * are told at once. */
static dxh_status or_wait(dxh_status status, int64_t begun_ns)
{
	if (status == DXH_EFULL && dxh_now_ns() - begun_ns >= PATIENCE_STEP_NS / 2)
		return DXH_EWAIT;
	return status;
}

static dxh_status post_step(void *context, int64_t unused)
{
	int64_t begun_ns = dxh_now_ns();

	(void)unused;
	return or_wait(post(context), begun_ns);
}

/* false: raised. */
static bool post_patiently(dxn_peer *self, posting *what)
{
	dxh_status status;
	bool went = true;

	if (self->full_wait_ns == 0 && what->body.len < DXN_COPY_BYTES) {
		status = post(what);
	} else {
		dxn_peer_enter(self);
		went = dxn_wait(post_step, what, dxh_in_ns(self->full_wait_ns), &status);
		dxn_peer_leave(self);
	}
	if (went && status != DXH_OK)
		dxn_raise(status == DXH_EWAIT ? DXH_EFULL : status);
	return went && status == DXH_OK;
}

/* false: raised. Else dxn_bytes_done(&what->body) once. */
static bool read_posting(dxn_peer *self, PyObject *subject, PyObject *body, posting *what)
{
	*what = (posting){.peer = dxn_peer_open_of(self), .deadline_ns = DXH_FOREVER};
	if (!what->peer)
		return false;
	what->subject = dxn_text(subject);
	return what->subject && dxn_bytes(body, &what->body);
}

static bool read_flags(PyObject *flags, posting *what)
{
	unsigned long given = PyLong_AsUnsignedLong(flags);

	what->flags = (uint32_t)given;
	return !PyErr_Occurred();
}

/* false: raised. The completion is expected before it can end: who takes from the group may
 * be another thread. */
static bool post_to_group(dxn_peer *self, posting *what, dxn_completion *made)
{
	PyObject *group = made->group;

	what->user = made;
	if (group && !dxn_group_expect(group, (PyObject *)made))
		return false;
	if (post_patiently(self, what)) {
		made->handle = what->done;
		return true;
	}
	if (group)
		dxn_group_forget(group, (PyObject *)made);
	return false;
}

/* post(subject, body, timeout, flags, group or None) */
static PyObject *peer_post(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_peer *self = (dxn_peer *)object;
	dxn_completion *made = NULL;
	PyObject *group;
	posting what;

	if (!dxn_arguments("post", count, 5) ||
	    !read_posting(self, arguments[0], arguments[1], &what))
		return NULL;
	group = arguments[4] == Py_None ? NULL : arguments[4];
	what.group = group ? dxn_group_of(group) : dxn_home_group();
	if (what.group && dxn_deadline(arguments[2], &what.deadline_ns) &&
	    read_flags(arguments[3], &what))
		made = dxn_completion_new(group);
	if (made && !post_to_group(self, &what, made))
		Py_CLEAR(made);
	dxn_bytes_done(&what.body);
	return (PyObject *)made;
}

/* ---- many ---- */

/* Requests that are posted with one hand-over. */
typedef struct parcel {
	dxh_peer *peer;
	dxh_group *group;
	dxh_request_item *items;
	Py_buffer *bodies;
	dxh_completion *done;
	size_t count;
} parcel;

static dxh_status post_many_step(void *context, int64_t unused)
{
	parcel *what = context;
	int64_t begun_ns = dxh_now_ns();

	(void)unused;
	return or_wait(
		dxh_post_batch(what->peer, what->items, what->count, what->group, what->done),
		begun_ns);
}

static bool read_request(PyObject *pair, dxh_request_item *item, Py_buffer *body)
{
	PyObject *subject, *bytes;

	if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
		PyErr_Format(PyExc_TypeError, "a request is (subject, body), not %R", pair);
		return false;
	}
	subject = PyTuple_GET_ITEM(pair, 0);
	bytes = PyTuple_GET_ITEM(pair, 1);
	item->subject = dxn_text(subject);
	if (!item->subject || !dxn_bytes(bytes, body))
		return false;
	item->body = body->buf;
	item->body_bytes = (size_t)body->len;
	return true;
}

/* A completion for each, which `items` know and the group expects. NULL: raised. */
static PyObject *expect_all(PyObject *group, const parcel *what)
{
	PyObject *list = PyList_New((Py_ssize_t)what->count);
	dxn_completion *made;

	for (size_t i = 0; list && i < what->count; i++) {
		made = dxn_completion_new(group);
		what->items[i].user = made;
		if (made)
			PyList_SET_ITEM(list, (Py_ssize_t)i, (PyObject *)made);
		if (!made || (group && !dxn_group_expect(group, (PyObject *)made)))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *post_all(dxn_peer *self, parcel *what, PyObject *group)
{
	PyObject *list = expect_all(group, what);
	dxh_status status;
	bool went;

	if (!list)
		return NULL;
	dxn_peer_enter(self);
	went = dxn_wait(post_many_step, what, dxh_in_ns(self->full_wait_ns), &status);
	dxn_peer_leave(self);
	if (went && status != DXH_OK)
		dxn_raise(status == DXH_EWAIT ? DXH_EFULL : status);
	for (size_t i = 0; i < what->count; i++)
		if (went && status == DXH_OK)
			((dxn_completion *)what->items[i].user)->handle = what->done[i];
		else if (group)
			dxn_group_forget(group, what->items[i].user);
	if (!went || status != DXH_OK)
		Py_CLEAR(list);
	return list;
}

/* post_many(list of (subject, body), timeout, flags, group or None) */
static PyObject *peer_post_many(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_peer *self = (dxn_peer *)object;
	parcel what = {.peer = dxn_peer_open_of(self)};
	PyObject *list = NULL, *group;
	int64_t deadline_ns;
	uint32_t flags;
	size_t read = 0;

	if (!what.peer || !dxn_arguments("post_many", count, 4))
		return NULL;
	if (!PyList_CheckExact(arguments[0]) || PyList_GET_SIZE(arguments[0]) == 0)
		return PyList_New(0);
	flags = (uint32_t)PyLong_AsUnsignedLong(arguments[2]);
	group = arguments[3] == Py_None ? NULL : arguments[3];
	what.group = group ? dxn_group_of(group) : dxn_home_group();
	if (PyErr_Occurred() || !what.group || !dxn_deadline(arguments[1], &deadline_ns))
		return NULL;
	what.count = (size_t)PyList_GET_SIZE(arguments[0]);
	what.items = PyMem_Calloc(what.count, sizeof *what.items);
	what.bodies = PyMem_Calloc(what.count, sizeof *what.bodies);
	what.done = PyMem_Calloc(what.count, sizeof *what.done);
	if (!what.items || !what.bodies || !what.done)
		PyErr_NoMemory();
	else
		for (; read < what.count; read++) {
			what.items[read].deadline_ns = deadline_ns;
			what.items[read].flags = flags;
			if (!read_request(PyList_GET_ITEM(arguments[0], (Py_ssize_t)read),
			                  &what.items[read], &what.bodies[read]))
				break;
		}
	if (what.done && read == what.count)
		list = post_all(self, &what, group);
	while (read-- > 0)
		dxn_bytes_done(&what.bodies[read]);
	PyMem_Free(what.items);
	PyMem_Free(what.bodies);
	PyMem_Free(what.done);
	return list;
}

/* call(subject, body, timeout, flags): post, await, take. */
static PyObject *peer_call(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_peer *self = (dxn_peer *)object;
	PyObject *reply = NULL;
	dxh_reply told;
	dxh_status status;
	posting what;
	bool posted;

	if (!dxn_arguments("call", count, 4) ||
	    !read_posting(self, arguments[0], arguments[1], &what))
		return NULL;
	posted = dxn_deadline(arguments[2], &what.deadline_ns) && read_flags(arguments[3], &what) &&
	         post_patiently(self, &what);
	dxn_bytes_done(&what.body);
	if (!posted)
		return NULL;
	if (dxn_await(what.done, DXH_FOREVER, &told, &status))
		reply = dxn_take_reply(status, &told);
	else
		dxh_cancel(what.done, NULL); /* a signal ended the wait: nobody wants it */
	dxh_release(what.done);
	return reply;
}

/* notify(subject, body) */
static PyObject *peer_notify(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_peer *self = (dxn_peer *)object;
	posting what;
	bool posted;

	if (!dxn_arguments("notify", count, 2) ||
	    !read_posting(self, arguments[0], arguments[1], &what))
		return NULL;
	what.is_notification = true;
	posted = post_patiently(self, &what);
	dxn_bytes_done(&what.body);
	if (!posted)
		return NULL;
	Py_RETURN_NONE;
}

/* flush(level, timeout) */
static PyObject *peer_flush(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_peer *peer = dxn_peer_open_of((dxn_peer *)object);
	int level;
	int64_t deadline_ns;
	dxh_completion done;
	dxh_status status;
	bool ended;

	if (!peer || !dxn_arguments("flush", count, 2))
		return NULL;
	if (!dxn_int(arguments[0], &level) || !dxn_deadline(arguments[1], &deadline_ns))
		return NULL;
	status = dxh_flush_post(peer, (dxh_flush_level)level, deadline_ns, &done);
	if (status != DXH_OK)
		return dxn_raise(status);
	ended = dxn_await(done, DXH_FOREVER, NULL, &status);
	if (ended && status != DXH_OK)
		dxn_raise(status);
	dxh_release(done);
	if (!ended || status != DXH_OK)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *peer_state(PyObject *object, void *unused)
{
	dxh_peer *peer = dxn_peer_open_of((dxn_peer *)object);

	(void)unused;
	return peer ? PyLong_FromLong((long)dxh_peer_state_get(peer)) : NULL;
}

static void peer_dealloc(PyObject *object)
{
	dxn_peer *self = (dxn_peer *)object;
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (self->hub)
		Py_XDECREF(peer_close(object, NULL));
	PyErr_Restore(type, value, traceback);
	if (self->peer && !self->hub->is_gone) /* its hub closes just now */
		dxn_state_listener_keep(&self->hub->listeners, self->listener);
	else
		dxn_state_listener_drop(self->listener);
	Py_XDECREF(self->broker);
	Py_XDECREF(self->hub);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef peer_methods[] = {
	FAST("post", peer_post),   FAST("post_many", peer_post_many),
	FAST("call", peer_call),   FAST("notify", peer_notify),
	FAST("flush", peer_flush), {"close", peer_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef peer_getset[] = {
	{"state", peer_state, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject dxn_peer_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Peer",
	.tp_basicsize = sizeof(dxn_peer),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = peer_init,
	.tp_dealloc = peer_dealloc,
	.tp_methods = peer_methods,
	.tp_getset = peer_getset,
};
