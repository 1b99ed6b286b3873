/* SPDX-License-Identifier: MIT */
/* Images of blocks made to harm: each is refused with an offset and a rule, or it
 * can be used in every way without harm. Under the sanitizers "without harm" is
 * looked at byte by byte.
 */
#include "tests/shm_fixture.h"

#include "shm/geometry.h"
#include "shm/segment.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

static char name[32];
static image good; /* of a block with published items, aborted tickets and a latch */

static void setup(void)
{
	dxh_producer *producer;
	dxh_write_slot slot;
	void *latch;

	strcpy(name, new_name());
	producer = open_producer(name, usual_config());
	publish_items(producer, 0, 9);
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	must(dxh_write_abort(&slot));
	publish_items(producer, 10, 1);
	must(dxh_latch_begin(producer, "position", sizeof(struct position), &latch));
	must(dxh_latch_commit(producer, "position"));
	must(dxh_producer_close(&producer));
	good = load_image(name);
}

static void teardown(void)
{
	free(good.bytes);
	must(dxh_block_unlink(NULL, name));
}

TestSuite(hostile, .init = setup, .fini = teardown, .timeout = 60);

static image copy_good(void)
{
	image it = {malloc(good.length), good.length};

	memcpy(it.bytes, good.bytes, good.length);
	return it;
}

/* What an attacker does: recompute all hashes over what was forged. */
static void seal(image it)
{
	struct dxi_layout_header *header = header_of(it);
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};

	if (header->zone_count > DXH_ZONES_MAX || header->schema_bytes > it.length ||
	    header->schema_offset > it.length - header->schema_bytes ||
	    header->zones_offset > it.length - sizeof zones)
		return;
	memcpy(zones, it.bytes + header->zones_offset, header->zone_count * sizeof *zones);
	dxi_geometry_seal(header, zones, it.bytes + header->schema_offset);
}

/* ---- use of an image in every way ---- */

static unsigned tried, refused, used;

static void expect_reason(dxh_status status)
{
	cr_assert(status == DXH_ECORRUPT || status == DXH_EVERSION, "%s", dxh_last_error());
	cr_assert(strstr(dxh_last_error(), "offset ") || strstr(dxh_last_error(), "version"),
	          "no offset: %s", dxh_last_error());
}

static void read_some(dxh_consumer *consumer, uint64_t start)
{
	unsigned char copy[4096];
	dxh_status status;
	dxh_item item;

	for (int i = 0; i < 12; i++) {
		status = dxh_read_next(consumer, copy, sizeof copy, DXH_NOW, &item);
		cr_assert(status == DXH_OK || status == DXH_ELAPPED || status == DXH_EWAIT ||
		                  status == DXH_ECLOSED || status == DXH_EDEAD ||
		                  status == DXH_ECORRUPT || status == DXH_ESIZE,
		          "%s", dxh_last_error());
		expect_exact(consumer, start);
	}
}

static uint64_t start_of(dxh_consumer *consumer)
{
	dxh_consumer_stats stats;

	must(dxh_consumer_stats_get(consumer, &stats));
	return stats.next_ticket;
}

/* Zones by the names and sizes that the image itself gives. */
static void touch_zones(dxh_consumer *consumer)
{
	static unsigned char copy[1 << 16];
	const struct telemetry *zone;
	const void *raw;

	if (dxh_zone_view(consumer, telemetry, &zone) == DXH_OK)
		cr_assert(zone->frames + 1 != 0 || zone->gain == 0);
	if (dxh_consumer_zone(consumer, "notes", NULL, 100, &raw) == DXH_OK)
		memcpy(copy, raw, 100);
	if (dxh_latch_read(consumer, "position", copy, sizeof(struct position)) == DXH_OK)
		cr_assert(copy[0] + 1);
}

static void use_as_consumer(dxh_discipline discipline)
{
	dxh_consumer_config config = {.discipline = discipline};
	dxh_consumer *consumer;
	dxh_block_info facts;
	size_t bytes;
	dxh_status status = dxh_consumer_open(name, &config, &consumer);

	if (status != DXH_OK) {
		refused++;
		expect_reason(status);
		return;
	}
	used++;
	must(dxh_consumer_info(consumer, &facts));
	cr_assert(dxh_consumer_schema(consumer, &bytes));
	touch_zones(consumer);
	read_some(consumer, start_of(consumer));
	must(dxh_consumer_close(&consumer));
}

