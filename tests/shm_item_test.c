/* SPDX-License-Identifier: MIT */
/* Other ways to write and read items: many in one call, in place, in a callback,
 * from another place; and the sums that prove them.
 */
#include "tests/shm_pair.h"

#include "shm/checksum.h"

#include <xxhash.h>

static const unsigned char KEY[DXH_CHECKSUM_KEY_BYTES] = "a key of thirty-two bytes, no le";

TestSuite(item, .init = open_usual, .fini = close_both, .timeout = 20);
TestSuite(checked, .timeout = 20);

/* ---- many in one call --------------------------------------------------------- */

enum { MANY = 11 };

static void publish_many(uint64_t first, size_t count)
{
	struct item many[MANY];
	dxh_publish_item list[MANY];

	for (size_t i = 0; i < count; i++) {
		many[i] = item_of(first + i);
		list[i] = (dxh_publish_item){&many[i], sizeof many[i]};
	}
	must(dxh_publish_n(producer, list, count, DXH_NOW, NULL));
}

Test(item, many_published_in_one_call_come_one_by_one)
{
	publish_many(0, 4);
	for (uint64_t ticket = 0; ticket < 4; ticket++)
		expect_item(ticket);
	expect_status(read_now(), DXH_EWAIT);
}

Test(item, many_share_one_wake)
{
	dxh_producer_stats before, after;

	must(dxh_producer_stats_get(producer, &before));
	publish_many(0, 4);
	must(dxh_producer_stats_get(producer, &after));
	cr_expect_eq(after.wakes - before.wakes, 1);
	cr_expect_eq(after.items - before.items, 4);
	cr_expect_eq(after.bytes - before.bytes, 4 * sizeof(struct item));
}

Test(item, more_than_are_kept_in_one_call_lap_readers_exactly)
{
	publish_many(0, MANY);
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost, MANY - 4);
	for (uint64_t ticket = MANY - 4; ticket < MANY; ticket++)
		expect_item(ticket);
}

Test(item, of_many_none_is_published_when_one_does_not_fit)
{
	char large[sizeof(struct item) + 1] = {0};
	dxh_publish_item list[] = {{large, 8}, {large, sizeof large}, {NULL, 1}};

	expect_status(dxh_publish_n(producer, list, 2, DXH_NOW, NULL), DXH_ESIZE);
	expect_status(dxh_publish_n(producer, list + 2, 1, DXH_NOW, NULL), DXH_EINVAL);
	expect_status(dxh_publish_n(producer, NULL, 1, DXH_NOW, NULL), DXH_EINVAL);
	must(dxh_publish_n(producer, NULL, 0, DXH_NOW, NULL));
	expect_status(read_now(), DXH_EWAIT);
}

Test(item, many_wait_for_an_open_write)
{
	dxh_write_slot slot;
	dxh_publish_item one = {"x", 1};

	must(dxh_write_begin(producer, DXH_NOW, &slot));
	expect_status(dxh_publish_n(producer, &one, 1, DXH_NOW, NULL), DXH_ESTATE);
	must(dxh_write_abort(&slot));
}

Test(item, many_are_read_in_one_call)
{
	struct item many[8];
	dxh_item items[8];
	size_t count;

	expect_status(dxh_read_n(consumer, many, sizeof *many, 8, DXH_NOW, items, &count),
	              DXH_EWAIT);
	publish_items(producer, 0, 4);
	must(dxh_read_n(consumer, many, sizeof *many, 3, DXH_NOW, items, &count));
	cr_assert_eq(count, 3);
	must(dxh_read_n(consumer, many + 3, sizeof *many, 5, DXH_NOW, items + 3, &count));
	cr_assert_eq(count, 1);
	for (uint64_t ticket = 0; ticket < 4; ticket++) {
		cr_expect_eq(items[ticket].ticket, ticket);
		cr_expect(is_item_of(ticket, &many[ticket]));
	}
	expect_status(dxh_read_n(consumer, many, sizeof *many, 0, DXH_NOW, items, &count),
	              DXH_EINVAL);
}

