/* SPDX-License-Identifier: MIT */
/* One victim and its witness for each thing that is done to a block. */
#include "tests/kill/scenarios.h"
#include "tests/kill/repairs.h"
#include "tests/kill/witness.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/identity.h"
#include "shm/producer.h"
#include "shm/takeover.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) void scenario_begin(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void scenario_end(void)
{
	__asm__ volatile("nop" ::: "memory");
}

/* ---- witnesses that several need ---- */

static dxh_consumer *reader, *other;
static dxh_producer *living;

static dxh_producer *producer_in_use(dxh_block_config config)
{
	dxh_producer *producer = open_producer(config);

	for (uint64_t ticket = 0; ticket < FIRST; ticket++)
		publish(producer, ticket, VICTIM);
	return producer;
}

static void attend_with_reader(void)
{
	reader = open_reader(DXH_FOLLOW, DXH_START_OLDEST);
	drain(reader, false);
}

/* Where head is behind, the oldest that it promises may be gone. */
static void attend_from_head(void)
{
	reader = open_reader(DXH_FOLLOW, DXH_START_NEXT);
	drain(reader, false);
}

static void check_one_behind(void)
{
	succession(reader, 1, 1, 1);
}

void predecessor(void (*act)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		act();
		kill(getpid(), SIGKILL);
	}
	expect(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status),
	       "the predecessor did not do its part");
}

/* ---- one ticket ---- */

static void victim_publish(void)
{
	dxh_producer *producer = producer_in_use(usual_config());
	struct item item = item_of(FIRST, VICTIM);

	scenario_begin();
	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	scenario_end();
}

static void victim_write(void)
{
	dxh_producer *producer = producer_in_use(usual_config());
	struct item item = item_of(FIRST, VICTIM);
	dxh_write_slot slot;

	scenario_begin();
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memcpy(slot.data, &item, sizeof item);
	must(dxh_write_commit(&slot, sizeof item));
	scenario_end();
}

static void victim_abort(void)
{
	dxh_producer *producer = producer_in_use(usual_config());
	struct item item = item_of(FIRST, VICTIM);
	dxh_write_slot slot;

	scenario_begin();
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memcpy(slot.data, &item, sizeof item / 2);
	must(dxh_write_abort(&slot));
	scenario_end();
}

static void victim_bulk(void)
{
	dxh_producer *producer = producer_in_use(usual_config());
	struct item items[BULK];
	dxh_publish_item all[BULK];
	size_t published;

	for (uint64_t i = 0; i < BULK; i++) {
		items[i] = item_of(FIRST + i, VICTIM);
		all[i] = (dxh_publish_item){&items[i], sizeof items[i]};
	}
	scenario_begin();
	must(dxh_publish_n(producer, all, BULK, DXH_NOW, &published));
	scenario_end();
}

static void check_bulk(void)
{
	succession(reader, 1, 1, BULK);
}

static void victim_close(void)
{
	dxh_producer *producer = producer_in_use(usual_config());

	scenario_begin();
	must(dxh_producer_close(&producer));
	scenario_end();
}

/* ---- a latch ---- */

static void write_state(dxh_producer *producer, uint64_t version)
{
	struct state state = state_of(version);
	void *data;

	must(dxh_latch_begin(producer, "state", sizeof state, &data));
	memcpy(data, &state, sizeof state);
	must(dxh_latch_commit(producer, "state"));
}

static uint64_t read_state(void)
{
	struct state state;

	must(dxh_latch_read(reader, "state", &state, sizeof state));
	return version_of(&state);
}

static void victim_latch(void)
{
	dxh_producer *producer = producer_in_use(usual_config());

	write_state(producer, 1);
	scenario_begin();
	write_state(producer, 2);
	scenario_end();
}

static void check_latch(void)
{
	uint64_t found = read_state();
	dxh_producer *successor;
	void *data;

	expect(found == 1 || found == 2, "version %" PRIu64 " was never written", found);
	successor = open_producer(usual_config());
	must(dxh_latch_begin(successor, "state", sizeof(struct state), &data));
	expect(version_of(data) == found, "the successor begins with another value");
	expect(read_state() == found, "a begin changed what is read");
	must(dxh_latch_commit(successor, "state"));
	expect(read_state() == found, "a commit of the same is not the same");
	write_state(successor, 3);
	expect(read_state() == 3, "what the successor wrote is not read");
	must(dxh_producer_close(&successor));
	succession(reader, 2, 2, 0);
}