static void use_as_producer(void)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_status status = dxh_producer_open(name, &config, &producer);

	if (status == DXH_OK) {
		publish_items(producer, 0, 7);
		must(dxh_producer_close(&producer));
		return;
	}
	if (status == DXH_ESCHEMA || status == DXH_ESIZE)
		return;
	expect_reason(status);
	cr_assert(strstr(dxh_last_error(), "dxh_block_unlink"), "%s", dxh_last_error());
}

static void use(image it)
{
	dxh_block_info facts;
	dxh_status status;

	tried++;
	store_image(name, it.bytes, it.length);
	status = dxh_block_stat(NULL, name, &facts);
	if (status != DXH_OK)
		expect_reason(status);
	use_as_consumer(DXH_FOLLOW);
	use_as_consumer(DXH_LATEST);
	use_as_producer();
}

static void report(const char *what, unsigned floor)
{
	fprintf(stderr, "hostile: %s: %u images, refused %u times, used %u times\n", what, tried,
	        refused, used);
	cr_expect_geq(tried, floor, "only %u images: the test is blind", tried);
}

/* ---- one byte at a time ---- */

static void flip_each(size_t begin, size_t end, bool sealed)
{
	static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	image it = copy_good();

	for (size_t at = begin; at < end; at++)
		for (size_t i = 0; i < sizeof values + 2; i++) {
			unsigned char before = good.bytes[at];
			unsigned char after = i < sizeof values    ? values[i]
			                      : i == sizeof values ? (unsigned char)(before ^ 1)
			                                           : (unsigned char)(before + 1);

			if (after == before)
				continue;
			memcpy(it.bytes, good.bytes, it.length);
			it.bytes[at] = after;
			if (sealed)
				seal(it);
			use(it);
		}
	free(it.bytes);
}

Test(hostile, each_byte_of_the_fixed_header)
{
	flip_each(0, offsetof(struct dxi_layout_header, wake), false);
	cr_expect_eq(used, 0, "a change went unseen");
	report("fixed header", 1500);
}

Test(hostile, each_byte_of_the_fixed_header_with_new_hashes)
{
	flip_each(0, offsetof(struct dxi_layout_header, fixed_checksum), true);
	cr_expect_gt(used, 0, "the uuid may be any");
	cr_expect_gt(refused, 1000);
	report("fixed header, sealed", 1200);
}

Test(hostile, each_byte_of_the_changing_header)
{
	flip_each(offsetof(struct dxi_layout_header, wake), DXI_LAYOUT_HEADER_BYTES, false);
	report("changing header", 4000);
}

static size_t tables_begin(void)
{
	return header_of(good)->zones_offset;
}

static size_t tables_end(void)
{
	return header_of(good)->schema_offset + header_of(good)->schema_bytes;
}

Test(hostile, each_byte_of_zone_table_and_schema)
{
	flip_each(tables_begin(), tables_end(), false);
	cr_expect_eq(used, 0, "a change went unseen");
	report("tables", 4000);
}

Test(hostile, each_byte_of_zone_table_and_schema_with_new_hashes)
{
	flip_each(tables_begin(), tables_end(), true);
	cr_expect_gt(refused, 1000);
	cr_expect_gt(used, 0, "another doc is no harm");
	report("tables, sealed", 4000);
}

Test(hostile, each_byte_of_each_slot_header)
{
	for (uint64_t i = 0; i < header_of(good)->slot_physical; i++) {
		size_t begin = (size_t)((unsigned char *)slot_of(good, i) - good.bytes);

		flip_each(begin, begin + DXI_LAYOUT_SLOT_HEADER_BYTES, false);
	}
	cr_expect_eq(refused, 0, "slots are looked at by reads and takeovers, not by attach");
	report("slot headers", 2000);
}

/* ---- whole numbers ---- */

