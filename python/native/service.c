/* SPDX-License-Identifier: MIT */
/* The answering side: bind, receive, answer, publish. */
#include "native.h"

struct dxn_service {
	PyObject ob_base;
	dxn_hub *hub;
	dxh_service *service; /* NULL: closed */
	dxn_door door;
	bool is_lent;                 /* its producer closes it */
	dxn_service *previous, *next; /* of the hub's open ones */
};

typedef struct dxn_request {
	PyObject ob_base;
	dxn_service *service;
	dxh_request *request; /* NULL: answered */
	PyObject *subject;
	PyObject *body;
	bool is_notification;
	uint32_t attempt;
} dxn_request;

/* ---- open services ---------------------------------------------------------------------- */

static void link_service(dxn_service *self)
{
	self->next = self->hub->services;
	if (self->next)
		self->next->previous = self;
	self->hub->services = self;
}

static void unlink_service(dxn_service *self)
{
	if (self->next)
		self->next->previous = self->previous;
	if (self->previous)
		self->previous->next = self->next;
	else if (self->hub->services == self)
		self->hub->services = self->next;
	self->next = self->previous = NULL;
}

void dxn_services_stop(dxn_hub *hub)
{
	for (dxn_service *each = hub->services; each; each = each->next)
		dxh_service_stop(each->service);
}

static int service_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {
		"hub",           "endpoint",      "inbox_max",      "clients_max",
		"client_window", "insecure",      "inbox_bytes",    "client_bytes",
		"notify_bytes",  "publish_max",   "publish_bytes",  "subscriptions_max",
		"key_file",      "allow_file",    "allow_any",      "repeats",
		"replies_max",   "replies_bytes", "replies_absent", NULL};
	dxn_service *self = (dxn_service *)object;
	dxh_service_config config = {0};
	const char *endpoint;
	PyObject *hub, *absent;
	int repeats;
	dxh_status status;

	if (self->hub) {
		PyErr_SetString(PyExc_RuntimeError, "this service is bound already");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(
		    arguments, keywords, "O!sO&O&O&pO&O&O&O&O&O&zzpO&O&O&O:Service", names,
		    &dxn_hub_type, &hub, &endpoint, dxn_u32, &config.inbox_max, dxn_u32,
		    &config.clients_max, dxn_u32, &config.client_window, &config.insecure, dxn_u64,
		    &config.inbox_bytes, dxn_u64, &config.client_bytes, dxn_u64,
		    &config.notify_bytes, dxn_u32, &config.publish_max, dxn_u64,
		    &config.publish_bytes, dxn_u32, &config.subscriptions_max, &config.key_file,
		    &config.allow_file, &config.allow_any, dxn_int, &repeats, dxn_u32,
		    &config.replies_max, dxn_u64, &config.replies_bytes, &absent) ||
	    !dxn_ns(absent, &config.replies_absent_ns) || !dxn_hub_open_of((dxn_hub *)hub))
		return -1;
	config.repeats = (dxh_repeats)repeats;
	dxn_door_init(&self->door);
	Py_INCREF(hub);
	self->hub = (dxn_hub *)hub;
	dxn_door_enter(&self->hub->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_service_bind(self->hub->hub, endpoint, &config, &self->service);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->hub->door);
	if (status != DXH_OK) {
		dxn_raise(status);
		return -1;
	}
	link_service(self);
	return 0;
}

dxn_service *dxn_service_lent(dxn_hub *hub, dxh_service *service)
{
	dxn_service *made = (dxn_service *)PyType_GenericAlloc(&dxn_service_type, 0);

	if (!made)
		return NULL;
	dxn_door_init(&made->door);
	Py_INCREF(hub);
	made->hub = hub;
	made->service = service;
	made->is_lent = true;
	link_service(made);
	return made;
}

static bool is_closed(const dxn_service *self)
{
	return !self->service || self->door.closing || dxn_hub_is_closed(self->hub);
}

static dxh_service *open_of(dxn_service *self)
{
	if (is_closed(self)) {
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the service is closed: bind again");
		return NULL;
	}
	return self->service;
}

static void enter(dxn_service *self)
{
	dxn_door_enter(&self->hub->door);
	dxn_door_enter(&self->door);
}

static void leave(dxn_service *self)
{
	dxn_door_leave(&self->door);
	dxn_door_leave(&self->hub->door);
}

static PyObject *service_stop(PyObject *object, PyObject *unused)
{
	dxn_service *self = (dxn_service *)object;

	(void)unused;
	if (is_closed(self) || dxn_door_is_forked(&self->door))
		Py_RETURN_NONE;
	return dxn_none_or_raise(dxh_service_stop(self->service));
}

