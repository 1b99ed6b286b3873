/* SPDX-License-Identifier: MIT */
/* What a hub counts. One writer, the I/O thread, but for the doorbells; readers
 * take a snapshot from any thread without a lock. */
#ifndef DXI_METRICS_H
#define DXI_METRICS_H

#include <dxh/hub.h>

#include <stdatomic.h>

/* Counters of dxh_hub_stats that only the I/O thread writes. */
#define DXI_COUNTER_LIST(X)                                                                        \
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
	X(notifications_posted)                                                                    \
	X(notifications_sent)                                                                      \
	X(notifications_dropped)                                                                   \
	X(requests_received)                                                                       \
	X(requests_refused)                                                                        \
	X(replies_sent)                                                                            \
	X(replies_dropped)                                                                         \
	X(notifications_received)                                                                  \
	X(notifications_refused)                                                                   \
	X(frames_sent)                                                                             \
	X(records_sent)                                                                            \
	X(frames_received)                                                                         \
	X(records_received)                                                                        \
	X(frames_bad)                                                                              \
	X(replies_late)                                                                            \
	X(replies_foreign)                                                                         \
	X(wakeups)                                                                                 \
	X(futex_wakes)                                                                             \
	X(reconnects)                                                                              \
	X(memory_bytes)                                                                            \
	X(notes_published)                                                                         \
	X(notes_sent)                                                                              \
	X(notes_dropped)                                                                           \
	X(retries)                                                                                 \
	X(retries_refused)                                                                         \
	X(clients_refused)                                                                         \
	X(callbacks)                                                                               \
	X(callbacks_slow)                                                                          \
	X(control_refused)                                                                         \
	X(notifications_unread)                                                                    \
	X(notes_received)                                                                          \
	X(notes_refused)                                                                           \
	X(notes_stray)                                                                             \
	X(parts_dropped)

typedef struct dxi_metrics {
#define DXI_COUNTER(name) _Atomic uint64_t name;
	DXI_COUNTER_LIST(DXI_COUNTER)
#undef DXI_COUNTER
	_Atomic uint64_t doorbells;        /* posters */
	_Atomic uint64_t requests_expired; /* worker threads */
	_Atomic uint64_t requests_unknown; /* worker threads */
	_Atomic uint64_t notes_unread;     /* who closes a subscription */
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

#endif
