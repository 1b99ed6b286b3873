/* SPDX-License-Identifier: MIT */
/* Producers killed at chosen and at random points, and taken over under attached readers.
 */
#include "tests/shm_process_fixture.h"

/* ---- killed at chosen points: ticket 2 is published, ticket 3 in the making ---- */

static void die_after_open(const char *name)
{
	child_publish(child_open(name), 2);
	die_here();
}

static void die_after_begin(const char *name)
{
	dxh_producer *producer = child_open(name);
	dxh_write_slot slot;

	child_publish(producer, 2);
	if (dxh_write_begin(producer, DXH_NOW, &slot) == DXH_OK)
		die_here();
}

static void die_half_written(const char *name)
{
	dxh_producer *producer = child_open(name);
	struct item item = item_of(3);
	dxh_write_slot slot;

	child_publish(producer, 2);
	if (dxh_write_begin(producer, DXH_NOW, &slot) != DXH_OK)
		return;
	memcpy(slot.data, &item, sizeof item / 2);
	die_here();
}

/* Published in its slot, but head was not stored. */
static void die_before_head(const char *name)
{
	dxh_producer *producer = child_open(name);
	struct item item = item_of(3);

	child_publish(producer, 2);
	dxi_copy_item_in(
		dxi_slot_begin(&producer->block.ring, dxi_slot_at(&producer->block.ring, 3), 3),
		&item, sizeof item);
	dxi_slot_commit(&producer->block.ring, dxi_slot_at(&producer->block.ring, 3), 3,
	                sizeof item, 0, dxh_now_ns(), NULL);
	die_here();
}

static void die_in_latch(const char *name)
{
	dxh_producer *producer = child_open(name);
	struct position *spare;
	void *data;

	child_publish(producer, 2);
	if (dxh_latch_begin(producer, "position", sizeof *spare, &data) != DXH_OK)
		return;
	spare = data;
	spare->x = 77;
	die_here();
}

/* After the death: what was published is there, the rest is told as death, and a
 * successor goes on with ticket `next`, under the attached reader. */
static void survive(void (*act)(const char *), uint64_t next, uint64_t epoch)
{
	const char *name = new_name();
	dxh_producer *producer;
	struct position copy;
	dxh_block_info facts;

	make_block(name);
	expect_killed(act, name);
	for (uint64_t ticket = 2; ticket < next; ticket++)
		expect_item(ticket);
	expect_status(read_until(DXH_FOREVER), DXH_EDEAD);
	expect_status(read_until(DXH_NOW), DXH_EDEAD);
	must(dxh_latch_read(consumer, "position", &copy, sizeof copy));
	cr_expect_eq(copy.x, 0);

	producer = open_producer(name, usual_config());
	cr_expect_eq(next_of(producer), next);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.head, next, "head was not repaired");
	expect_status(read_until(DXH_NOW), DXH_EWAIT);
	publish_items(producer, next, 3);
	for (uint64_t ticket = next; ticket < next + 3; ticket++)
		expect_item(ticket);
	cr_expect_eq(info.epoch, epoch);
	expect_exact(consumer, 0);
	must(dxh_producer_close(&producer));
	remove_block(name);
}

Test(killed, death_after_open_is_survived, .timeout = 5)
{
	survive(die_after_open, 3, 2);
}

Test(killed, death_between_begin_and_commit_is_survived, .timeout = 5)
{
	survive(die_after_begin, 3, 2);
}

Test(killed, death_in_the_payload_is_survived, .timeout = 5)
{
	survive(die_half_written, 3, 2);
}

Test(killed, death_before_head_is_survived, .timeout = 5)
{
	survive(die_before_head, 4, 2);
}

Test(killed, death_in_a_latch_is_survived, .timeout = 5)
{
	survive(die_in_latch, 3, 2);
}

Test(killed, a_takeover_may_die_and_run_again, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer;
	dxh_block_info facts;

	make_block(name);
	expect_killed(die_half_written, name);
	for (int i = 0; i < 5; i++) {
		expect_killed(die_after_takeover, name);
		must(dxh_block_stat(NULL, name, &facts));
		cr_expect_eq(facts.head, 3);
		cr_expect_eq(facts.producer, DXH_PRODUCER_DEAD);
	}
	expect_item(2);
	expect_status(read_until(DXH_NOW), DXH_EDEAD);
	producer = open_producer(name, usual_config());
	cr_expect_eq(next_of(producer), 3);
	publish_items(producer, 3, 1);
	expect_item(3);
	cr_expect_eq(info.epoch, 7);
	must(dxh_producer_close(&producer));
	remove_block(name);
}

/* ---- a producer that runs until it is killed ---- */

static void publish_for_ever(const char *name)
{
	dxh_producer *producer = child_open(name);

	for (uint64_t ticket = next_of(producer);; ticket++)
		child_publish(producer, ticket);
}

static void publish_by_hand_for_ever(const char *name)
{
	dxh_producer *producer = child_open(name);

	for (uint64_t ticket = next_of(producer);; ticket++) {
		struct item item = item_of(ticket);
		dxh_write_slot slot;

		if (dxh_write_begin(producer, DXH_NOW, &slot) != DXH_OK)
			_exit(53);
		memcpy(slot.data, &item, sizeof item);
		if (dxh_write_commit(&slot, sizeof item) != DXH_OK)
			_exit(54);
	}
}

static void wait_until_alive(const char *name, pid_t producer)
{
	dxh_block_info facts;
	int64_t deadline = dxh_in_ms(4000);

	do {
		cr_assert_lt(dxh_now_ns(), deadline, "the producer never came");
		if (dxh_block_stat(NULL, name, &facts) != DXH_OK)
			facts.producer = DXH_PRODUCER_DEAD;
	} while (facts.producer != DXH_PRODUCER_ALIVE || facts.producer_pid != producer);
}

/* Read `count` items of a running producer, each checked against its ticket. */
static void read_running(uint64_t count)
{
	uint64_t before = consumer->read, last = 0;
	dxh_status status;

	while (consumer->read < before + count) {
		status = read_until(dxh_in_ms(4000));
		cr_assert(status == DXH_OK || status == DXH_ELAPPED, "%s", dxh_last_error());
		if (status != DXH_OK)
			continue;
		cr_assert(is_item_of(info.ticket, &got), "ticket %lu is torn", info.ticket);
		cr_assert(last == 0 || info.ticket > last, "backwards");
		last = info.ticket;
	}
}

Test(killed, death_at_random_points_loses_nothing_unaccounted, .timeout = 20)
{
	const char *name = new_name();
	dxh_producer *producer;
	dxh_status status;

	make_block(name);
	srand(7);
	for (int round = 0; round < 40; round++) {
		pid_t child = start(round % 2 ? publish_for_ever : publish_by_hand_for_ever, name);

		wait_until_alive(name, child);
		read_running((uint64_t)(1 + rand() % 300));
		reap(child);
		while ((status = read_until(DXH_NOW)) == DXH_OK || status == DXH_ELAPPED)
			if (status == DXH_OK)
				cr_assert(is_item_of(info.ticket, &got));
		cr_assert_eq(status, DXH_EDEAD, "%s", dxh_last_error());
		expect_exact(consumer, 0);
		/* All that was ever published is accounted for. */
		producer = open_producer(name, usual_config());
		cr_assert_eq(next_of(producer), consumer->next);
		must(dxh_producer_close(&producer));
	}
	remove_block(name);
}
