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

/* The same with so many items lost. */
PyObject *dxn_raise_lost(dxh_status status, uint64_t lost);

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

/* The same, NULL for None. false: raised. */
bool dxn_text_or_none(PyObject *text, const char **utf8);

/* An int that fits, for the "O&" of PyArg_Parse...(), whose "I" and "K" would cut it off. 0:
 * raised. */
int dxn_u32(PyObject *given, void *number);
int dxn_u64(PyObject *given, void *number);

/* uid + 1; None leaves it as it is. */
int dxn_uid(PyObject *given, void *uid_plus1);

/* The same of an enum. */
int dxn_int(PyObject *given, void *number);

/* A new str of what may come from anybody, or was cut off within a character: what is no UTF-8 is
 * replaced. NULL: None. */
PyObject *dxn_str(const char *utf8);

/* Bytes-like or None, contiguous. false: raised. Else dxn_bytes_done() once. */
bool dxn_bytes(PyObject *body, Py_buffer *view);
void dxn_bytes_done(Py_buffer *view);

/* Is a key for checksums, if there is one, as long as it has to be? false: raised. */
bool dxn_key_fits(const Py_buffer *key);

/* New bytes with a copy; without the interpreter's lock when that takes long. */
PyObject *dxn_copy(const void *bytes, size_t count);

/* From so many bytes on a copy is made without the interpreter's lock: less takes no
 * longer than giving it up and taking it again. */
enum { DXN_COPY_BYTES = 32768 };

/* false: raised, when not exactly so many arguments came. */
bool dxn_arguments(const char *name, Py_ssize_t got, Py_ssize_t wanted);

/* A method that is given its arguments as an array. */
#define FAST(name, function)                                                                       \
	{                                                                                          \
		name, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL                   \
	}

/* ---- waits: wait.c ----------------------------------------------------------------- */

/* One step of a wait: DXH_EWAIT when `deadline_ns` passed; runs without the lock. */
typedef dxh_status (*dxn_step)(void *context, int64_t deadline_ns);

/* Steps until one says something else than DXH_EWAIT or the deadline passes. In the main
 * thread signals are looked at ten times a second, so that KeyboardInterrupt ends every
 * wait. false: raised by a signal handler. */
bool dxn_wait(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status);

/* One step that neither waits nor takes long, with the lock. Given up beside a thread that computes it
 * is often got back only after the switch interval of that one, 5 ms: too much for what is there
 * already. false: it was DXH_EWAIT, and the deadline is yet to come. */
bool dxn_try(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status);

struct dxn_door;

/* The same for what cannot be woken from outside: in all threads, and until the door is
 * being closed, which is DXH_ECLOSED, raised. */
bool dxn_wait_at(const struct dxn_door *door, dxn_step step, void *context, int64_t deadline_ns,
                 dxh_status *status);

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

/* ---- what other threads tell: errands.c, log.c, peer_state.c ---------------------------------- */

/* Begins what is allocated for it. `run` has the interpreter's lock, and frees it. */
typedef struct dxn_errand {
	struct dxn_errand *next;
	void (*run)(struct dxn_errand *errand);
} dxn_errand;

int dxn_errands_setup(void);

/* Have it run soon; any thread, without the interpreter's lock. false: not taken, for there is
 * no thread to run it, or Python ends. */
bool dxn_errand_leave(dxn_errand *errand);
PyObject *dxn_errands_end(PyObject *module, PyObject *unused);

PyObject *dxn_log_to(PyObject *module, PyObject *write);

/* Calls call(state, reason); dxh_peer_config.on_state with it as context. */
typedef struct dxn_state_listener dxn_state_listener;
dxn_state_listener *dxn_state_listener_new(PyObject *call);
void dxn_state_listener_tell(void *context, dxh_peer *peer, dxh_peer_state state,
                             const char *reason);
void dxn_state_listener_drop(dxn_state_listener *self);

/* Of a peer that is freed while its hub closes: the hub still tells it, and drops it then. */
void dxn_state_listener_keep(dxn_state_listener **kept, dxn_state_listener *self);
void dxn_state_listener_drop_all(dxn_state_listener **kept);

/* ---- facts: facts.c ------------------------------------------------------------------- */

/* A member of a struct of the library, as an item of a dict. */
typedef struct dxn_member {
	const char *name;
	size_t offset;
	char kind;    /* 'Q' uint64_t, 'q' int64_t, 'I' uint32_t, 'i' int, 's' char[],
	               * 'p' const char *, 'h' bytes */
	size_t bytes; /* of 'h' */
} dxn_member;

