/* SPDX-License-Identifier: MIT */
/* Messages: peers to post to, services that answer.
 *
 * An endpoint is "ipc:///path", "ipc://@abstract", "tcp://host:port" or "inproc://name".
 * Bodies are bytes the library never looks into. A subject is 1..255 bytes of UTF-8.
 *
 * inproc stays within one hub: a peer of it and a service of the same hub talk in memory,
 * without a socket, and everything else is as over ipc. Two hubs that use one name do not
 * see each other: a peer whose own hub has no service of that name is DXH_PEER_WAITING,
 * "nobody listens there in this hub", and its requests wait up to their deadlines. It is
 * connected as soon as the service is bound. Keys are refused (DXH_EINVAL), for they would
 * protect nothing.
 */
#ifndef DXH_MESSAGE_H
#define DXH_MESSAGE_H

#include <dxh/completion.h>
#include <dxh/group.h>
#include <dxh/hub.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DXH_SUBJECT_MAX = 255 };

/* Takes a body back that was handed over with DXH_TRANSFER or
 * dxh_request_reply_owned(). Called exactly once, on any thread, also one of libzmq's,
 * and perhaps after the terminal event: it must not block, and must not call into this
 * library. All have been called when dxh_hub_close() returns. */
typedef void (*dxh_free_fn)(void *context, void *body);

/* ---- the asking side ------------------------------------------------------ */

typedef struct dxh_peer dxh_peer;

typedef enum dxh_peer_state {
	DXH_PEER_CONNECTING = 0,
	DXH_PEER_READY = 1,   /* handshake done, requests flow */
	DXH_PEER_WAITING = 2, /* disconnected; the next try is scheduled */
	DXH_PEER_REFUSED = 3  /* the other side speaks another protocol version, or the keys
	                       * do not fit, which it may tell by hanging up in each of the
	                       * first eight handshakes; tried again all the same. For keys,
	                       * requests that wait end as DXH_EACCESS */
} dxh_peer_state;

/* What dxh_notify() does when all notify_frames wait to be sent. */
typedef enum dxh_notify_full {
	DXH_NOTIFY_REFUSE = 0, /* DXH_EFULL, after full_wait_ns */
	/* Drop the oldest frame with all that is in it, counted in notifications_dropped.
	 * The poster waits for the I/O thread to do so, not for the service. */
	DXH_NOTIFY_DROP_OLDEST = 1
} dxh_notify_full;

typedef struct dxh_peer_config {
	uint32_t requests_max;  /* in flight to this peer; 0: 8192 */
	uint32_t notify_frames; /* frames of notifications waiting; 0: 64 */
	int64_t full_wait_ns;   /* without credit, wait so long before DXH_EFULL */
	/* Called at every change of state, on the I/O thread: it must not block;
	 * it may post. `reason` tells why it is not READY. */
	void (*on_state)(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason);
	void *context;
	/* CURVE, see docs/security.md: the service's public key, and a file with our own
	 * secret key, mode 0600. Without key_file a pair is made for this peer, which only
	 * a service with allow_any lets in. NULL, NULL: in the clear. */
	const char *server_key;
	const char *key_file;
	/* Retries of what is marked idempotent. */
	uint32_t retries_max;   /* of one request; 0: 3 */
	uint32_t retry_percent; /* of all requests, beyond the first 10; 0: 10 */
	int64_t retry_min_ns;   /* pause when the service is overloaded, doubled each time, full
	                         * jitter; 0: 10 ms */
	int64_t retry_max_ns;   /* 0: 1 s */
	/* A service that owes an answer or notes and says nothing for beat_ns is sent a
	 * beat, which it answers; after silence_ns its connection counts as ended. So
	 * 16 MiB must travel in less: so much may be on its way before a beat. A peer of
	 * which nothing is expected is left alone. */
	int64_t beat_ns;    /* 0: 1 s; negative: never */
	int64_t silence_ns; /* 0: 15 s */
	/* Subjects and bodies of the requests in flight; come back at their end. 0: 256
	 * MiB, or one body of the hub's body_bytes_max if that is more. */
	uint64_t requests_bytes;
	/* When a frame of notifications leaves: at the first of so many notifications, so
	 * many bytes, or so many microseconds after its first one. Without linger_us a lone
	 * one goes at once and a busy poster fills frames; with it, none waits longer than
	 * linger_us and 1 ms, as long as the connection takes it. A flush overrides. */
	uint32_t batch_records; /* 0: as many as fit */
	uint32_t batch_bytes;   /* headers included; 0: frame_bytes of the hub */
	uint32_t linger_us;     /* 0: adaptive; at most 60 s */
	dxh_notify_full notify_full;
} dxh_peer_config;

