/* SPDX-License-Identifier: MIT */
/* What the broker remembers, on a made-up clock. */
#include "runtime/broker/registry.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

static const int64_t MS = 1000000;
/* Dead after 300 ms of silence. */
static const dxi_presence_rules rules = {.beat_ms = 100, .beats_missed = 3};

static dxi_registry registry;

static void open_registry(uint32_t channels_max)
{
	cr_assert_eq(dxi_registry_init(&registry, channels_max, rules), DXH_OK);
}

static void close_registry(void)
{
	dxi_registry_fini(&registry);
}

static dxi_claim claim_of(const char *name, uint64_t producer, uint64_t epoch)
{
	dxi_claim claim = {0};

	snprintf(claim.info.name, sizeof claim.info.name, "%s", name);
	snprintf(claim.info.directory, sizeof claim.info.directory, "/dev/shm");
	claim.info.producer_uid = producer;
	claim.info.producer_pid = (int64_t)producer + 1000;
	claim.info.epoch = epoch;
	return claim;
}

static dxh_status claim(const char *name, uint64_t producer, int64_t now_ms)
{
	dxi_claim claimed = claim_of(name, producer, 1);

	return dxi_registry_register(&registry, &claimed, now_ms * MS);
}

static dxi_owner owner_of(const char *name, uint64_t producer)
{
	dxi_owner owner = {.producer = producer, .pid = (int64_t)producer + 1000};

	snprintf(owner.channel, sizeof owner.channel, "%s", name);
	return owner;
}

static bool beat(const char *name, uint64_t producer, uint64_t progress, int64_t now_ms)
{
	dxi_owner owner = owner_of(name, producer);

	owner.progress = progress;
	return dxi_registry_beat(&registry, &owner, now_ms * MS);
}

static dxh_status leave(const char *name, uint64_t producer)
{
	dxi_owner owner = owner_of(name, producer);

	return dxi_registry_deregister(&registry, &owner, 0);
}

static dxh_channel_info seen(const char *name, int64_t now_ms)
{
	dxh_channel_info info;

	memset(&info, 0xee, sizeof info);
	dxi_registry_discover(&registry, name, now_ms * MS, &info);
	return info;
}

Test(registry, what_was_never_registered_is_not_found, .timeout = 30)
{
	dxh_channel_info info;

	open_registry(4);
	info = seen("camera/front", 0);
	cr_expect_eq(info.state, DXH_CHANNEL_NOT_FOUND);
	cr_expect_str_eq(info.name, "camera/front");
	cr_expect_not(beat("camera/front", 1, 0, 0));
	cr_expect_eq(leave("camera/front", 1), DXH_ENOTFOUND);
	close_registry();
}

Test(registry, a_registered_channel_is_found_as_it_was_claimed, .timeout = 30)
{
	dxi_claim claimed = claim_of("camera/front", 7, 3);
	dxh_channel_info info;

	open_registry(4);
	memset(claimed.info.schema_hash, 0x5a, sizeof claimed.info.schema_hash);
	claimed.info.slot_bytes = 4096;
	claimed.info.slot_count = 8;
	claimed.info.zone_count = 3;
	cr_assert_eq(dxi_registry_register(&registry, &claimed, 0), DXH_OK);
	info = seen("camera/front", 1);
	cr_expect_eq(info.state, DXH_CHANNEL_FOUND);
	info.state = claimed.info.state;
	cr_expect_eq(memcmp(&info, &claimed.info, sizeof info), 0);
	close_registry();
}

Test(registry, the_same_producer_again_is_no_conflict_and_a_sign_of_life, .timeout = 30)
{
	open_registry(1);
	cr_expect_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(claim("a", 1, 250), DXH_OK);
	cr_expect_eq(registry.count, 1);
	cr_expect_eq(seen("a", 500).state, DXH_CHANNEL_FOUND);
	close_registry();
}

