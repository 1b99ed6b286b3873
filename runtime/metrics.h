/* SPDX-License-Identifier: MIT */
/* What a hub counts. One writer, the I/O thread, but for a few; readers take a snapshot
 * from any thread without a lock, and from other processes when the counters lie in a
 * block. */
#ifndef DXI_METRICS_H
#define DXI_METRICS_H

#include <dxh/hub.h>

#include <stdalign.h>
#include <stdatomic.h>

/* What dxh_hub_stats tells, by what it is about; written by the I/O thread alone. The
 * lists are the members of zone "counters" of a metrics block too. */
#define DXI_REQUEST_COUNTERS(X)                                                                    \
	X(posted)                                                                                  \
	X(done)                                                                                    \
	X(errors)                                                                                  \
	X(expired)                                                                                 \
	X(canceled)                                                                                \
	X(lost)                                                                                    \
	X(unsendable)                                                                              \
	X(closed)                                                                                  \
	X(flushed)                                                                                 \
	X(open_now)                                                                                \
	X(retries)                                                                                 \
	X(retries_refused)                                                                         \
	X(held)                                                                                    \
	X(replies_late)                                                                            \
	X(replies_foreign)
#define DXI_NOTIFICATION_COUNTERS(X)                                                               \
	X(notifications_posted)                                                                    \
	X(notifications_sent)                                                                      \
	X(notifications_dropped)                                                                   \
	X(notifications_received)                                                                  \
	X(notifications_refused)                                                                   \
	X(notifications_unread)
#define DXI_SERVICE_COUNTERS(X)                                                                    \
	X(requests_received)                                                                       \
	X(requests_refused)                                                                        \
	X(replies_sent)                                                                            \
	X(replies_dropped)                                                                         \
	X(clients_refused)                                                                         \
	X(control_refused)                                                                         \
	X(repeats_answered)                                                                        \
	X(repeats_joined)                                                                          \
	X(repeats_refused)                                                                         \
	X(replies_evicted)                                                                         \
	X(replies_forgotten)
#define DXI_NOTE_COUNTERS(X)                                                                       \
	X(notes_published)                                                                         \
	X(notes_sent)                                                                              \
	X(notes_dropped)                                                                           \
	X(notes_received)                                                                          \
	X(notes_refused)                                                                           \
	X(notes_stray)
#define DXI_NETWORK_COUNTERS(X)                                                                    \
	X(frames_sent)                                                                             \
	X(records_sent)                                                                            \
	X(frames_received)                                                                         \
	X(records_received)                                                                        \
	X(frames_bad)                                                                              \
	X(parts_dropped)                                                                           \
	X(reconnects)
#define DXI_THREAD_COUNTERS(X)                                                                     \
	X(wakeups)                                                                                 \
	X(futex_wakes)                                                                             \
	X(callbacks)                                                                               \
	X(callbacks_slow)                                                                          \
	X(memory_bytes)
#define DXI_COUNTER_LIST(X)                                                                        \
	DXI_REQUEST_COUNTERS(X)                                                                    \
	DXI_NOTIFICATION_COUNTERS(X)                                                               \
	DXI_SERVICE_COUNTERS(X)                                                                    \
	DXI_NOTE_COUNTERS(X)                                                                       \
	DXI_NETWORK_COUNTERS(X)                                                                    \
	DXI_THREAD_COUNTERS(X)

/* Those that user threads write too: which call dxh_post(), dxh_service_receive(), or
 * close a subscription. */
#define DXI_SHARED_COUNTERS(X)                                                                     \
	X(doorbells)                                                                               \
	X(requests_expired)                                                                        \
	X(requests_unknown)                                                                        \
	X(notes_unread)

typedef struct dxi_metrics {
#define DXI_COUNTER(name) _Atomic uint64_t name;
	DXI_COUNTER_LIST(DXI_COUNTER)
	/* Copied from the pool when a metrics block is told, see metrics_block.h. */
	_Atomic uint64_t slots_now;
	_Atomic uint64_t slots_bytes;
	alignas(64) struct { /* a line that other threads write */
		DXI_SHARED_COUNTERS(DXI_COUNTER)
	};
#undef DXI_COUNTER
} dxi_metrics;

/* Counters of the I/O thread. relaxed, and no read-modify-write: one writer, and
 * nothing is published by them. */
static inline void dxi_count_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline uint64_t dxi_count_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void dxi_count(_Atomic uint64_t *counter, uint64_t more)
{
	dxi_count_set(counter, dxi_count_get(counter) + more);
}

static inline void dxi_count_down(_Atomic uint64_t *counter, uint64_t less)
{
	dxi_count_set(counter, dxi_count_get(counter) - less);
}

/* All counters but those of the pool. Thread: any. */
dxh_hub_stats dxi_metrics_read(const dxi_metrics *metrics);

#endif
