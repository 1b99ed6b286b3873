/* SPDX-License-Identifier: MIT */
/* Frames and records: byte-exact when written, and nothing read that breaks a
 * rule. */
#include "runtime/wire.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

enum { HEAD = DXI_FRAME_HEADER_BYTES };

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

static dxi_record request_of(const char *subject, const void *body, size_t body_bytes)
{
	return (dxi_record){.kind = DXI_REQUEST,
	                    .subject = subject,
	                    .subject_bytes = (uint16_t)strlen(subject),
	                    .body = body,
	                    .body_bytes = body_bytes};
}

/* REQUEST "trigger.arm" with 3 bytes of body, then CANCEL without anything. */
static size_t write_two(void)
{
	dxi_frame_writer writer = dxi_frame_begin(buffer, sizeof buffer);
	dxi_record request = request_of("trigger.arm", "xyz", 3);
	dxi_record cancel = {.kind = DXI_CANCEL, .id = 7};

	request.id = 0x0102030405060708;
	request.budget_us = 250000;
	request.attempt = 1;
	cr_assert(dxi_frame_append(&writer, &request));
	cr_assert(dxi_frame_append(&writer, &cancel));
	return dxi_frame_end(&writer);
}

/* ---- writing ---- */

Test(wire, a_frame_is_these_bytes, .timeout = 30)
{
	/* clang-format off */
	static const unsigned char expected[] = {
		'D', 'X', 'H', '1', 0, 0, 2, 0, 96, 0, 0, 0, 0, 0, 0, 0, /* frame header */
		46, 0, 0, 0, 4, 0, 11, 0,     /* bytes, kind, flags, subject bytes */
		8, 7, 6, 5, 4, 3, 2, 1,       /* id */
		0x90, 0xd0, 3, 0, 0, 0, 0, 0, /* budget, status */
		1, 0, 0, 0, 0, 0, 0, 0,       /* attempt, reserved */
		't', 'r', 'i', 'g', 'g', 'e', 'r', '.', 'a', 'r', 'm', 'x', 'y', 'z', 0, 0,
		32, 0, 0, 0, 10, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	/* clang-format on */

	cr_expect_eq(write_two(), sizeof expected);
	cr_expect_eq(memcmp(buffer, expected, sizeof expected), 0);
}

Test(wire, a_negative_status_and_the_largest_numbers_survive, .timeout = 30)
{
	dxi_frame_writer writer = dxi_frame_begin(buffer, sizeof buffer);
	dxi_record in = {.kind = DXI_ERROR,
	                 .status = -2,
	                 .id = UINT64_MAX,
	                 .budget_us = UINT32_MAX,
	                 .attempt = UINT16_MAX};
	dxi_frame_reader reader;
	dxi_record out;

	cr_assert(dxi_frame_append(&writer, &in));
	cr_assert_eq(dxi_frame_open(&reader, buffer, dxi_frame_end(&writer)), DXH_OK);
	cr_assert_eq(dxi_frame_next(&reader, &out), DXH_OK);
	cr_expect_eq(out.status, -2);
	cr_expect_eq(out.id, UINT64_MAX);
	cr_expect_eq(out.budget_us, UINT32_MAX);
	cr_expect_eq(out.attempt, UINT16_MAX);
	cr_expect_eq(out.subject_bytes, 0);
	cr_expect_eq(out.body_bytes, 0);
}

Test(wire, an_encoded_record_occupies_what_was_announced_and_no_byte_more, .timeout = 30)
{
	for (size_t subject = 1; subject <= DXH_SUBJECT_MAX; subject++)
		for (size_t body = 0; body < 20; body++) {
			char name[DXH_SUBJECT_MAX + 1] = {0};
			size_t bytes = dxi_record_bytes(subject, body);
			dxi_record record;

			memset(name, 's', subject);
			memset(buffer, 0xee, sizeof buffer);
			record = request_of(name, "01234567890123456789", body);
			dxi_record_encode(buffer, &record);
			cr_assert_eq(bytes % 8, 0);
			cr_assert_geq(bytes, 32 + subject + body);
			cr_assert_lt(bytes, 32 + subject + body + 8);
			cr_assert_eq(buffer[bytes], 0xee);
			for (size_t i = 32 + subject + body; i < bytes; i++)
				cr_assert_eq(buffer[i], 0);
		}
}

Test(wire, append_says_false_exactly_when_the_record_does_not_fit, .timeout = 30)
{
	dxi_record record = request_of("s", "0123456789", 10); /* 43 bytes: 48 */

	for (size_t capacity = HEAD; capacity < HEAD + 200; capacity++) {
		unsigned char *exact = malloc(capacity);
		dxi_frame_writer writer = dxi_frame_begin(exact, capacity);
		uint32_t count = 0;

		while (dxi_frame_append(&writer, &record))
			count++;
		cr_assert_eq(count, (capacity - HEAD) / 48);
		cr_assert_eq(dxi_frame_end(&writer), count ? HEAD + count * 48 : 0);
		free(exact);
	}
}

Test(wire, a_body_of_any_announced_size_is_refused_without_overflow, .timeout = 30)
{
	dxi_frame_writer writer = dxi_frame_begin(buffer, sizeof buffer);
	dxi_record record = request_of("s", buffer, SIZE_MAX);

	for (size_t less = 0; less < 100; less++) {
		record.body_bytes = SIZE_MAX - less;
		cr_assert_not(dxi_frame_append(&writer, &record));
	}
}

Test(wire, every_kind_has_a_name, .timeout = 30)
{
	cr_expect_str_eq(dxi_record_kind_name(DXI_HELLO), "HELLO");
	cr_expect_str_eq(dxi_record_kind_name(DXI_REQUEST), "REQUEST");
	cr_expect_str_eq(dxi_record_kind_name(DXI_ACK), "ACK");
	cr_expect_str_eq(dxi_record_kind_name(0), "?");
	cr_expect_str_eq(dxi_record_kind_name(DXI_KIND_LAST + 1), "?");
}

/* ---- reading ---- */

Test(wire, what_was_written_is_read_from_any_address, .timeout = 30)
{
	size_t length = write_two();

	for (size_t shift = 0; shift < 8; shift++) {
		unsigned char *moved = malloc(length + shift);
		dxi_frame_reader reader;
		dxi_record record;

		memcpy(moved + shift, buffer, length);
		cr_assert_eq(dxi_frame_open(&reader, moved + shift, length), DXH_OK);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_OK);
		cr_assert_eq(record.kind, DXI_REQUEST);
		cr_assert_eq(record.id, 0x0102030405060708);
		cr_assert_eq(record.budget_us, 250000);
		cr_assert_eq(record.attempt, 1);
		cr_assert_eq(record.subject_bytes, 11);
		cr_assert_eq(memcmp(record.subject, "trigger.arm", 11), 0);
		cr_assert_eq(record.body_bytes, 3);
		cr_assert_eq(memcmp(record.body, "xyz", 3), 0);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_OK);
		cr_assert_eq(record.kind, DXI_CANCEL);
		cr_assert_eq(record.id, 7);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_EEMPTY);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_EEMPTY);
		free(moved);
	}
}

