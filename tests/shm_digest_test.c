/* SPDX-License-Identifier: MIT */
/* Digests of zones, set by hand: what they prove, and what ends them. */
#include "tests/shm_pair.h"

#include "shm/geometry.h"

#include <dxh/inspect.h>
#include <dxh/zone.h>

static const unsigned char KEY[DXH_CHECKSUM_KEY_BYTES] = "a key of zones and of items, 32";
static char name[DXH_BLOCK_NAME_MAX + 1];
static struct telemetry *mine;

static dxh_block_config digest_config(uint32_t kind)
{
	dxh_block_config config = usual_config();

	for (int i = 0; i < 3; i++)
		config.zones[i].digest = kind;
	return config;
}

static void open_pair(dxh_block_config config, dxh_consumer_config reader)
{
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, config);
	consumer = open_consumer(name, reader);
	must(dxh_zone(producer, telemetry, &mine));
	mine->gain = 1.5;
}

static void setup(void)
{
	open_pair(digest_config(DXH_CHECKSUM_XXH3), (dxh_consumer_config){0});
}

static void teardown(void)
{
	close_both();
	must(dxh_block_unlink(NULL, name));
}

TestSuite(digest, .init = setup, .fini = teardown, .timeout = 60);

static dxh_status verify(const char *zone)
{
	dxh_status here = dxh_producer_zone_digest_verify(producer, zone, NULL, 0);

	cr_expect_eq(dxh_consumer_zone_digest_verify(consumer, zone, NULL, 0), here);
	return here;
}

/* ---- what it proves --------------------------------------------------------------- */

Test(digest, it_holds_until_the_zone_is_written_and_again_when_it_is_set)
{
	expect_status(verify("telemetry"), DXH_EEMPTY);
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	must(verify("telemetry"));
	mine->gain = 2.5;
	expect_status(verify("telemetry"), DXH_ECORRUPT);
	expect_error_says("telemetry");
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	must(verify("telemetry"));
	mine->gain = 1.5;
	expect_status(verify("telemetry"), DXH_ECORRUPT);
	mine->gain = 2.5;
	must(verify("telemetry"));
}

/* Each byte of a zone counts, to the last, with each kind. */
Test(digest, every_byte_counts)
{
	enum { BYTES = 100 };
	unsigned tried = 0;

	teardown();
	for (uint32_t kind = DXH_CHECKSUM_XXH3; kind <= DXH_CHECKSUM_BLAKE2B; kind++) {
		unsigned char *notes;

		open_pair(digest_config(kind), (dxh_consumer_config){0});
		must(dxh_producer_zone(producer, "notes", NULL, BYTES, (void **)&notes));
		memset(notes, 'n', BYTES);
		must(dxh_producer_zone_digest_set(producer, "notes"));
		for (int i = 0; i < BYTES; i++, tried++) {
			notes[i] ^= 0x10;
			expect_status(dxh_consumer_zone_digest_verify(consumer, "notes", NULL, 0),
			              DXH_ECORRUPT);
			notes[i] ^= 0x10;
		}
		must(verify("notes"));
		teardown();
	}
	cr_expect_eq(tried, 3 * BYTES);
	setup();
}

static void write_position(int32_t x)
{
	struct position *begun;

	must(dxh_latch_begin(producer, "position", sizeof *begun, (void **)&begun));
	begun->x = x;
	must(dxh_latch_commit(producer, "position"));
}

/* Also the value before the last has a place, and its digest must not pass for it. */
Test(digest, of_a_latch_it_belongs_to_one_value)
{
	struct position copy, *begun;

	for (int32_t x = 1; x < 5; x++) {
		write_position(x);
		expect_status(verify("position"), DXH_EEMPTY);
		must(dxh_producer_zone_digest_set(producer, "position"));
		must(verify("position"));
		must(dxh_consumer_zone_digest_verify(consumer, "position", &copy, sizeof copy));
		cr_expect_eq(copy.x, x);
	}
	must(dxh_latch_begin(producer, "position", sizeof *begun, (void **)&begun));
	begun->x = 99;
	must(verify("position"));
	must(dxh_latch_commit(producer, "position"));
	expect_status(verify("position"), DXH_EEMPTY);
	expect_error_says("another value");
}

Test(digest, the_copy_is_what_was_verified)
{
	struct telemetry copy;

	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	must(dxh_consumer_zone_digest_verify(consumer, "telemetry", &copy, sizeof copy));
	cr_expect_eq(copy.gain, 1.5);
	must(dxh_producer_zone_digest_verify(producer, "telemetry", &copy, sizeof copy));
	expect_status(dxh_consumer_zone_digest_verify(consumer, "telemetry", &copy, 8), DXH_ESIZE);
	expect_status(dxh_consumer_zone_digest_verify(consumer, "telemetry", NULL, sizeof copy),
	              DXH_ESIZE);
}