/* ---- rows: the writer lives ---- */

static void before_living(void)
{
	living = producer_in_use(usual_config());
}

static void attend_waited_for(void)
{
	other = open_reader(DXH_LOSSLESS, DXH_START_NEXT);
	/* As if the writer slept, so that the victim wakes it. */
	atomic_store(&dxi_block_header(&living->block)->held, 1);
}

static void victim_claim(void)
{
	dxh_consumer *claimed = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);

	(void)claimed;
	scenario_end();
}

static void victim_read(void)
{
	dxh_consumer *mine = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	struct item item;
	dxh_item info;

	scenario_begin();
	must(dxh_read_next(mine, &item, sizeof item, DXH_NOW, &info));
	scenario_end();
}

static void victim_borrow(void)
{
	dxh_consumer *mine = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	dxh_peek peek;

	scenario_begin();
	must(dxh_peek_begin(mine, DXH_NOW, &peek));
	must(dxh_peek_end(&peek));
	scenario_end();
}

static void victim_leave(void)
{
	dxh_consumer *mine = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);

	scenario_begin();
	must(dxh_consumer_close(&mine));
	scenario_end();
}

/* The dead one holds nobody back, and its row is free. The other one, who lives,
 * still does, and misses nothing. */
static void check_rows(void)
{
	struct item item = item_of(FIRST + KEPT, SUCCESSOR);
	dxh_consumer *heir;

	for (uint64_t ticket = FIRST; ticket < FIRST + KEPT; ticket++)
		publish(living, ticket, SUCCESSOR);
	expect(dxh_publish(living, &item, sizeof item, DXH_NOW) == DXH_EWAIT,
	       "a living reader does not hold the writer back");
	for (uint64_t ticket = FIRST; ticket < FIRST + KEPT; ticket++)
		read_one(other, ticket, SUCCESSOR);
	heir = open_reader(DXH_LOSSLESS, DXH_START_NEXT);
	for (uint64_t ticket = FIRST + KEPT; ticket < FIRST + 3 * KEPT; ticket++) {
		publish(living, ticket, SUCCESSOR);
		read_one(other, ticket, SUCCESSOR);
		read_one(heir, ticket, SUCCESSOR);
	}
	must(dxh_consumer_close(&heir));
	must(dxh_consumer_close(&other));
	must(dxh_producer_close(&living));
	remove_all();
}

/* ---- eviction: the laggard and another one live ---- */

static void victim_evict(void)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	struct item item = item_of(FIRST, VICTIM);

	config.evict = 1;
	producer = producer_in_use(config);
	scenario_begin();
	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	scenario_end();
}

static void attend_laggard(void)
{
	reader = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	other = open_reader(DXH_LOSSLESS, DXH_START_NEXT);
}

static void check_laggard_waited_for(dxh_producer *successor)
{
	struct item item = item_of(FIRST, SUCCESSOR);

	expect(next_of(successor) == FIRST, "written over a reader that was not gone on without");
	expect(dxh_publish(successor, &item, sizeof item, DXH_NOW) == DXH_EWAIT,
	       "a successor does not wait for a living reader");
	for (uint64_t ticket = FIRST - KEPT; ticket < FIRST; ticket++)
		read_one(reader, ticket, VICTIM);
}

static void check_laggard_evicted(dxh_producer *successor)
{
	struct item item;
	dxh_item info;

	/* Excluded for good: nobody waits. */
	for (uint64_t ticket = next_of(successor); ticket < FIRST + 2 * KEPT; ticket++) {
		publish(successor, ticket, SUCCESSOR);
		read_one(other, ticket, SUCCESSOR);
	}
	expect(dxh_read_next(reader, &item, sizeof item, DXH_NOW, &info) == DXH_EEVICTED,
	       "who was gone on without is not told: %s", dxh_last_error());
	expect(info.lost_first == FIRST - KEPT && info.lost_last == FIRST + 2 * KEPT - 1 &&
	               info.lost == 3 * KEPT,
	       "the loss is told as %" PRIu64 " from %" PRIu64 " to %" PRIu64, info.lost,
	       info.lost_first, info.lost_last);
}