Test(wire, records_encoded_in_place_make_the_same_frame, .timeout = 30)
{
	size_t length = write_two();
	unsigned char *frame = calloc(1, length);
	dxi_record request = request_of("trigger.arm", "xyz", 3);
	dxi_record cancel = {.kind = DXI_CANCEL, .id = 7};

	request.id = 0x0102030405060708;
	request.budget_us = 250000;
	request.attempt = 1;
	dxi_record_encode(frame + HEAD, &request);
	dxi_record_encode(frame + HEAD + dxi_record_bytes(11, 3), &cancel);
	dxi_frame_header(frame, 2, (uint32_t)length);
	cr_expect_eq(memcmp(frame, buffer, length), 0);
	free(frame);
}

/* Each rule, broken by one byte of the frame of write_two(). */
static const struct {
	size_t offset;
	unsigned char value;
	const char *says;
} broken[] = {
	{0, 'd', "offset 0: does not begin with the magic"},
	{3, '2', "offset 0: does not begin with the magic"},
	{4, 1, "offset 4: unknown frame flags"},
	{6, 0, "offset 6: announces no record"},
	{6, 1, "offset 64: bytes behind the last record"},
	{6, 3, "offset 96: no room for a record header"},
	{7, 1, "offset 96: no room for a record header"},
	{8, 88, "offset 8: announced bytes differ"},
	{11, 1, "offset 8: announced bytes differ"},
	{12, 1, "offset 12: reserved bytes are not zero"},
	{16, 31, "offset 16: record is shorter than its header"},
	{16, 81, "offset 16: record reaches beyond the frame"},
	{19, 0xff, "offset 16: record reaches beyond the frame"},
	{20, 0, "offset 20: record kind is 0"},
	{21, 32, "offset 21: unknown record flags"},
	{21, DXI_FLAG_ONCE, "offset 21: to be executed once, and not to be kept"},
	{69, DXI_FLAG_KEEP, "offset 69: flags that its kind does not have"},
	{21, 0x81, "offset 21: unknown record flags"},
	{21, DXI_FLAG_MORE, "offset 21: more parts of what is no part"},
	{21, DXI_FLAG_PART, "offset 59: a part without its total and offset"},
	{21, DXI_FLAG_BODY_IN_NEXT_PART, "offset 59: a body in its record and behind the frame"},
	{69, DXI_FLAG_PART, "offset 69: flags that its kind does not have"},
	{22, 0, "offset 22: a request or notification without subject"},
	{22, 15, "offset 22: subject reaches beyond its record"},
	{23, 0xff, "offset 22: subject reaches beyond its record"},
	{42, 1, "offset 42: reserved bytes are not zero"},
	{47, 1, "offset 42: reserved bytes are not zero"},
	{50, 0, "offset 48: subject holds a NUL"},
	{62, 1, "offset 62: padding is not zero"},
	{63, 1, "offset 62: padding is not zero"},
};