/* Make the slot of this ticket break a rule. */
static void break_slot(uint64_t ticket)
{
	struct dxi_layout_slot *slot = dxi_slot_at(&producer->block.ring, ticket);

	atomic_store(&slot->flags, DXI_SLOT_FLAGS_REQUIRED);
}

Test(item, what_is_broken_behind_others_is_told_by_the_next_call)
{
	struct item many[8];
	dxh_item items[8];
	size_t count;

	publish_items(producer, 0, 4);
	break_slot(2);
	must(dxh_read_n(consumer, many, sizeof *many, 8, DXH_NOW, items, &count));
	cr_assert_eq(count, 2);
	expect_status(dxh_read_n(consumer, many, sizeof *many, 8, DXH_NOW, items, &count),
	              DXH_ECORRUPT);
	expect_error_says("ticket 2");
	cr_expect_eq(items[0].lost, 1);
	cr_expect_eq(items[0].lost_first, 2);
	must(dxh_read_n(consumer, many, sizeof *many, 8, DXH_NOW, items, &count));
	cr_assert_eq(count, 1);
	cr_expect_eq(items[0].ticket, 3);
	cr_expect_eq(items[0].lost, 0);
}

Test(item, too_large_an_item_behind_others_is_found_again)
{
	char small[16];
	dxh_item items[2];
	size_t count;

	must(dxh_publish(producer, "abc", 4, DXH_NOW));
	publish_items(producer, 1, 1);
	must(dxh_read_n(consumer, small, 8, 2, DXH_NOW, items, &count));
	cr_expect_eq(count, 1);
	expect_status(dxh_read_n(consumer, small, 8, 2, DXH_NOW, items, &count), DXH_ESIZE);
	cr_expect_eq(items[0].bytes, sizeof(struct item));
	expect_item(1);
}

/* ---- in place ------------------------------------------------------------------- */

Test(item, a_peeked_item_lies_in_the_block)
{
	dxh_peek peek;

	publish_items(producer, 0, 1);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	cr_expect_eq(peek.item.ticket, 0);
	cr_expect_eq(peek.item.bytes, sizeof(struct item));
	cr_expect(is_item_of(0, peek.data));
	cr_expect((const unsigned char *)peek.data > consumer->block.base &&
	          (const unsigned char *)peek.data < consumer->block.base + consumer->block.bytes);
	cr_expect(dxh_peek_holds(&peek));
	must(dxh_peek_end(&peek));
	expect_status(read_now(), DXH_EWAIT);
}

Test(item, a_peeked_item_that_is_overwritten_counts_as_lost)
{
	dxh_consumer_stats stats;
	dxh_peek peek;

	publish_items(producer, 0, 1);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	publish_items(producer, 1, 5); /* slot of ticket 0 is not needed yet */
	cr_expect(dxh_peek_holds(&peek));
	publish_items(producer, 6, 1);
	cr_expect_not(dxh_peek_holds(&peek));
	expect_status(dxh_peek_end(&peek), DXH_ELAPPED);
	cr_expect_eq(peek.item.lost, 1);
	cr_expect_eq(peek.item.lost_first, 0);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.read, 0);
	cr_expect_eq(stats.read_bytes, 0);
	cr_expect_eq(stats.lost, 1);
}

Test(item, a_peek_keeps_its_order_of_calls)
{
	dxh_peek peek = {.consumer = consumer}, other;

	expect_status(dxh_peek_end(&peek), DXH_ESTATE);
	expect_status(dxh_peek_end(NULL), DXH_EINVAL);
	expect_status(dxh_peek_begin(consumer, DXH_NOW, NULL), DXH_EINVAL);
	expect_status(dxh_peek_begin(consumer, DXH_NOW, &peek), DXH_EWAIT);
	cr_expect_not(dxh_peek_holds(&peek));
	publish_items(producer, 0, 2);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	expect_status(dxh_peek_begin(consumer, DXH_NOW, &other), DXH_ESTATE);
	expect_status(read_now(), DXH_ESTATE);
	expect_status(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0), DXH_ESTATE);
	must(dxh_peek_end(&peek));
	expect_status(dxh_peek_end(&peek), DXH_ESTATE);
	expect_item(1);
}

