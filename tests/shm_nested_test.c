/* SPDX-License-Identifier: MIT */
/* shm/schema: structs in structs, arrays of two dimensions, packed structs; what is
 * refused of them, where two descriptions differ, and the walk through all members. */
#include "base/pack.h"
#include "shm/schema.h"
#include "tests/shm_fixture.h"

enum mode { MODE_OFF, MODE_ON };

struct axis {
	float gain;
	_Atomic uint32_t steps;
};
DXH_SCHEMA(axis, DXH_FIELD(gain, "per volt", "V"), DXH_FIELD(steps));

struct stage {
	struct axis axes[3];
	struct axis grid[2][2];
	double matrix[2][3];
	char names[2][8];
	enum mode mode;
	struct axis spare;
	_Alignas(64) _Atomic uint64_t far;
};
DXH_SCHEMA(stage, DXH_NESTED(axes, axis, "x, y and z"), DXH_NESTED(grid, axis),
           DXH_FIELD(matrix, "rotation"), DXH_FIELD(names), DXH_FIELD(mode),
           DXH_NESTED(spare, axis), DXH_FIELD(far));

struct __attribute__((packed)) tight {
	char kind;
	uint64_t stamp;
	double values[2];
};
DXH_SCHEMA(tight, DXH_FIELD(kind), DXH_FIELD(stamp), DXH_FIELD(values));

static dxi_schema parsed;
static unsigned char *written;
static size_t written_bytes;

static void write_and_parse(const dxh_schema *schema)
{
	dxh_block_config config = {.zones = {{.name = "zone",
	                                      .schema = schema,
	                                      .bytes = schema->bytes,
	                                      .align = schema->align}}};

	must(dxi_schema_write("name", &config, &written, &written_bytes));
	must(dxi_schema_parse(written, written_bytes, 0, &parsed));
}

static void forget(void)
{
	dxi_schema_fini(&parsed);
	free(written);
}

Test(nested, the_macros_see_structs_rows_enums_and_alignment, .timeout = 5)
{
	const dxh_field *fields = DXH_SCHEMA_OF(stage)->fields;

	cr_expect_eq(fields[0].type, DXH_TYPE_STRUCT);
	cr_expect_eq(fields[0].count, 3);
	cr_expect_eq(fields[0].columns, 0);
	cr_expect_eq(fields[0].nested, DXH_SCHEMA_OF(axis));
	cr_expect_eq(fields[1].count, 4);
	cr_expect_eq(fields[1].columns, 2);
	cr_expect_eq(fields[2].count, 6);
	cr_expect_eq(fields[2].columns, 3);
	cr_expect_eq(fields[2].type, DXH_TYPE_F64);
	cr_expect_eq(fields[3].type, DXH_TYPE_TEXT);
	cr_expect_eq(fields[3].columns, 8);
	cr_expect_eq(fields[4].type, DXH_TYPE_U32);
	cr_expect_eq(fields[5].count, 1);
	cr_expect_eq(fields[6].offset_bytes, offsetof(struct stage, far));
	cr_expect_eq(DXH_SCHEMA_OF(tight)->fields[1].offset_bytes, 1);
	cr_expect_eq(DXH_SCHEMA_OF(tight)->align, 1);
}

Test(nested, what_is_written_comes_back, .timeout = 5)
{
	const dxh_schema *layout = &parsed.zones[0].layout;

	write_and_parse(DXH_SCHEMA_OF(stage));
	cr_assert_eq(layout->field_count, 7);
	cr_expect_str_eq(layout->fields[0].nested->name, "axis");
	cr_expect_eq(layout->fields[0].nested->bytes, sizeof(struct axis));
	cr_expect_str_eq(layout->fields[1].nested->fields[0].unit, "V");
	cr_expect(layout->fields[5].nested->fields[1].atomic);
	cr_expect_eq(layout->fields[2].columns, 3);
	expect_status(
		dxi_schema_compare("it", DXH_SCHEMA_OF(stage), &parsed.zones[0], DXI_MATCH_SAME),
		DXH_OK);
	must(dxi_scan(written, written_bytes, (dxi_scan_limits){10000, true}));
	forget();
}

Test(nested, a_block_of_such_structs_opens_and_is_checked, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = {.zones = {DXH_ZONE(stage), DXH_LATCH(tight)},
	                           .slot = DXH_SLOT(stage),
	                           .slot_count = 4};
	dxh_producer *producer = open_producer(name, config);
	dxh_consumer *consumer =
		open_consumer(name, (dxh_consumer_config){.slot = DXH_SLOT(stage)});
	const struct stage *view;
	struct stage *stage;

	must(dxh_zone(producer, stage, &stage));
	must(dxh_zone_view(consumer, stage, &view));
	atomic_store(&stage->axes[2].steps, 7);
	cr_expect_eq(atomic_load(&view->axes[2].steps), 7);
	dxh_consumer_close(&consumer);
	dxh_producer_close(&producer);
	must(dxh_block_unlink(NULL, name));
}