Test(wire, each_broken_rule_is_refused_with_its_offset, .timeout = 30)
{
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		size_t length = write_two();
		dxi_frame_reader reader;

		buffer[broken[i].offset] = broken[i].value;
		cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_EPROTO, "%s",
		             broken[i].says);
		cr_expect(strstr(dxh_last_error(), broken[i].says), "'%s' is not in '%s'",
		          broken[i].says, dxh_last_error());
	}
}

Test(wire, a_subject_of_256_bytes_is_refused, .timeout = 30)
{
	size_t length = HEAD + dxi_record_bytes(256, 0);
	dxi_record record = {.kind = DXI_REPLY, .body = buffer + 2048, .body_bytes = 256};
	dxi_frame_reader reader;

	memset(buffer + 2048, 's', 256);
	dxi_record_encode(buffer + HEAD, &record);
	dxi_frame_header(buffer, 1, (uint32_t)length);
	cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_OK);
	buffer[HEAD + 6] = 0;
	buffer[HEAD + 7] = 1; /* all of the body is subject now */
	cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "offset 22: subject is longer than 255 bytes"));
}

Test(wire, a_frame_beyond_the_limit_is_refused, .timeout = 30)
{
	size_t length = DXI_MESSAGE_BYTES_MAX;
	unsigned char *frame = calloc(1, length + 8);
	dxi_record record = {.kind = DXI_REPLY, .body_bytes = length - HEAD - 32};
	dxi_frame_reader reader;

	record.body = calloc(1, record.body_bytes);
	dxi_record_encode(frame + HEAD, &record);
	dxi_frame_header(frame, 1, (uint32_t)length);
	cr_expect_eq(dxi_frame_open(&reader, frame, length), DXH_OK);
	frame[HEAD] += 8;
	frame[8] += 8;
	cr_expect_eq(dxi_frame_open(&reader, frame, length + 8), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "larger than 1 MiB"));
	free((void *)record.body);
	free(frame);
}

Test(wire, a_frame_whose_length_is_no_multiple_of_8_is_refused, .timeout = 30)
{
	size_t length = write_two() + 1;
	dxi_frame_reader reader;

	buffer[8]++;
	cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "multiple of 8"));
}

Test(wire, one_bad_record_withholds_the_good_ones_before_it, .timeout = 30)
{
	size_t length = write_two();
	dxi_frame_reader reader;

	buffer[64 + 5] = 32; /* flags of the second record */
	cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "offset 69: unknown record flags"));
}

Test(wire, every_shorter_piece_of_a_frame_is_refused, .timeout = 30)
{
	size_t length = write_two();

	for (size_t cut = 0; cut < length; cut++) {
		unsigned char *piece = malloc(cut + 1);
		dxi_frame_reader reader;

		memcpy(piece, buffer, cut);
		cr_assert_eq(dxi_frame_open(&reader, piece, cut), DXH_EPROTO);
		/* Also when the header says that it is whole. */
		if (cut >= HEAD) {
			piece[8] = (unsigned char)cut;
			cr_assert_eq(dxi_frame_open(&reader, piece, cut), DXH_EPROTO);
		}
		free(piece);
	}
}