Test(registry, registering_again_makes_no_progress, .timeout = 30)
{
	dxi_claim steady = claim_of("a", 1, 1);

	open_registry(1);
	steady.stall_ms = 200;
	cr_assert_eq(dxi_registry_register(&registry, &steady, 0), DXH_OK);
	cr_assert_eq(dxi_registry_register(&registry, &steady, 199 * MS), DXH_OK);
	cr_expect_eq(seen("a", 200).state, DXH_CHANNEL_PENDING);
	cr_expect(strstr(seen("a", 200).reason, "no progress"));
	close_registry();
}

Test(registry, a_second_live_producer_conflicts_and_learns_who_is_first, .timeout = 30)
{
	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(claim("a", 2, 120), DXH_ECONFLICT);
	cr_expect(strstr(dxh_last_error(), "channel 'a'"));
	cr_expect(strstr(dxh_last_error(), "pid 1001"));
	cr_expect(strstr(dxh_last_error(), "last beat 120 ms ago"));
	cr_expect_eq(seen("a", 120).producer_uid, 1);
	close_registry();
}

Test(registry, a_silent_channel_is_pending_and_says_why, .timeout = 30)
{
	dxh_channel_info info;

	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_assert(beat("a", 1, 5, 100));
	cr_expect_eq(seen("a", 399).state, DXH_CHANNEL_FOUND);
	info = seen("a", 400);
	cr_expect_eq(info.state, DXH_CHANNEL_PENDING);
	cr_expect_str_eq(info.reason, "no beat for 300 ms: dead after 3 of 100 ms");
	close_registry();
}

Test(registry, the_place_of_a_silent_producer_may_be_taken, .timeout = 30)
{
	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(claim("a", 2, 300), DXH_OK);
	cr_expect_eq(seen("a", 300).producer_uid, 2);
	cr_expect_not(beat("a", 1, 1, 301));
	cr_expect_eq(claim("a", 1, 302), DXH_ECONFLICT);
	close_registry();
}

Test(registry, who_took_the_block_over_has_the_channel_at_once, .timeout = 30)
{
	dxi_claim successor = claim_of("a", 2, 2), stale = claim_of("a", 1, 1);

	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(dxi_registry_register(&registry, &successor, 0), DXH_OK);
	cr_expect_eq(dxi_registry_register(&registry, &stale, 0), DXH_ECONFLICT);
	cr_expect_eq(seen("a", 0).epoch, 2);
	close_registry();
}

Test(registry, a_higher_epoch_of_another_block_is_a_conflict, .timeout = 30)
{
	dxi_claim other = claim_of("a", 2, 9);

	open_registry(4);
	other.info.block_uuid[15] = 1;
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(dxi_registry_register(&registry, &other, 0), DXH_ECONFLICT);
	close_registry();
}

Test(registry, only_the_owner_deregisters, .timeout = 30)
{
	dxi_owner other_pid = owner_of("a", 1);

	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_expect_eq(leave("a", 2), DXH_ENOTOWNER);
	other_pid.pid = 1;
	cr_expect_eq(dxi_registry_deregister(&registry, &other_pid, 0), DXH_ENOTOWNER);
	cr_expect(strstr(dxh_last_error(), "belongs to pid 1001"));
	cr_expect_eq(leave("a", 1), DXH_OK);
	cr_expect_eq(seen("a", 0).state, DXH_CHANNEL_NOT_FOUND);
	cr_expect_eq(leave("a", 1), DXH_ENOTFOUND);
	close_registry();
}