/* Compare `stage` with one in which a member of `axis` is this. */
static void expect_difference(dxh_field changed, const char *here, const char *there)
{
	dxh_field inner[2], outer[7];
	dxh_schema axis = *DXH_SCHEMA_OF(axis), stage = *DXH_SCHEMA_OF(stage);

	memcpy(inner, axis.fields, sizeof inner);
	memcpy(outer, stage.fields, sizeof outer);
	inner[1] = changed;
	axis.fields = inner;
	outer[1].nested = &axis;
	stage.fields = outer;
	expect_status(dxi_schema_compare("zone", &stage, &parsed.zones[0], DXI_MATCH_SAME),
	              DXH_ESCHEMA);
	expect_error_says("member 1 differs");
	expect_error_says(here);
	expect_error_says(there);
}

Test(nested, the_first_differing_member_is_named_by_its_path, .timeout = 5)
{
	dxh_field steps = DXH_SCHEMA_OF(axis)->fields[1], changed;
	const char *there = "in the block {grid[0][0].steps: atomic u32[1] at 28}";

	write_and_parse(DXH_SCHEMA_OF(stage));
	changed = steps, changed.type = DXH_TYPE_I32;
	expect_difference(changed, "here {grid[0][0].steps: atomic i32[1] at 28}", there);
	changed = steps, changed.name = "pulses";
	expect_difference(changed, "here {grid[0][0].pulses: atomic u32[1] at 28}", there);
	forget();
}

Test(nested, another_number_of_columns_is_a_difference, .timeout = 5)
{
	dxh_field fields[7];
	dxh_schema stage = *DXH_SCHEMA_OF(stage);

	write_and_parse(DXH_SCHEMA_OF(stage));
	memcpy(fields, stage.fields, sizeof fields);
	stage.fields = fields;
	fields[2].columns = 2;
	expect_status(dxi_schema_compare("zone", &stage, &parsed.zones[0], DXI_MATCH_SAME),
	              DXH_ESCHEMA);
	expect_error_says("here {matrix: f64[3][2] at 56}, in the block {matrix: f64[2][3] at 56}");
	fields[2].columns = 3;
	fields[0].count = 2;
	expect_status(dxi_schema_compare("zone", &stage, &parsed.zones[0], DXI_MATCH_SAME),
	              DXH_ESCHEMA);
	expect_error_says("here {axes: struct[2] axis of 8 bytes aligned to 4 at 0}");
	forget();
}

/* ---- what a program may not ask for ---- */

static void expect_refused(const dxh_schema *schema, const char *rule)
{
	dxh_block_config config = {.zones = {{.name = "zone",
	                                      .schema = schema,
	                                      .bytes = schema->bytes,
	                                      .align = schema->align}}};
	dxh_producer *producer = NULL;

	expect_status(dxh_producer_open("never", &config, &producer), DXH_EINVAL);
	expect_error_says(rule);
}

static dxh_schema around(const char *name, const dxh_field *field)
{
	return (dxh_schema){name, field->bytes, 8, field, 1};
}

Test(nested, five_structs_in_each_other_are_too_many, .timeout = 5)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	dxh_field fields[5] = {{.name = "v", .count = 1, .bytes = 8, .type = DXH_TYPE_U64}};
	dxh_schema schemas[5];

	schemas[0] = around(names[0], &fields[0]);
	for (int i = 1; i < 5; i++) {
		fields[i] = (dxh_field){.name = names[i],
		                        .count = 1,
		                        .bytes = 8,
		                        .type = DXH_TYPE_STRUCT,
		                        .nested = &schemas[i - 1]};
		schemas[i] = around(names[i], &fields[i]);
	}
	write_and_parse(&schemas[3]);
	forget();
	expect_refused(&schemas[4], "nested deeper than 4");
}

/* A schema that contains itself ends at the limit too. */
Test(nested, a_circle_of_schemas_is_refused, .timeout = 5)
{
	dxh_schema self = {.name = "self", .bytes = 8, .align = 8, .field_count = 1};
	dxh_field field = {
		.name = "me", .count = 1, .bytes = 8, .type = DXH_TYPE_STRUCT, .nested = &self};

	self.fields = &field;
	expect_refused(&self, "nested deeper than 4");
	write_and_parse(DXH_SCHEMA_OF(stage));
	expect_status(dxi_schema_compare("zone", &self, &parsed.zones[0], DXI_MATCH_SAME),
	              DXH_ESCHEMA);
	forget();
}