/* Two zones of the same bytes have other digests: one cannot be put in the other's place. */
Test(digest, of_another_zone_it_is_none)
{
	static const char *const zones[] = {"one", "two"};
	dxh_block_config config = {
		.zones = {{.name = "one", .bytes = 64, .digest = DXH_CHECKSUM_XXH3},
	                  {.name = "two", .bytes = 64, .digest = DXH_CHECKSUM_XXH3}},
		.unlink_on_close = 1};
	dxh_producer *twins = open_producer(new_name(), config);
	unsigned char *at[2];

	for (int i = 0; i < 2; i++) {
		must(dxh_producer_zone(twins, zones[i], NULL, 64, (void **)&at[i]));
		must(dxh_producer_zone_digest_set(twins, zones[i]));
	}
	cr_expect_neq(memcmp(at[0] + 64, at[1] + 64, 64), 0);
	memcpy(at[1] + 64, at[0] + 64, 64);
	expect_status(dxh_producer_zone_digest_verify(twins, "two", NULL, 0), DXH_ECORRUPT);
	must(dxh_producer_zone_digest_verify(twins, "one", NULL, 0));
	must(dxh_producer_close(&twins));
}

/* ---- who may ---------------------------------------------------------------------- */

Test(digest, zones_declared_without_have_none)
{
	dxh_block_config config = usual_config();
	dxh_producer *plain;
	dxh_zone_entry zone;

	config.unlink_on_close = 1;
	plain = open_producer(new_name(), config);
	expect_status(dxh_producer_zone_digest_set(plain, "telemetry"), DXH_ESTATE);
	expect_error_says("dxh_zone_spec.digest");
	expect_status(dxh_producer_zone_digest_verify(plain, "telemetry", NULL, 0), DXH_ESTATE);
	must(dxh_producer_zone_entry(plain, 0, &zone));
	cr_expect_eq(zone.digest, DXH_CHECKSUM_NONE);
	must(dxh_producer_close(&plain));
	must(dxh_consumer_zone_entry(consumer, 0, &zone));
	cr_expect_eq(zone.digest, DXH_CHECKSUM_XXH3);
}

Test(digest, what_is_wrong_is_told)
{
	dxh_block_config config = digest_config(DXH_CHECKSUM_BLAKE2B + 1);
	dxh_producer *none;

	expect_status(dxh_producer_zone_digest_set(producer, "none"), DXH_EZONE);
	expect_status(dxh_producer_zone_digest_set(producer, NULL), DXH_EINVAL);
	expect_status(dxh_producer_zone_digest_set(NULL, "notes"), DXH_EINVAL);
	expect_status(dxh_consumer_zone_digest_verify(consumer, "none", NULL, 0), DXH_EZONE);
	expect_status(dxh_consumer_zone_digest_verify(NULL, "notes", NULL, 0), DXH_EINVAL);
	expect_status(dxh_consumer_zone_digest_set(consumer, "notes"), DXH_ESTATE);
	expect_error_says("zones_writable");
	expect_status(dxh_producer_open(new_name(), &config, &none), DXH_EINVAL);
	expect_error_says("no dxh_checksum");
}

Test(digest, consumers_set_it_where_they_write)
{
	dxh_block_config config = digest_config(DXH_CHECKSUM_CRC32C);
	dxh_consumer *reader;
	struct telemetry *written;

	teardown();
	config.zones_writable = 1;
	open_pair(config, (dxh_consumer_config){.write_zones = 1});
	reader = open_consumer(name, (dxh_consumer_config){0});
	must(dxh_zone_writable(consumer, telemetry, &written));
	written->gain = 9;
	must(dxh_consumer_zone_digest_set(consumer, "telemetry"));
	must(verify("telemetry"));
	expect_status(dxh_consumer_zone_digest_set(consumer, "position"), DXH_ESTATE);
	expect_status(dxh_consumer_zone_digest_set(reader, "telemetry"), DXH_ESTATE);
	must(dxh_consumer_close(&reader));
}

static dxh_block_config keyed_config(void)
{
	dxh_block_config config = digest_config(DXH_CHECKSUM_BLAKE2B);

	config.checksum = DXH_CHECKSUM_BLAKE2B;
	config.checksum_key = KEY;
	return config;
}

/* The digest that anybody could compute is not that of the block with the key. */
Test(digest, with_a_key_nobody_else_can_make_it)
{
	unsigned char keyed[64];

	teardown();
	open_pair(keyed_config(), (dxh_consumer_config){.checksum_key = KEY});
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	must(verify("telemetry"));
	memcpy(keyed, (unsigned char *)mine + 64, sizeof keyed);
	teardown();
	open_pair(digest_config(DXH_CHECKSUM_BLAKE2B), (dxh_consumer_config){0});
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	cr_expect_neq(memcmp(keyed + 16, (unsigned char *)mine + 64 + 16, 32), 0);
	memcpy((unsigned char *)mine + 64, keyed, sizeof keyed);
	expect_status(verify("telemetry"), DXH_ECORRUPT);
}

