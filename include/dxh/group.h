/* SPDX-License-Identifier: MIT */
/* The group: one place where many completions come home.
 *
 *	dxh_post_to(group, peer, ...) for each, then
 *	while (dxh_group_wait(group, 1, events, 32, deadline, &count) == DXH_OK)
 *		for (k = 0; k < count; k++)
 *			use(&events[k]), dxh_release(events[k].completion);
 *	ends with DXH_EEMPTY when all have come home
 */
#ifndef DXH_GROUP_H
#define DXH_GROUP_H

#include <dxh/completion.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_group dxh_group;

typedef struct dxh_event {
	dxh_completion completion; /* still to be released */
	void *user;                /* as given to dxh_post_batch(), else NULL */
	dxh_reply reply;           /* reply.body lives until the release */
} dxh_event;

/* A group is of no hub: completions of several may come home to it.
 * Thread: any. Owner: the caller, until dxh_group_close(). Returns: DXH_ENOMEM,
 * DXH_EINVAL. */
DXH_API DXH_NODISCARD dxh_status dxh_group_open(dxh_group **group);

/* Called with one ended operation; the event is valid until it returns, and
 * event->completion still to be released, here or later. */
typedef void (*dxh_event_fn)(void *context, const dxh_event *event);

/* A group that calls `on_event` by itself, at once: on the I/O thread that ended
 * the operation, or inside dxh_cancel(). Everything else of that hub waits
 * meanwhile, so it must be short and must not wait; it may post, cancel and
 * release. What takes longer than 1 ms is counted (dxh_hub_stats.callbacks_slow).
 * Prefer dxh_group_dispatch(), which calls on a thread of your choice.
 * Such a group is not waited for: _wait, _next and _dispatch are DXH_ESTATE. After
 * dxh_group_close() has returned nothing is called any more.
 * Thread: any. Owner, Returns: as dxh_group_open(). */
DXH_API DXH_NODISCARD dxh_status dxh_group_open_inline(dxh_event_fn on_event, void *context,
                                                       dxh_group **group);

/* Wait for at least `min` ended operations of this group, hand out up to `max`.
 * min 1 waits for any; min = max = N for N; calling until DXH_EEMPTY for all. min 0 is 1:
 * what has come already is asked for with DXH_NOW.
 *
 * Thread:  owner.
 * Blocks:  until min have come, or fewer when nothing more is outstanding, or
 *          the deadline.
 * Returns: DXH_OK: *count >= 1 events (fewer than min only when nothing else is
 *          outstanding); DXH_EWAIT: the deadline passed with fewer than min;
 *          *count of them are handed out all the same; DXH_EEMPTY: nothing is
 *          outstanding and nothing waits; DXH_EDEADLK; DXH_EFORKED; DXH_EINVAL;
 *          DXH_ESTATE for an inline group.
 */
DXH_API DXH_NODISCARD dxh_status dxh_group_wait(dxh_group *group, size_t min, dxh_event *events,
                                                size_t max, int64_t deadline_ns, size_t *count);

/* The next one that ends: wait for 1 of at most 1. Thread, Blocks, Returns: as
 * dxh_group_wait(). */
DXH_API DXH_NODISCARD dxh_status dxh_group_next(dxh_group *group, dxh_event *event,
                                                int64_t deadline_ns);

/* Wait for one that ends, and call `on_event` here for it and for what else has
 * ended by then, `max` at most. It may post, also to this group, cancel, release
 * and wait for other groups; it must not wait for, dispatch or close this one.
 *
 * Thread:  owner. Blocks: as dxh_group_wait() with min 1.
 * Returns: as dxh_group_wait(); *count (may be NULL) calls were made.
 */
DXH_API DXH_NODISCARD dxh_status dxh_group_dispatch(dxh_group *group, dxh_event_fn on_event,
                                                    void *context, size_t max, int64_t deadline_ns,
                                                    size_t *count);

/* A descriptor that is readable while events wait, for epoll and its kin: when
 * it is, call dxh_group_wait(group, 1, events, max, DXH_NOW, &count) until it
 * does not return DXH_OK. Written once per empty to non-empty.
 * Thread: owner. Owner: the group; never read or close it. -1 on a bad group. */
DXH_API int dxh_group_fd(dxh_group *group);

/* Close it. What was not handed out stays with its completions, to be awaited
 * and released one by one. An inline group's callback that is running is waited
 * for, unless it is this one. Thread: owner. Sets *group to NULL. */
DXH_API dxh_status dxh_group_close(dxh_group **group);

#ifdef __cplusplus
}
#endif
#endif