Test(nested, more_than_544_members_are_refused, .timeout = 5)
{
	static dxh_field inner[DXH_FIELDS_MAX], outer[17];
	dxh_schema within = {"within", DXH_FIELDS_MAX, 1, inner, DXH_FIELDS_MAX};
	dxh_schema schema = {"all", 17 * DXH_FIELDS_MAX, 1, outer, 16};

	for (uint32_t i = 0; i < DXH_FIELDS_MAX; i++)
		inner[i] = (dxh_field){.name = "byte",
		                       .offset_bytes = i,
		                       .count = 1,
		                       .bytes = 1,
		                       .type = DXH_TYPE_U8};
	for (uint32_t i = 0; i < 17; i++)
		outer[i] = (dxh_field){.name = "in",
		                       .offset_bytes = i * DXH_FIELDS_MAX,
		                       .count = 1,
		                       .bytes = DXH_FIELDS_MAX,
		                       .type = DXH_TYPE_STRUCT,
		                       .nested = &within};
	write_and_parse(&schema); /* 16 + 16 * 32 = 528 */
	forget();
	schema.field_count = 17;
	expect_refused(&schema, "more than 544 members");
}

Test(nested, atomics_that_are_not_aligned_are_refused, .timeout = 5)
{
	dxh_field word = {.name = "word",
	                  .offset_bytes = 8,
	                  .count = 1,
	                  .bytes = 8,
	                  .type = DXH_TYPE_U64,
	                  .atomic = 1};
	dxh_schema inner = {"inner", 16, 1, &word, 1};
	dxh_field in = {.name = "in",
	                .offset_bytes = 4,
	                .count = 1,
	                .bytes = 16,
	                .type = DXH_TYPE_STRUCT,
	                .nested = &inner};
	dxh_schema outer = {"outer", 64, 8, &in, 1};

	expect_refused(&outer, "member word is atomic and not aligned");
	in.offset_bytes = 8;
	write_and_parse(&outer);
	forget();
	/* Each second element would lie at a multiple of 4 only. */
	inner.bytes = 20, in.bytes = 40, in.count = 2;
	expect_refused(&outer, "member word is atomic and not aligned");
	word.offset_bytes = 4;
	expect_refused(&inner, "member word is atomic and not aligned");
}

Test(nested, rows_and_sizes_have_to_add_up, .timeout = 5)
{
	dxh_field field = {
		.name = "m", .count = 6, .bytes = 24, .type = DXH_TYPE_U32, .columns = 4};
	dxh_schema schema = {"s", 24, 4, &field, 1};

	expect_refused(&schema, "has not whole rows");
	field.columns = 3, field.type = DXH_TYPE_STRUCT;
	expect_refused(&schema, "is a struct without members");
	field.type = DXH_TYPE_U32, field.nested = DXH_SCHEMA_OF(axis);
	expect_refused(&schema, "has members and is none");
	field.type = DXH_TYPE_STRUCT;
	expect_refused(&schema, "has not the size of its elements");
	field.count = field.columns = 3, field.atomic = 1;
	expect_refused(&schema, "cannot be atomic");
}

/* ---- what foreign bytes may not say ---- */

typedef struct hostile {
	uint64_t outer_bytes, count, size, align, columns, offset, inner_offset;
} hostile;

static const hostile HARMLESS = {64, 2, 16, 8, 2, 0, 8};

/* One zone with one struct member that has one atomic u64. */
static dxh_status parse(hostile it)
{
	unsigned char bytes[512];
	dxi_writer writer = dxi_writer_of(bytes, sizeof bytes);
	dxi_schema schema;
	dxh_status status;

#define TEXT(t) dxi_write_text(&writer, t)
#define UINT(key, n) (TEXT(key), dxi_write_uint(&writer, n))
	dxi_write_map(&writer, 3), TEXT("name"), TEXT("b"), UINT("version", 1), TEXT("zones");
	dxi_write_array(&writer, 1), dxi_write_map(&writer, 5), UINT("align", 8);
	TEXT("fields"), dxi_write_array(&writer, 1), dxi_write_map(&writer, 9);
	UINT("align", it.align), UINT("columns", it.columns), UINT("count", it.count);
	TEXT("fields"), dxi_write_array(&writer, 1), dxi_write_map(&writer, 5);
	TEXT("atomic"), dxi_write_bool(&writer, true), UINT("count", 1), TEXT("name"), TEXT("w");
	UINT("offset", it.inner_offset), TEXT("type"), TEXT("u64");
	TEXT("name"), TEXT("in"), UINT("offset", it.offset), UINT("size", it.size);
	TEXT("struct"), TEXT("inner"), TEXT("type"), TEXT("struct");
	TEXT("name"), TEXT("zone"), UINT("size", it.outer_bytes), TEXT("struct"), TEXT("outer");
#undef UINT
#undef TEXT
	cr_assert_not(writer.overflow);
	status = dxi_schema_parse(bytes, writer.used, 1000, &schema);
	dxi_schema_fini(&schema);
	return status;
}

