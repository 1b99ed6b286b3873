/* SPDX-License-Identifier: MIT */
/* base/pack: bytes written are the canonical ones, hostile bytes are refused with
 * the rule, and scan and cursor agree.
 */
#include "base/pack.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(...) ((const unsigned char[]){__VA_ARGS__})
#define SCAN(canonical_, ...)                                                                      \
	dxi_scan(BYTES(__VA_ARGS__), sizeof BYTES(__VA_ARGS__),                                    \
	         (dxi_scan_limits){.elements_max = 100, .canonical = canonical_})
#define accepts(...) cr_expect_eq(SCAN(false, __VA_ARGS__), DXH_OK, "%s", dxh_last_error())
#define refuses(rule, ...)                                                                         \
	do {                                                                                       \
		cr_expect_eq(SCAN(false, __VA_ARGS__), DXH_ECORRUPT);                              \
		cr_expect(strstr(dxh_last_error(), rule), "%s", dxh_last_error());                 \
	} while (0)
#define refuses_canonical(rule, ...)                                                               \
	do {                                                                                       \
		accepts(__VA_ARGS__);                                                              \
		cr_expect_eq(SCAN(true, __VA_ARGS__), DXH_ECORRUPT);                               \
		cr_expect(strstr(dxh_last_error(), rule), "%s", dxh_last_error());                 \
	} while (0)

Test(pack, every_kind_comes_back, .timeout = 5)
{
	static const uint64_t uints[] = {
		0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
	static const int64_t ints[] = {
		-1,       -32, -33, -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1,
		INT64_MIN};
	enum { UINTS = sizeof uints / sizeof *uints, INTS = sizeof ints / sizeof *ints };
	unsigned char bytes[256];
	dxi_writer writer = dxi_writer_of(bytes, sizeof bytes);
	dxi_value value;
	dxi_reader reader;

	dxi_write_array(&writer, UINTS + INTS + 5);
	for (size_t i = 0; i < UINTS; i++)
		dxi_write_uint(&writer, uints[i]);
	for (size_t i = 0; i < INTS; i++)
		dxi_write_int(&writer, ints[i]);
	dxi_write_f64(&writer, -0.5);
	dxi_write_bool(&writer, true);
	dxi_write_nil(&writer);
	dxi_write_text(&writer, "text");
	dxi_write_bin(&writer, "\0\1", 2);
	cr_assert_not(writer.overflow);
	cr_assert_eq(dxi_scan(bytes, writer.used, (dxi_scan_limits){100, true}), DXH_OK, "%s",
	             dxh_last_error());

	reader = dxi_reader_of(bytes, writer.used);
	cr_assert(dxi_read(&reader, &value) && value.kind == DXI_ARRAY);
	cr_expect_eq(value.count, UINTS + INTS + 5);
	for (size_t i = 0; i < UINTS; i++)
		cr_expect(dxi_read(&reader, &value) && value.kind == DXI_UINT &&
		          value.uint == uints[i]);
	for (size_t i = 0; i < INTS; i++)
		cr_expect(dxi_read(&reader, &value) && value.kind == DXI_INT &&
		          value.integer == ints[i]);
	cr_expect(dxi_read(&reader, &value) && value.kind == DXI_F64 && value.f64 == -0.5);
	cr_expect(dxi_read(&reader, &value) && value.kind == DXI_BOOL && value.boolean);
	cr_expect(dxi_read(&reader, &value) && value.kind == DXI_NIL);
	cr_expect(dxi_read(&reader, &value) && value.kind == DXI_TEXT && value.bytes == 4);
	cr_expect(dxi_read(&reader, &value) && value.kind == DXI_BIN && value.bytes == 2);
	cr_expect_not(dxi_read(&reader, &value));
}

Test(pack, a_writer_never_passes_its_end, .timeout = 5)
{
	unsigned char bytes[9];

	/* Every capacity that is too small, with a byte behind it that must stay. */
	for (size_t capacity = 0; capacity < 8; capacity++) {
		dxi_writer writer = dxi_writer_of(bytes, capacity);

		memset(bytes, 0xaa, sizeof bytes);
		dxi_write_array(&writer, 2);
		dxi_write_text(&writer, "six..");
		dxi_write_uint(&writer, 1);
		cr_expect(writer.overflow);
		cr_expect_eq(bytes[capacity], 0xaa);
	}
}

Test(pack, lengths_and_counts_of_every_width_come_back, .timeout = 5)
{
	static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
	unsigned char *bytes = malloc(70000), *text = calloc(1, 65536);
	dxi_value value;

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		dxi_writer writer = dxi_writer_of(bytes, 70000);
		dxi_reader reader;

		dxi_write_text_n(&writer, (char *)text, lengths[i]);
		cr_expect_eq(dxi_scan(bytes, writer.used, (dxi_scan_limits){1, true}), DXH_OK);
		reader = dxi_reader_of(bytes, writer.used);
		cr_expect(dxi_read(&reader, &value) && value.bytes == lengths[i]);

		writer = dxi_writer_of(bytes, 70000);
		dxi_write_bin(&writer, text, lengths[i]);
		cr_expect_eq(dxi_scan(bytes, writer.used, (dxi_scan_limits){1, true}), DXH_OK);

		writer = dxi_writer_of(bytes, 70000);
		dxi_write_array(&writer, lengths[i]);
		for (size_t j = 0; j < lengths[i]; j++)
			dxi_write_nil(&writer);
		cr_expect_eq(dxi_scan(bytes, writer.used, (dxi_scan_limits){70000, true}), DXH_OK,
		             "%s", dxh_last_error());
	}
	free(bytes);
	free(text);
}