PyObject *dxn_dict_of(const void *object, const dxn_member *members, size_t count);
#define DXN_DICT(object, members) dxn_dict_of(object, members, sizeof(members) / sizeof *(members))

/* A list of such dicts, of an array. */
PyObject *dxn_list_of(const void *array, size_t count, size_t each_bytes, const dxn_member *members,
                      size_t member_count);
#define DXN_LIST(array, count, members)                                                            \
	dxn_list_of(array, count, sizeof *(array), members, sizeof(members) / sizeof *(members))

/* Put it under its name, and give it away. false: raised. */
bool dxn_put(PyObject *dict, const char *name, PyObject *value);

/* ---- what is described: specs.c ---------------------------------------------------------- */

/* Memory for as long as a call takes: zero is empty. */
typedef struct dxn_arena {
	void *chunks;
} dxn_arena;
void dxn_arena_free(dxn_arena *arena);

/* A list of at most DXH_ZONES_MAX zones (name, schema or None, bytes, align, latch, digest), and a
 * slot (schema or None, bytes) or None; a schema is (name, bytes, align, [member, ...]). Text
 * stays Python's: the objects have to live as long as the arena. false: raised. */
bool dxn_read_zones(dxn_arena *arena, PyObject *list, dxh_zone_spec *zones);
bool dxn_read_slot(dxn_arena *arena, PyObject *given, dxh_slot_spec *slot);

/* ---- objects ------------------------------------------------------------------------ */

typedef struct dxn_service dxn_service;
typedef struct dxn_subscription dxn_subscription;
typedef struct dxn_watcher dxn_watcher;

typedef struct dxn_hub {
	PyObject ob_base;
	dxh_hub *hub; /* NULL: closed, or about to be */
	dxn_door door;
	bool is_gone; /* its I/O thread has ended: nobody is told anything any more */
	dxn_state_listener *listeners; /* of peers that were freed while it closed */
	dxn_service *services;         /* open ones, to be stopped before the hub closes */
	dxn_subscription *subscriptions;
	dxn_watcher *watchers;
	struct dxn_end *ends; /* producers and consumers of channels, which must go before */
} dxn_hub;

