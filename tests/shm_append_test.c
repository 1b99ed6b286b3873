/* SPDX-License-Identifier: MIT */
/* A program meets a block of its own later version: what was appended is no harm where
 * the program says so; whatever else differs is refused, and the difference named.
 */
#include "tests/shm_fixture.h"

#include "shm/producer.h"

#include <dxh/zone.h>

struct axis {
	float position;
	float speed;
};
DXH_SCHEMA(axis, DXH_FIELD(position, NULL, "mm"), DXH_FIELD(speed));

struct stage { /* what the program knows */
	_Atomic uint64_t moves;
	struct axis axes[2];
	uint32_t state;
};
DXH_SCHEMA(stage, DXH_FIELD(moves), DXH_NESTED(axes, axis), DXH_FIELD(state));

struct stage_later { /* in the padding, and behind it */
	_Atomic uint64_t moves;
	struct axis axes[2];
	uint32_t state;
	uint32_t errors;
	double heat[3];
};
DXH_SCHEMA(stage_later, DXH_FIELD(moves), DXH_NESTED(axes, axis), DXH_FIELD(state),
           DXH_FIELD(errors), DXH_FIELD(heat, NULL, "K"));

struct axis_later {
	float position;
	float speed;
	float load;
};
DXH_SCHEMA(axis_later, DXH_FIELD(position, NULL, "mm"), DXH_FIELD(speed), DXH_FIELD(load));

struct last { /* the nested struct is the last member, so that it could grow in place */
	uint64_t moves;
	struct axis axis;
};
DXH_SCHEMA(last, DXH_FIELD(moves), DXH_NESTED(axis, axis));

struct last_later {
	uint64_t moves;
	struct axis_later axis;
};
DXH_SCHEMA(last_later, DXH_FIELD(moves), DXH_NESTED(axis, axis_later));

static const dxh_consumer_config STRICT, APPENDED = {.accept_appended = 1};
static char name[DXH_BLOCK_NAME_MAX + 1];
static dxh_producer *producer;
static dxh_consumer *consumer;

#define NAMED(zone, tag)                                                                           \
	.name = zone, .schema = DXH_SCHEMA_OF(tag), .bytes = sizeof(struct tag),                   \
	.align = _Alignof(struct tag)
#define ZONE(zone, tag)                                                                            \
	{                                                                                          \
		NAMED(zone, tag)                                                                   \
	}
#define LATCH(zone, tag)                                                                           \
	{                                                                                          \
		NAMED(zone, tag), .latch = 1                                                       \
	}

static void setup(void)
{
	snprintf(name, sizeof name, "%s", new_name());
}

static void teardown(void)
{
	if (consumer)
		must(dxh_consumer_close(&consumer));
	if (producer)
		must(dxh_producer_close(&producer));
}

TestSuite(append, .init = setup, .fini = teardown, .timeout = 30);

static void make(dxh_block_config config)
{
	config.unlink_on_close = 1;
	producer = open_producer(name, config);
}

static void make_later(void)
{
	make((dxh_block_config){
		.zones = {ZONE("stage", stage_later), LATCH("latched", stage_later),
	                  DXH_ZONE_RAW("notes", 100)},
		.slot = DXH_SLOT(stage_later),
		.slot_count = 4,
	});
}

static dxh_status view_stage(dxh_consumer *reader)
{
	const struct stage *seen;

	return dxh_zone_view(reader, stage, &seen);
}

/* ---- where it is asked for -------------------------------------------------------- */

Test(append, zones_may_have_more_members)
{
	struct stage_later *mine;
	const struct stage *seen;

	make_later();
	must(dxh_producer_zone(producer, "stage", DXH_SCHEMA_OF(stage_later), sizeof *mine,
	                       (void **)&mine));
	mine->state = 5;
	mine->axes[1].speed = 2.5F;
	mine->errors = 77;
	consumer = open_consumer(name, STRICT);
	expect_status(view_stage(consumer), DXH_ESCHEMA);
	expect_error_says("member 3 differs: here {nothing}, in the block {errors: u32[1] at 28}");
	must(dxh_consumer_close(&consumer));
	consumer = open_consumer(name, APPENDED);
	must(dxh_zone_view(consumer, stage, &seen));
	cr_expect_eq(seen->state, 5);
	cr_expect_eq(seen->axes[1].speed, 2.5F);
}

