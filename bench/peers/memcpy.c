/* SPDX-License-Identifier: MIT */
/* memcpy into slots that lie as those of our ring do: the least that publishing can cost,
 * and with nobody told, nothing proved. */
#include "bench/block.h"
#include "bench/peers/peers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 64 };

typedef struct plain {
	unsigned char *slots, *payload;
	size_t stride;
	uint64_t count, written;
} plain;

static void write_one(bench_round *round, void *context, uint64_t i)
{
	plain *own = context;
	unsigned char *slot = own->slots + (own->written & (own->count - 1)) * own->stride;

	(void)i;
	bench_payload_mark(own->payload, round->load.bytes, own->written++);
	memcpy(slot + HEADER, own->payload, round->load.bytes);
	__asm__ volatile("" ::: "memory"); /* the copy is wanted */
}

void bench_memcpy(bench_round *round)
{
	size_t bytes = round->load.bytes;
	plain own = {.stride = bytes + HEADER,
	             .count = round->load.count ? round->load.count : bench_slots_for(bytes),
	             .payload = malloc(bytes)};

	/* Shared memory like ours, touched once. */
	own.slots = mmap(NULL, own.count * own.stride, PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bench_check(round, own.payload && own.slots != MAP_FAILED, "memory");
	bench_payload_init(own.payload, bytes);
	bench_mean(round, 16, write_one, &own);
	for (uint64_t i = 0; i < own.count && i < own.written; i++)
		bench_check(round,
		            bench_payload_is(own.slots +
		                                     ((own.written - 1 - i) & (own.count - 1)) *
		                                             own.stride +
		                                     HEADER,
		                             bytes, own.written - 1 - i),
		            "slot");
	munmap(own.slots, own.count * own.stride);
	free(own.payload);
}
