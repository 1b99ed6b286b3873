/* SPDX-License-Identifier: MIT */
/* Watching channels: what the broker sees of their coming and going, pushed as it happens.
 *
 *	dxh_watch(broker, "camera/", NULL, dxh_in_ms(1000), &watcher);
 *	dxh_list(...);                      (what there is, no older than the watch)
 *	while (dxh_watcher_next(watcher, DXH_FOREVER, &event) == DXH_OK)
 *		if (event.kind == DXH_WATCH_GAP)
 *			dxh_list(...);      (something may have been missed: look anew)
 *		else
 *			use(&event);
 *
 * Events of a channel come in the order in which they happened. None is lost silently: what
 * this watcher was too slow for, or what happened while there was no connection to the
 * broker, is told as DXH_WATCH_GAP, in its place. What is listed after a gap was told is no
 * older than the events that follow; some of these it may show already.
 */
#ifndef DXH_WATCH_H
#define DXH_WATCH_H

#include <dxh/channel.h>
#include <dxh/subscribe.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_watcher dxh_watcher;

typedef enum dxh_watch_kind {
	DXH_WATCH_GAP = 0,    /* events may be missing here; of all other members only `lost` */
	DXH_WATCH_OPENED = 1, /* it is live: registered, or its producer is alive again */
	/* Another producer has it: it took the block over, or the place of one that was dead.
	 * It is live. */
	DXH_WATCH_CHANGED = 2,
	/* Its producer does not beat, or makes no progress: it is pending. Or consumers found
	 * broken items: checksum_errors is not 0, told at most once a second. See reason. */
	DXH_WATCH_ERROR = 3,
	DXH_WATCH_CLOSING = 4,      /* the broker knows it no more: its producer has closed it, or
	                        * was dead too long. See reason */
	DXH_WATCH_CONSUMER_DIED = 5 /* one that did not deregister; see reason */
} dxh_watch_kind;

typedef struct dxh_watch_event {
	dxh_watch_kind kind;
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	char reason[128];
	uint64_t producer;        /* as dxh_channel_info.producer_uid; 0: it is about a consumer */
	int64_t pid;              /* of the producer, or of the consumer */
	uint64_t epoch;           /* of the producer's block */
	uint64_t consumer;        /* uid of the consumer that died; else 0 */
	uint64_t checksum_errors; /* of the channel in all, where they are the error; else 0 */
	uint64_t broker;          /* random, another one after each start of the broker */
	uint64_t number;          /* 1, 2, ... of all events of that broker */
	uint64_t lost; /* of a gap: events known to be missing; 0 after a new connection, when
	                * nobody knows */
} dxh_watch_event;

typedef struct dxh_watch_config {
	uint32_t events_max; /* that wait to be received; 0: 1024. Beyond is a gap */
} dxh_watch_config;

/* Watch all channels whose names begin with `prefix`; "" is all of them. After this
 * returns DXH_OK, what happens is told, or the gap.
 * Called:  dxh_watch(broker, prefix, config, deadline_ns, &watcher); config NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the caller, until dxh_watcher_close(), before
 *          `broker` or its hub is closed.
 * Blocks:  until the broker has confirmed it, or the deadline.
 * Returns: DXH_EWAIT: not confirmed in time; DXH_EACCESS: the broker wants the right to
 *          consume all of the prefix; DXH_ELIMIT, DXH_EOVERLOADED: the broker has no room
 *          for another; DXH_EUNSUPPORTED: it is none, or an old one; DXH_EINVAL;
 *          DXH_ENOMEM; DXH_EDEADLK; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED. */
#define dxh_watch(...) dxh_watch_sized(sizeof(dxh_watch_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_watch_sized(size_t config_bytes, dxh_peer *broker,
                                                 const char *prefix, const dxh_watch_config *config,
                                                 int64_t deadline_ns, dxh_watcher **watcher);

/* Take the next event.
 * Called:  dxh_watcher_next(watcher, deadline_ns, &event).
 * Thread:  owner. Blocks: until one comes, or the deadline.
 * Returns: DXH_EWAIT: none came; DXH_ECLOSED: stopped, or the peer or hub is being closed;
 *          DXH_EDEADLK; DXH_EFORKED; DXH_EINVAL. */
#define dxh_watcher_next(...) dxh_watcher_next_sized(sizeof(dxh_watch_event), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_watcher_next_sized(size_t event_bytes, dxh_watcher *watcher,
                                                        int64_t deadline_ns,
                                                        dxh_watch_event *event);

/* Called with one event, which is valid until it returns. */
typedef void (*dxh_watch_fn)(void *context, const dxh_watch_event *event);

/* Wait for an event, and call `on_event` here for it and for what else has come by then,
 * `max` at most. It may do anything but use this watcher.
 * Thread: owner. Blocks: as dxh_watcher_next(). Returns: DXH_OK: *count (may be NULL)
 * calls were made; else as dxh_watcher_next(). */
DXH_API DXH_NODISCARD dxh_status dxh_watcher_dispatch(dxh_watcher *watcher, dxh_watch_fn on_event,
                                                      void *context, size_t max,
                                                      int64_t deadline_ns, size_t *count);

/* A descriptor that is readable while events wait, for epoll and its kin: when it is, take
 * them with DXH_NOW until DXH_EWAIT.
 * Thread: any. Owner: the watcher; never read or close it. -1 on failure. */
DXH_API int dxh_watcher_fd(dxh_watcher *watcher);

/* End a wait that another thread is in: from now on dxh_watcher_next() is DXH_ECLOSED.
 * Thread: any. */
DXH_API dxh_status dxh_watcher_stop(dxh_watcher *watcher);

/* Thread: owner, not the I/O thread. Sets *watcher to NULL. Returns: DXH_EINVAL;
 * DXH_EDEADLK; DXH_EFORKED. */
DXH_API dxh_status dxh_watcher_close(dxh_watcher **watcher);

#ifdef __cplusplus
}
#endif
#endif