Test(append, latches_may_have_more_members)
{
	struct stage_later *begun;
	struct stage copy;

	make_later();
	must(dxh_latch_begin(producer, "latched", sizeof *begun, (void **)&begun));
	begun->state = 6;
	must(dxh_latch_commit(producer, "latched"));
	consumer = open_consumer(name, APPENDED);
	must(dxh_zone_copy(consumer, "latched", DXH_SCHEMA_OF(stage), &copy, sizeof copy));
	cr_expect_eq(copy.state, 6);
	/* Its size alone does not show that it was appended to. */
	expect_status(dxh_latch_read(consumer, "latched", &copy, sizeof copy), DXH_ESIZE);
}

Test(append, slots_may_have_more_members)
{
	dxh_consumer_config strict = {.slot = DXH_SLOT(stage)};
	dxh_consumer_config appended = {.slot = DXH_SLOT(stage), .accept_appended = 1};
	struct stage_later item = {.state = 8, .errors = 9};
	struct stage known;
	dxh_peek peek;

	make_later();
	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	expect_status(dxh_consumer_open(name, &strict, &consumer), DXH_ESCHEMA);
	expect_error_says("the slot: member 3 differs");
	consumer = open_consumer(name, appended);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	cr_expect_eq(peek.item.bytes, sizeof item);
	memcpy(&known, peek.data, sizeof known);
	must(dxh_peek_end(&peek));
	cr_expect_eq(known.state, 8);
}

Test(append, there_may_be_more_zones)
{
	static const dxh_zone_spec known[] = {ZONE("stage", stage), {0}};
	dxh_consumer_config config = {.zones = known};

	make_later();
	expect_status(dxh_consumer_open(name, &config, &consumer), DXH_ESCHEMA);
	config.accept_appended = 1;
	consumer = open_consumer(name, config);
	must(view_stage(consumer));
}

Test(append, the_same_version_is_good_both_ways)
{
	static const dxh_zone_spec known[] = {ZONE("stage", stage), {0}};
	dxh_consumer_config config = {.zones = known};

	make((dxh_block_config){.zones = {ZONE("stage", stage)}});
	consumer = open_consumer(name, config);
	must(view_stage(consumer));
	must(dxh_consumer_close(&consumer));
	config.accept_appended = 1;
	consumer = open_consumer(name, config);
	must(view_stage(consumer));
}

/* ---- whatever else differs -------------------------------------------------------- */

static void expect_refused_at_open(const dxh_zone_spec *known, dxh_status status, const char *says)
{
	dxh_consumer_config config = {.zones = known, .accept_appended = 1};

	expect_status(dxh_consumer_open(name, &config, &consumer), status);
	expect_error_says(says);
}

Test(append, what_the_block_lacks_is_refused)
{
	static const dxh_zone_spec more[] = {ZONE("stage", stage_later), {0}};
	static const dxh_zone_spec zones[] = {ZONE("stage", stage), DXH_ZONE_RAW("extra", 8), {0}};

	make((dxh_block_config){.zones = {ZONE("stage", stage)}});
	expect_refused_at_open(
		more, DXH_ESCHEMA,
		"member 3 differs: here {errors: u32[1] at 28}, in the block {nothing}");
	expect_refused_at_open(zones, DXH_ESCHEMA,
	                       "here 2 zones, in the block 1: the first that the other lacks is "
	                       "\"extra\"");
}

Test(append, a_nested_struct_that_grew_is_refused)
{
	static const dxh_zone_spec known[] = {ZONE("last", last), {0}};

	make((dxh_block_config){.zones = {ZONE("last", last_later)}});
	expect_refused_at_open(known, DXH_ESCHEMA, "member 1 differs: here {axis: struct[1] axis");
}