/* Connect to a service; returns before the connection stands, and keeps
 * reconnecting until closed. Requests wait meanwhile, up to their deadlines.
 * Called:  dxh_peer_connect(hub, endpoint, config, &peer); config NULL: defaults.
 * Thread:  any, also this hub's I/O thread. Owner: the hub; valid until
 *          dxh_peer_close() or the hub closes.
 * Returns: DXH_EINVAL naming what is wrong with the endpoint or the keys;
 *          DXH_EACCESS or DXH_ENOTFOUND for key_file; DXH_ELIMIT; DXH_ENOMEM;
 *          DXH_EUNSUPPORTED without CURVE; DXH_EDRAINING; DXH_EFORKED; DXH_EDEADLK on
 *          another hub's I/O thread.
 */
#define dxh_peer_connect(...) dxh_peer_connect_sized(sizeof(dxh_peer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_peer_connect_sized(size_t config_bytes, dxh_hub *hub,
                                                        const char *endpoint,
                                                        const dxh_peer_config *config,
                                                        dxh_peer **peer);

/* Close the connection: what is open ends as DXH_ECLOSED with its certainty.
 * Thread: any but the I/O thread, while no other thread uses this peer. Sets
 * *peer to NULL. Returns: DXH_EINVAL; DXH_EDEADLK; DXH_EFORKED. */
DXH_API dxh_status dxh_peer_close(dxh_peer **peer);

/* Thread: any. */
DXH_API dxh_peer_state dxh_peer_state_get(const dxh_peer *peer);

/* Post a request; returns at once.
 *
 * A body of more than 256 KiB travels in parts, and everything else overtakes it. The
 * service executes nothing before the last part: what ends in the midst of it is
 * DXH_NOT_SENT, and begins again by itself when the connection does. A service may grant
 * less than this hub sends, see dxh_service_config.client_bytes: then the request ends as
 * DXH_ETOOBIG, also DXH_NOT_SENT. Bodies of other services than this library's may have
 * to fit in 1 MiB.
 *
 * Thread:  any. Owner: subject and body are copied; see dxh_post_batch() for others.
 * Units:   deadline_ns absolute: the total budget of queueing, connecting,
 *          sending and answering; DXH_FOREVER for none.
 * Blocks:  only if config.full_wait_ns says so, and never on the I/O thread.
 * Returns: DXH_OK: *done must be released. Otherwise nothing was posted:
 *          DXH_EFULL naming the bound that is reached; DXH_EINVAL; DXH_ETOOBIG:
 *          more than body_bytes_max of the hub or requests_bytes of the peer;
 *          DXH_ENOMEM; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_post(dxh_peer *peer, const char *subject, const void *body,
                                          size_t body_bytes, int64_t deadline_ns,
                                          dxh_completion *done);

/* The same, to come home to a group. */
DXH_API DXH_NODISCARD dxh_status dxh_post_to(dxh_group *group, dxh_peer *peer, const char *subject,
                                             const void *body, size_t body_bytes,
                                             int64_t deadline_ns, dxh_completion *done);