Test(pack, announced_but_absent_is_refused, .timeout = 5)
{
	refuses("more elements are announced", 0xdd, 0x02, 0, 0, 0); /* 2^25 elements */
	refuses("more elements are announced", 0xdd, 0xff, 0xff, 0xff, 0xff);
	refuses("more elements are announced", 0xdf, 0x01, 0, 0, 0, 0xa0);
	refuses("more elements are announced", 0x82, 0xa0, 0xc0, 0xa1);
	refuses("beyond the last byte", 0xdb, 0xff, 0xff, 0xff, 0xff, 'x');
	refuses("beyond the last byte", 0xc6, 0, 0, 0, 2, 'x');
	refuses("beyond the last byte", 0xcf, 1, 2, 3);
	refuses("beyond the last byte", 0x91 + 0x00, 0xcd, 0x01);
}

Test(pack, what_is_no_value_is_refused, .timeout = 5)
{
	refuses("not in use", 0xc1);
	refuses("not in use", 0xd4, 1, 2);
	refuses("not in use", 0xc7, 1, 1, 1);
	refuses("bytes follow", 0xc0, 0xc0);
	cr_expect_eq(dxi_scan(NULL, 0, (dxi_scan_limits){10, false}), DXH_ECORRUPT);
	cr_expect(strstr(dxh_last_error(), "offset 0"));
}

Test(pack, the_refusal_names_the_offset, .timeout = 5)
{
	refuses("offset 3:", 0x93, 1, 2, 0xc1);
	refuses("offset 2:", 0x81, 0xa0, 0xdc, 0, 9);
}

Test(pack, depth_sixteen_is_the_last, .timeout = 5)
{
	unsigned char bytes[18];

	memset(bytes, 0x91, sizeof bytes);
	bytes[16] = 0xc0;
	cr_expect_eq(dxi_scan(bytes, 17, (dxi_scan_limits){100, false}), DXH_OK);
	bytes[16] = 0x91;
	bytes[17] = 0xc0;
	cr_expect_eq(dxi_scan(bytes, 18, (dxi_scan_limits){100, false}), DXH_ECORRUPT);
	cr_expect(strstr(dxh_last_error(), "16 levels"));
}

Test(pack, the_number_of_values_is_limited, .timeout = 5)
{
	static const unsigned char three[] = {0x92, 0xc0, 0xc0};

	cr_expect_eq(dxi_scan(three, 3, (dxi_scan_limits){3, false}), DXH_OK);
	cr_expect_eq(dxi_scan(three, 3, (dxi_scan_limits){2, false}), DXH_ECORRUPT);
}