static void expect_corrupt(hostile it, const char *rule)
{
	expect_status(parse(it), DXH_ECORRUPT);
	expect_error_says(rule);
}

Test(nested, hostile_structs_are_refused_by_rule, .timeout = 5)
{
	hostile it;

	expect_status(parse(HARMLESS), DXH_OK);
	it = HARMLESS, it.count = 5;
	expect_corrupt(it, "\"in\" ends behind its struct");
	/* 2^32 * 2^32 must not wrap around. */
	it = HARMLESS, it.outer_bytes = it.count = it.size = UINT32_MAX;
	expect_corrupt(it, "\"in\" ends behind its struct");
	it = HARMLESS, it.offset = 40;
	expect_corrupt(it, "\"in\" ends behind its struct");
	it = HARMLESS, it.size = 0;
	expect_corrupt(it, "has not the size of its elements");
	it = HARMLESS, it.align = 3;
	expect_corrupt(it, "\"inner\" has an alignment");
	it = HARMLESS, it.columns = 3;
	expect_corrupt(it, "has not whole rows");
	it = HARMLESS, it.inner_offset = 9;
	expect_corrupt(it, "\"w\" ends behind its struct");
	it = HARMLESS, it.inner_offset = 4;
	expect_corrupt(it, "\"w\" is atomic and not aligned");
	it = HARMLESS, it.offset = 4;
	expect_corrupt(it, "\"w\" is atomic and not aligned");
}

/* ---- the walk ---- */

struct heard {
	char paths[1024];
	size_t visits;
	size_t stop_at;
	size_t offset_of_last;
};

static dxh_status hear(void *context, const char *path, const dxh_field *field, size_t offset)
{
	struct heard *heard = context;

	cr_expect_neq(field->type, DXH_TYPE_STRUCT);
	strcat(strcat(heard->paths, path), " ");
	heard->offset_of_last = offset;
	return ++heard->visits == heard->stop_at ? DXH_EEMPTY : DXH_OK;
}

Test(nested, the_walk_visits_each_member_of_each_element, .timeout = 5)
{
	struct heard heard = {0};

	expect_status(dxh_schema_walk(DXH_SCHEMA_OF(stage), hear, &heard), DXH_OK);
	cr_expect_str_eq(heard.paths, "axes[0].gain axes[0].steps axes[1].gain axes[1].steps "
	                              "axes[2].gain axes[2].steps "
	                              "grid[0][0].gain grid[0][0].steps "
	                              "grid[0][1].gain grid[0][1].steps "
	                              "grid[1][0].gain grid[1][0].steps "
	                              "grid[1][1].gain grid[1][1].steps "
	                              "matrix names mode spare.gain spare.steps far ");
	cr_expect_eq(heard.offset_of_last, offsetof(struct stage, far));
	heard = (struct heard){.stop_at = 6};
	expect_status(dxh_schema_walk(DXH_SCHEMA_OF(stage), hear, &heard), DXH_EEMPTY);
	cr_expect_eq(heard.offset_of_last, offsetof(struct stage, axes[2].steps));
}

Test(nested, the_walk_refuses_what_is_no_schema, .timeout = 5)
{
	dxh_schema self = {.name = "self", .bytes = 8, .align = 8, .field_count = 1};
	dxh_field field = {.name = "me", .count = 1, .bytes = 8, .type = DXH_TYPE_STRUCT};
	struct heard heard = {0};

	expect_status(dxh_schema_walk(NULL, hear, &heard), DXH_EINVAL);
	expect_status(dxh_schema_walk(&self, hear, &heard), DXH_EINVAL);
	self.fields = &field;
	expect_status(dxh_schema_walk(&self, NULL, &heard), DXH_EINVAL);
	expect_status(dxh_schema_walk(&self, hear, &heard), DXH_EINVAL);
	expect_error_says("\"me\"");
	field.nested = &self;
	expect_status(dxh_schema_walk(&self, hear, &heard), DXH_EINVAL);
	expect_error_says("more than 4 structs");
}