typedef struct dxh_request_item {
	const char *subject;
	const void *body;
	size_t body_bytes;
	int64_t deadline_ns;
	void *user;          /* handed back in dxh_event */
	uint32_t flags;      /* DXH_IDEMPOTENT or DXH_HOLD, and DXH_BORROW or DXH_TRANSFER; or 0 */
	dxh_free_fn free_fn; /* with DXH_TRANSFER, and only then */
	void *free_context;  /* its first argument */
} dxh_request_item;

enum {
	/* What becomes of a request whose connection ends before the answer. Without a flag it
	 * ends as DXH_ELOST, DXH_MAYBE_EXECUTED.
	 *
	 * To execute it twice does no harm: it may be sent again when its connection ended
	 * before the answer, or when the service had no room. It keeps its deadline. The
	 * service sees dxh_request_attempt(), unless it has the answer still, and gives that. */
	DXH_IDEMPOTENT = 1,
	/* It must not be executed twice, but may wait: it is held, and sent again on the next
	 * connection if the service is the same and knows for certain what became of it, see
	 * dxh_repeats; so it is executed once at the most. Else it ends as without a flag:
	 * when the service keeps no answers, was restarted, or has forgotten. It ends as
	 * DXH_EREPEATED when it was executed and the answer is kept no more. It waits as long as
	 * its own deadline allows; that is no retry, neither counted nor limited as one. */
	DXH_HOLD = 8,
	/* Whose the body is. Without a flag it is copied before the call returns.
	 * Borrowed: it stays the caller's, who must leave it as it is until the terminal
	 * event; it is read last before that. */
	DXH_BORROW = 2,
	/* Handed over: from DXH_OK on it is the library's, which gives it back by calling
	 * free_fn. A body of 32 KiB or more is sent from where it lies, without a copy; over
	 * inproc it is also received there, and given back when the worker has answered. */
	DXH_TRANSFER = 4
};

/* Post `count` requests with one hand-over to the I/O thread: all or none.
 * `group` may be NULL. Thread, Returns: as dxh_post(); done has room for `count`
 * handles. Owner: of each body as its flags say; of none if nothing was posted. */
DXH_API DXH_NODISCARD dxh_status dxh_post_batch(dxh_peer *peer, const dxh_request_item *items,
                                                size_t count, dxh_group *group,
                                                dxh_completion *done);

/* Post + await + copy of the reply + release in one call.
 *
 * Thread:  any but the I/O thread. Blocks: until the reply or the deadline.
 * Returns: the request's own status, or why it was not posted. *reply_bytes
 *          (may be NULL) is the length of the whole reply; what exceeds
 *          `capacity_bytes` is cut and the call returns DXH_ESIZE.
 */
DXH_API DXH_NODISCARD dxh_status dxh_request_sync(dxh_peer *peer, const char *subject,
                                                  const void *body, size_t body_bytes,
                                                  int64_t deadline_ns, void *reply,
                                                  size_t capacity_bytes, size_t *reply_bytes);

/* Post a notification: nobody answers. Notifications of one thread to one peer
 * arrive in order; they travel packed, a lone one at once.
 *
 * Thread:  any. Owner: subject and body are copied.
 * Blocks:  as dxh_post().
 * Returns: DXH_EFULL: no frame is free; DXH_ETOOBIG: subject and body exceed
 *          one frame; DXH_EINVAL; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_notify(dxh_peer *peer, const char *subject, const void *body,
                                            size_t body_bytes);

typedef enum dxh_flush_level {
	DXH_FLUSH_SENT = 1,   /* handed to the network */
	DXH_FLUSH_REPLIED = 2 /* taken by the service at the other end */
} dxh_flush_level;

/* Wait until every notification this thread posted before has got that far.
 * Thread: any but the I/O thread. Blocks: until then or the deadline.
 * Returns: DXH_EEXPIRED; DXH_ELOST; as dxh_post(). */
DXH_API DXH_NODISCARD dxh_status dxh_flush(dxh_peer *peer, dxh_flush_level level,
                                           int64_t deadline_ns);