Test(registry, what_another_client_says_in_the_name_of_a_producer_is_not_believed, .timeout = 30)
{
	dxi_claim mine = claim_of("a", 1, 1), theirs = claim_of("a", 1, 1);
	dxi_owner owner = owner_of("a", 1);

	open_registry(4);
	mine.holder = 5;
	cr_assert_eq(dxi_registry_register(&registry, &mine, 0), DXH_OK);
	theirs.holder = owner.holder = 6;
	snprintf(theirs.info.directory, sizeof theirs.info.directory, "/tmp");
	cr_expect_eq(dxi_registry_register(&registry, &theirs, 10 * MS), DXH_ECONFLICT);
	cr_expect(strstr(dxh_last_error(), "of another client"), "%s", dxh_last_error());
	cr_expect_str_eq(seen("a", 10).directory, "/dev/shm");
	cr_expect_eq(dxi_registry_deregister(&registry, &owner, 10 * MS), DXH_ENOTOWNER);
	cr_expect(strstr(dxh_last_error(), "another client"), "%s", dxh_last_error());
	cr_expect_not(dxi_registry_beat(&registry, &owner, 250 * MS));
	cr_expect_eq(seen("a", 300).state, DXH_CHANNEL_PENDING, "nobody else keeps it alive");
	cr_expect_eq(dxi_registry_register(&registry, &theirs, 300 * MS), DXH_OK,
	             "the place of a dead one may be taken");
	cr_expect_eq(dxi_registry_deregister(&registry, &owner, 300 * MS), DXH_OK);
	close_registry();
}

Test(registry, counts_of_broken_items_do_not_begin_anew_at_the_end, .timeout = 30)
{
	open_registry(4);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	dxi_registry_broken(&registry, "a", UINT64_MAX, 0);
	dxi_registry_broken(&registry, "a", 3, 0);
	cr_expect_eq(seen("a", 0).checksum_errors, UINT64_MAX);
	close_registry();
}

Test(registry, a_full_one_refuses_while_all_live_and_forgets_the_longest_dead, .timeout = 30)
{
	open_registry(2);
	cr_assert_eq(claim("a", 1, 0), DXH_OK);
	cr_assert_eq(claim("b", 2, 10), DXH_OK);
	cr_expect_eq(claim("c", 3, 299), DXH_ELIMIT);
	cr_expect(strstr(dxh_last_error(), "channels_max"));
	cr_expect_eq(claim("c", 3, 320), DXH_OK);
	cr_expect_eq(seen("a", 320).state, DXH_CHANNEL_NOT_FOUND);
	cr_expect_eq(seen("b", 320).state, DXH_CHANNEL_PENDING);
	cr_expect_eq(seen("c", 320).state, DXH_CHANNEL_FOUND);
	close_registry();
}

/* ---- order and pages ---- */

static void claim_numbers(uint32_t count)
{
	/* 7 divides no count used here, so each number comes once, out of order. */
	for (uint32_t i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%03u", i * 7 % count);
		cr_assert_eq(claim(name, i, 0), DXH_OK);
	}
}

Test(registry, pages_of_any_size_list_every_channel_once_in_order, .timeout = 20)
{
	enum { COUNT = 100 };
	dxh_channel_info page[COUNT + 1];

	open_registry(COUNT);
	claim_numbers(COUNT);
	for (size_t size = 1; size <= COUNT + 1; size++) {
		char after[DXH_CHANNEL_NAME_MAX + 1] = "";
		uint32_t next = 0;
		dxi_list_page found = {.more = true};

		while (found.more) {
			found = dxi_registry_list(&registry, after, 0, NULL, NULL, page, size);
			cr_assert_eq(found.total, COUNT);
			for (size_t i = 0; i < found.count; i++) {
				char expected[16];

				snprintf(expected, sizeof expected, "n%03u", next++);
				cr_assert_str_eq(page[i].name, expected);
				strcpy(after, page[i].name);
			}
		}
		cr_assert_eq(next, COUNT);
	}
	close_registry();
}

Test(registry, a_page_may_begin_behind_a_name_that_does_not_exist, .timeout = 30)
{
	dxh_channel_info page[4];
	dxi_list_page found;

	open_registry(100);
	claim_numbers(100);
	found = dxi_registry_list(&registry, "n0500", 0, NULL, NULL, page, 4);
	cr_expect_eq(found.count, 4);
	cr_expect_str_eq(page[0].name, "n051");
	found = dxi_registry_list(&registry, "z", 0, NULL, NULL, page, 4);
	cr_expect_eq(found.count, 0);
	cr_expect_not(found.more);
	found = dxi_registry_list(&registry, "", 0, NULL, NULL, page, 0);
	cr_expect_eq(found.count, 0);
	cr_expect(found.more);
	close_registry();
}