Test(pack, canonical_wants_the_shortest_form, .timeout = 5)
{
	refuses_canonical("shortest", 0xcc, 0x7f);
	refuses_canonical("shortest", 0xcd, 0x00, 0xff);
	refuses_canonical("shortest", 0xce, 0, 0, 0xff, 0xff);
	refuses_canonical("shortest", 0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
	refuses_canonical("shortest", 0xd0, 0xe0);       /* -32 */
	refuses_canonical("shortest", 0xd0, 0x01);       /* positive */
	refuses_canonical("shortest", 0xd1, 0xff, 0x80); /* -128 */
	refuses_canonical("shortest", 0xd2, 0xff, 0xff, 0x80, 0x00);
	refuses_canonical("shortest", 0xd3, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0);
	refuses_canonical("shortest", 0xd9, 1, 'x');
	refuses_canonical("shortest", 0xda, 0, 1, 'x');
	refuses_canonical("shortest", 0xc5, 0, 1, 'x');
	refuses_canonical("shortest", 0xdc, 0, 1, 0xc0);
	refuses_canonical("shortest", 0xdf, 0, 0, 0, 1, 0xa0, 0xc0);
	refuses_canonical("shortest", 0xca, 0, 0, 0, 0);
}

Test(pack, canonical_wants_sorted_text_keys, .timeout = 5)
{
	refuses_canonical("order", 0x82, 0xa1, 'b', 0xc0, 0xa1, 'a', 0xc0);
	refuses_canonical("twice", 0x82, 0xa1, 'a', 0xc0, 0xa1, 'a', 0xc0);
	refuses_canonical("order", 0x82, 0xa2, 'a', 'b', 0xc0, 0xa1, 'a', 0xc0);
	refuses_canonical("not text", 0x81, 0x01, 0xc0);
	cr_expect_eq(SCAN(true, 0x82, 0xa1, 'a', 0x81, 0xa1, 'z', 0xc0, 0xa2, 'a', 'b', 0xc0),
	             DXH_OK, "%s", dxh_last_error());
}

Test(pack, keys_are_found_with_their_kind, .timeout = 5)
{
	unsigned char bytes[64];
	dxi_writer writer = dxi_writer_of(bytes, sizeof bytes);
	const unsigned char *data;
	size_t data_bytes;
	uint64_t number;
	char text[4];
	dxi_value value;

	dxi_write_map(&writer, 4);
	dxi_write_text(&writer, "deep");
	dxi_write_map(&writer, 1);
	dxi_write_text(&writer, "n");
	dxi_write_uint(&writer, 9);
	dxi_write_text(&writer, "raw");
	dxi_write_bin(&writer, "abc", 3);
	dxi_write_text(&writer, "t");
	dxi_write_text(&writer, "xyz");
	dxi_write_text(&writer, "zero");
	dxi_write_text_n(&writer, "a\0b", 3);
	cr_assert(dxi_find(bytes, writer.used, "deep", &value));
	cr_expect(dxi_find_uint(value.begin, writer.used - (size_t)(value.begin - bytes), "n",
	                        &number));
	cr_expect_eq(number, 9);
	cr_expect_not(dxi_find_uint(bytes, writer.used, "n", &number));
	cr_expect(dxi_find_text(bytes, writer.used, "t", text, sizeof text));
	cr_expect_str_eq(text, "xyz");
	cr_expect_not(dxi_find_text(bytes, writer.used, "t", text, 3));
	cr_expect_not(dxi_find_text(bytes, writer.used, "zero", text, sizeof text));
	cr_expect_not(dxi_find_uint(bytes, writer.used, "t", &number));
	cr_expect(dxi_find_bin(bytes, writer.used, "raw", &data, &data_bytes));
	cr_expect_eq(data_bytes, 3);
	cr_expect_not(dxi_find(BYTES(0x91, 0xc0), 2, "t", &value));
}

/* Whatever the scan accepts, the cursor walks to its exact end; what it refuses,
 * the cursor leaves without passing the end (the sanitizers look on). */
Test(pack, scan_and_cursor_agree_on_random_bytes, .timeout = 10)
{
	unsigned char *bytes;
	unsigned accepted = 0;

	srand(1);
	for (int turn = 0; turn < 200000; turn++) {
		size_t length = (size_t)(rand() % 12);
		dxi_reader reader;
		dxi_value value;
		bool skipped;

		bytes = malloc(length ? length : 1);
		for (size_t i = 0; i < length; i++)
			bytes[i] = (unsigned char)(rand() % 4 ? 0x80 | rand() % 128 : rand());
		reader = dxi_reader_of(bytes, length);
		skipped = dxi_skip(&reader) && reader.at == reader.end;
		if (dxi_scan(bytes, length, (dxi_scan_limits){100, false}) == DXH_OK) {
			accepted++;
			cr_assert(skipped);
		}
		dxi_find(bytes, length, "k", &value);
		free(bytes);
	}
	cr_expect_gt(accepted, 1000, "only %u were values: the test is blind", accepted);
}

Test(pack, hostile_bytes_cost_no_memory, .timeout = 5)
{
	struct mallinfo2 before = mallinfo2(), after;
	static unsigned char nils[1 << 20];

	memset(nils, 0x91, sizeof nils);
	for (int i = 0; i < 100; i++)
		cr_expect_eq(dxi_scan(nils, sizeof nils, (dxi_scan_limits){1 << 20, false}),
		             DXH_ECORRUPT);
	after = mallinfo2();
	cr_expect_leq(after.uordblks, before.uordblks + 65536);
}
