/* SPDX-License-Identifier: MIT */
/* What opens a connection, and the time that travels with a request. */
#include "runtime/wire.h"

#include "base/pack.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char buffer[4096];

/* splitmix64: the same numbers in every run. */
static uint64_t random_state;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static const dxi_hello example = {.major = DXI_PROTOCOL_MAJOR,
                                  .minor = 3,
                                  .incarnation = UINT64_MAX - 5,
                                  .connection = UINT64_MAX - 7,
                                  .name = "oscilloscope",
                                  .frame_bytes = 16384,
                                  .features = 0x80000001,
                                  .window_records = 4096,
                                  .window_bytes = UINT64_C(1) << 40,
                                  .notify_bytes = UINT64_C(1) << 41,
                                  .memory = UINT64_MAX - 6};

Test(hello, a_hello_is_read_as_it_was_written, .timeout = 30)
{
	size_t length = dxi_hello_write(&example, buffer, sizeof buffer);
	dxi_hello hello;

	cr_assert_gt(length, 0);
	cr_assert_eq(dxi_hello_read(buffer, length, &hello), DXH_OK);
	cr_expect_eq(hello.major, example.major);
	cr_expect_eq(hello.minor, example.minor);
	cr_expect_eq(hello.incarnation, example.incarnation);
	cr_expect_str_eq(hello.name, example.name);
	cr_expect_eq(hello.frame_bytes, example.frame_bytes);
	cr_expect_eq(hello.features, example.features);
	cr_expect_eq(hello.window_records, example.window_records);
	cr_expect_eq(hello.window_bytes, example.window_bytes);
	cr_expect_eq(hello.notify_bytes, example.notify_bytes);
	cr_expect_eq(hello.memory, example.memory);
	cr_expect_eq(hello.connection, example.connection);
}

Test(hello, a_hello_is_canonical_messagepack_and_fits_the_promised_bytes, .timeout = 30)
{
	dxi_hello full = example;
	dxi_scan_limits canonical = {.elements_max = 64, .canonical = true};
	size_t length;

	memset(full.name, 'n', sizeof full.name - 1);
	full.minor = UINT16_MAX;
	full.features = full.frame_bytes = full.window_records = UINT32_MAX;
	full.window_bytes = full.notify_bytes = full.memory = UINT64_MAX;
	length = dxi_hello_write(&full, buffer, DXI_HELLO_BYTES_MAX);
	cr_assert_gt(length, 0);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK, "%s", dxh_last_error());
	for (size_t less = 0; less < length; less++)
		cr_assert_eq(dxi_hello_write(&full, buffer, less), 0);
}

Test(hello, every_shorter_piece_of_a_hello_is_refused, .timeout = 30)
{
	size_t length = dxi_hello_write(&example, buffer, sizeof buffer);

	for (size_t cut = 0; cut < length; cut++) {
		unsigned char *piece = malloc(cut + 1);
		dxi_hello hello;

		memcpy(piece, buffer, cut);
		cr_assert_eq(dxi_hello_read(piece, cut, &hello), DXH_EPROTO);
		free(piece);
	}
}

/* HELLO once more, but for connection, notify_bytes and memory, which may be left out; key by
 * key, with one of them left out or of another type. */
enum change { AS_IS, LEFT_OUT, NIL, TEXT, NEGATIVE, TOO_LARGE };

static const char *const keys[] = {"features", "frame_bytes", "incarnation",  "major",
                                   "minor",    "name",        "window_bytes", "window_records"};
enum { KEYS = sizeof keys / sizeof *keys, LEFT_OUT_KEYS = 3 };

static size_t write_changed(size_t which, enum change change)
{
	dxi_writer writer = dxi_writer_of(buffer, sizeof buffer);

	dxi_write_map(&writer, KEYS - (change == LEFT_OUT));
	for (size_t i = 0; i < KEYS; i++) {
		enum change now = i == which ? change : AS_IS;

		if (now == LEFT_OUT)
			continue;
		dxi_write_text(&writer, keys[i]);
		if (now == NIL)
			dxi_write_nil(&writer);
		else if (now == NEGATIVE)
			dxi_write_int(&writer, -1);
		else if (now == TOO_LARGE && strcmp(keys[i], "name") == 0)
			dxi_write_text_n(&writer, (const char *)buffer + 2048, 64);
		else if (now == TOO_LARGE)
			dxi_write_uint(&writer, UINT64_MAX);
		else if ((now == TEXT) != (strcmp(keys[i], "name") == 0))
			dxi_write_text(&writer, "1");
		else
			dxi_write_uint(&writer, 1);
	}
	return writer.used;
}

Test(hello, a_hello_without_a_key_is_refused_naming_the_key, .timeout = 30)
{
	for (size_t i = 0; i < KEYS; i++) {
		dxi_hello hello;
		char says[64];

		snprintf(says, sizeof says, "key '%s' is missing", keys[i]);
		cr_expect_eq(dxi_hello_read(buffer, write_changed(i, LEFT_OUT), &hello),
		             DXH_EPROTO);
		cr_expect(strstr(dxh_last_error(), says), "%s", dxh_last_error());
	}
}

Test(hello, a_hello_with_a_key_of_another_type_is_refused_naming_the_key, .timeout = 30)
{
	for (size_t i = 0; i < KEYS; i++)
		for (enum change change = NIL; change <= NEGATIVE; change++) {
			dxi_hello hello;
			char says[64];

			snprintf(says, sizeof says, "key '%s' is no", keys[i]);
			cr_expect_eq(dxi_hello_read(buffer, write_changed(i, change), &hello),
			             DXH_EPROTO);
			cr_expect(strstr(dxh_last_error(), says), "%s", dxh_last_error());
		}
}

