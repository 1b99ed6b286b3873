/* SPDX-License-Identifier: MIT */
/* shm/schema: what the macros say is what is written, read back and compared. */
#include "shm/schema.h"

#include "base/pack.h"
#include "tests/shm_fixture.h"

struct everything {
	uint8_t u8;
	int8_t i8;
	uint16_t u16;
	int16_t i16;
	uint32_t u32;
	int32_t i32;
	uint64_t u64;
	int64_t i64;
	float f32;
	_Bool yes;
	char text[3];
	double f64[2];
	_Atomic uint32_t counters[4];
	struct {
		int a, b;
	} other;
};
DXH_SCHEMA(everything, DXH_FIELD(u8), DXH_FIELD(i8), DXH_FIELD(u16), DXH_FIELD(i16), DXH_FIELD(u32),
           DXH_FIELD(i32), DXH_FIELD(u64), DXH_FIELD(i64), DXH_FIELD(f32), DXH_FIELD(yes),
           DXH_FIELD(text), DXH_FIELD(f64), DXH_FIELD(counters), DXH_FIELD(other));

static dxi_schema parsed;
static unsigned char *written;
static size_t written_bytes;

static void write_and_parse(const dxh_block_config *config)
{
	must(dxi_schema_write("name", config, &written, &written_bytes));
	must(dxi_schema_parse(written, written_bytes, 0, &parsed));
}

static void forget(void)
{
	dxi_schema_fini(&parsed);
	free(written);
}

Test(schema, every_type_comes_back, .timeout = 5)
{
	static const dxh_type types[] = {DXH_TYPE_U8,  DXH_TYPE_I8,   DXH_TYPE_U16,  DXH_TYPE_I16,
	                                 DXH_TYPE_U32, DXH_TYPE_I32,  DXH_TYPE_U64,  DXH_TYPE_I64,
	                                 DXH_TYPE_F32, DXH_TYPE_BOOL, DXH_TYPE_TEXT, DXH_TYPE_F64,
	                                 DXH_TYPE_U32, DXH_TYPE_BYTES};
	dxh_block_config config = {.zones = {DXH_ZONE(everything)}};
	const dxh_schema *schema;

	write_and_parse(&config);
	schema = &parsed.zones[0].layout;
	cr_assert_eq(schema->field_count, sizeof types / sizeof *types);
	for (uint32_t i = 0; i < schema->field_count; i++)
		cr_expect_eq(schema->fields[i].type, types[i], "member %u", i);
	cr_expect_eq(schema->fields[10].count, 3);
	cr_expect_eq(schema->fields[12].count, 4);
	cr_expect(schema->fields[12].atomic);
	cr_expect_eq(schema->fields[13].bytes, 2 * sizeof(int));
	cr_expect_eq(schema->bytes, sizeof(struct everything));
	expect_status(dxi_schema_compare("it", DXH_SCHEMA_OF(everything), &parsed.zones[0],
	                                 DXI_MATCH_SAME),
	              DXH_OK);
	forget();
}

Test(schema, types_have_names_and_sizes, .timeout = 5)
{
	dxh_type type;

	for (int i = DXH_TYPE_BYTES; i <= DXH_TYPE_STRUCT; i++) {
		cr_expect(dxi_type_of_name(dxh_type_name((dxh_type)i), &type));
		cr_expect_eq((int)type, i);
		cr_expect_eq(dxh_type_bytes(type) > 0, type != DXH_TYPE_STRUCT);
	}
	cr_expect_str_eq(dxh_type_name((dxh_type)99), "?");
	cr_expect_eq(dxh_type_bytes((dxh_type)99), 0);
	cr_expect_not(dxi_type_of_name("u128", &type));
}

Test(schema, docs_and_units_are_kept, .timeout = 5)
{
	dxh_block_config config = usual_config();

	write_and_parse(&config);
	cr_expect_str_eq(parsed.name, "name");
	cr_expect_str_eq(parsed.zones[0].layout.fields[0].doc, "frames since start");
	cr_expect_str_eq(parsed.zones[0].layout.fields[1].unit, "dB");
	cr_expect_null(parsed.zones[0].layout.fields[2].doc);
	cr_expect(parsed.zones[1].latch);
	cr_expect_not(parsed.zones[2].typed);
	cr_expect(parsed.has_slot);
	forget();
}

