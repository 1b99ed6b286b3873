/* SPDX-License-Identifier: MIT */
/* Futex waits with an absolute deadline, for private and for shared words, for one and
 * for many. */
#include "base/futex.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static int scope_flag(dxi_futex_scope scope)
{
	return scope == DXI_FUTEX_PRIVATE ? FUTEX_PRIVATE_FLAG : 0;
}

bool dxi_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns,
                    dxi_futex_scope scope)
{
	struct timespec deadline = dxi_timespec(deadline_ns < 0 ? 0 : deadline_ns);
	long rc;

	/* WAIT_BITSET, because its time-out is absolute (and CLOCK_MONOTONIC). */
	rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | scope_flag(scope), expected,
	             deadline_ns == DXH_FOREVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
	return !(rc == -1 && errno == ETIMEDOUT);
}

#ifdef SYS_futex_waitv
bool dxi_futex_wait_many(const dxi_futex_word *words, size_t count, int64_t deadline_ns)
{
	struct timespec deadline = dxi_timespec(deadline_ns < 0 ? 0 : deadline_ns);
	struct futex_waitv waiters[DXI_FUTEX_MANY_MAX];
	long rc;

	for (size_t i = 0; i < count; i++)
		waiters[i] = (struct futex_waitv){
			.uaddr = (uintptr_t)words[i].word,
			.val = words[i].expected,
			.flags = FUTEX_32 | (uint32_t)scope_flag(words[i].scope),
		};
	rc = syscall(SYS_futex_waitv, waiters, count, 0,
	             deadline_ns == DXH_FOREVER ? NULL : &deadline, CLOCK_MONOTONIC);
	return rc != -1 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT;
}
#else
bool dxi_futex_wait_many(const dxi_futex_word *words, size_t count, int64_t deadline_ns)
{
	(void)words;
	(void)count;
	(void)deadline_ns;
	return false;
}
#endif

int dxi_futex_wake(const _Atomic uint32_t *word, int count, dxi_futex_scope scope)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE | scope_flag(scope), count, NULL, NULL, 0);

	return woken > 0 ? (int)woken : 0;
}
