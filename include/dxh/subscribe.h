/* SPDX-License-Identifier: MIT */
/* Subscriptions: notifications from a service to whoever asked for their topic.
 *
 * A service publishes under a topic, 1..255 bytes of UTF-8; a subscription gets
 * every topic that begins with its prefix. Nothing is ever waited for: a slow
 * subscriber loses notes, its service goes on, and each note says how many were
 * lost right before it.
 */
#ifndef DXH_SUBSCRIBE_H
#define DXH_SUBSCRIBE_H

#include <dxh/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the asking side ------------------------------------------------------ */

typedef struct dxh_subscription dxh_subscription;

typedef struct dxh_subscription_config {
	uint32_t inbox_max; /* notes that wait to be received; 0: 1024 */
	/* Not 0: where notes are lost for want of room here, and where a new connection begins,
	 * a mark is put among the notes, at once and not with the next note: a note without
	 * topic ("") and body, sequence 0. For who must know it also if nothing follows. */
	uint32_t tell_gaps;
	uint64_t inbox_bytes; /* of them, topics and bodies; 0: 4 MiB */
} dxh_subscription_config;

/* Subscribe to all topics that begin with `prefix`; "" is all of them. Returns at
 * once; the service is told when it is connected, and again after each reconnect.
 * Called:  dxh_subscribe(peer, prefix, config, &subscription); config NULL: defaults.
 * Thread:  any, also this hub's I/O thread. Owner: the caller, until
 *          dxh_subscription_close(), or until the peer or the hub is closed.
 * Returns: DXH_EINVAL; DXH_ENOMEM; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED; DXH_EDEADLK
 *          on another hub's I/O thread.
 */
#define dxh_subscribe(...) dxh_subscribe_sized(sizeof(dxh_subscription_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_subscribe_sized(size_t config_bytes, dxh_peer *peer,
                                                     const char *prefix,
                                                     const dxh_subscription_config *config,
                                                     dxh_subscription **subscription);

/* Wait until the service has confirmed the subscription on the present connection:
 * what it publishes from then on comes, or is counted as lost.
 * Thread:  any but the I/O thread. Blocks: until then or the deadline.
 * Returns: DXH_EWAIT; the service's refusal: DXH_ELIMIT; DXH_EOVERLOADED when it has
 *          no memory for it (close it, and subscribe again later); DXH_EUNSUPPORTED
 *          when it does not publish; DXH_ECLOSED; DXH_EDEADLK; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_subscription_await(dxh_subscription *subscription,
                                                        int64_t deadline_ns);

typedef struct dxh_note {
	const char *topic; /* NUL-terminated */
	const void *body;
	size_t body_bytes;
	uint64_t sequence; /* 1, 2, ... on one connection */
	uint64_t lost;     /* notes of this subscription lost right before this one */
	int reconnected;   /* not 0: the first note on a new connection; what was
	                    * published while there was none is not known */
} dxh_note;

/* Take the next note.
 *
 * Thread:  any, several at once; each gets others.
 * Owner:   the caller, until dxh_note_release(); also after the subscription is
 *          closed.
 * Blocks:  until one comes, or the deadline.
 * Returns: DXH_EWAIT: none came; DXH_ECLOSED: it was stopped, or its peer or hub is
 *          being closed; DXH_EDEADLK; DXH_EFORKED; DXH_EINVAL.
 */
DXH_API DXH_NODISCARD dxh_status dxh_subscription_receive(dxh_subscription *subscription,
                                                          int64_t deadline_ns,
                                                          const dxh_note **note);

/* Give a note back. Thread: any. NULL does nothing. */
DXH_API void dxh_note_release(const dxh_note *note);

/* A descriptor that is readable while notes wait, for epoll and its kin: when it
 * is, receive with DXH_NOW until DXH_EWAIT.
 * Thread: any. Owner: the subscription; never read or close it. -1 on failure. */
DXH_API int dxh_subscription_fd(dxh_subscription *subscription);

typedef struct dxh_subscription_stats {
	uint64_t received; /* notes that came into the inbox */
	uint64_t lost;     /* notes known to be lost, here or on the way */
	uint64_t waiting;  /* in the inbox, now */
	uint64_t renewals; /* times it was confirmed anew after the first */
} dxh_subscription_stats;

/* A snapshot. Thread: any. */
DXH_API dxh_status dxh_subscription_stats_get(const dxh_subscription *subscription,
                                              dxh_subscription_stats *stats);

/* End the receiving threads: from now on dxh_subscription_receive() returns
 * DXH_ECLOSED, also where it waits already. Join the threads, then close.
 * Thread: any. Returns: DXH_EINVAL; DXH_EFORKED. */
DXH_API dxh_status dxh_subscription_stop(dxh_subscription *subscription);

/* Unsubscribe. Notes that were received stay their owner's.
 * Thread: any but the I/O thread; no other thread may be about to use it, see
 * dxh_subscription_stop(). Sets *subscription to NULL. Returns: DXH_EINVAL; DXH_EDEADLK; DXH_EFORKED. */
DXH_API dxh_status dxh_subscription_close(dxh_subscription **subscription);

/* ---- the answering side ---------------------------------------------------- */

/* Publish to everybody whose prefix the topic begins with. With no subscriber at
 * all it costs a look at a counter. What a subscriber is too slow for is lost for
 * that one: its oldest notes first, beyond publish_max of the service's config.
 *
 * Thread:  any. Owner: topic and body are copied. Blocks: never.
 * Returns: DXH_EFULL: publish_max publications wait for the I/O thread; DXH_ETOOBIG;
 *          DXH_EINVAL; DXH_ENOMEM; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_publish(dxh_service *service, const char *topic,
                                                     const void *body, size_t body_bytes);

#ifdef __cplusplus
}
#endif
#endif