Test(hello, a_hello_with_a_number_beyond_its_field_is_refused, .timeout = 30)
{
	dxi_hello hello;

	memset(buffer + 2048, 'n', 64);
	for (size_t i = 0; i < KEYS; i++) {
		bool fits =
			strcmp(keys[i], "incarnation") == 0 || strcmp(keys[i], "window_bytes") == 0;

		cr_expect_eq(dxi_hello_read(buffer, write_changed(i, TOO_LARGE), &hello),
		             fits ? DXH_OK : DXH_EPROTO, "%s", keys[i]);
	}
}

Test(hello, a_hello_name_with_a_nul_is_refused, .timeout = 30)
{
	size_t length = dxi_hello_write(&example, buffer, sizeof buffer);
	unsigned char *name = memmem(buffer, length, example.name, strlen(example.name));
	dxi_hello hello;

	name[3] = '\0';
	cr_expect_eq(dxi_hello_read(buffer, length, &hello), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "key 'name'"));
}

Test(hello, unknown_keys_of_a_hello_are_ignored, .timeout = 30)
{
	size_t length = dxi_hello_write(&example, buffer, sizeof buffer);
	dxi_writer more = dxi_writer_of(buffer + length, sizeof buffer - length);
	dxi_hello hello;

	cr_assert_eq(buffer[0], 0x80 | (KEYS + LEFT_OUT_KEYS));
	buffer[0]++;
	dxi_write_text(&more, "zone_of_the_future");
	dxi_write_array(&more, 2);
	dxi_write_nil(&more);
	dxi_write_text(&more, "x");
	cr_expect_eq(dxi_hello_read(buffer, length + more.used, &hello), DXH_OK);
	cr_expect_str_eq(hello.name, example.name);
}

Test(hello, another_major_is_refused_naming_both, .timeout = 30)
{
	dxi_hello other = example, hello;

	other.major = 9;
	cr_expect_eq(dxi_hello_read(buffer, dxi_hello_write(&other, buffer, sizeof buffer), &hello),
	             DXH_EVERSION);
	cr_expect(strstr(dxh_last_error(), "protocol 9"));
	cr_expect(strstr(dxh_last_error(), "this side 1"));
}

Test(hello, of_another_major_no_further_key_is_wanted, .timeout = 30)
{
	dxi_writer writer = dxi_writer_of(buffer, sizeof buffer);
	dxi_hello hello;

	dxi_write_map(&writer, 1);
	dxi_write_text(&writer, "major");
	dxi_write_uint(&writer, 2);
	cr_expect_eq(dxi_hello_read(buffer, writer.used, &hello), DXH_EVERSION);
}

Test(hello, no_damage_makes_a_hello_reader_fail_otherwise, .timeout = 60)
{
	size_t length = dxi_hello_write(&example, buffer, sizeof buffer);
	unsigned char *exact = malloc(length);
	dxi_hello hello;

	random_state = 4;
	for (int round = 0; round < 100000; round++) {
		dxh_status status;

		memcpy(exact, buffer, length);
		for (uint64_t hits = 1 + random_u64() % 3; hits > 0; hits--)
			exact[random_u64() % length] = (unsigned char)random_u64();
		status = dxi_hello_read(exact, length, &hello);
		cr_assert(status == DXH_OK || status == DXH_EPROTO || status == DXH_EVERSION);
	}
	free(exact);
}

Test(hello, a_nest_without_end_is_refused_in_a_hello, .timeout = 30)
{
	dxi_hello hello;

	memset(buffer, 0x91, sizeof buffer);
	cr_expect_eq(dxi_hello_read(buffer, sizeof buffer, &hello), DXH_EPROTO);
	/* Six bytes that announce four thousand million elements. */
	cr_expect_eq(dxi_hello_read("\xdf\xff\xff\xff\xff\x01", 6, &hello), DXH_EPROTO);
}

Test(budget, a_budget_keeps_what_is_left_rounded_down, .timeout = 30)
{
	int64_t now = 1000000007;

	cr_expect_eq(dxi_budget_encode(now + 250999, now), 250);
	cr_expect_eq(dxi_budget_decode(250, now), now + 250000);
	cr_expect_eq(dxi_budget_encode(DXH_FOREVER, now), 0);
	cr_expect_eq(dxi_budget_decode(0, now), DXH_FOREVER);
}

Test(budget, what_has_expired_never_travels_as_no_deadline, .timeout = 30)
{
	cr_expect_eq(dxi_budget_encode(999, 0), 1);
	cr_expect_eq(dxi_budget_encode(5, 5), 1);
	cr_expect_eq(dxi_budget_encode(DXH_NOW, 5), 1);
	cr_expect_eq(dxi_budget_encode(INT64_MIN, INT64_MAX - 1), 1);
}

Test(budget, the_longest_budget_means_at_least_that_long, .timeout = 30)
{
	int64_t most = (int64_t)UINT32_MAX * 1000;

	cr_expect_eq(dxi_budget_encode(most - 1, 0), UINT32_MAX - 1);
	cr_expect_eq(dxi_budget_encode(most, 0), UINT32_MAX);
	cr_expect_eq(dxi_budget_encode(DXH_FOREVER - 1, 0), UINT32_MAX);
	cr_expect_eq(dxi_budget_decode(UINT32_MAX, 0), DXH_FOREVER);
	cr_expect_eq(dxi_budget_decode(UINT32_MAX - 1, 0), most - 1000);
	cr_expect_eq(dxi_budget_decode(2, INT64_MAX - 1), DXH_FOREVER);
}