/* ---- in a callback ---------------------------------------------------------------- */

static dxh_status fill_item(void *context, void *data, size_t capacity_bytes, size_t *bytes)
{
	struct item item = item_of(0);

	cr_expect_geq(capacity_bytes, sizeof item);
	memcpy(data, &item, sizeof item);
	*bytes = sizeof item;
	return *(dxh_status *)context;
}

static dxh_status fill_too_much(void *context, void *data, size_t capacity_bytes, size_t *bytes)
{
	(void)context, (void)data;
	*bytes = capacity_bytes + 1;
	return DXH_OK;
}

Test(item, what_a_callback_fills_is_published_or_aborted_as_it_says)
{
	dxh_consumer_stats stats;
	dxh_status wish = DXH_ESTATE;
	dxh_write_slot slot;

	expect_status(dxh_with_write(producer, DXH_NOW, fill_item, &wish), DXH_ESTATE);
	wish = DXH_OK;
	must(dxh_with_write(producer, DXH_NOW, fill_item, &wish));
	must(read_now());
	cr_expect_eq(info.ticket, 1, "the first was aborted");
	cr_expect(is_item_of(0, &got));
	expect_status(dxh_with_write(producer, DXH_NOW, fill_too_much, NULL), DXH_ESIZE);
	expect_status(dxh_with_write(producer, DXH_NOW, NULL, NULL), DXH_EINVAL);
	expect_status(read_now(), DXH_EWAIT);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.skipped, 2);
	must(dxh_write_begin(producer, DXH_NOW, &slot)); /* nothing was left open */
	must(dxh_write_abort(&slot));
}

static dxh_status use_item(void *context, const void *data, const dxh_item *item)
{
	cr_expect(is_item_of(item->ticket, data));
	return *(dxh_status *)context;
}

static dxh_status use_and_be_lapped(void *context, const void *data, const dxh_item *item)
{
	(void)context, (void)data;
	publish_items(producer, item->ticket + 1, 6);
	return DXH_OK;
}

Test(item, what_a_callback_used_is_known_to_have_held)
{
	dxh_status wish = DXH_OK;

	expect_status(dxh_with_read(consumer, DXH_NOW, use_item, &wish), DXH_EWAIT);
	expect_status(dxh_with_read(consumer, DXH_NOW, NULL, NULL), DXH_EINVAL);
	publish_items(producer, 0, 2);
	must(dxh_with_read(consumer, DXH_NOW, use_item, &wish));
	wish = DXH_EREJECTED;
	expect_status(dxh_with_read(consumer, DXH_NOW, use_item, &wish), DXH_EREJECTED);
	publish_items(producer, 2, 1);
	expect_status(dxh_with_read(consumer, DXH_NOW, use_and_be_lapped, NULL), DXH_ELAPPED);
}

/* ---- from another place ------------------------------------------------------------- */

Test(item, a_consumer_goes_where_it_is_sent)
{
	publish_items(producer, 0, 10);
	must(dxh_consumer_seek(consumer, DXH_START_NEWEST, 0));
	expect_item(9);
	must(dxh_consumer_seek(consumer, DXH_START_TICKET, 7));
	expect_item(7);
	must(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0));
	expect_item(6);
	must(dxh_consumer_seek(consumer, DXH_START_NEXT, 0));
	expect_status(read_now(), DXH_EWAIT);
	expect_exact(consumer, consumer->start);
	must(dxh_consumer_seek(consumer, DXH_START_TICKET, 1));
	expect_status(read_now(), DXH_ELAPPED);
	expect_status(dxh_consumer_seek(consumer, DXH_START_NEXT, 1), DXH_EINVAL);
	expect_status(dxh_consumer_seek(consumer, (dxh_start)9, 0), DXH_EINVAL);
	expect_status(dxh_consumer_seek(consumer, DXH_START_TICKET, UINT64_MAX), DXH_EINVAL);
	expect_status(dxh_consumer_seek(NULL, DXH_START_OLDEST, 0), DXH_EINVAL);
}

