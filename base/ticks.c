/* SPDX-License-Identifier: MIT */
/* The counter is as good as the clock where the kernel has made it its clock: it runs at one
 * speed, and is the same on all processors.
 */
#include "base/ticks.h"

#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool steady;

static void look(void)
{
	static const char source[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	int fd = open(source, O_RDONLY | O_CLOEXEC);
	char name[4] = "";

	if (fd == -1)
		return;
	steady = read(fd, name, sizeof name) == 4 && memcmp(name, "tsc\n", 4) == 0;
	close(fd);
}

dxi_ticks_base dxi_ticks_begin(void)
{
	dxi_ticks_base base;

	pthread_once(&once, look);
	/* In this order, and in the other one below: held up in between, the counter seems
	 * slower than it is, and never faster. */
	base.ns = dxh_now_ns();
	base.ticks = steady ? dxi_ticks_now() : 0;
	return base;
}

/* Without branches: the way through a publish does not depend on when it is gone, which keeps
 * those that are killed at its n-th instruction (tests/kill) together. */
uint64_t dxi_ticks_at(const dxi_ticks_base *base, int64_t when_ns)
{
	uint64_t ticks = dxi_ticks_now();
	int64_t now_ns = dxh_now_ns(), since_ns = now_ns - base->ns;
	uint64_t is_known =
		(base->ticks != 0) & (since_ns >= DXI_NS_PER_MS) & (ticks > base->ticks);
	int64_t ahead_ns = (when_ns - now_ns) * (when_ns > now_ns);
	double speed = (double)(int64_t)((ticks - base->ticks) * is_known) / (double)(since_ns | 1);

	return (ticks + (uint64_t)(int64_t)((double)ahead_ns * speed)) * is_known;
}
