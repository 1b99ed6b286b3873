/* SPDX-License-Identifier: MIT */
/* Zones listed, found by index, copied; and the three ways in which they can be wrong. */
#include "tests/shm_pair.h"

#include <dxh/zone.h>

static char name[DXH_BLOCK_NAME_MAX + 1];

static void setup(void)
{
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, usual_config());
	consumer = open_consumer(name, (dxh_consumer_config){0});
}

static void teardown(void)
{
	close_both();
	must(dxh_block_unlink(NULL, name));
}

TestSuite(zone_table, .init = setup, .fini = teardown, .timeout = 60);

static void expect_listed(const dxh_zone_entry *zone, uint32_t index)
{
	static const struct {
		const char *name, *of;
		uint64_t bytes;
		uint32_t align;
		dxh_zone_kind kind;
	} listed[] = {{"telemetry", "telemetry", sizeof(struct telemetry), 8, DXH_ZONE_IS_PLAIN},
	              {"position", "position", sizeof(struct position), 8, DXH_ZONE_IS_LATCH},
	              {"notes", NULL, 100, 64, DXH_ZONE_IS_PLAIN}};

	cr_expect_str_eq(zone->name, listed[index].name);
	cr_expect_eq(zone->bytes, listed[index].bytes);
	cr_expect_eq(zone->align, listed[index].align);
	cr_expect_eq(zone->kind, listed[index].kind);
	cr_expect_eq(zone->index, index);
	if (listed[index].of)
		cr_expect_str_eq(zone->schema->name, listed[index].of);
	else
		cr_expect_null(zone->schema);
}

Test(zone_table, all_zones_are_listed_and_then_no_more)
{
	dxh_zone_entry zone;
	uint32_t index;

	for (index = 0; dxh_consumer_zone_entry(consumer, index, &zone) == DXH_OK; index++)
		expect_listed(&zone, index);
	cr_expect_eq(index, 3);
	expect_status(dxh_consumer_zone_entry(consumer, index, &zone), DXH_EZONE);
	expect_error_says("index 3; it has 3");
	for (index = 0; dxh_producer_zone_entry(producer, index, &zone) == DXH_OK; index++)
		expect_listed(&zone, index);
	cr_expect_eq(index, 3);
	expect_status(dxh_producer_zone_entry(producer, UINT32_MAX, &zone), DXH_EZONE);
	expect_status(dxh_consumer_zone_entry(consumer, 0, NULL), DXH_EINVAL);
	expect_status(dxh_consumer_zone_entry(NULL, 0, &zone), DXH_EINVAL);
}

static dxh_status
count_member(void *context, const char *path, const dxh_field *field, size_t offset_bytes)
{
	unsigned *count = context;

	cr_expect(offset_bytes < sizeof(struct telemetry) && field->bytes > 0);
	cr_expect_str_eq(path, field->name);
	++*count;
	return DXH_OK;
}

Test(zone_table, what_is_listed_can_be_walked_without_the_header)
{
	dxh_zone_entry zone;
	unsigned count = 0;

	must(dxh_consumer_zone_entry(consumer, 0, &zone));
	must(dxh_schema_walk(zone.schema, count_member, &count));
	cr_expect_eq(count, 3);
	cr_expect_str_eq(zone.schema->fields[1].unit, "dB");
	cr_expect_str_eq(zone.schema->fields[0].doc, "frames since start");
	cr_expect(zone.schema->fields[0].atomic);
}

Test(zone_table, the_slot_is_told_in_the_same_words)
{
	dxh_zone_entry slot;
	dxh_block_config config = {.zones = {DXH_ZONE_RAW("z", 8)}, .unlink_on_close = 1};
	dxh_producer *other;

	must(dxh_consumer_slot_entry(consumer, &slot));
	cr_expect_str_eq(slot.schema->name, "item");
	must(dxh_producer_slot_entry(producer, &slot));
	cr_expect_str_eq(slot.schema->name, "item");
	cr_expect_eq(slot.bytes, sizeof(struct item));
	expect_status(dxh_producer_slot_entry(producer, NULL), DXH_EINVAL);
	other = open_producer(new_name(), config);
	expect_status(dxh_producer_slot_entry(other, &slot), DXH_ESTATE);
	must(dxh_producer_close(&other));
	config.slot = (dxh_slot_spec)DXH_SLOT_BYTES(10);
	config.slot_count = 1;
	config.checksum = DXH_CHECKSUM_CRC32C;
	other = open_producer(new_name(), config);
	must(dxh_producer_slot_entry(other, &slot));
	cr_expect_null(slot.schema);
	cr_expect_eq(slot.bytes, 10);
	cr_expect_eq(slot.digest, DXH_CHECKSUM_CRC32C);
	must(dxh_producer_close(&other));
}

