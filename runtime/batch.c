/* SPDX-License-Identifier: MIT */
/* Packing notifications without a lock: each frame has one writer at a time, and
 * writer and I/O thread agree by one word. */
#include "runtime/batch.h"

#include "base/futex.h"
#include "base/status.h"
#include "runtime/hub.h"

#include <assert.h>
#include <stdlib.h>

#define CLOSED ((uint64_t)1 << 31)
#define WRITING ((uint64_t)1 << 30)
#define FILLED ((uint64_t)1 << 29)
enum {
	UNIT_BYTES = 8,
	UNITS_MASK = 0x7fff,
	RECORDS_SHIFT = 15,
	RECORDS_MASK = 0x3fff,
	OPEN_FRAMES = 8,
	TELL_PART = 4, /* waiting posters are woken when this part of the frames is free */
	SMALLEST_RECORD = DXI_RECORD_HEADER_BYTES + 8 /* a subject of one byte */
};
static_assert(DXI_FRAME_BYTES_MAX / DXI_RECORD_HEADER_BYTES <= RECORDS_MASK, "so do its records");
static_assert(DXI_FRAME_BYTES_MAX / UNIT_BYTES <= UNITS_MASK, "a frame's length fits in the word");

/* The frames this thread has open, by peer. A peer that finds its place taken by
 * another just opens a new frame: the old one is under way already. Ids are never
 * used again, so an entry of a closed peer matches nobody. */
static _Thread_local struct {
	uint64_t peer_id;
	dxi_batch *batch;
	uint32_t generation;
} open_batches[OPEN_FRAMES];

static uint64_t word_of(uint32_t generation, uint32_t records, size_t bytes)
{
	return (uint64_t)generation << 32 | (uint64_t)records << RECORDS_SHIFT | bytes / UNIT_BYTES;
}

static uint32_t generation_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static size_t bytes_of(uint64_t word)
{
	return (word & UNITS_MASK) * UNIT_BYTES;
}

dxh_status
dxi_batches_init(dxi_batches *batches, struct dxh_peer *peer, uint32_t count, uint32_t frame_bytes)
{
	*batches = (dxi_batches){.count = count,
	                         .frame_bytes = frame_bytes,
	                         .close_bytes = frame_bytes,
	                         .close_records = RECORDS_MASK,
	                         .peer = peer};
	batches->batches = calloc(count, sizeof(dxi_batch));
	return batches->batches ? DXH_OK : dxi_fail(DXH_ENOMEM, "no memory for %u frames", count);
}

void dxi_batches_fini(dxi_batches *batches)
{
	uint32_t made = atomic_load_explicit(&batches->made, memory_order_acquire);

	for (uint32_t i = 0; i < made && i < batches->count; i++)
		free(batches->batches[i].bytes);
	free(batches->batches);
}

static void push_free(dxi_batches *batches, dxi_batch *batch)
{
	uint64_t head = atomic_load_explicit(&batches->free, memory_order_relaxed);

	do
		atomic_store_explicit(&batch->next_free, (uint32_t)head, memory_order_relaxed);
	/* release: publishes the new generation to pop_free(). The tag counts up. */
	while (!atomic_compare_exchange_weak_explicit(&batches->free, &head,
	                                              ((head >> 32) + 1) << 32 | (batch->index + 1),
	                                              memory_order_release, memory_order_relaxed));
}

static dxi_batch *pop_free(dxi_batches *batches)
{
	uint64_t head = atomic_load_explicit(&batches->free, memory_order_acquire);
	dxi_batch *batch;

	do {
		if ((uint32_t)head == 0)
			return NULL;
		batch = &batches->batches[(uint32_t)head - 1];
	} while (!atomic_compare_exchange_weak_explicit(
		&batches->free, &head,
		((head >> 32) + 1) << 32 |
			atomic_load_explicit(&batch->next_free, memory_order_relaxed),
		memory_order_acquire, memory_order_acquire));
	return batch;
}

static dxi_batch *make(dxi_batches *batches)
{
	uint32_t index = atomic_load_explicit(&batches->made, memory_order_relaxed);
	dxi_batch *batch;

	do
		if (index >= batches->count)
			return NULL;
	while (!atomic_compare_exchange_weak_explicit(&batches->made, &index, index + 1,
	                                              memory_order_acq_rel, memory_order_relaxed));
	batch = &batches->batches[index];
	batch->index = index;
	batch->peer = batches->peer;
	batch->task.kind = DXI_TASK_BATCH;
	batch->bytes = malloc(batches->frame_bytes);
	/* Without memory this one place is lost; the peer has one frame fewer. */
	return batch->bytes ? batch : NULL;
}

static uint32_t records_of(uint64_t word)
{
	return (uint32_t)(word >> RECORDS_SHIFT) & RECORDS_MASK;
}

static bool has_room(const dxi_batches *batches, uint64_t word, size_t record_bytes)
{
	return bytes_of(word) + record_bytes <= batches->close_bytes &&
	       records_of(word) < batches->close_records;
}

/* Tell the I/O thread that its writer is done with it. */
static bool mark_filled(dxi_batch *batch, uint64_t word)
{
	/* It fails only when the I/O thread has closed it: then it knows. */
	return atomic_compare_exchange_strong_explicit(&batch->word, &word, word | FILLED,
	                                               memory_order_release, memory_order_relaxed);
}

/* Claim this thread's open frame for a record of so many bytes; NULL: there is
 * none, or it is closed, or full. */