Test(wire, a_record_of_an_unknown_kind_is_stepped_over_and_counted, .timeout = 30)
{
	for (unsigned kind = DXI_KIND_LAST + 1; kind <= 255; kind++) {
		size_t length = write_two();
		dxi_frame_reader reader;
		dxi_record record;

		buffer[HEAD + 4] = (unsigned char)kind;
		buffer[HEAD + 5] = 0xff;  /* nor does anybody here know its flags, */
		buffer[HEAD + 26] = 0xff; /* or what became of the reserved bytes */
		cr_assert_eq(dxi_frame_open(&reader, buffer, length), DXH_OK);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_OK);
		cr_assert_eq(record.kind, DXI_CANCEL);
		cr_assert_eq(reader.skipped, 1);
		cr_assert_eq(dxi_frame_next(&reader, &record), DXH_EEMPTY);
	}
}

/* ---- bodies in parts, and behind the frame ---- */

static size_t write_one(const dxi_record *record)
{
	dxi_frame_writer writer = dxi_frame_begin(buffer, sizeof buffer);

	cr_assert(dxi_frame_append(&writer, record));
	return dxi_frame_end(&writer);
}

Test(wire, a_part_is_these_bytes, .timeout = 30)
{
	/* clang-format off */
	static const unsigned char expected[] = {
		'D', 'X', 'H', '1', 0, 0, 1, 0, 72, 0, 0, 0, 0, 0, 0, 0,
		51, 0, 0, 0, 5, 3, 0, 0,      /* bytes, REPLY, PART and MORE, no subject */
		7, 0, 0, 0, 0, 0, 0, 0,       /* id */
		0, 0, 0, 0, 0, 0, 0, 0,       /* budget, status */
		0, 0, 0, 0, 0, 0, 0, 0,       /* attempt, reserved */
		0, 0, 0x10, 0, 0, 0, 0, 0,    /* total */
		0, 0, 4, 0, 0, 0, 0, 0,       /* offset */
		'x', 'y', 'z', 0, 0, 0, 0, 0,
	};
	/* clang-format on */
	dxi_record record = {.kind = DXI_REPLY,
	                     .flags = DXI_FLAG_PART | DXI_FLAG_MORE,
	                     .id = 7,
	                     .total_bytes = 1 << 20,
	                     .offset = 1 << 18,
	                     .body = "xyz",
	                     .body_bytes = 3};

	cr_expect_eq(write_one(&record), sizeof expected);
	cr_expect_eq(memcmp(buffer, expected, sizeof expected), 0);
}

Test(wire, a_part_behind_the_frame_is_read_as_it_was_written, .timeout = 30)
{
	static const unsigned char body[1000] = {1, 2, 3};
	dxi_record in = request_of("upload", body, sizeof body);
	dxi_frame_reader reader;
	dxi_record out;
	size_t length;

	in.flags = DXI_FLAG_PART | DXI_FLAG_BODY_IN_NEXT_PART;
	in.total_bytes = UINT64_MAX;
	length = write_one(&in);
	cr_expect_eq(length, HEAD + 32 + 6 + 16 + 2);
	cr_assert_eq(dxi_message_open(&reader, buffer, length, body, sizeof body), DXH_OK);
	cr_assert_eq(dxi_frame_next(&reader, &out), DXH_OK);
	cr_expect_eq(out.flags, in.flags);
	cr_expect_eq(out.total_bytes, UINT64_MAX);
	cr_expect_eq(out.offset, 0);
	cr_expect_eq(out.body, body);
	cr_expect_eq(out.body_bytes, sizeof body);
	cr_expect_eq(dxi_frame_next(&reader, &out), DXH_EEMPTY);
}

Test(wire, a_part_behind_the_frame_without_a_record_that_wants_it_is_refused, .timeout = 30)
{
	size_t length = write_two();
	dxi_frame_reader reader;

	cr_expect_eq(dxi_message_open(&reader, buffer, length, "body", 4), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "no record wants"));
}