typedef struct dxn_peer {
	PyObject ob_base;
	dxn_hub *hub;
	dxh_peer *peer; /* NULL: closed */
	dxn_door door;
	int64_t full_wait_ns;
	dxn_state_listener *listener; /* NULL: nobody wants to know its states */
	struct dxn_peer *broker;      /* that leads to it, and has to be closed later; NULL: none */
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

/* The open peer of a broker, or NULL for None. false: raised. */
bool dxn_broker_of(PyObject *given, dxn_peer **broker);

/* What a hub counts, as dicts. */
PyObject *dxn_stats_dict(const dxh_hub_stats *stats);
PyObject *dxn_latency_dict(const dxh_latency *latency);

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

/* Something has ended, or was given back: who waits looks again. Any thread. */
void dxn_home_tell(void);

/* Wait until something ends that was posted to it. False: raised. */
bool dxn_home_wait(dxh_completion handle, int64_t deadline_ns, dxh_status *status);

/* wait_any(list of completions, timeout): True when one of them has ended. */
PyObject *dxn_wait_any(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* The group of an object, and that a completion is to come home to it. NULL: raised. */
dxh_group *dxn_group_of(PyObject *group);
bool dxn_group_expect(PyObject *group, PyObject *completion);
void dxn_group_forget(PyObject *group, PyObject *completion);

/* ---- services: service.c ---------------------------------------------------------------- */

/* One that the library bound, and closes: dxn_service_end() comes before that. */
dxn_service *dxn_service_lent(dxn_hub *hub, dxh_service *service);
void dxn_service_end(dxn_service *self);

/* Stop all of a hub's, so that no thread waits in one. */
void dxn_services_stop(dxn_hub *hub);

/* ---- subscriptions: subscription.c ---- */

extern PyTypeObject dxn_subscription_type;

/* Stop those of a peer, or with NULL all of a hub. */
void dxn_subscriptions_stop(dxn_hub *hub, const dxn_peer *peer);

/* The pointer of an object was made invalid by its hub's end. */
bool dxn_hub_is_closed(const dxn_hub *self);

/* ---- the two ends of a block: end.c, producer.c, consumer.c, lease.c ---------------------- */

typedef struct dxn_lease dxn_lease;

/* A producer or a consumer: one of the two pointers is set while it is open. */
typedef struct dxn_end {
	PyObject ob_base;
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxn_door door;
	dxn_hub *hub;     /* of a channel; NULL: there is none */
	dxn_peer *broker; /* that led to it: open as long as it is */
	struct dxn_end *previous, *next;

	dxn_service *service; /* that the library bound for a channel; NULL: none was asked for */

	dxh_memory *memory; /* of one that is closed, while somebody may point into it */
	size_t lease_count; /* lease objects that exist */
	dxn_lease *leases;  /* those that are live */

	PyObject *latches; /* producer: dict of name to the spare copy, of those that are begun */
	bool may_be_held;  /* producer: by lossless readers */
	bool evicts;

	size_t item_bytes; /* consumer: of the item before */
	dxh_status told;   /* consumer: DXH_EDEAD or DXH_ECLOSED, once it was raised */
	uint64_t told_epoch;
	uint64_t lost, lost_first, lost_last; /* found, and not handed out yet */
} dxn_end;

extern PyTypeObject dxn_producer_type, dxn_consumer_type, dxn_lease_type, dxn_pacer_type;

/* Open, in this process, and no other thread in it? false: raised. */
bool dxn_end_check(const dxn_end *self);

/* The same, and say that a thread is in it until dxn_door_leave(). */
bool dxn_end_enter(dxn_end *self);

/* After opening. `broker`: NULL without one. */
void dxn_end_opened(dxn_end *self, dxn_peer *broker);
PyObject *dxn_end_close(PyObject *self, PyObject *unused);
void dxn_end_dealloc(PyObject *self);
PyObject *dxn_end_info(PyObject *self, PyObject *unused);
PyObject *dxn_end_schema(PyObject *self, PyObject *unused);

PyObject *dxn_block_info(const dxh_block_info *info);

/* Methods of both, for their zones: zones.c */
PyObject *dxn_end_zone(PyObject *object, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_end_latch_load(PyObject *object, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_end_latch_store(PyObject *object, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_end_digest_set(PyObject *object, PyObject *name);
PyObject *dxn_end_digest_verify(PyObject *object, PyObject *const *arguments, Py_ssize_t count);

/* All of a hub's, or those that this broker's peer led to. */
void dxn_ends_close(dxn_hub *hub, const dxn_peer *broker);

typedef enum dxn_lease_kind { DXN_LEASE_ZONE, DXN_LEASE_WRITE, DXN_LEASE_PEEK } dxn_lease_kind;

/* Bytes of a block that Python may look at until the lease ends; see lease.c. */
struct dxn_lease {
	PyObject ob_base;
	PyObject *weak_references;
	dxn_end *end;
	dxn_lease_kind kind;
	bool read_only;
	bool is_live;
	unsigned char *data;
	size_t bytes;
	PyObject *views; /* weak references to arrays */
	Py_ssize_t swept;
	void *grave;                /* what an array without dimensions shows afterwards */
	dxn_lease *previous, *next; /* of the end's live ones */
	dxh_write_slot slot;
	dxh_peek peek;
};

dxn_lease *
dxn_lease_new(dxn_end *end, dxn_lease_kind kind, const void *data, size_t bytes, bool read_only);

/* From now on nothing is to be seen through it. */
void dxn_lease_revoke(dxn_lease *self);

/* Is it live, and is what it shows still that? false: raised. */
bool dxn_lease_check(dxn_lease *self);

/* numpy's C API. -1: raised. */
int dxn_lease_setup(void);

/* unlink(directory, name), stat(directory, name): dict */
PyObject *dxn_unlink(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_stat(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- looking at blocks: inspect.c ---- */

PyObject *dxn_inspect(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_recover(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_rules(PyObject *module, PyObject *unused);
PyObject *dxn_facts(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_block_size(PyObject *module, PyObject *arguments);
PyObject *dxn_gc(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- keys: keys.c; the path of the secret one: the public one ---- */

PyObject *dxn_key_make(PyObject *module, PyObject *path);
PyObject *dxn_key_public(PyObject *module, PyObject *path);

/* ---- channels: broker.c -------------------------------------------------------------- */

extern PyTypeObject dxn_broker_type;

/* discover(peer, name, timeout): dict; channels(peer, timeout): list of dicts */
PyObject *dxn_discover(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_channels(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *dxn_channel_info(const dxh_channel_info *info);

/* Looks at channels for others: the open peer of a broker. NULL: raised. */
dxh_peer *dxn_broker_peer(PyObject *peer);

/* describe(peer, name, timeout): dict */
PyObject *dxn_describe(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* Close those of a peer, or with NULL all of a hub: watcher.c */
extern PyTypeObject dxn_watcher_type;
void dxn_watchers_close(dxn_hub *hub, const dxn_peer *peer);

PyObject *dxn_broker_stats(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