static dxi_batch *claim_open(const dxi_batches *batches, uint64_t peer_id, size_t record_bytes,
                             uint64_t *word, bool *filled)
{
	dxi_batch *batch = open_batches[peer_id % OPEN_FRAMES].batch;
	uint32_t generation = open_batches[peer_id % OPEN_FRAMES].generation;

	if (open_batches[peer_id % OPEN_FRAMES].peer_id != peer_id)
		return NULL;
	*word = atomic_load_explicit(&batch->word, memory_order_relaxed);
	do {
		if (generation_of(*word) != generation || (*word & (CLOSED | FILLED)))
			return NULL;
		if (!has_room(batches, *word, record_bytes)) {
			*filled = batches->linger && mark_filled(batch, *word);
			return NULL;
		}
	}
	/* acquire: what the I/O thread did before it gave the frame out is over. */
	while (!atomic_compare_exchange_weak_explicit(&batch->word, word, *word | WRITING,
	                                              memory_order_acquire, memory_order_relaxed));
	return batch;
}

dxi_batch *dxi_batches_reserve(dxi_batches *batches)
{
	dxi_batch *batch = pop_free(batches);

	return batch ? batch : make(batches);
}

static dxi_appended open_new(dxi_batches *batches, uint64_t peer_id, const dxi_record *record,
                             size_t record_bytes, dxi_batch **pushed)
{
	dxi_batch *batch = *pushed ? *pushed : dxi_batches_reserve(batches);
	uint32_t generation;

	if (!batch)
		return DXI_APPEND_FULL;
	if (batches->linger)
		batch->opened_ns = dxh_now_ns();
	generation = generation_of(atomic_load_explicit(&batch->word, memory_order_relaxed));
	dxi_record_encode(batch->bytes + DXI_FRAME_HEADER_BYTES, record);
	/* relaxed: the push on the queue publishes it. */
	atomic_store_explicit(&batch->word,
	                      word_of(generation, 1, DXI_FRAME_HEADER_BYTES + record_bytes),
	                      memory_order_relaxed);
	open_batches[peer_id % OPEN_FRAMES].peer_id = peer_id;
	open_batches[peer_id % OPEN_FRAMES].batch = batch;
	open_batches[peer_id % OPEN_FRAMES].generation = generation;
	*pushed = batch;
	return DXI_APPENDED_TO_NEW;
}

dxi_appended dxi_batches_append(dxi_batches *batches, uint64_t peer_id, const dxi_record *record,
                                dxi_batch **pushed, bool *filled)
{
	size_t record_bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
	dxi_batch *batch;
	uint64_t word, more = word_of(0, 1, record_bytes);

	*filled = false;
	batch = *pushed ? NULL : claim_open(batches, peer_id, record_bytes, &word, filled);
	if (!batch)
		return open_new(batches, peer_id, record, record_bytes, pushed);
	dxi_record_encode(batch->bytes + bytes_of(word), record);
	/* One more record, so many bytes more, WRITING gone: no field carries into
	 * the next. release: publishes the record to dxi_batch_close(). */
	if (batches->linger && !has_room(batches, word + more, SMALLEST_RECORD)) {
		more += FILLED;
		*filled = true;
	}
	word = atomic_fetch_add_explicit(&batch->word, more - WRITING, memory_order_acq_rel);
	if (!(word & CLOSED))
		return DXI_APPENDED;
	/* The I/O thread came by and let go of the frame: it is ours to hand over. */
	*pushed = batch;
	return DXI_APPENDED_TO_NEW;
}

bool dxi_batch_is_filled(const dxi_batch *batch)
{
	/* relaxed: it is closed before anything of it is read. */
	return (atomic_load_explicit(&batch->word, memory_order_relaxed) & (FILLED | CLOSED)) != 0;
}

bool dxi_batch_close(dxi_batch *batch, size_t *bytes, uint32_t *records)
{
	/* acquire: pairs with the release in append(). */
	uint64_t word = atomic_fetch_or_explicit(&batch->word, CLOSED, memory_order_acq_rel);

	if (word & WRITING)
		return false;
	*bytes = bytes_of(word);
	*records = records_of(word);
	dxi_frame_header(batch->bytes, *records, (uint32_t)*bytes);
	return true;
}

void dxi_batch_recycle(dxi_batches *batches, dxi_batch *batch)
{
	uint64_t word = atomic_load_explicit(&batch->word, memory_order_relaxed);

	/* CLOSED until it is opened again. The release in push_free() publishes it;
	 * a writer that still holds the old generation only compares it. */
	atomic_store_explicit(&batch->word, word_of(generation_of(word) + 1, 0, 0) | CLOSED,
	                      memory_order_relaxed);
	if (batches->wanted) {
		batches->wanted->frame = batch;
		batches->wanted = batches->wanted->next;
		return;
	}
	push_free(batches, batch);
	batches->untold++;
}

void dxi_batches_tell(dxi_batches *batches, bool all)
{
	uint32_t untold = batches->untold;

	/* Posters that are faster than the network would be woken for every frame, and
	 * sleep again after it. */
	if (untold == 0 || (!all && untold < batches->count / TELL_PART))
		return;
	batches->untold = 0;
	atomic_fetch_add(&batches->freed, untold);
	/* A frame wakes one: whoever takes it before that one has a use for it. */
	if (atomic_load(&batches->waiters) > 0)
		dxi_futex_wake(&batches->freed, (int)untold, DXI_FUTEX_PRIVATE);
}

bool dxi_batches_wait(dxi_batches *batches, uint32_t freed, int64_t deadline_ns)
{
	bool in_time;

	atomic_fetch_add(&batches->waiters, 1);
	in_time = dxi_futex_wait(&batches->freed, freed, deadline_ns, DXI_FUTEX_PRIVATE);
	atomic_fetch_sub(&batches->waiters, 1);
	return in_time;
}
