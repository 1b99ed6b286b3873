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

/* As many words as the kernel takes at a time. */
enum { DXI_FUTEX_MANY_MAX = 128 };

typedef struct dxi_futex_word {
	const _Atomic uint32_t *word;
	uint32_t expected;
	dxi_futex_scope scope;
} dxi_futex_word;

/* Sleep while all of them are as expected: until one is woken, or `deadline_ns`.
 * May return early for any reason. False: this kernel cannot (before Linux 5.16, or
 * a filter of system calls): nothing was waited for. */
bool dxi_futex_wait_many(const dxi_futex_word *words, size_t count, int64_t deadline_ns);

/* Wake up to `count` sleepers; returns how many. Touches no memory at `word`. */
int dxi_futex_wake(const _Atomic uint32_t *word, int count, dxi_futex_scope scope);

#endif
