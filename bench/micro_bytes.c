/* SPDX-License-Identifier: MIT */
/* Bytes, from inside: records encoded and decoded, slots published and read, copies,
 * checksums, schemas, attaching. */
#include "bench/block.h"

#include "runtime/wire.h"
#include "shm/checksum.h"
#include "shm/copy.h"
#include "shm/schema.h"
#include "shm/slot.h"

#include <stdlib.h>
#include <string.h>

/* ---- the wire -------------------------------------------------------------------------- */

enum { FRAME_BYTES = 16384 };

typedef struct frame {
	unsigned char bytes[FRAME_BYTES];
	unsigned char payload[64];
	size_t used;
	uint32_t records;
} frame;

static dxi_record record_of(const frame *own, uint64_t id)
{
	return (dxi_record){.kind = DXI_REQUEST,
	                    .subject = "echo",
	                    .subject_bytes = 4,
	                    .id = id,
	                    .budget_us = 1000,
	                    .body = own->payload,
	                    .body_bytes = sizeof own->payload};
}

static uint64_t fill(frame *own)
{
	dxi_frame_writer writer = dxi_frame_begin(own->bytes, sizeof own->bytes);
	dxi_record record = record_of(own, 0);

	while (dxi_frame_append(&writer, &record))
		record.id++;
	own->used = dxi_frame_end(&writer);
	return record.id;
}

static void encode(bench_round *round)
{
	int64_t begin_ns;
	static frame own;
	uint64_t records = 0;

	bench_payload_init(own.payload, sizeof own.payload);
	bench_start(round);
	begin_ns = bench_thread_cpu_ns();
	while (bench_goes_on(round, records))
		records += fill(&own);
	begin_ns = bench_thread_cpu_ns() - begin_ns;
	bench_stop(round, records);
	round->elapsed_ns = begin_ns;
}

static uint64_t empty(bench_round *round, const frame *own)
{
	dxi_frame_reader reader;
	dxi_record record;
	uint64_t records = 0;

	bench_must(round, dxi_frame_open(&reader, own->bytes, own->used), "frame");
	while (dxi_frame_next(&reader, &record) == DXH_OK)
		bench_check(round, record.id == records++, "record");
	return records;
}

static void decode(bench_round *round)
{
	uint64_t records = 0, each;
	int64_t begin_ns;
	static frame own;

	bench_payload_init(own.payload, sizeof own.payload);
	each = fill(&own);
	bench_start(round);
	begin_ns = bench_thread_cpu_ns();
	while (bench_goes_on(round, records))
		records += empty(round, &own);
	begin_ns = bench_thread_cpu_ns() - begin_ns;
	bench_stop(round, records);
	round->elapsed_ns = begin_ns;
	bench_check(round, records % each == 0, "records");
}

void bench_workload_micro_wire(bench *found)
{
	const bench_load load = {.threads = 1, .bytes = 64};

	bench_block(found, BENCH_MEAN, "wire: a request of 64 B in frames of 16 KiB");
	bench_side(found, "encode", encode, &load);
	bench_side(found, "check and decode", decode, &load);
	bench_block_run(found);
}

/* ---- slots and copies -------------------------------------------------------------------- */

typedef struct bytes {
	dxi_ring ring;
	unsigned char *payload, *shared, *copy;
	dxi_checksum checksum;
	uint64_t ticket;
} bytes;

static unsigned char *room(bench_round *round, size_t count)
{
	unsigned char *memory = aligned_alloc(64, (count + 63) / 64 * 64);

	bench_check(round, memory != NULL, "memory");
	memset(memory, 0, count);
	return memory;
}

static void open_bytes(bench_round *round, bytes *own)
{
	size_t capacity = (round->load.bytes + 63) / 64 * 64, stride = capacity + 64;
	uint32_t slots = bench_slots_for(round->load.bytes);

	*own = (bytes){.payload = room(round, capacity), .copy = room(round, capacity)};
	own->ring = (dxi_ring){.slots = room(round, slots * stride),
	                       .stride_bytes = stride,
	                       .slot_bytes = capacity,
	                       .kept = slots - 2,
	                       .physical = slots};
	own->shared = own->ring.slots;
	own->checksum.kind = (uint8_t)round->load.variant;
	bench_payload_init(own->payload, round->load.bytes);
}

static void close_bytes(bytes *own)
{
	free(own->payload);
	free(own->copy);
	free(own->ring.slots);
}

static void publish_slot(bench_round *round, void *context, uint64_t ticket)
{
	bytes *own = context;

	bench_payload_mark(own->payload, round->load.bytes, ticket);
	dxi_copy_item_in(dxi_slot_begin(&own->ring, dxi_slot_at(&own->ring, ticket), ticket),
	                 own->payload, round->load.bytes);
	dxi_slot_commit(&own->ring, dxi_slot_at(&own->ring, ticket), ticket, round->load.bytes, 0,
	                1, NULL);
}

static void read_slot(bench_round *round, void *context, uint64_t i)
{
	bytes *own = context;
	dxi_slot_content content;

	bench_check(round,
	            dxi_slot_read(&own->ring, dxi_slot_at(&own->ring, i), i % own->ring.physical,
	                          own->copy, round->load.bytes, &content) == DXI_SLOT_IS_WHOLE,
	            "slot");
}

static void copy_in(bench_round *round, void *context, uint64_t i)
{
	bytes *own = context;

	(void)i;
	dxi_copy_item_in(own->shared, own->payload, round->load.bytes);
}