static PyObject *service_close(PyObject *object, PyObject *unused)
{
	dxn_service *self = (dxn_service *)object;
	dxh_service *closing;

	(void)unused;
	if (is_closed(self))
		Py_RETURN_NONE;
	dxn_door_enter(&self->hub->door);
	dxh_service_stop(self->service);
	dxn_door_close(&self->door);
	unlink_service(self);
	closing = self->service;
	self->service = NULL;
	if (!self->is_lent) {
		Py_BEGIN_ALLOW_THREADS
		dxh_service_close(&closing);
		Py_END_ALLOW_THREADS
	}
	dxn_door_leave(&self->hub->door);
	Py_RETURN_NONE;
}

void dxn_service_end(dxn_service *self)
{
	Py_XDECREF(service_close((PyObject *)self, NULL));
}

static PyObject *service_endpoint(PyObject *object, void *unused)
{
	dxh_service *service = open_of((dxn_service *)object);

	(void)unused;
	return service ? dxn_str(dxh_service_endpoint(service)) : NULL;
}

static PyObject *service_fd(PyObject *object, PyObject *unused)
{
	dxh_service *service = open_of((dxn_service *)object);
	int fd = service ? dxh_service_fd(service) : -1;

	(void)unused;
	if (service && fd == -1)
		return dxn_raise(DXH_ELIMIT);
	return service ? PyLong_FromLong(fd) : NULL;
}

/* publish(topic, body) */
static PyObject *service_publish(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxh_service *service = open_of((dxn_service *)object);
	const char *topic;
	Py_buffer body;
	dxh_status status;

	if (!service || !dxn_arguments("publish", count, 2))
		return NULL;
	topic = dxn_text(arguments[0]);
	if (!topic || !dxn_bytes(arguments[1], &body))
		return NULL;
	status = dxh_service_publish(service, topic, body.buf, (size_t)body.len);
	dxn_bytes_done(&body);
	return dxn_none_or_raise(status);
}

/* ---- receiving ------------------------------------------------------------------------- */

/* The body is copied now, while nobody else can answer it. */
static PyObject *make_request(dxn_service *service, dxh_request *received)
{
	dxn_request *made = PyObject_New(dxn_request, &dxn_request_type);
	size_t bytes;
	const void *body = dxh_request_body(received, &bytes);

	if (!made) {
		dxh_request_reject(received, DXH_EOVERLOADED, "no memory");
		return NULL;
	}
	Py_INCREF(service);
	made->service = service;
	made->request = received;
	made->is_notification = dxh_request_is_notification(received) != 0;
	made->attempt = dxh_request_attempt(received);
	made->subject = dxn_str(dxh_request_subject(received));
	made->body = dxn_copy(body, bytes);
	if (!made->subject || !made->body)
		Py_CLEAR(made);
	return (PyObject *)made;
}

struct receiving {
	dxh_service *service;
	dxh_request *request;
};

static dxh_status receive_step(void *context, int64_t deadline_ns)
{
	struct receiving *what = context;

	return dxh_service_receive(what->service, deadline_ns, &what->request);
}

static PyObject *service_receive(PyObject *object, PyObject *timeout)
{
	dxn_service *self = (dxn_service *)object;
	struct receiving what = {open_of(self), NULL};
	int64_t deadline_ns;
	dxh_status status;
	bool went;

	if (!what.service || !dxn_deadline(timeout, &deadline_ns))
		return NULL;
	enter(self);
	went = dxn_try(receive_step, &what, deadline_ns, &status) ||
	       dxn_wait(receive_step, &what, deadline_ns, &status);
	/* Still inside: the request must not lose its service before it is one of ours. */
	if (went)
		timeout = status == DXH_OK ? make_request(self, what.request) : dxn_raise(status);
	leave(self);
	return went ? timeout : NULL;
}

