/* SPDX-License-Identifier: MIT */
/* What the files of the extension module share. It is bare on purpose: names, types and
 * docstrings for users are in python/dxh, this is what only C can do: wait without the
 * interpreter's lock, copy, and keep pointers from outliving what they point to.
 *
 * Each object belongs to the interpreter's lock: members are read and written with it.
 */
#ifndef DXN_NATIVE_H
#define DXN_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dxh.h>

#include <stdbool.h>
#include <stdint.h>

/* ---- errors: status.c ------------------------------------------------------------ */

/* Raise what a status stands for, with dxh_last_error(). Always NULL. */
PyObject *dxn_raise(dxh_status status);

/* The same with another text. */
PyObject *dxn_raise_text(dxh_status status, const char *text);

/* None, or an exception of `status` when it is not DXH_OK. */
PyObject *dxn_none_or_raise(dxh_status status);

/* How an operation ended badly, as an exception that is not raised. NULL: raised. */
PyObject *dxn_error_of_reply(dxh_status status, const dxh_reply *reply);

/* errors(dict of status to class) */
PyObject *dxn_set_errors(PyObject *module, PyObject *classes);

/* ---- arguments: arguments.c ------------------------------------------------------ */

/* Seconds or None to a deadline. false: raised. */
bool dxn_deadline(PyObject *timeout, int64_t *deadline_ns);

/* Seconds to ns, for config structs. false: raised. */
bool dxn_ns(PyObject *seconds, int64_t *ns);

/* Text without a NUL inside, owned by `text`. NULL: raised. */
const char *dxn_text(PyObject *text);

/* Bytes-like or None, contiguous. false: raised. Else dxn_bytes_done() once. */
bool dxn_bytes(PyObject *body, Py_buffer *view);
void dxn_bytes_done(Py_buffer *view);

/* New bytes with a copy; without the interpreter's lock when that takes long. */
PyObject *dxn_copy(const void *bytes, size_t count);

/* From so many bytes on a copy is made without the interpreter's lock: less takes no
 * longer than giving it up and taking it again. */
enum { DXN_COPY_BYTES = 32768 };

/* false: raised, when not exactly so many arguments came. */
bool dxn_arguments(const char *name, Py_ssize_t got, Py_ssize_t wanted);

/* ---- waits: wait.c ----------------------------------------------------------------- */

/* One step of a wait: DXH_EWAIT when `deadline_ns` passed; runs without the lock. */
typedef dxh_status (*dxn_step)(void *context, int64_t deadline_ns);

/* Steps until one says something else than DXH_EWAIT or the deadline passes. In the main
 * thread signals are looked at ten times a second, so that KeyboardInterrupt ends every
 * wait. false: raised by a signal handler. */
bool dxn_wait(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status);

/* ---- doors: door.c ------------------------------------------------------------------ */

/* Who is inside a call without the lock, so that close can wait for them. */
typedef struct dxn_door {
	int inside;
	bool closing;
	unsigned process; /* dxn_process at the time it was made */
} dxn_door;

/* Differs between parent and child of a fork(). */
extern unsigned dxn_process;
int dxn_door_setup(void);

void dxn_door_init(dxn_door *door);
bool dxn_door_is_forked(const dxn_door *door);
void dxn_door_enter(dxn_door *door);
void dxn_door_leave(dxn_door *door);

/* Refuse to let more in and wait until nobody is inside; not in a child of fork(), where
 * the others do not exist. */
void dxn_door_close(dxn_door *door);

/* ---- objects ------------------------------------------------------------------------ */

typedef struct dxn_service dxn_service;
typedef struct dxn_subscription dxn_subscription;

typedef struct dxn_hub {
	PyObject ob_base;
	dxh_hub *hub; /* NULL: closed */
	dxn_door door;
	dxn_service *services; /* open ones, to be stopped before the hub closes */
	dxn_subscription *subscriptions;
} dxn_hub;

typedef struct dxn_peer {
	PyObject ob_base;
	dxn_hub *hub;
	dxh_peer *peer; /* NULL: closed */
	dxn_door door;
	int64_t full_wait_ns;
} dxn_peer;

typedef struct dxn_group dxn_group;

typedef struct dxn_completion {
	PyObject ob_base;
	dxh_completion handle; /* DXH_NO_COMPLETION: resolved, or not posted yet */
	PyObject *value;       /* bytes, or the exception, once resolved */
	PyObject *group;       /* of an event loop; NULL: wait_any() can wait for it */
	bool failed;
	bool has_waiter;
	bool is_resolving; /* a thread is copying the reply */
} dxn_completion;

extern PyTypeObject dxn_hub_type, dxn_peer_type, dxn_completion_type, dxn_group_type,
	dxn_service_type, dxn_request_type;

/* The open hub, peer. NULL: raised. */
dxh_hub *dxn_hub_open_of(dxn_hub *self);
dxh_peer *dxn_peer_open_of(dxn_peer *self);

/* Enter and leave hub and peer, around a call without the lock. */
void dxn_peer_enter(dxn_peer *self);
void dxn_peer_leave(dxn_peer *self);

/* ---- completions: completion.c, group.c ----------------------------------------------- */

/* Of an operation that is yet to be posted to `group`, which may be NULL. */
dxn_completion *dxn_completion_new(PyObject *group);

/* The result of an operation that has ended, as bytes. NULL: raised. The handle is
 * released by the caller. */
PyObject *dxn_take_reply(dxh_status status, const dxh_reply *reply);

/* Wait for a completion. false: raised. */
bool dxn_await(dxh_completion handle, int64_t deadline_ns, dxh_reply *reply, dxh_status *status);

/* The group to which goes what no event loop waits for: it only counts. NULL: raised. */
dxh_group *dxn_home_group(void);

/* Wait until something ends that was posted to it. False: raised. */
bool dxn_home_wait(dxh_completion handle, int64_t deadline_ns, dxh_status *status);

/* wait_any(list of completions, timeout): True when one of them has ended. */
PyObject *dxn_wait_any(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* The group of an object, and that a completion is to come home to it. NULL: raised. */
dxh_group *dxn_group_of(PyObject *group);
bool dxn_group_expect(PyObject *group, PyObject *completion);
void dxn_group_forget(PyObject *group, PyObject *completion);

/* ---- services: service.c ---------------------------------------------------------------- */

/* Stop all of a hub's, so that no thread waits in one. */
void dxn_services_stop(dxn_hub *hub);

/* The pointer of an object was made invalid by its hub's end. */
bool dxn_hub_is_closed(const dxn_hub *self);

#endif