static const uint64_t numbers[] = {0,
                                   1,
                                   3,
                                   4,
                                   63,
                                   65,
                                   65536,
                                   UINT64_C(1) << 31,
                                   UINT64_C(1) << 32,
                                   (UINT64_C(1) << 62) - 1,
                                   UINT64_C(1) << 62,
                                   UINT64_C(1) << 63,
                                   UINT64_MAX - 63,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

Test(hostile, each_number_of_the_header_at_its_limits)
{
	image it = copy_good();

	for (size_t at = 8; at < DXI_LAYOUT_HEADER_BYTES; at += 4)
		for (size_t i = 0; i < NUMBERS; i++)
			for (size_t width = 4; width <= 8; width += 4) {
				memcpy(it.bytes, good.bytes, it.length);
				memcpy(it.bytes + at, &numbers[i], width);
				seal(it);
				use(it);
			}
	free(it.bytes);
	report("header numbers, sealed", 7000);
}

Test(hostile, each_number_of_a_slot_and_of_head_at_its_limits)
{
	image it = copy_good();

	for (uint64_t index = 0; index < 6; index++)
		for (size_t at = 0; at < 32; at += 8)
			for (size_t i = 0; i < NUMBERS; i++)
				for (size_t j = 0; j < NUMBERS; j += 2) {
					memcpy(it.bytes, good.bytes, it.length);
					memcpy((unsigned char *)slot_of(it, index) + at,
					       &numbers[i], 8);
					/* One half with the true head. */
					if (j > NUMBERS / 2)
						atomic_store(&header_of(it)->head, numbers[j]);
					use(it);
				}
	free(it.bytes);
	report("slot numbers and head", 2000);
}

/* ---- random, truncated, large, moving ---- */

Test(hostile, random_changes_with_new_hashes)
{
	image it = copy_good();

	srand(3);
	for (int turn = 0; turn < 4000; turn++) {
		size_t span = turn % 2 ? tables_end() : it.length;

		memcpy(it.bytes, good.bytes, it.length);
		for (int i = rand() % 8; i >= 0; i--)
			it.bytes[(size_t)rand() % span] = (unsigned char)rand();
		if (turn % 4)
			header_of(it)->magic = DXI_LAYOUT_MAGIC;
		seal(it);
		use(it);
	}
	free(it.bytes);
	report("random changes, sealed", 4000);
}

Test(hostile, random_bytes)
{
	image it = {malloc(65536), 0};

	srand(4);
	for (int turn = 0; turn < 500; turn++) {
		it.length = (size_t)(rand() % 65536);
		for (size_t i = 0; i < it.length; i++)
			it.bytes[i] = (unsigned char)rand();
		if (it.length > 64) {
			struct dxi_layout_header *header = header_of(it);

			memcpy(header, header_of(good), (size_t)(rand() % 64));
		}
		use(it);
	}
	free(it.bytes);
	cr_expect_eq(used, 0);
	report("random bytes", 500);
}

Test(hostile, every_truncation)
{
	image it = copy_good();

	for (it.length = 0; it.length < good.length; it.length++)
		use(it);
	cr_expect_eq(used, 0);
	free(it.bytes);
	report("truncated", 2000);
}

/* Forged to claim 64 GiB of slots: attaching must not make them real. */
static image forge_large(void)
{
	image it = copy_good();
	struct dxi_layout_header *header = header_of(it);
	struct dxi_layout_zone zones[DXH_ZONES_MAX];
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(1 << 20), .slot_count = 65534};
	unsigned char *schema;
	size_t bytes;

	must(dxi_schema_write("x", &config, &schema, &bytes));
	must(dxi_geometry_plan(&config, bytes, header, zones));
	atomic_store(&header->magic, DXI_LAYOUT_MAGIC);
	memcpy(it.bytes + header->schema_offset, schema, bytes);
	dxi_geometry_seal(header, zones, schema);
	free(schema);
	return it;
}

Test(hostile, a_claim_of_64_gib_costs_nothing)
{
	image it = forge_large();
	dxh_consumer *consumer;
	struct stat found;
	dxh_item item;
	unsigned char copy[64];

	store_image(name, it.bytes, it.length);
	cr_assert_eq(truncate(file_of(name, ".dxh"), (off_t)header_of(it)->bytes_total), 0);
	must(dxh_consumer_open(name, NULL, &consumer));
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), 0);
	cr_expect_lt(found.st_blocks * 512, 1 << 20, "the holes were filled");
	cr_expect_neq(dxh_read_next(consumer, copy, sizeof copy, DXH_NOW, &item), DXH_OK);
	must(dxh_consumer_close(&consumer));
	free(it.bytes);
}

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#ifndef UNDER_ASAN /* whose shadow needs more address space than is left here */
static void attach_with_little_address_space(const char *large)
{
	struct rlimit limit = {.rlim_cur = UINT64_C(8) << 30, .rlim_max = UINT64_C(8) << 30};
	dxh_consumer *consumer;

	setrlimit(RLIMIT_AS, &limit);
	_exit(dxh_consumer_open(large, NULL, &consumer) == DXH_ENOMEM ? 0 : 1);
}