Test(zone_table, writable_zones_are_listed_as_such)
{
	dxh_block_config config = usual_config();
	dxh_producer *other;
	dxh_zone_entry zone;

	config.zones_writable = 1;
	config.unlink_on_close = 1;
	other = open_producer(new_name(), config);
	must(dxh_producer_zone_entry(other, 0, &zone));
	cr_expect_eq(zone.kind, DXH_ZONE_IS_WRITABLE);
	must(dxh_producer_zone_entry(other, 1, &zone));
	cr_expect_eq(zone.kind, DXH_ZONE_IS_LATCH);
	must(dxh_producer_close(&other));
}

/* ---- by index --------------------------------------------------------------------- */

Test(zone_table, by_index_it_is_the_same_zone)
{
	struct telemetry *mine, *same;
	const struct telemetry *seen;

	must(dxh_zone(producer, telemetry, &mine));
	must(dxh_zone_at(producer, 0, telemetry, &same));
	cr_expect_eq(mine, same);
	atomic_store(&mine->frames, 42);
	must(dxh_zone_view_at(consumer, 0, telemetry, &seen));
	cr_expect_eq(atomic_load(&seen->frames), 42);
}

struct other {
	uint64_t frames;
	double gain;
	char source[16];
};
DXH_SCHEMA(other, DXH_FIELD(frames), DXH_FIELD(gain, NULL, "dB"), DXH_FIELD(source));

/* What is wrong has a status of its own, by name and by index, here and there. */
Test(zone_table, three_things_can_be_wrong_and_each_is_told)
{
	const void *seen;
	void *zone;

	expect_status(dxh_producer_zone(producer, "none", NULL, 32, &zone), DXH_EZONE);
	expect_error_says("it has: telemetry, position, notes");
	expect_status(dxh_producer_zone_at(producer, 3, NULL, 32, &zone), DXH_EZONE);
	expect_status(dxh_consumer_zone_at(consumer, 16, NULL, 32, &seen), DXH_EZONE);

	expect_status(dxh_producer_zone(producer, "telemetry", NULL, 33, &zone), DXH_ESIZE);
	expect_status(dxh_producer_zone_at(producer, 0, NULL, 31, &zone), DXH_ESIZE);
	expect_status(dxh_consumer_zone_at(consumer, 2, NULL, 101, &seen), DXH_ESIZE);

	expect_status(dxh_producer_zone_at(producer, 0, DXH_SCHEMA_OF(other), sizeof(struct other),
	                                   &zone),
	              DXH_ESCHEMA);
	expect_error_says("here {frames: u64[1] at 0}, in the block {frames: atomic u64[1] at 0}");
	expect_status(dxh_consumer_zone(consumer, "telemetry", DXH_SCHEMA_OF(other),
	                                sizeof(struct other), &seen),
	              DXH_ESCHEMA);
	expect_status(dxh_consumer_zone_at(consumer, 0, DXH_SCHEMA_OF(telemetry), 8, &seen),
	              DXH_ESIZE);
	expect_status(dxh_consumer_zone_at(consumer, 1, NULL, sizeof(struct position), &seen),
	              DXH_ESTATE);
	expect_status(dxh_producer_zone_at(producer, 0, NULL, 32, NULL), DXH_EINVAL);
}

struct wide {
	_Alignas(64) uint64_t value[8];
};
DXH_SCHEMA(wide, DXH_FIELD(value));