/* ---- few slots ------------------------------------------------------------------------ */

static void keep_few(uint32_t kept)
{
	dxh_block_config config = {.slot = DXH_SLOT(item), .slot_count = kept};

	open_both(config, (dxh_consumer_config){0});
	for (uint64_t head = 1; head < 20; head++) {
		publish_items(producer, head - 1, 1);
		must(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0));
		for (uint64_t ticket = head > kept ? head - kept : 0; ticket < head; ticket++)
			expect_item(ticket);
		expect_status(read_now(), DXH_EWAIT);
	}
	must(dxh_consumer_seek(consumer, DXH_START_TICKET, 0));
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost, 19 - kept);
	close_both();
}

Test(checked, a_single_slot_keeps_the_newest_item)
{
	keep_few(1);
}

Test(checked, a_double_keeps_two)
{
	keep_few(2);
}

Test(checked, an_open_write_costs_a_single_slot_nothing)
{
	dxh_write_slot slot;

	open_both((dxh_block_config){.slot = DXH_SLOT(item), .slot_count = 1},
	          (dxh_consumer_config){.discipline = DXH_LATEST});
	publish_items(producer, 0, 7);
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memset(slot.data, 0xee, slot.capacity_bytes);
	expect_item(6);
	must(dxh_write_abort(&slot));
	close_both();
}

/* ---- sums ------------------------------------------------------------------------------- */

static const struct kind {
	dxh_checksum checksum;
	const unsigned char *key;
} KINDS[] = {{DXH_CHECKSUM_XXH3, NULL},
             {DXH_CHECKSUM_CRC32C, NULL},
             {DXH_CHECKSUM_BLAKE2B, NULL},
             {DXH_CHECKSUM_BLAKE2B, KEY}};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static void open_checked(const struct kind *kind, int manual)
{
	dxh_block_config config = usual_config();

	config.checksum = kind->checksum;
	config.checksum_key = kind->key;
	config.checksum_manual = manual;
	open_both(config, (dxh_consumer_config){.checksum_key = kind->key});
}

static struct dxi_layout_slot *slot_at(uint64_t ticket)
{
	return dxi_slot_at(&producer->block.ring, ticket);
}

Test(checked, every_flipped_bit_of_an_item_is_found)
{
	unsigned tried = 0;

	for (int k = 0; k < KIND_COUNT; k++) {
		open_checked(&KINDS[k], 0);
		publish_items(producer, 0, 1);
		expect_item(0);
		for (size_t bit = 0; bit < sizeof(struct item) * 8; bit++, tried++) {
			unsigned char *payload = dxi_slot_payload(&producer->block.ring, 0);

			payload[bit / 8] ^= (unsigned char)(1u << bit % 8);
			must(dxh_consumer_seek(consumer, DXH_START_TICKET, 0));
			expect_status(read_now(), DXH_ECORRUPT);
			payload[bit / 8] ^= (unsigned char)(1u << bit % 8);
		}
		expect_error_says("the checksum of the item differs");
		close_both();
	}
	cr_expect_eq(tried, KIND_COUNT * sizeof(struct item) * 8);
}

Test(checked, another_length_or_a_moved_item_is_found)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		struct item zeros = {0};

		open_checked(&KINDS[k], 0);
		for (int i = 0; i < 2; i++)
			must(dxh_publish(producer, &zeros, sizeof zeros, DXH_NOW));
		atomic_store(&slot_at(0)->length, sizeof zeros - 8);
		expect_status(read_now(), DXH_ECORRUPT);
		for (int i = 0; i < DXI_CHECKSUM_WORDS; i++)
			atomic_store(&slot_at(1)->checksum[i],
			             atomic_load(&slot_at(0)->checksum[i]));
		expect_status(read_now(), DXH_ECORRUPT);
		close_both();
	}
}