Test(hostile, what_cannot_be_mapped_is_no_memory)
{
	image it = forge_large();

	store_image(name, it.bytes, it.length);
	cr_assert_eq(truncate(file_of(name, ".dxh"), (off_t)header_of(it)->bytes_total), 0);
	cr_expect_eq(run_child(attach_with_little_address_space, name), 0);
	free(it.bytes);
}
#endif

/* Bytes that change while they are checked: what was checked must be what is used. */
struct shaker {
	unsigned char *bytes;
	_Atomic int stop;
};

static void *shake(void *argument)
{
	struct shaker *shaker = argument;
	unsigned state = 5;

	while (!atomic_load(&shaker->stop)) {
		size_t at;

		state = state * 1103515245 + 12345;
		at = (state >> 8) % good.length;
		__atomic_store_n(shaker->bytes + at, (unsigned char)(state >> 24),
		                 __ATOMIC_RELAXED);
		__atomic_store_n(shaker->bytes + at, good.bytes[at], __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(hostile, bytes_that_change_while_they_are_checked)
{
	struct shaker shaker = {0};
	pthread_t thread;
	int fd;

	store_image(name, good.bytes, good.length);
	fd = open(file_of(name, ".dxh"), O_RDWR);
	shaker.bytes = mmap(NULL, good.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(shaker.bytes != MAP_FAILED);
	pthread_create(&thread, NULL, shake, &shaker);
	for (tried = 0; tried < 3000; tried++)
		use_as_consumer(tried % 2 ? DXH_FOLLOW : DXH_LATEST);
	atomic_store(&shaker.stop, 1);
	pthread_join(thread, NULL);
	munmap(shaker.bytes, good.length);
	close(fd);
	cr_expect_gt(used, 0);
	report("moving bytes", 3000);
}

/* ---- controls: the checks can fail, and tell what they saw ---- */

Test(hostile, the_untouched_image_is_used)
{
	use(good);
	cr_expect_eq(used, 2);
	cr_expect_eq(refused, 0);
}

Test(hostile, a_forged_doc_is_accepted_once_sealed)
{
	image it = copy_good();
	unsigned char *doc = memmem(it.bytes, it.length, "frames since start", 18);

	cr_assert_not_null(doc);
	doc[0] = 'F';
	use(it);
	cr_expect_eq(used, 0);
	seal(it);
	use(it);
	cr_expect_eq(used, 2);
	free(it.bytes);
}

static void expect_refusal(image it, dxh_status wanted, const char *text)
{
	dxh_consumer *consumer;

	store_image(name, it.bytes, it.length);
	expect_status(dxh_consumer_open(name, NULL, &consumer), wanted);
	expect_error_says(text);
	memcpy(it.bytes, good.bytes, it.length);
}

Test(hostile, refusals_name_the_place_and_the_rule)
{
	image it = copy_good();
	struct dxi_layout_header *header = header_of(it);

	atomic_store(&header->magic, 0);
	expect_refusal(it, DXH_ECORRUPT, "offset 0: the magic");
	header->version_major = 2;
	expect_refusal(it, DXH_EVERSION, "format 2, this library reads 1");
	header->abi = 0x28;
	expect_refusal(it, DXH_EVERSION, "ABI byte 0x28");
	header->slot_count++;
	expect_refusal(it, DXH_ECORRUPT, "offset 224: the checksum");
	header->features_required = 4;
	seal(it);
	expect_refusal(it, DXH_EVERSION, "features 0x4");
	header->slot_bytes = UINT64_MAX - 63;
	seal(it);
	expect_refusal(it, DXH_ECORRUPT, "offset 96:");
	header->slots_offset += 64;
	seal(it);
	expect_refusal(it, DXH_ECORRUPT, "offset 80:");
	header->features_optional = UINT64_MAX; /* may be ignored */
	header->version_minor = 9;
	seal(it);
	use(it);
	cr_expect_eq(used, 2);
	free(it.bytes);
}

/* One slot with a length beyond its end: told, counted, and the rest is read. */
Test(hostile, a_forged_length_is_told_and_counted)
{
	dxh_consumer_stats stats;
	dxh_consumer *consumer;
	image it = copy_good();
	unsigned char wide[512];
	struct item got;
	dxh_item item;

	/* 11 tickets, 4 kept: 7, 8, 9 (aborted), 10. */
	atomic_store(&slot_of(it, 8 % 6)->length, 129);
	store_image(name, it.bytes, it.length);
	consumer = open_consumer(name, (dxh_consumer_config){0});
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	cr_expect_eq(item.ticket, 7);
	memset(wide, 0xaa, sizeof wide);
	expect_status(dxh_read_next(consumer, wide, sizeof wide, DXH_NOW, &item), DXH_ECORRUPT);
	expect_error_says("the length is larger than the slot");
	for (size_t i = 0; i < sizeof wide; i++)
		cr_assert_eq(wide[i], 0xaa, "copied from behind the slot");
	cr_expect_eq(item.lost, 1);
	cr_expect_eq(item.lost_first, 8);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	cr_expect_eq(item.ticket, 10);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.corrupt, 1);
	cr_expect_eq(stats.lost, 1);
	cr_expect_eq(stats.skipped, 1);
	cr_expect_eq(stats.read, 2);
	must(dxh_consumer_close(&consumer));
	free(it.bytes);
}

Test(hostile, a_torn_slot_is_never_published_by_a_takeover)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	image it = copy_good();
	struct item got;
	dxh_item item;

	/* The last one was being written. */
	atomic_store(&slot_of(it, 10 % 6)->seq, 2 * 10 + 1);
	atomic_store(&header_of(it)->head, 10);
	store_image(name, it.bytes, it.length);
	producer = open_producer(name, usual_config());
	consumer = open_consumer(name, (dxh_consumer_config){.start = DXH_START_NEXT});
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item), DXH_EWAIT);
	publish_items(producer, 10, 1);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	cr_expect_eq(item.ticket, 10);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	free(it.bytes);
}