/* ---- from process to process ------------------------------------------------------ */

Test(digest, a_successor_and_a_copy_verify_it)
{
	dxh_block_config config = digest_config(DXH_CHECKSUM_XXH3);
	dxh_consumer *copy;
	char path[256];
	image it;
	int fd;

	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	write_position(3);
	must(dxh_producer_zone_digest_set(producer, "position"));
	must(dxh_producer_close(&producer));
	producer = open_producer(name, config);
	must(verify("telemetry"));
	must(verify("position"));
	it = load_image(name);
	snprintf(path, sizeof path, "%s", file_of(name, ".copy"));
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, it.bytes, it.length), (ssize_t)it.length);
	close(fd);
	must(dxh_consumer_open(NULL, &(dxh_consumer_config){.file = path}, &copy));
	must(dxh_consumer_zone_digest_verify(copy, "telemetry", NULL, 0));
	must(dxh_consumer_zone_digest_verify(copy, "position", NULL, 0));
	expect_status(dxh_consumer_zone_digest_verify(copy, "notes", NULL, 0), DXH_EEMPTY);
	must(dxh_consumer_close(&copy));
	unlink(path);
	free(it.bytes);
}

Test(digest, a_successor_must_declare_the_same)
{
	dxh_block_config config = digest_config(DXH_CHECKSUM_CRC32C);

	must(dxh_producer_close(&producer));
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ESCHEMA);
	expect_error_says("zone \"telemetry\": digest: here kind 2, in the block kind 1");
	producer = open_producer(name, digest_config(DXH_CHECKSUM_XXH3));
}

/* Who dies while it sets one leaves none, and the next can set it. */
Test(digest, half_a_digest_is_none)
{
	struct dxi_layout_digest *digest;

	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	digest = (struct dxi_layout_digest *)((unsigned char *)mine + 64);
	cr_expect_eq(digest->mark, 2);
	digest->mark = 3;
	digest->sum[0]++;
	expect_status(verify("telemetry"), DXH_EEMPTY);
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	cr_expect_eq(digest->mark, 4);
	must(verify("telemetry"));
}

/* ---- forged tables ---------------------------------------------------------------- */

static void expect_forged(uint32_t kind, dxh_status wanted)
{
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};
	image it = load_image(name);
	dxh_consumer *late;
	char other[DXH_BLOCK_NAME_MAX + 1];

	memcpy(zones, it.bytes + header_of(it)->zones_offset, 3 * sizeof *zones);
	zones[0].digest = kind;
	memcpy(it.bytes + header_of(it)->zones_offset, zones, 3 * sizeof *zones);
	dxi_geometry_seal(header_of(it), zones, it.bytes + header_of(it)->schema_offset);
	snprintf(other, sizeof other, "%s", new_name());
	store_image(other, it.bytes, it.length);
	expect_status(dxh_consumer_open(other, NULL, &late), wanted);
	if (wanted == DXH_OK)
		must(dxh_consumer_close(&late));
	free(it.bytes);
	unlink(file_of(other, ".dxh"));
}

Test(digest, kinds_that_cannot_be_are_refused)
{
	expect_forged(DXI_CHECKSUM_BLAKE2B, DXH_OK);
	expect_forged(DXI_CHECKSUM_BLAKE2B_KEYED, DXH_ECORRUPT);
	expect_error_says("a digest with a key in a block without");
	expect_forged(99, DXH_ECORRUPT);
	expect_error_says("no digest of format 1.0");
}

/* ---- looked at from outside ------------------------------------------------------- */

static uint32_t warnings(void)
{
	dxh_report *report = NULL;
	uint32_t found = 0;

	must(dxh_block_validate(name, NULL, &report));
	for (size_t i = 0; i < report->finding_count; i++)
		found += report->findings[i].rule == DXH_RULE_ZONE_DIGEST;
	cr_expect_eq(report->warnings, found);
	dxh_report_free(&report);
	return found;
}

Test(digest, a_check_of_the_block_verifies_them)
{
	struct position *begun;

	cr_expect_eq(warnings(), 0, "none is set");
	write_position(4);
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	must(dxh_producer_zone_digest_set(producer, "position"));
	cr_expect_eq(warnings(), 0);
	mine->gain = 8;
	cr_expect_eq(warnings(), 1);
	must(dxh_latch_begin(producer, "position", sizeof *begun, (void **)&begun));
	begun->x = 5;
	cr_expect_eq(warnings(), 1, "the current value of the latch is as it was");
	/* Copies lie 64 bytes apart; the spare one is the first after an odd number of writes. */
	begun = (struct position *)((unsigned char *)begun + sizeof(struct dxi_layout_digest));
	begun->x = 6;
	cr_expect_eq(warnings(), 2);
	must(dxh_latch_commit(producer, "position"));
	cr_expect_eq(warnings(), 1, "another value has no digest");
	must(dxh_producer_zone_digest_set(producer, "telemetry"));
	cr_expect_eq(warnings(), 0);
}