Test(checked, a_bad_item_is_told_counted_and_passed)
{
	dxh_consumer_stats stats;
	dxh_peek peek;

	open_checked(&KINDS[0], 0);
	publish_items(producer, 0, 4);
	for (uint64_t ticket = 1; ticket < 3; ticket++)
		*(unsigned char *)dxi_slot_payload(&producer->block.ring, ticket) ^= 1;
	expect_item(0);
	expect_status(read_now(), DXH_ECORRUPT);
	cr_expect_eq(info.lost, 1);
	expect_status(dxh_peek_begin(consumer, DXH_NOW, &peek), DXH_ECORRUPT);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	cr_expect_eq(peek.item.ticket, 3);
	must(dxh_peek_end(&peek));
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.corrupt, 2);
	cr_expect_eq(stats.lost, 2);
	close_both();
}

Test(checked, all_ways_to_write_carry_the_sum)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		struct item item = item_of(0);
		dxh_publish_item list[2] = {{&item, sizeof item}, {NULL, 0}};
		dxh_write_slot slot;

		open_checked(&KINDS[k], 0);
		must(dxh_write_begin(producer, DXH_NOW, &slot));
		memcpy(slot.data, &item, sizeof item);
		must(dxh_write_commit(&slot, sizeof item));
		must(dxh_publish_n(producer, list, 2, DXH_NOW, NULL));
		for (int i = 0; i < 3; i++) {
			must(read_now());
			cr_expect(atomic_load(&slot_at((uint64_t)i)->flags) & DXI_SLOT_CHECKED);
		}
		cr_expect_eq(info.bytes, 0);
		close_both();
	}
}

Test(checked, manual_sums_are_where_they_were_asked_for)
{
	struct item item = item_of(0);
	dxh_write_slot slot;

	open_checked(&KINDS[0], 1);
	publish_items(producer, 0, 1);
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memcpy(slot.data, &item, sizeof item);
	must(dxh_write_commit_checked(&slot, sizeof item));
	for (uint64_t ticket = 0; ticket < 2; ticket++)
		*(unsigned char *)dxi_slot_payload(&producer->block.ring, ticket) ^= 1;
	must(read_now());
	expect_status(read_now(), DXH_ECORRUPT);
	close_both();
}

Test(checked, without_checksums_none_is_asked_for_or_believed)
{
	dxh_write_slot slot;

	open_both(usual_config(), (dxh_consumer_config){0});
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	expect_status(dxh_write_commit_checked(&slot, 0), DXH_ESTATE);
	must(dxh_write_commit(&slot, 0));
	expect_status(dxh_write_commit_checked(&slot, 0), DXH_ESTATE);
	atomic_store(&slot_at(0)->flags, DXI_SLOT_CHECKED);
	expect_status(read_now(), DXH_ECORRUPT);
	close_both();
	/* And where they are enforced, one without is not. */
	open_checked(&KINDS[0], 0);
	publish_items(producer, 0, 1);
	atomic_store(&slot_at(0)->flags, 0);
	expect_status(read_now(), DXH_ECORRUPT);
	close_both();
}

Test(checked, a_keyed_block_is_for_those_who_have_the_key)
{
	const unsigned char other[DXH_CHECKSUM_KEY_BYTES] = "another";
	dxh_block_config config = usual_config();
	dxh_producer *successor = NULL;
	dxh_consumer *stranger = NULL;
	const char *name = new_name();

	config.checksum = DXH_CHECKSUM_BLAKE2B;
	config.checksum_key = KEY;
	producer = open_producer(name, config);
	expect_status(dxh_consumer_open(name, NULL, &stranger), DXH_EACCESS);
	expect_error_says("set checksum_key");
	expect_status(
		dxh_consumer_open(name, &(dxh_consumer_config){.checksum_key = other}, &stranger),
		DXH_EACCESS);
	must(dxh_producer_close(&producer));
	config.checksum_key = other;
	expect_status(dxh_producer_open(name, &config, &successor), DXH_EACCESS);
	config.checksum_key = NULL;
	expect_status(dxh_producer_open(name, &config, &successor), DXH_ESCHEMA);
	must(dxh_block_unlink(NULL, name));
}