static void service_dealloc(PyObject *object)
{
	dxn_service *self = (dxn_service *)object;
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	if (self->hub) {
		Py_XDECREF(service_close(object, NULL));
		unlink_service(self); /* also when the hub was closed before */
	}
	PyErr_Restore(type, value, traceback);
	Py_XDECREF(self->hub);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef service_methods[] = {
	{"receive", service_receive, METH_O, NULL},  FAST("publish", service_publish),
	{"fd", service_fd, METH_NOARGS, NULL},       {"stop", service_stop, METH_NOARGS, NULL},
	{"close", service_close, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL},
};

static PyGetSetDef service_getset[] = {
	{"endpoint", service_endpoint, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject dxn_service_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Service",
	.tp_basicsize = sizeof(dxn_service),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = PyType_GenericNew,
	.tp_init = service_init,
	.tp_dealloc = service_dealloc,
	.tp_methods = service_methods,
	.tp_getset = service_getset,
};

/* ---- requests --------------------------------------------------------------------------- */

/* The request, while its hub lives and it was not answered. */
static dxh_request *live(dxn_request *self)
{
	return dxn_hub_is_closed(self->service->hub) ? NULL : self->request;
}

static dxh_request *live_or_raise(dxn_request *self)
{
	dxh_request *request = live(self);

	if (!request && self->request)
		dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: the hub of the request is closed");
	else if (!request)
		dxn_raise_text(DXH_ESTATE, "DXH_ESTATE: the request was answered already");
	return request;
}

static PyObject *request_body(PyObject *object, void *unused)
{
	PyObject *body = ((dxn_request *)object)->body;

	(void)unused;
	Py_INCREF(body);
	return body;
}

static PyObject *request_subject(PyObject *object, void *unused)
{
	PyObject *subject = ((dxn_request *)object)->subject;

	(void)unused;
	Py_INCREF(subject);
	return subject;
}

static PyObject *request_is_notification(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(((dxn_request *)object)->is_notification);
}

static PyObject *request_attempt(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(((dxn_request *)object)->attempt);
}

/* Seconds left, or None without a deadline. */
static PyObject *request_budget(PyObject *object, void *unused)
{
	dxh_request *request = live_or_raise((dxn_request *)object);
	int64_t budget_ns;

	(void)unused;
	if (!request)
		return NULL;
	budget_ns = dxh_request_budget_ns(request);
	if (budget_ns == DXH_FOREVER)
		Py_RETURN_NONE;
	return PyFloat_FromDouble((double)budget_ns * 1e-9);
}

static PyObject *request_canceled(PyObject *object, void *unused)
{
	dxh_request *request = live_or_raise((dxn_request *)object);

	(void)unused;
	return request ? PyBool_FromLong(dxh_request_canceled(request)) : NULL;
}

static PyObject *request_client(PyObject *object, void *unused)
{
	dxh_request *request = live_or_raise((dxn_request *)object);
	dxh_client_info client;
	dxh_status status;

	(void)unused;
	if (!request)
		return NULL;
	status = dxh_request_client(request, &client);
	if (status != DXH_OK)
		return dxn_raise(status);
	return Py_BuildValue("NNNK", dxn_str(client.name), dxn_str(client.key),
	                     dxn_str(client.address), (unsigned long long)client.incarnation);
}

/* Whether it can still be answered. */
static PyObject *request_is_open(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(live((dxn_request *)object) != NULL);
}

/* The request is gone afterwards, whatever is returned. */
static dxh_status answer(dxn_request *self, dxh_request *request, const Py_buffer *body)
{
	dxh_status status;

	self->request = NULL;
	if (body->len < DXN_COPY_BYTES)
		return dxh_request_reply(request, body->buf, (size_t)body->len);
	dxn_door_enter(&self->service->hub->door);
	Py_BEGIN_ALLOW_THREADS
	status = dxh_request_reply(request, body->buf, (size_t)body->len);
	Py_END_ALLOW_THREADS
	dxn_door_leave(&self->service->hub->door);
	return status;
}

static PyObject *request_reply(PyObject *object, PyObject *body)
{
	dxn_request *self = (dxn_request *)object;
	dxh_request *request = live_or_raise(self);
	Py_buffer view;
	dxh_status status;

	if (!request || !dxn_bytes(body, &view))
		return NULL;
	status = answer(self, request, &view);
	dxn_bytes_done(&view);
	return dxn_none_or_raise(status);
}

/* reject(status, text) */
static PyObject *request_reject(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	dxn_request *self = (dxn_request *)object;
	dxh_request *request = live_or_raise(self);
	const char *text;
	int status;

	if (!request || !dxn_arguments("reject", count, 2))
		return NULL;
	text = dxn_text(arguments[1]);
	if (!text || !dxn_int(arguments[0], &status))
		return NULL;
	self->request = NULL;
	return dxn_none_or_raise(dxh_request_reject(request, (dxh_status)status, text));
}

static PyObject *request_release(PyObject *object, PyObject *unused)
{
	dxn_request *self = (dxn_request *)object;
	dxh_request *request = live(self);

	(void)unused;
	self->request = NULL;
	if (request && !dxn_door_is_forked(&self->service->door))
		dxh_request_release(request);
	Py_RETURN_NONE;
}

static void request_dealloc(PyObject *object)
{
	dxn_request *self = (dxn_request *)object;

	Py_XDECREF(request_release(object, NULL));
	Py_XDECREF(self->subject);
	Py_XDECREF(self->body);
	Py_DECREF(self->service);
	Py_TYPE(object)->tp_free(object);
}

static PyMethodDef request_methods[] = {
	{"reply", request_reply, METH_O, NULL},
	FAST("reject", request_reject),
	{"release", request_release, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef request_getset[] = {
	{"subject", request_subject, NULL, NULL, NULL},
	{"body", request_body, NULL, NULL, NULL},
	{"is_notification", request_is_notification, NULL, NULL, NULL},
	{"attempt", request_attempt, NULL, NULL, NULL},
	{"budget", request_budget, NULL, NULL, NULL},
	{"canceled", request_canceled, NULL, NULL, NULL},
	{"client", request_client, NULL, NULL, NULL},
	{"is_open", request_is_open, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject dxn_request_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "dxh._native.Request",
	.tp_basicsize = sizeof(dxn_request),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = request_dealloc,
	.tp_methods = request_methods,
	.tp_getset = request_getset,
};