static void check_evict(void)
{
	bool evicted = dxi_row_is_evicted(&reader->row, &reader->block);
	dxh_producer *successor;
	uint64_t next;

	drain(other, false);
	successor = open_producer(usual_config());
	if (evicted)
		check_laggard_evicted(successor);
	else
		check_laggard_waited_for(successor);
	next = next_of(successor);
	for (uint64_t ticket = next; ticket < next + 2 * KEPT; ticket++) {
		publish(successor, ticket, SUCCESSOR);
		read_one(reader, ticket, SUCCESSOR);
		read_one(other, ticket, SUCCESSOR);
	}
	must(dxh_consumer_close(&reader));
	must(dxh_consumer_close(&other));
	must(dxh_producer_close(&successor));
	remove_all();
}

/* ---- takeovers ---- */

static void die_half_written(void)
{
	dxh_producer *producer = producer_in_use(usual_config());
	struct item item = item_of(FIRST, VICTIM);
	dxh_write_slot slot;

	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memcpy(slot.data, &item, sizeof item / 2);
}

void die_in_bulk(void)
{
	const dxh_producer *producer = producer_in_use(usual_config());
	const dxi_ring *ring = &producer->block.ring;
	struct item item;

	for (uint64_t ticket = FIRST; ticket < FIRST + BULK; ticket++) {
		item = item_of(ticket, VICTIM);
		dxi_copy_item_in(dxi_slot_begin(ring, dxi_slot_at(ring, ticket), ticket), &item,
		                 sizeof item / 2);
		if (ticket == FIRST + BULK - 1)
			break;
		dxi_copy_item_in(dxi_slot_payload(ring, ticket), &item, sizeof item);
		dxi_slot_commit(ring, dxi_slot_at(ring, ticket), ticket, sizeof item, 0,
		                dxh_now_ns(), NULL);
	}
}

static void before_half_written(void)
{
	predecessor(die_half_written);
}

static void before_in_bulk(void)
{
	predecessor(die_in_bulk);
}

static void victim_takeover(void)
{
	open_producer(usual_config());
	scenario_end();
}

static void check_takeover(void)
{
	succession(reader, 1, 2, 0);
}

static void check_takeover_of_bulk(void)
{
	succession(reader, 1, 2, BULK);
}

/* ---- coming and going, by distinct states ---- */

static void victim_open(void)
{
	scenario_begin();
	open_producer(usual_config());
	scenario_end();
}

/* Whole, or not there. */
static void check_created(void)
{
	dxh_block_info info;
	dxh_status status = dxh_block_stat(NULL, BLOCK, &info);

	expect(status == DXH_OK || status == DXH_ENOTFOUND, "a block that is not whole: %s",
	       dxh_last_error());
	living = open_producer(usual_config());
	reader = open_reader(DXH_FOLLOW, DXH_START_OLDEST);
	must(dxh_producer_close(&living));
	/* One takeover behind the creator, if that came to its end. */
	succession(reader, status == DXH_OK ? 2 : 1, status == DXH_OK ? 2 : 1, 0);
}

static void check_removed(void)
{
	remove_all();
	check_created();
}

void close_in_order(void)
{
	dxh_producer *producer = producer_in_use(usual_config());

	must(dxh_producer_close(&producer));
}

static void before_closed(void)
{
	predecessor(close_in_order);
}

static void victim_consumer(void)
{
	scenario_begin();
	open_reader(DXH_FOLLOW, DXH_START_OLDEST);
	scenario_end();
}

static void victim_lossless_consumer(void)
{
	scenario_begin();
	open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	scenario_end();
}

static void victim_unlink(void)
{
	scenario_begin();
	must(dxh_block_unlink(NULL, BLOCK));
	scenario_end();
}

/* Who was attached has it all still; who comes now has a new block. */
static void check_unlinked(void)
{
	drain(reader, false);
	must(dxh_consumer_close(&reader));
	remove_all();
	check_created();
}

static void check_created_over_rest(void)
{
	uint64_t next;

	drain(reader, false);
	must(dxh_consumer_close(&reader));
	living = open_producer(usual_config());
	next = next_of(living);
	expect(next == 0 || next == FIRST, "a new block begins at ticket %" PRIu64, next);
	must(dxh_producer_close(&living));
	reader = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	succession(reader, next == 0 ? 1 : 2, next == 0 ? 1 : 2, 0);
}