Test(schema, the_bytes_are_canonical_and_always_the_same, .timeout = 5)
{
	dxh_block_config config = usual_config();
	unsigned char *again;
	size_t again_bytes;

	write_and_parse(&config);
	must(dxi_schema_write("name", &config, &again, &again_bytes));
	cr_assert_eq(again_bytes, written_bytes);
	cr_expect_eq(memcmp(again, written, again_bytes), 0);
	must(dxi_scan(written, written_bytes, (dxi_scan_limits){10000, true}));
	free(again);
	forget();
}

/* The largest that the limits allow must fit. */
Test(schema, the_largest_schema_fits, .timeout = 5)
{
	static char names[DXH_FIELDS_MAX][DXH_SCHEMA_NAME_MAX + 1], doc[DXI_SCHEMA_DOC_MAX + 1],
		unit[DXI_SCHEMA_UNIT_MAX + 1], zone_names[DXH_ZONES_MAX][DXH_SCHEMA_NAME_MAX + 1];
	static dxh_field fields[DXH_FIELDS_MAX];
	dxh_schema schema = {.name = names[0],
	                     .bytes = 8 * DXH_FIELDS_MAX,
	                     .align = 8,
	                     .fields = fields,
	                     .field_count = DXH_FIELDS_MAX};
	dxh_block_config config = {.slot = {&schema, schema.bytes}, .slot_count = 4};

	memset(doc, 'd', sizeof doc - 1);
	memset(unit, 'u', sizeof unit - 1);
	for (uint32_t i = 0; i < DXH_FIELDS_MAX; i++) {
		memset(names[i], 'n', DXH_SCHEMA_NAME_MAX);
		fields[i] = (dxh_field){names[i], doc, unit, 8 * i, 1, 8, DXH_TYPE_F64, 1, 0, NULL};
	}
	for (uint32_t i = 0; i < DXH_ZONES_MAX; i++) {
		memset(zone_names[i], 'a' + (int)i, DXH_SCHEMA_NAME_MAX);
		config.zones[i] = (dxh_zone_spec){zone_names[i], &schema, schema.bytes, 8, 0, 0};
	}
	write_and_parse(&config);
	cr_expect_eq(parsed.zone_count, DXH_ZONES_MAX);
	cr_expect_lt(written_bytes, DXI_SCHEMA_BYTES_MAX);
	forget();
}

static void expect_difference(dxh_field changed, const char *here, const char *there)
{
	dxh_field fields[3];
	dxh_schema ours = *DXH_SCHEMA_OF(telemetry);

	memcpy(fields, ours.fields, sizeof fields);
	fields[1] = changed;
	ours.fields = fields;
	expect_status(
		dxi_schema_compare("zone \"telemetry\"", &ours, &parsed.zones[0], DXI_MATCH_SAME),
		DXH_ESCHEMA);
	expect_error_says("zone \"telemetry\": member 1 differs");
	expect_error_says(here);
	expect_error_says(there);
}

Test(schema, the_first_differing_member_is_named_on_both_sides, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_field gain = DXH_SCHEMA_OF(telemetry)->fields[1], changed;
	const char *there = "in the block {gain: f64[1] at 8, in dB}";
	dxh_schema shorter = *DXH_SCHEMA_OF(telemetry);

	write_and_parse(&config);
	changed = gain, changed.name = "loss";
	expect_difference(changed, "here {loss: f64[1] at 8, in dB}", there);
	changed = gain, changed.type = DXH_TYPE_I64;
	expect_difference(changed, "here {gain: i64[1] at 8, in dB}", there);
	changed = gain, changed.unit = "V";
	expect_difference(changed, "here {gain: f64[1] at 8, in V}", there);
	changed = gain, changed.offset_bytes = 16;
	expect_difference(changed, "at 16", there);
	changed = gain, changed.count = 2;
	expect_difference(changed, "f64[2]", there);
	changed = gain, changed.atomic = 1;
	expect_difference(changed, "here {gain: atomic f64", there);
	shorter.field_count = 2;
	expect_status(dxi_schema_compare("z", &shorter, &parsed.zones[0], DXI_MATCH_SAME),
	              DXH_ESCHEMA);
	expect_error_says("member 2 differs: here {nothing}");
	forget();
}