/* The same without waiting for it: *done ends once they have got that far.
 * Thread: any. Owner: *done must be released.
 * Returns: DXH_EFULL: no slot is free; DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_flush_post(dxh_peer *peer, dxh_flush_level level,
                                                int64_t deadline_ns, dxh_completion *done);

/* ---- the answering side ---------------------------------------------------- */

typedef struct dxh_service dxh_service;
typedef struct dxh_request dxh_request;

/* What happens to a request that its client sends once more, because the connection ended
 * before the answer. */
typedef enum dxh_repeats {
	/* It is executed once: what is still in work is answered on the new connection, and
	 * what was answered gets the same answer again, out of a cache. */
	DXH_REPEATS_ANSWER = 0,
	/* It is executed once: what is still in work is answered on the new connection, and
	 * what was answered is refused as DXH_EREPEATED. Costs no memory for answers. */
	DXH_REPEATS_REFUSE = 1,
	DXH_REPEATS_EXECUTE = 2 /* it is executed again; clients know, and repeat only what is
	                         * marked DXH_IDEMPOTENT */
} dxh_repeats;

typedef struct dxh_service_config {
	uint32_t inbox_max;   /* requests waiting, of clients in turn; 0: 8192. Also notifications
	                       * of clients that do not keep to notify_bytes. However many of others
	                       * wait, a 32nd part of it may wait of each client */
	uint32_t clients_max; /* 0: 256 */
	/* Requests one client may have open; 0: 4096. The client's hub keeps what exceeds it. One
	 * that its client has cancelled, or whose deadline has passed there, counts until the
	 * service is done with it: what is sent in its place meanwhile ends as DXH_EOVERLOADED,
	 * and was not executed. */
	uint32_t client_window;
	int insecure; /* not 0: may listen beyond this machine unencrypted */
	/* Of what was received and not answered, bodies that are still coming with all that
	 * they have announced. 0: 256 MiB, or two bodies of the hub's body_bytes_max if that
	 * is more. However much others hold, a request of up to 4 KiB gets in from a client
	 * that has none here. */
	uint64_t inbox_bytes;
	uint32_t publish_max;       /* notes that wait for one subscriber; 0: 1024 */
	uint32_t subscriptions_max; /* of one client; 0: 64 */
	uint64_t publish_bytes;     /* of notes that wait for one subscriber; 0: 4 MiB */
	/* CURVE, see docs/security.md: a file with the secret key, mode 0600; and whom to
	 * let in: a file with one public key of a client a line, read at each handshake, or
	 * everybody who knows our public key. NULL, NULL, 0: in the clear. */
	const char *key_file;
	const char *allow_file;
	int allow_any;
	/* The window of one client: bytes of the bodies of its open requests, and of answers
	 * that it has not read. The client's hub keeps what exceeds it; what is larger than
	 * all of it ends there as DXH_ETOOBIG. 0: a quarter of inbox_bytes, or two bodies of
	 * the hub's body_bytes_max if that is more. */
	uint64_t client_bytes;
	/* Notifications of one client that are under way, wait, or are with workers, in bytes
	 * of their records. A client that has used them up keeps further ones, as it keeps
	 * those that the network does not take, until workers have released some: none is
	 * lost for want of room, also when inbox_bytes are used up. 0: 512 KiB; at least 256
	 * KiB. */
	uint64_t notify_bytes;
	/* The cache of answers to what may come again. An answer is kept until its client has
	 * told that it has it, hence for about as long as it travels; the bounds are for those
	 * that do not tell. Each client has client_window and client_bytes of it at the most,
	 * and when all of it is used up, the oldest answer goes of one that has much. Of a
	 * request whose answer went it is still known that it was executed, as long as
	 * replies_max allows: it is refused as DXH_EREPEATED, or executed again if it is marked
	 * DXH_IDEMPOTENT. What is not even known any more is refused as DXH_ELOST,
	 * DXH_MAYBE_EXECUTED; or executed again. Counted in replies_evicted, replies_forgotten. */
	dxh_repeats repeats;
	uint32_t replies_max;   /* answers, of all clients together; 0: 16384 */
	uint64_t replies_bytes; /* of these; one that takes more than a quarter is not kept.
	                         * 0: 16 MiB */
	/* A client that is gone is remembered for so long, by its peer, whatever connection it
	 * comes back on; of such at most clients_max, the longest absent are forgotten. 0: 60 s */
	int64_t replies_absent_ns;
} dxh_service_config;