static void expect_no_takeover(image it, const char *text)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	store_image(name, it.bytes, it.length);
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ECORRUPT);
	expect_error_says(text);
	expect_error_says("dxh_block_unlink()");
	memcpy(it.bytes, good.bytes, it.length);
}

Test(hostile, a_takeover_refuses_tickets_that_cannot_be)
{
	image it = copy_good();

	atomic_store(&slot_of(it, 0)->seq, 2 * 13 + 2);
	expect_no_takeover(it, "slot 0: seq is of a ticket that belongs elsewhere");
	atomic_store(&slot_of(it, 0)->seq, UINT64_MAX);
	expect_no_takeover(it, "slot 0: seq is beyond any ticket");
	atomic_store(&slot_of(it, 0)->seq, 0);
	expect_no_takeover(it, "slot 0: seq is older");
	atomic_store(&slot_of(it, 0)->seq, 2 * 6 + 1);
	expect_no_takeover(it, "slot 0: being written, but not the newest");
	atomic_store(&header_of(it)->head, 12);
	expect_no_takeover(it, "offset 384: head 12 is ahead");
	free(it.bytes);
}

/* Slots that claim tickets beyond any: each published ticket is accounted for once,
 * then there is just nothing new. */
Test(hostile, a_ring_of_nonsense_comes_to_an_end)
{
	image it = copy_good();
	dxh_consumer_stats stats;
	dxh_consumer *consumer;
	unsigned char copy[4096];
	unsigned failures = 0;
	dxh_status status;
	dxh_item item;

	for (uint64_t i = 0; i < header_of(it)->slot_physical; i++)
		atomic_store(&slot_of(it, i)->seq, UINT64_MAX);
	store_image(name, it.bytes, it.length);
	must(dxh_consumer_open(name, NULL, &consumer));
	while ((status = dxh_read_next(consumer, copy, sizeof copy, DXH_NOW, &item)) ==
	       DXH_ECORRUPT)
		cr_assert_leq(++failures, atomic_load(&header_of(it)->head));
	cr_expect_neq(status, DXH_OK);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_leq(stats.next_ticket, stats.head, "no ticket beyond head was lost");
	must(dxh_consumer_close(&consumer));
	free(it.bytes);
}

Test(hostile, nobody_seeks_by_a_head_that_cannot_be)
{
	image it = copy_good();
	dxh_consumer *consumer;

	store_image(name, it.bytes, it.length);
	consumer = open_consumer(name, (dxh_consumer_config){0});
	atomic_store(&header_of(it)->head, UINT64_MAX);
	store_image(name, it.bytes, it.length);
	expect_status(dxh_consumer_seek(consumer, DXH_START_NEWEST, 0), DXH_ECORRUPT);
	must(dxh_consumer_close(&consumer));
	free(it.bytes);
}
