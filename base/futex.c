/* SPDX-License-Identifier: MIT */
/* Futex waits with an absolute deadline, for private and for shared words. */
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

int dxi_futex_wake(const _Atomic uint32_t *word, int count, dxi_futex_scope scope)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE | scope_flag(scope), count, NULL, NULL, 0);

	return woken > 0 ? (int)woken : 0;
}