static void copy_out(bench_round *round, void *context, uint64_t i)
{
	bytes *own = context;

	(void)i;
	dxi_copy_item_out(own->copy, own->shared, round->load.bytes);
}

static void copy_plain(bench_round *round, void *context, uint64_t i)
{
	bytes *own = context;

	(void)i;
	memcpy(own->copy, own->payload, round->load.bytes);
	__asm__ volatile("" ::: "memory"); /* the copy is wanted */
}

static void sum(bench_round *round, void *context, uint64_t i)
{
	uint64_t words[DXI_CHECKSUM_WORDS];
	bytes *own = context;

	dxi_checksum_of(&own->checksum, i, own->payload, round->load.bytes, words);
	bench_check(round, words[0] != 0, "sum");
}

static void
run_bytes(bench_round *round, void (*call)(bench_round *round, void *context, uint64_t i))
{
	bytes own;

	open_bytes(round, &own);
	for (uint32_t i = 0; i < own.ring.physical; i++)
		publish_slot(round, &own, i);
	bench_mean(round, 16, call, &own);
	close_bytes(&own);
}

static void slot_publish(bench_round *round)
{
	run_bytes(round, publish_slot);
}

static void slot_read(bench_round *round)
{
	run_bytes(round, read_slot);
}

static void in(bench_round *round)
{
	run_bytes(round, copy_in);
}

static void out(bench_round *round)
{
	run_bytes(round, copy_out);
}

static void plain(bench_round *round)
{
	run_bytes(round, copy_plain);
}

static void checksum(bench_round *round)
{
	run_bytes(round, sum);
}

static const size_t sizes[] = {64, 256, 1024, 4096, 65536, 1 << 20};

enum { SIZES = sizeof sizes / sizeof *sizes };

void bench_workload_micro_slot(bench *found)
{
	bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "slot: published and read, by bytes");
	bench_axis(found, "bytes");
	for (int i = 0; i < SIZES; i++) {
		load.bytes = sizes[i];
		bench_point(found, "publish", (double)sizes[i], slot_publish, &load);
		bench_point(found, "read", (double)sizes[i], slot_read, &load);
	}
	bench_block_run(found);
}

void bench_workload_micro_copy(bench *found)
{
	bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "copies in the cache, by bytes");
	bench_axis(found, "bytes");
	for (int i = 0; i < SIZES; i++) {
		load.bytes = sizes[i];
		bench_point(found, "into shared memory", (double)sizes[i], in, &load);
		bench_point(found, "out of shared memory", (double)sizes[i], out, &load);
		bench_point(found, "memcpy", (double)sizes[i], plain, &load);
	}
	bench_block_run(found);
}

void bench_workload_micro_checksum(bench *found)
{
	static const char *const names[] = {NULL, "XXH3", "CRC-32C", "BLAKE2b"};
	bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "checksums in the cache, by bytes");
	bench_axis(found, "bytes");
	for (int i = 0; i < SIZES; i++)
		for (int kind = DXI_CHECKSUM_XXH3; kind <= DXI_CHECKSUM_BLAKE2B; kind++) {
			load.bytes = sizes[i];
			load.variant = kind;
			bench_point(found, names[kind], (double)sizes[i], checksum, &load);
		}
	bench_block_run(found);
}

/* ---- schemas and attaching ------------------------------------------------------------------ */

struct reading {
	double temperature, pressure;
	int64_t taken_ns;
	uint32_t sensor, flags;
	float samples[16];
};
DXH_SCHEMA(reading, DXH_FIELD(temperature, "of the probe", "K"), DXH_FIELD(pressure),
           DXH_FIELD(taken_ns), DXH_FIELD(sensor), DXH_FIELD(flags), DXH_FIELD(samples));

static const dxh_block_config described = {.zones = {DXH_ZONE(reading)},
                                           .slot = DXH_SLOT(reading),
                                           .slot_count = 64,
                                           .unlink_on_close = 1};

typedef struct written {
	unsigned char *bytes;
	size_t length;
} written;

static void parse(bench_round *round, void *context, uint64_t i)
{
	const written *own = context;
	dxi_schema schema;

	(void)i;
	bench_must(round, dxi_schema_parse(own->bytes, own->length, 0, &schema), "schema");
	dxi_schema_fini(&schema);
}

static void schema_parse(bench_round *round)
{
	written own;

	bench_must(round, dxi_schema_write("bench", &described, &own.bytes, &own.length), "schema");
	bench_mean(round, 4, parse, &own);
	free(own.bytes);
}

static void attach(bench_round *round, void *context, uint64_t i)
{
	dxh_consumer *consumer;

	(void)context, (void)i;
	bench_must(round, dxh_consumer_open(round->name, NULL, &consumer), "attach");
	bench_must(round, dxh_consumer_close(&consumer), "close");
}

static void attach_again(bench_round *round)
{
	dxh_producer *producer;

	bench_must(round, dxh_producer_open(round->name, &described, &producer), "block");
	bench_mean(round, 4, attach, NULL);
	bench_must(round, dxh_producer_close(&producer), "close");
}

void bench_workload_micro_attach(bench *found)
{
	const bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "schema of two structs with six members; attaching");
	bench_side(found, "schema parsed", schema_parse, &load);
	bench_side(found, "attached and closed", attach_again, &load);
	bench_block_run(found);
}