/* Listen on an endpoint. Returns once it listens; waits up to 250 ms for an address
 * that is in use, which may just be given up.
 * Called:  dxh_service_bind(hub, endpoint, config, &service); config NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the hub; valid until
 *          dxh_service_close() or the hub closes.
 * Returns: DXH_EINVAL naming what is wrong with the endpoint; DXH_EINSECURE for
 *          tcp beyond loopback; DXH_EBUSY when the address is in use; DXH_EEXIST
 *          when an ipc path is something else than a socket;
 *          DXH_EACCESS; DXH_ELIMIT; DXH_ENOMEM; DXH_EDRAINING; DXH_EDEADLK; DXH_EFORKED.
 */
#define dxh_service_bind(...) dxh_service_bind_sized(sizeof(dxh_service_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_service_bind_sized(size_t config_bytes, dxh_hub *hub,
                                                        const char *endpoint,
                                                        const dxh_service_config *config,
                                                        dxh_service **service);

/* End the worker threads: from now on dxh_service_receive() returns DXH_ECLOSED,
 * also where it waits already. Requests are still answered. Join the threads,
 * then close. Thread: any. */
DXH_API dxh_status dxh_service_stop(dxh_service *service);

/* Stop listening. Requests not yet received, and those received and not answered,
 * are answered with DXH_ECLOSED. Waits up to 200 ms for clients to have read it.
 * Thread: any but the I/O thread; no other thread may be about to use the
 * service, see dxh_service_stop(). Sets *service to NULL. */
DXH_API dxh_status dxh_service_close(dxh_service **service);

/* The endpoint it listens on, with the port that "tcp://127.0.0.1:*" got.
 * Thread: any. Owner: the service. */
DXH_API const char *dxh_service_endpoint(const dxh_service *service);

/* Take the next request or notification.
 *
 * Thread:  any, several at once; each gets others.
 * Owner:   the caller, until dxh_request_reply(), _reject() or _release().
 * Blocks:  until one comes, or the deadline.
 * Returns: DXH_EWAIT: none came; DXH_ECLOSED: the service is closing;
 *          DXH_EDEADLK; DXH_EFORKED; DXH_EINVAL.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_receive(dxh_service *service, int64_t deadline_ns,
                                                     dxh_request **request);

/* Take the next one, and what else has come by then, `max` at the most, in one step: for
 * workers who are done with each in less time than it takes to receive it alone, as of
 * notifications. What one thread has taken, others cannot take: where a request takes
 * long, take few.
 *
 * Thread:  any, several at once.
 * Owner:   the caller, of each of the *count requests, as with dxh_service_receive().
 * Blocks:  until one comes, or the deadline; never for a second one.
 * Returns: DXH_OK: *count are there, 1 or more, in the order of dxh_service_receive();
 *          otherwise none, as dxh_service_receive(); DXH_EINVAL also when max is 0.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_receive_many(dxh_service *service, int64_t deadline_ns,
                                                          dxh_request **requests, size_t max,
                                                          size_t *count);

/* A descriptor that is readable while something waits to be received, and once the service was
 * stopped, for epoll and its kin: when it is, receive with DXH_NOW until that says DXH_EWAIT.
 * Thread: any. Owner: the service; never read or close it. -1 on failure. */
DXH_API int dxh_service_fd(dxh_service *service);