Test(append, zones_in_another_order_are_refused)
{
	static const dxh_zone_spec known[] = {ZONE("stage", stage), {0}};

	make((dxh_block_config){.zones = {DXH_ZONE_RAW("new", 8), ZONE("stage", stage)}});
	expect_refused_at_open(known, DXH_ESCHEMA,
	                       "zone 0 differs: here \"stage\", in the block \"new\"");
}

Test(append, raw_zones_of_another_size_are_refused)
{
	static const dxh_zone_spec known[] = {DXH_ZONE_RAW("notes", 90), {0}};
	const void *seen;

	make((dxh_block_config){.zones = {DXH_ZONE_RAW("notes", 100)}});
	expect_refused_at_open(known, DXH_ESIZE, "here 90 bytes");
	consumer = open_consumer(name, APPENDED);
	expect_status(dxh_consumer_zone(consumer, "notes", NULL, 90, &seen), DXH_ESIZE);
}

Test(append, producers_take_over_nothing_of_another_version)
{
	dxh_block_config config = {.zones = {ZONE("stage", stage)}};

	make_later();
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ESCHEMA);
	must(dxh_block_unlink(NULL, name));
}

/* ---- each single change of what both know ------------------------------------------ */

static void change(dxh_schema *ours, dxh_field fields[3], int what)
{
	switch (what) {
	case 0:
		fields[0].name = "motions";
		break;
	case 1:
		fields[0].atomic = 0;
		break;
	case 2:
		fields[0].type = DXH_TYPE_I64;
		break;
	case 3:
		fields[1].count = 1;
		break;
	case 4:
		fields[1].columns = 1;
		break;
	case 5:
		fields[2].unit = "V";
		break;
	case 6:
		fields[2].type = DXH_TYPE_F32;
		break;
	case 7:
		fields[2].offset_bytes = 20;
		break;
	default: /* a struct without members proves nothing */
		ours->field_count = 0;
		break;
	}
}

/* Our view of the later block with one thing changed. */
Test(append, any_change_of_what_both_know_is_refused_and_named)
{
	static const char *const named[] = {
		"here {motions: ",       "here {moves: u64[1] at 0}", "moves: atomic i64",
		"here {axes: struct[1]", "here {axes: struct[2][1]",  "u32[1] at 24, in V}",
		"here {state: f32",      "here {state: u32[1] at 20", "here {nothing}"};
	enum { CHANGES = sizeof named / sizeof *named };
	dxh_field fields[3];
	dxh_schema ours;
	const void *seen;

	make_later();
	consumer = open_consumer(name, APPENDED);
	for (int what = 0; what < CHANGES; what++) {
		memcpy(fields, DXH_SCHEMA_OF(stage)->fields, sizeof fields);
		ours = *DXH_SCHEMA_OF(stage);
		ours.fields = fields;
		change(&ours, fields, what);
		expect_status(
			dxh_consumer_zone(consumer, "stage", &ours, sizeof(struct stage), &seen),
			DXH_ESCHEMA);
		expect_error_says(named[what]);
	}
	must(view_stage(consumer));
}

/* A struct that is larger here than in the block would be read beyond its end. */
Test(append, our_struct_must_lie_within_theirs)
{
	dxh_schema ours = *DXH_SCHEMA_OF(stage);
	const void *seen;

	make_later();
	consumer = open_consumer(name, APPENDED);
	ours.bytes = sizeof(struct stage_later) + 8;
	expect_status(dxh_consumer_zone(consumer, "stage", &ours, ours.bytes, &seen), DXH_ESIZE);
	ours = *DXH_SCHEMA_OF(stage);
	ours.align = 16;
	expect_status(dxh_consumer_zone(consumer, "stage", &ours, ours.bytes, &seen), DXH_ESIZE);
	expect_status(dxh_consumer_zone(consumer, "stage", DXH_SCHEMA_OF(stage),
	                                sizeof(struct stage_later), &seen),
	              DXH_ESIZE);
}