Test(wire, a_record_whose_part_behind_the_frame_is_not_what_it_must_be_is_refused, .timeout = 30)
{
	dxi_record record = request_of("upload", "x", 1);
	unsigned char *large = calloc(1, DXI_BODY_PART_BYTES_MAX + 1);
	dxi_frame_reader reader;
	size_t length;

	record.flags = DXI_FLAG_BODY_IN_NEXT_PART;
	length = write_one(&record);
	cr_expect_eq(dxi_frame_open(&reader, buffer, length), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "is missing"));
	cr_expect_eq(dxi_message_open(&reader, buffer, length, "", 0), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "1 to 256 KiB"));
	cr_expect_eq(dxi_message_open(&reader, buffer, length, large, DXI_BODY_PART_BYTES_MAX),
	             DXH_OK);
	cr_expect_eq(dxi_message_open(&reader, buffer, length, large, DXI_BODY_PART_BYTES_MAX + 1),
	             DXH_EPROTO);
	free(large);
}

Test(wire, only_the_last_record_has_its_body_behind_the_frame, .timeout = 30)
{
	dxi_frame_writer writer = dxi_frame_begin(buffer, sizeof buffer);
	dxi_record record = request_of("upload", "x", 1);
	dxi_frame_reader reader;
	size_t length;

	record.flags = DXI_FLAG_BODY_IN_NEXT_PART;
	cr_assert(dxi_frame_append(&writer, &record));
	cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_BEAT}));
	length = dxi_frame_end(&writer);
	cr_expect_eq(dxi_message_open(&reader, buffer, length, "x", 1), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "is missing"), "%s", dxh_last_error());
}

Test(wire, only_the_first_part_of_a_request_needs_a_subject, .timeout = 30)
{
	dxi_record record = {.kind = DXI_REQUEST,
	                     .flags = DXI_FLAG_PART,
	                     .total_bytes = 2,
	                     .offset = 1,
	                     .body = "x",
	                     .body_bytes = 1};
	dxi_frame_reader reader;

	cr_expect_eq(dxi_frame_open(&reader, buffer, write_one(&record)), DXH_OK);
	record.offset = 0;
	cr_expect_eq(dxi_frame_open(&reader, buffer, write_one(&record)), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "without subject"));
}

/* Read a frame to its end; every byte handed out must lie inside. */
static void read_all(const unsigned char *bytes, size_t length)
{
	dxi_frame_reader reader;
	dxi_record record;
	dxh_status status;

	if (dxi_frame_open(&reader, bytes, length) != DXH_OK)
		return;
	while ((status = dxi_frame_next(&reader, &record)) == DXH_OK) {
		const unsigned char *subject = (const unsigned char *)record.subject;
		const unsigned char *body = record.body;

		cr_assert(record.kind >= DXI_HELLO && record.kind <= DXI_KIND_LAST);
		cr_assert(subject >= bytes && subject + record.subject_bytes <= bytes + length);
		cr_assert(body >= bytes && body + record.body_bytes <= bytes + length);
		cr_assert(record.body_bytes <= length);
	}
	cr_assert_eq(status, DXH_EEMPTY); /* what was opened is whole */
}

Test(wire, no_single_byte_makes_a_reader_leave_the_frame, .timeout = 30)
{
	size_t length = write_two();
	unsigned char *exact = malloc(length);

	memcpy(exact, buffer, length);
	for (size_t i = 0; i < length; i++) {
		for (unsigned value = 0; value < 256; value++) {
			exact[i] = (unsigned char)value;
			read_all(exact, length);
		}
		exact[i] = buffer[i];
	}
	free(exact);
}

Test(wire, no_random_damage_makes_a_reader_leave_the_frame, .timeout = 60)
{
	random_state = 3;
	for (int round = 0; round < 100000; round++) {
		size_t length = write_two(), cut = length - (random_u64() % 4 ? 0 : 8);
		unsigned char *exact = malloc(cut);

		memcpy(exact, buffer, cut);
		exact[8] = (unsigned char)cut;
		for (uint64_t hits = 1 + random_u64() % 4; hits > 0; hits--)
			exact[HEAD + random_u64() % (cut - HEAD)] = (unsigned char)random_u64();
		read_all(exact, cut);
		free(exact);
	}
}

Test(wire, a_frame_that_is_over_its_capacity_takes_nothing_more, .timeout = 5)
{
	static _Alignas(8) unsigned char bytes[4096];
	dxi_frame_writer writer = dxi_frame_begin(bytes, sizeof bytes);

	cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_BEAT}));
	writer.capacity = 8; /* as after a large record had more room */
	cr_expect_not(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_BEAT}));
}