/* What was received. Thread: owner. Owner: the request; valid until it is
 * answered or released. A body begins at a multiple of 8, but for one that was handed
 * over (DXH_TRANSFER) over inproc, which lies where it lay. It is not to be written to. */
DXH_API const char *dxh_request_subject(const dxh_request *request);
DXH_API const void *dxh_request_body(const dxh_request *request, size_t *body_bytes);
/* Not 0: a notification; there is nothing to answer, release it. */
DXH_API int dxh_request_is_notification(const dxh_request *request);
/* Time left, in ns, DXH_FOREVER without deadline; 0 or less: too late. */
DXH_API int64_t dxh_request_budget_ns(const dxh_request *request);
/* 0 the first time; +1 each time the client has sent it again, up to 255. What is answered
 * from the cache, or joins one that is in work, is not received; see dxh_repeats. */
DXH_API uint32_t dxh_request_attempt(const dxh_request *request);
/* Not 0: the client cancelled it, or is gone; no answer will be read. What its client may
 * send again counts as wanted, as long as that client is remembered. */
DXH_API int dxh_request_canceled(const dxh_request *request);

/* Who sent it. */
typedef struct dxh_client_info {
	char name[64]; /* of its hub, as it says; control characters are replaced */
	char key[41];  /* its public key, which it has proved to have; "" without CURVE */
	/* Where it is connected from, as ZeroMQ tells it: of tcp the address, of ipc
	 * "localhost:UID:GID:PID" of the process; "" over inproc. */
	char address[64];
	uint64_t incarnation; /* of its peer: the same over reconnects, as it says */
} dxh_client_info;

/* Called:  dxh_request_client(request, &info). Thread: owner; also of a notification.
 * Returns: DXH_EINVAL. */
#define dxh_request_client(...) dxh_request_client_sized(sizeof(dxh_client_info), __VA_ARGS__)
DXH_API dxh_status dxh_request_client_sized(size_t info_bytes, const dxh_request *request,
                                            dxh_client_info *info);

/* Answer. The request is gone afterwards, whatever is returned.
 * Thread: any, once per request. Owner: body and text are copied.
 * Returns: DXH_ETOOBIG (an error was sent in its place); DXH_ENOMEM;
 *          DXH_ESTATE for a notification; DXH_ECLOSED; DXH_EFORKED. */
DXH_API dxh_status dxh_request_reply(dxh_request *request, const void *body, size_t body_bytes);

/* The same without a copy: the body is handed over. It is sent from where it lies if it
 * has 32 KiB or more (over inproc the asking side copies it, whose reply lives on), and
 * given back by `free_fn`, see dxh_free_fn; of a request that may
 * come again, when the client has told that it has the answer, or it is given up.
 * Thread: any, once per request. Owner: the library from DXH_OK on, otherwise the body
 * is still the caller's; the request is gone in either case, but for DXH_EINVAL.
 * Returns: as dxh_request_reply(); DXH_EINVAL: there is no free_fn. */
DXH_API dxh_status dxh_request_reply_owned(dxh_request *request, void *body, size_t body_bytes,
                                           dxh_free_fn free_fn, void *free_context);

/* Answer with an error: `status` is what the client's completion returns, `text` its reply
 * body. DXH_ELOST tells it that the request may have been executed, not that it was
 * answered. What speaks of a client's own handles (DXH_EWAIT, DXH_ESTALE, DXH_EDEADLK,
 * DXH_EFORKED, DXH_EEMPTY), or is no status, arrives as DXH_EREJECTED.
 * Thread, Owner, Returns: as dxh_request_reply(); DXH_EINVAL for DXH_OK and DXH_EWAIT:
 * DXH_EREJECTED was sent, and the request is gone all the same. */
DXH_API dxh_status dxh_request_reject(dxh_request *request, dxh_status status, const char *text);

/* Give a notification back. An unanswered request released so is answered with
 * DXH_EREJECTED. Thread: any. */
DXH_API void dxh_request_release(dxh_request *request);

#ifdef __cplusplus
}
#endif
#endif