static void victim_close_and_unlink(void)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	config.unlink_on_close = 1;
	producer = producer_in_use(config);
	scenario_begin();
	must(dxh_producer_close(&producer));
	scenario_end();
}

/* ---- the table ---- */

/* Many write zeros over many bytes when they go, in one instruction that is stepped
 * byte by byte: that end is left out, or only its states are. */
#define AT(function) ((void (*)(void))(function))

/* clang-format off */
const scenario SCENARIOS[] = {
	{"publish", NULL, victim_publish, attend_with_reader, check_one_behind, NULL, NULL, false, 150},
	{"write", NULL, victim_write, attend_with_reader, check_one_behind, NULL, NULL, false, 150},
	{"abort", NULL, victim_abort, attend_with_reader, check_one_behind, NULL, NULL, false, 150},
	{"bulk", NULL, victim_bulk, attend_with_reader, check_bulk, NULL, NULL, false, 300},
	{"latch", NULL, victim_latch, attend_with_reader, check_latch, NULL, NULL, false, 150},
	{"claim", before_living, victim_claim, attend_waited_for, check_rows, AT(dxi_row_claim), NULL, false, 300},
	{"read", before_living, victim_read, attend_waited_for, check_rows, NULL, NULL, false, 150},
	{"borrow", before_living, victim_borrow, attend_waited_for, check_rows, NULL, NULL, false, 150},
	{"leave", before_living, victim_leave, attend_waited_for, check_rows, AT(dxi_row_leave), AT(dxi_segment_detach), false, 100},
	{"evict", NULL, victim_evict, attend_laggard, check_evict, NULL, NULL, false, 300},
	{"takeover-half", before_half_written, victim_takeover, attend_with_reader, check_takeover, AT(dxi_takeover), NULL, false, 150},
	{"takeover-bulk", before_in_bulk, victim_takeover, attend_from_head, check_takeover_of_bulk, AT(dxi_takeover), AT(dxi_identity_write), false, 100},
	{"takeover-bulk-end", before_in_bulk, victim_takeover, attend_from_head, check_takeover_of_bulk, AT(dxi_identity_write), NULL, true, 10},
	{"close", NULL, victim_close, attend_with_reader, check_one_behind, NULL, NULL, true, 8},
	{"create", NULL, victim_open, NULL, check_created, NULL, NULL, true, 20},
	{"create-remove", NULL, victim_open, NULL, check_removed, NULL, NULL, true, 20},
	{"attach", before_half_written, victim_open, attend_with_reader, check_takeover, NULL, NULL, true, 20},
	{"attach-closed", before_closed, victim_open, attend_with_reader, check_takeover, NULL, NULL, true, 20},
	{"consumer", before_living, victim_consumer, attend_waited_for, check_rows, NULL, NULL, true, 5},
	{"consumer-lossless", before_living, victim_lossless_consumer, attend_waited_for, check_rows, NULL, NULL, true, 10},
	{"unlink", before_closed, victim_unlink, attend_with_reader, check_unlinked, NULL, NULL, true, 5},
	{"unlink-create", before_closed, victim_unlink, attend_with_reader, check_created_over_rest, NULL, NULL, true, 5},
	{"recover", before_left_in_block, victim_recover, NULL, check_recovered, NULL, NULL, true, 60},
	{"recover-files", before_left_in_files, victim_recover, NULL, check_recovered, NULL, NULL, true, 60},
	{"recover-succession", before_left_in_block, victim_recover, NULL, check_succeeded, NULL, NULL, true, 60},
	{"gc", before_closed, victim_gc, NULL, check_collected, NULL, NULL, true, 20, true},
	{"gc-create", before_closed, victim_gc, NULL, check_created_instead, NULL, NULL, true, 20, true},
	{"gc-leftover", before_left_over, victim_gc, NULL, check_collected, NULL, NULL, true, 15, true},
	{"gc-used", before_closed, victim_gc, attend_with_user, check_still_used, NULL, NULL, true, 10, true},
	{"close-unlink", NULL, victim_close_and_unlink, attend_with_reader, check_unlinked, NULL, NULL, true, 10},
};
/* clang-format on */
const size_t SCENARIO_COUNT = sizeof SCENARIOS / sizeof *SCENARIOS;
