/* SPDX-License-Identifier: MIT */
/* A bare ring for one writer and one reader in memory that both inherit: the least that
 * moves bytes, with no name, no recovery, no second reader. Looked at all the time, or
 * with a futex where there is nothing to do. */
#include "bench/block.h"
#include "bench/peers/peers.h"

#include <linux/futex.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*   field             written by  read by  order
 *   written           writer      reader   release / acquire, publishes the slots
 *   read              reader      writer   release / acquire, gives slots back
 *   reader_sleeps     reader      writer   seq_cst with `written`: a Dekker pair
 *   writer_sleeps     writer      reader   seq_cst with `read` */
typedef struct ring {
	alignas(128) _Atomic uint64_t written;
	uint64_t read_seen; /* the writer's; saves it the reader's line while there is room */
	alignas(128) _Atomic uint64_t read;
	uint64_t written_seen; /* the reader's */
	alignas(128) _Atomic uint32_t reader_sleeps;
	alignas(128) _Atomic uint32_t writer_sleeps;
	alignas(128) unsigned char slots[];
} ring;

static size_t slots_of(const bench_way *way)
{
	return bench_slots_for(way->round->load.bytes);
}

static size_t bytes_of(const bench_way *way)
{
	return sizeof(ring) + slots_of(way) * way->round->load.bytes;
}

static void make(bench_way *way)
{
	way->own = mmap(NULL, bytes_of(way), PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bench_check(way->round, way->own != MAP_FAILED, "memory");
}

static void open_way(bench_way *way)
{
	(void)way;
}

static unsigned char *slot(const bench_way *way, uint64_t number)
{
	ring *own = way->own;

	/* Powers of two, all of them. */
	return own->slots + (number & (slots_of(way) - 1)) * way->round->load.bytes;
}

/* ---- looking all the time ------------------------------------------------------------ */

static void send(bench_way *way, const void *payload)
{
	ring *own = way->own;
	uint64_t next = atomic_load_explicit(&own->written, memory_order_relaxed);

	while (next - own->read_seen == slots_of(way)) {
		own->read_seen = atomic_load_explicit(&own->read, memory_order_acquire);
		bench_pause();
	}
	memcpy(slot(way, next), payload, way->round->load.bytes);
	atomic_store_explicit(&own->written, next + 1, memory_order_release);
}

static void receive(bench_way *way, void *payload)
{
	ring *own = way->own;
	uint64_t next = atomic_load_explicit(&own->read, memory_order_relaxed);

	while (own->written_seen == next) {
		own->written_seen = atomic_load_explicit(&own->written, memory_order_acquire);
		bench_pause();
	}
	memcpy(payload, slot(way, next), way->round->load.bytes);
	atomic_store_explicit(&own->read, next + 1, memory_order_release);
}

/* ---- with a futex ----------------------------------------------------------------------- */

static void sleep_on(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word)
{
	if (atomic_load(word) == 0)
		return;
	atomic_store(word, 0);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void send_blocking(bench_way *way, const void *payload)
{
	ring *own = way->own;
	uint64_t next = atomic_load_explicit(&own->written, memory_order_relaxed);

	while (next - atomic_load(&own->read) == slots_of(way)) {
		atomic_store(&own->writer_sleeps, 1);
		if (next - atomic_load(&own->read) == slots_of(way))
			sleep_on(&own->writer_sleeps);
	}
	memcpy(slot(way, next), payload, way->round->load.bytes);
	atomic_store(&own->written, next + 1);
	wake(&own->reader_sleeps);
}

static void receive_blocking(bench_way *way, void *payload)
{
	ring *own = way->own;
	uint64_t next = atomic_load_explicit(&own->read, memory_order_relaxed);

	while (atomic_load(&own->written) == next) {
		atomic_store(&own->reader_sleeps, 1);
		if (atomic_load(&own->written) == next)
			sleep_on(&own->reader_sleeps);
	}
	memcpy(payload, slot(way, next), way->round->load.bytes);
	atomic_store(&own->read, next + 1);
	wake(&own->writer_sleeps);
}

static const bench_transport spinning = {
	.make = make, .open = open_way, .send = send, .receive = receive};
static const bench_transport sleeping = {
	.make = make, .open = open_way, .send = send_blocking, .receive = receive_blocking};

void bench_ring_latency(bench_round *round)
{
	bench_way_latency(round, &spinning, false);
}

void bench_ring_futex_latency(bench_round *round)
{
	bench_way_latency(round, &sleeping, true);
}

void bench_ring_rate(bench_round *round)
{
	bench_way_rate(round, &spinning, false);
}