Test(checked, configs_that_make_no_sense_are_refused)
{
	dxh_block_config config = usual_config();
	dxh_producer *none = NULL;
	dxh_consumer *stranger = NULL;
	const char *name = new_name();

	config.checksum = 9;
	expect_status(dxh_producer_open(name, &config, &none), DXH_EINVAL);
	config.checksum = DXH_CHECKSUM_XXH3;
	config.checksum_key = KEY;
	expect_status(dxh_producer_open(name, &config, &none), DXH_EINVAL);
	config.checksum_key = NULL;
	config.slot_count = 0;
	config.slot = (dxh_slot_spec){0};
	expect_status(dxh_producer_open(name, &config, &none), DXH_EINVAL);
	config = usual_config();
	producer = open_producer(name, config);
	expect_status(
		dxh_consumer_open(name, &(dxh_consumer_config){.checksum_key = KEY}, &stranger),
		DXH_EINVAL);
	must(dxh_producer_close(&producer));
	config.checksum = DXH_CHECKSUM_CRC32C;
	expect_status(dxh_producer_open(name, &config, &none), DXH_ESCHEMA);
	expect_error_says("checksum: here kind 2, in the block kind 0");
	must(dxh_block_unlink(NULL, name));
}

/* CRC-32C bit by bit: reflected polynomial 0x82f63b78. */
static uint32_t crc32c_slowly(const unsigned char *bytes, size_t count, uint32_t crc)
{
	for (size_t i = 0; i < count; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

Test(checked, the_sums_are_those_of_the_documented_algorithms)
{
	const char *text = "123456789";
	const uint64_t front[2] = {7, 9};
	dxi_checksum crc = {.kind = DXI_CHECKSUM_CRC32C}, xxh = {.kind = DXI_CHECKSUM_XXH3};
	uint64_t sum[DXI_CHECKSUM_WORDS];
	uint32_t state = crc32c_slowly((const unsigned char *)text, 9, UINT32_MAX);

	cr_assert_eq(~state, 0xe3069283u, "the check value of CRC-32C");
	state = crc32c_slowly((const unsigned char *)front, sizeof front, UINT32_MAX);
	state = crc32c_slowly((const unsigned char *)text, 9, state);
	dxi_checksum_of(&crc, 7, text, 9, sum);
	cr_expect_eq(sum[0], (uint64_t)~state);
	cr_expect_eq(sum[1] | sum[2] | sum[3], 0);
	/* XXH3-64 of no bytes with seed 0, from its published test vectors. */
	dxi_checksum_of(&xxh, 0, "", 0, sum);
	cr_expect_eq(sum[0], UINT64_C(0x2d06800538d394c2));
}

/* ---- XXH3 ---- */

/* However this processor computes it: the sum of every other one. */
Test(checked, xxh3_is_what_the_library_says, .timeout = 20)
{
	enum { MOST = 1500, PLACES = 3 };
	const dxi_checksum kind = {.kind = DXI_CHECKSUM_XXH3};
	unsigned char bytes[MOST + PLACES];
	uint64_t sum[DXI_CHECKSUM_WORDS];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 151 + i / 256);
	for (size_t length = 0; length <= MOST; length++) {
		const unsigned char *at = bytes + length % PLACES;
		uint64_t ticket = length % 7 == 0 ? 0 : length * UINT64_C(0x100000001);

		dxi_checksum_of(&kind, ticket, at, length, sum);
		cr_assert_eq(sum[0], XXH3_64bits_withSeed(at, length, ticket), "%zu", length);
	}
}
