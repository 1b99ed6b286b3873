/* SPDX-License-Identifier: MIT */
/* Where the kernel tells these numbers, and what stands there when it does not:
 * zeros, because nothing depends on them.
 */
#include "shm/identity.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void dxi_new_uuid(uint8_t uuid[16])
{
	/* So few bytes come whole once the kernel has any; without, the time
	 * and the process still tell blocks apart. */
	if (getrandom(uuid, 16, 0) != 16) {
		int64_t now = dxh_now_ns();
		int64_t pid = getpid();

		memcpy(uuid, &now, 8);
		memcpy(uuid + 8, &pid, 8);
	}
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static size_t read_text(const char *path, char *text, size_t capacity)
{
	FILE *file = fopen(path, "re");
	size_t length = 0;

	if (file) {
		length = fread(text, 1, capacity - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return length;
}

/* Field 22, counted behind the command's ')', which may hold anything. */
static uint64_t start_ticks(void)
{
	enum { FIELDS_BETWEEN = 20 };
	char text[1024];
	char *at;

	read_text("/proc/self/stat", text, sizeof text);
	at = strrchr(text, ')');
	for (int i = 0; at && i < FIELDS_BETWEEN; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

void dxi_boot_id(uint64_t id[2])
{
	char text[64], digits[33];
	size_t used = 0;

	read_text("/proc/sys/kernel/random/boot_id", text, sizeof text);
	for (const char *c = text; *c && used < 32; c++)
		if (strchr("0123456789abcdef", *c))
			digits[used++] = *c;
	digits[used] = '\0';
	id[0] = id[1] = 0;
	if (used == 32) {
		id[1] = strtoull(digits + 16, NULL, 16);
		digits[16] = '\0';
		id[0] = strtoull(digits, NULL, 16);
	}
}

void dxi_identity_write(struct dxi_layout_producer *producer)
{
	uint64_t boot[2];

	dxi_boot_id(boot);
	/* relaxed: shown to humans, nothing is decided by it. */
	atomic_store_explicit(&producer->pid, (uint32_t)getpid(), memory_order_relaxed);
	atomic_store_explicit(&producer->start_ticks, start_ticks(), memory_order_relaxed);
	atomic_store_explicit(&producer->boot_id[0], boot[0], memory_order_relaxed);
	atomic_store_explicit(&producer->boot_id[1], boot[1], memory_order_relaxed);
}

int64_t dxi_clock_offset_ns(void)
{
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	return real.tv_sec * DXI_NS_PER_S + real.tv_nsec - dxh_now_ns();
}
