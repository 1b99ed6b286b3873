/* SPDX-License-Identifier: MIT */
/* Sleeping on a 32-bit word: the only place that calls futex(2). */
#ifndef DXI_FUTEX_H
#define DXI_FUTEX_H

#include <dxh/base.h>

#include <stdatomic.h>
#include <stdbool.h>

/* Where the word lies: in this process alone, or in memory shared with others
 * (which may be mapped read-only by the waiter). */
typedef enum dxi_futex_scope { DXI_FUTEX_PRIVATE, DXI_FUTEX_SHARED } dxi_futex_scope;

/* Sleep while *word == expected, until woken or `deadline_ns`. May return early
 * for any reason; returns false only when the deadline has passed. */
bool dxi_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns,
                    dxi_futex_scope scope);

/* Wake up to `count` sleepers; returns how many. Touches no memory at `word`. */
int dxi_futex_wake(const _Atomic uint32_t *word, int count, dxi_futex_scope scope);

#endif