/* Declared by name and size alone, used as a struct: size and alignment are all there is. */
Test(zone_table, raw_zones_take_any_struct_that_fits)
{
	dxh_block_config config = {
		.zones = {DXH_ZONE_RAW("telemetry", sizeof(struct telemetry)),
	                  DXH_ZONE_RAW("small", sizeof(struct telemetry) - 8),
	                  {.name = "wide", .bytes = sizeof(struct wide), .align = 32},
	                  DXH_ZONE_RAW("fits", sizeof(struct wide))},
		.unlink_on_close = 1};
	dxh_producer *raw = open_producer(new_name(), config);
	struct telemetry *zone;
	struct wide *wide;

	must(dxh_zone(raw, telemetry, &zone));
	expect_status(dxh_zone_at(raw, 1, telemetry, &zone), DXH_ESIZE);
	expect_status(dxh_zone(raw, wide, &wide), DXH_ESIZE);
	expect_error_says(
		"struct wide of 64 bytes aligned to 64, in the block 64 raw bytes aligned to 32");
	must(dxh_zone_at(raw, 3, wide, &wide));
	must(dxh_producer_close(&raw));
}

/* ---- copies ----------------------------------------------------------------------- */

static void write_position(int32_t x, bool commit)
{
	struct position *begun;

	must(dxh_latch_begin(producer, "position", sizeof *begun, (void **)&begun));
	begun->x = x;
	begun->y = -x;
	if (commit)
		must(dxh_latch_commit(producer, "position"));
}

Test(zone_table, a_copy_of_any_kind)
{
	struct telemetry *zone, copy;
	struct position position;
	char notes[100], *mine;

	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 2.5;
	must(dxh_zone_snapshot(consumer, telemetry, &copy));
	cr_expect_eq(copy.gain, 2.5);
	write_position(7, true);
	must(dxh_zone_snapshot(consumer, position, &position));
	cr_expect(position.x == 7 && position.y == -7);
	must(dxh_producer_zone(producer, "notes", NULL, sizeof notes, (void **)&mine));
	memset(mine, 'n', sizeof notes);
	must(dxh_zone_copy_at(consumer, 2, NULL, notes, sizeof notes));
	cr_expect_eq(memcmp(notes, mine, sizeof notes), 0);
	memset(notes, 0, sizeof notes);
	must(dxh_zone_copy(consumer, "notes", NULL, notes, 13));
	cr_expect_eq(memcmp(notes, mine, 13), 0);
	cr_expect_eq(notes[13], 0);
}

Test(zone_table, a_copy_is_checked_like_a_pointer)
{
	char copy[200];

	expect_status(dxh_zone_copy(consumer, "none", NULL, copy, 1), DXH_EZONE);
	expect_status(dxh_zone_copy_at(consumer, 3, NULL, copy, 1), DXH_EZONE);
	expect_status(dxh_zone_copy_at(consumer, 2, NULL, copy, 101), DXH_ESIZE);
	expect_status(dxh_zone_copy(consumer, "telemetry", DXH_SCHEMA_OF(other), copy,
	                            sizeof(struct other)),
	              DXH_ESCHEMA);
	expect_status(dxh_zone_copy(consumer, "position", DXH_SCHEMA_OF(position), copy, 8),
	              DXH_ESIZE);
	expect_status(dxh_zone_copy_at(consumer, 0, NULL, NULL, 1), DXH_EINVAL);
	expect_status(dxh_zone_copy(consumer, NULL, NULL, copy, 1), DXH_EINVAL);
	expect_status(dxh_zone_copy(NULL, "notes", NULL, copy, 1), DXH_EINVAL);
}

static void dies_in_a_latch(const char *block)
{
	dxh_block_config config = usual_config();

	if (dxh_producer_open(block, &config, &producer) != DXH_OK)
		_exit(1);
	write_position(3, true);
	write_position(4, false);
	die_here();
}

Test(zone_table, the_copy_outlives_a_writer_that_died_within)
{
	struct position position;

	must(dxh_producer_close(&producer));
	cr_assert(WIFSIGNALED(run_child(dies_in_a_latch, name)));
	must(dxh_zone_snapshot(consumer, position, &position));
	cr_expect(position.x == 3 && position.y == -3, "%d %d", position.x, position.y);
	producer = open_producer(name, usual_config());
	must(dxh_zone_snapshot(consumer, position, &position));
	cr_expect_eq(position.x, 3);
}