/* ---- every order of events in a small world ----
 *
 * Two names and room for one or both, two producers, the second of which has
 * taken the block over from the first, and a clock that steps by half of what a
 * producer may be silent. */

enum { NAMES = 2, PRODUCERS = 2, DEPTH = 5, DEAD_AFTER = 2 };
enum { ACTS = NAMES * PRODUCERS * 3 + 1 };

static const char *const names[NAMES] = {"a", "b"};

static struct {
	int owner[NAMES];  /* 0: nobody */
	int silent[NAMES]; /* steps since its last sign of life */
	int room;
	int64_t now_ms;
} world;

static dxh_status expected_registration(int name, int producer)
{
	int other = 1 - name;

	if (world.owner[name] == 0) {
		if (world.room == 1 && world.owner[other] != 0) {
			if (world.silent[other] < DEAD_AFTER)
				return DXH_ELIMIT;
			world.owner[other] = 0;
		}
	} else if (world.owner[name] > producer && world.silent[name] < DEAD_AFTER) {
		return DXH_ECONFLICT;
	}
	world.owner[name] = producer;
	world.silent[name] = 0;
	return DXH_OK;
}

static void act(int what)
{
	int name = what % NAMES, producer = 1 + what / NAMES % PRODUCERS;
	dxi_claim claimed = claim_of(names[name], (uint64_t)producer, (uint64_t)producer);
	bool owns = world.owner[name] == producer;

	switch (what / (NAMES * PRODUCERS)) {
	case 0:
		cr_assert_eq(dxi_registry_register(&registry, &claimed, world.now_ms * MS),
		             expected_registration(name, producer));
		break;
	case 1:
		cr_assert_eq(beat(names[name], (uint64_t)producer, 0, world.now_ms), owns);
		if (owns)
			world.silent[name] = 0;
		break;
	case 2:
		cr_assert_eq(leave(names[name], (uint64_t)producer), owns ? DXH_OK
		                                                     : world.owner[name]
		                                                             ? DXH_ENOTOWNER
		                                                             : DXH_ENOTFOUND);
		if (owns)
			world.owner[name] = 0;
		break;
	default:
		world.now_ms += 150;
		for (int i = 0; i < NAMES; i++)
			world.silent[i]++;
	}
}

static void compare(void)
{
	uint32_t count = 0;

	for (int i = 0; i < NAMES; i++) {
		dxh_channel_info info = seen(names[i], world.now_ms);
		dxh_channel_state expected = world.owner[i] == 0            ? DXH_CHANNEL_NOT_FOUND
		                             : world.silent[i] < DEAD_AFTER ? DXH_CHANNEL_FOUND
		                                                            : DXH_CHANNEL_PENDING;

		cr_assert_eq(info.state, expected);
		if (world.owner[i] != 0)
			cr_assert_eq(info.producer_uid, (uint64_t)world.owner[i]);
		count += world.owner[i] != 0;
	}
	cr_assert_eq(registry.count, count);
}

static void play(int room, unsigned sequence)
{
	memset(&world, 0, sizeof world);
	world.room = room;
	open_registry((uint32_t)room);
	for (int step = 0; step < DEPTH; step++, sequence /= ACTS) {
		act((int)(sequence % ACTS));
		compare();
	}
	close_registry();
}

Test(registry, agrees_with_a_model_in_every_order_of_five_events, .timeout = 120)
{
	unsigned sequences = 1;

	for (int i = 0; i < DEPTH; i++)
		sequences *= ACTS;
	for (int room = 1; room <= NAMES; room++)
		for (unsigned sequence = 0; sequence < sequences; sequence++)
			play(room, sequence);
}