Test(schema, another_doc_is_no_difference, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_schema ours = *DXH_SCHEMA_OF(telemetry);
	dxh_field fields[3];

	write_and_parse(&config);
	memcpy(fields, ours.fields, sizeof fields);
	fields[1].doc = "something else";
	ours.fields = fields;
	expect_status(dxi_schema_compare("z", &ours, &parsed.zones[0], DXI_MATCH_SAME), DXH_OK);
	forget();
}

Test(schema, the_same_members_in_another_size_are_a_size, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_schema ours = *DXH_SCHEMA_OF(telemetry);

	write_and_parse(&config);
	ours.bytes += 8;
	expect_status(dxi_schema_compare("z", &ours, &parsed.zones[0], DXI_MATCH_SAME), DXH_ESIZE);
	forget();
}

/* A whole config against what is stored: each difference by its own name. */
Test(schema, configs_are_compared_down_to_the_slot, .timeout = 5)
{
	dxh_block_config config = usual_config(), other;

	write_and_parse(&config);
	expect_status(dxi_schema_compare_config(&config, &parsed), DXH_OK);
	other = config, other.zones[1].name = "place";
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	expect_error_says("here \"place\", in the block \"position\"");
	other = config, other.zones[1].latch = 0;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	expect_error_says("latch");
	other = config, other.zones[2].bytes = 101;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESIZE);
	other = config, other.zones[2].name = NULL;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	expect_error_says("\"notes\"");
	other = config, other.zones[0].schema = NULL;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	expect_error_says("raw bytes");
	other = config, other.slot.schema = NULL;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	other = config, other.slot_count = 0;
	expect_status(dxi_schema_compare_config(&other, &parsed), DXH_ESCHEMA);
	forget();
}

/* Parse a hand-made schema; `rule` NULL: it is accepted. */
static void
expect_parse(const unsigned char *bytes, size_t length, dxh_status wanted, const char *rule)
{
	dxi_schema schema;

	expect_status(dxi_schema_parse(bytes, length, 1000, &schema), wanted);
	if (rule)
		expect_error_says(rule);
	dxi_schema_fini(&schema);
}

/* {name, version, zones: [{align, name, size}]} with one zone. */
static void expect_zone(uint64_t version, uint64_t align, const char *name, uint64_t size,
                        dxh_status wanted, const char *rule)
{
	unsigned char bytes[256];
	dxi_writer writer = dxi_writer_of(bytes, sizeof bytes);

	dxi_write_map(&writer, 3);
	dxi_write_text(&writer, "name");
	dxi_write_text(&writer, "b");
	dxi_write_text(&writer, "version");
	dxi_write_uint(&writer, version);
	dxi_write_text(&writer, "zones");
	dxi_write_array(&writer, 1);
	dxi_write_map(&writer, 3);
	dxi_write_text(&writer, "align");
	dxi_write_uint(&writer, align);
	dxi_write_text(&writer, "name");
	dxi_write_text(&writer, name);
	dxi_write_text(&writer, "size");
	dxi_write_uint(&writer, size);
	expect_parse(bytes, writer.used, wanted, rule);
}

Test(schema, hostile_numbers_are_refused_by_rule, .timeout = 5)
{
	expect_zone(1, 64, "z", 10, DXH_OK, NULL);
	expect_zone(2, 64, "z", 10, DXH_EVERSION, "version 2");
	expect_zone(1, 0, "z", 10, DXH_ECORRUPT, "power of two");
	expect_zone(1, 3, "z", 10, DXH_ECORRUPT, "power of two");
	expect_zone(1, 128, "z", 10, DXH_ECORRUPT, "out of range");
	expect_zone(1, 64, "", 10, DXH_ECORRUPT, "empty");
	expect_zone(1, 64, "z\n", 10, DXH_ECORRUPT, "control character");
	expect_zone(1, 64, "z", 0, DXH_ECORRUPT, "is 0");
	expect_zone(1, 64, "z", UINT64_MAX, DXH_ECORRUPT, "out of range");
	expect_parse((const unsigned char *)"\x80", 1, DXH_ECORRUPT, "offset 1000");
	expect_parse((const unsigned char *)"\xc0", 1, DXH_ECORRUPT, "no map");
	expect_parse((const unsigned char *)"\xc1", 1, DXH_ECORRUPT, "schema at offset 1000");
	expect_parse(NULL, 0, DXH_ECORRUPT, "offset 0");
}
