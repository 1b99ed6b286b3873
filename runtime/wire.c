/* SPDX-License-Identifier: MIT */
/* A frame is checked once, when it is opened; what is read of it afterwards was checked.
 */
#include "runtime/wire.h"

#include "base/clock.h"
#include "base/status.h"

#include <assert.h>
#include <string.h>

static const uint32_t FRAME_MAGIC = 0x31485844; /* "DXH1" */
static const uint32_t BUDGET_LONG = UINT32_MAX;

enum { PART_HEADER_BYTES = 16 }; /* total and offset */
static const uint8_t BODY_FLAGS = DXI_FLAG_PART | DXI_FLAG_MORE | DXI_FLAG_BODY_IN_NEXT_PART;
static const uint8_t REQUEST_FLAGS = DXI_FLAG_KEEP | DXI_FLAG_ONCE;

/* A frame of the smallest records cannot exceed the 16-bit count. */
static_assert(DXI_MESSAGE_BYTES_MAX / DXI_RECORD_HEADER_BYTES <= UINT16_MAX, "protocol 1");

/* ---- numbers ---- */

static inline void put_u16(unsigned char *at, uint16_t value)
{
	at[0] = (unsigned char)value;
	at[1] = (unsigned char)(value >> 8);
}

static inline void put_u32(unsigned char *at, uint32_t value)
{
	put_u16(at, (uint16_t)value);
	put_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void put_u64(unsigned char *at, uint64_t value)
{
	put_u32(at, (uint32_t)value);
	put_u32(at + 4, (uint32_t)(value >> 32));
}

static inline uint16_t get_u16(const unsigned char *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get_u32(const unsigned char *at)
{
	return (uint32_t)get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static inline uint64_t get_u64(const unsigned char *at)
{
	return (uint64_t)get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

static inline size_t padded(size_t bytes)
{
	return (bytes + DXI_RECORD_ALIGN - 1) & ~(size_t)(DXI_RECORD_ALIGN - 1);
}

static uint8_t flags_of_kind(uint8_t kind)
{
	switch (kind) {
	case DXI_REQUEST:
		return BODY_FLAGS | REQUEST_FLAGS;
	case DXI_REPLY:
		return BODY_FLAGS;
	default:
		return 0;
	}
}

/* ---- writing ---- */

const char *dxi_record_kind_name(unsigned kind)
{
	static const char *const names[] = {"?",         "HELLO",       "WELCOME", "BEAT",
	                                    "REQUEST",   "REPLY",       "ERROR",   "NOTIFY",
	                                    "SUBSCRIBE", "UNSUBSCRIBE", "CANCEL",  "CREDIT",
	                                    "FLUSH",     "FLUSHED",     "GOODBYE", "ACK"};

	return kind <= DXI_KIND_LAST ? names[kind] : names[0];
}

size_t dxi_record_bytes(size_t subject_bytes, size_t body_bytes)
{
	return padded(DXI_RECORD_HEADER_BYTES + subject_bytes + body_bytes);
}

/* Bytes behind the subject: what a part begins with, and the body unless it travels
 * behind the frame. */
static size_t bytes_behind_subject(const dxi_record *record)
{
	return (record->flags & DXI_FLAG_PART ? PART_HEADER_BYTES : 0) +
	       (record->flags & DXI_FLAG_BODY_IN_NEXT_PART ? 0 : record->body_bytes);
}

void dxi_record_encode(void *at, const dxi_record *record)
{
	unsigned char *bytes = at;
	unsigned char *body = bytes + DXI_RECORD_HEADER_BYTES + record->subject_bytes;
	size_t used =
		DXI_RECORD_HEADER_BYTES + record->subject_bytes + bytes_behind_subject(record);

	assert(record->kind >= DXI_HELLO && record->kind <= DXI_KIND_LAST);
	assert(!(record->flags & ~flags_of_kind(record->kind)));
	assert(!(record->flags & BODY_FLAGS) || record->body_bytes <= DXI_BODY_PART_BYTES_MAX);
	assert(record->subject_bytes <= DXH_SUBJECT_MAX && used <= DXI_MESSAGE_BYTES_MAX);

	/* The padding: what the record needs of its last word is written below. */
	put_u64(bytes + padded(used) - DXI_RECORD_ALIGN, 0);
	put_u32(bytes, (uint32_t)used);
	bytes[4] = record->kind;
	bytes[5] = record->flags;
	put_u16(bytes + 6, record->subject_bytes);
	put_u64(bytes + 8, record->id);
	put_u32(bytes + 16, record->budget_us);
	put_u32(bytes + 20, (uint32_t)record->status);
	put_u16(bytes + 24, record->attempt);
	memset(bytes + 26, 0, 6);
	if (record->subject_bytes > 0)
		memcpy(bytes + DXI_RECORD_HEADER_BYTES, record->subject, record->subject_bytes);
	if (record->flags & DXI_FLAG_PART) {
		put_u64(body, record->total_bytes);
		put_u64(body + 8, record->offset);
		body += PART_HEADER_BYTES;
	}
	if (record->body_bytes > 0 && !(record->flags & DXI_FLAG_BODY_IN_NEXT_PART))
		memcpy(body, record->body, record->body_bytes);
}

dxi_frame_writer dxi_frame_begin(void *bytes, size_t capacity)
{
	assert(capacity >= DXI_FRAME_HEADER_BYTES && capacity <= DXI_MESSAGE_BYTES_MAX);
	return (dxi_frame_writer){
		.bytes = bytes, .capacity = capacity, .used = DXI_FRAME_HEADER_BYTES};
}

bool dxi_frame_append(dxi_frame_writer *writer, const dxi_record *record)
{
	size_t room = writer->used < writer->capacity ? writer->capacity - writer->used : 0;
	size_t behind = bytes_behind_subject(record);

	/* Tested first, so that the sum below cannot wrap. */
	if (behind > room || dxi_record_bytes(record->subject_bytes, behind) > room)
		return false;
	dxi_record_encode(writer->bytes + writer->used, record);
	writer->used += dxi_record_bytes(record->subject_bytes, behind);
	writer->records++;
	return true;
}

bool dxi_frame_append_encoded(dxi_frame_writer *writer, const void *record, size_t bytes)
{
	if (writer->used > writer->capacity || bytes > writer->capacity - writer->used)
		return false;
	memcpy(writer->bytes + writer->used, record, bytes);
	writer->used += bytes;
	writer->records++;
	return true;
}

size_t dxi_frame_end(dxi_frame_writer *writer)
{
	if (writer->records == 0)
		return 0;
	dxi_frame_header(writer->bytes, writer->records, (uint32_t)writer->used);
	return writer->used;
}

void dxi_frame_header(void *bytes, uint32_t records, uint32_t total_bytes)
{
	unsigned char *header = bytes;

	assert(records > 0 && records <= UINT16_MAX);
	assert(total_bytes % DXI_RECORD_ALIGN == 0 && total_bytes <= DXI_MESSAGE_BYTES_MAX);

	put_u32(header, FRAME_MAGIC);
	put_u16(header + 4, 0);
	put_u16(header + 6, (uint16_t)records);
	put_u32(header + 8, total_bytes);
	put_u32(header + 12, 0);
}

/* ---- reading ---- */

/* The rule that is broken, and where; rule NULL: none. Static text. */
typedef struct fault {
	const char *rule;
	size_t offset; /* from the begin of what was looked at */
} fault;

static fault check_frame_header(const unsigned char *bytes, size_t length)
{
	if (length < DXI_FRAME_HEADER_BYTES)
		return (fault){"shorter than a frame header", length};
	if (get_u32(bytes) != FRAME_MAGIC)
		return (fault){"does not begin with the magic DXH1", 0};
	if (get_u16(bytes + 4) != 0)
		return (fault){"unknown frame flags", 4};
	if (get_u16(bytes + 6) == 0)
		return (fault){"announces no record", 6};
	if (get_u32(bytes + 8) != length)
		return (fault){"announced bytes differ from those received", 8};
	if (length > DXI_MESSAGE_BYTES_MAX)
		return (fault){"larger than 1 MiB", 8};
	if (length % DXI_RECORD_ALIGN != 0)
		return (fault){"length is no multiple of 8", 8};
	if (get_u32(bytes + 12) != 0)
		return (fault){"reserved bytes are not zero", 12};
	return (fault){NULL, 0};
}

/* The flags of a record of a known kind, of which `body_bytes` lie in the frame, and
 * perhaps a message part behind it. */
static fault check_flags(const unsigned char *at, size_t body_at, size_t body_bytes,
                         const dxi_frame_reader *behind)
{
	uint8_t flags = at[5];
	size_t header_bytes = flags & DXI_FLAG_PART ? PART_HEADER_BYTES : 0;

	if (flags == 0)
		return (fault){NULL, 0};
	if (flags & ~(BODY_FLAGS | REQUEST_FLAGS))
		return (fault){"unknown record flags", 5};
	if (flags & ~flags_of_kind(at[4]))
		return (fault){"flags that its kind does not have", 5};
	if ((flags & DXI_FLAG_ONCE) && !(flags & DXI_FLAG_KEEP))
		return (fault){"to be executed once, and not to be kept", 5};
	if ((flags & DXI_FLAG_MORE) && !(flags & DXI_FLAG_PART))
		return (fault){"more parts of what is no part", 5};
	if (body_bytes < header_bytes)
		return (fault){"a part without its total and offset", body_at};
	if (header_bytes > 0 && body_bytes - header_bytes > DXI_BODY_PART_BYTES_MAX)
		return (fault){"a part is larger than 256 KiB", 0};
	if (!(flags & DXI_FLAG_BODY_IN_NEXT_PART))
		return (fault){NULL, 0};
	if (body_bytes > header_bytes)
		return (fault){"a body in its record and behind the frame", body_at};
	if (!behind || !behind->body)
		return (fault){"the message part with its body is missing", 5};
	if (behind->body_bytes == 0 || behind->body_bytes > DXI_BODY_PART_BYTES_MAX)
		return (fault){"the message part with its body has not 1 to 256 KiB", 5};
	return (fault){NULL, 0};
}

/* Only the first part of a request says what it is about. */
static bool needs_subject(const unsigned char *at, const unsigned char *body, size_t body_bytes)
{
	bool is_later_part =
		(at[5] & DXI_FLAG_PART) && body_bytes >= PART_HEADER_BYTES && get_u64(body + 8) > 0;

	return at[4] == DXI_NOTIFY || (at[4] == DXI_REQUEST && !is_later_part);
}

/* The bytes between the end of a record and the next multiple of 8: the last of its last
 * word, as numbers are little-endian. */
static bool is_padding_zero(const unsigned char *at, size_t bytes)
{
	size_t used = bytes % DXI_RECORD_ALIGN;

	return used == 0 || get_u64(at + bytes - used) >> (8 * used) == 0;
}

/* A record of a known kind, whose length has been checked. */
static fault check_record(const unsigned char *at, size_t bytes, const dxi_frame_reader *behind)
{
	size_t subject_bytes = get_u16(at + 6);
	size_t body_at = DXI_RECORD_HEADER_BYTES + subject_bytes;
	const unsigned char *subject = at + DXI_RECORD_HEADER_BYTES;

	if (subject_bytes > bytes - DXI_RECORD_HEADER_BYTES)
		return (fault){"subject reaches beyond its record", 6};
	if (subject_bytes > DXH_SUBJECT_MAX)
		return (fault){"subject is longer than 255 bytes", 6};
	if (subject_bytes == 0 && needs_subject(at, at + body_at, bytes - body_at))
		return (fault){"a request or notification without subject", 6};
	if (get_u64(at + 24) >> 16 != 0)
		return (fault){"reserved bytes are not zero", 26};
	if (memchr(subject, '\0', subject_bytes))
		return (fault){"subject holds a NUL", DXI_RECORD_HEADER_BYTES};
	if (!is_padding_zero(at, bytes))
		return (fault){"padding is not zero", bytes};
	return check_flags(at, body_at, bytes - body_at, behind);
}

/* The body of a record that was checked. */
static void take_body(const unsigned char *body, size_t body_bytes, const dxi_frame_reader *behind,
                      dxi_record *record)
{
	if (record->flags & DXI_FLAG_PART) {
		record->total_bytes = get_u64(body);
		record->offset = get_u64(body + 8);
		body += PART_HEADER_BYTES;
		body_bytes -= PART_HEADER_BYTES;
	}
	if (record->flags & DXI_FLAG_BODY_IN_NEXT_PART) {
		body = behind->body;
		body_bytes = behind->body_bytes;
		record->owner = behind->owner;
	}
	record->body = body;
	record->body_bytes = body_bytes;
}

/* Check the record at `at`, of which `left` bytes (a multiple of 8) exist; *occupied is
 * what to step over. `behind`, of the last record, has what may lie behind the frame. */
static fault
check_any(const unsigned char *at, size_t left, const dxi_frame_reader *behind, size_t *occupied)
{
	size_t bytes;

	if (left < DXI_RECORD_HEADER_BYTES)
		return (fault){"no room for a record header", 0};
	bytes = get_u32(at);
	if (bytes < DXI_RECORD_HEADER_BYTES)
		return (fault){"record is shorter than its header", 0};
	if (bytes > left)
		return (fault){"record reaches beyond the frame", 0};
	*occupied = padded(bytes);
	if (at[4] == 0)
		return (fault){"record kind is 0", 4};
	if (at[4] > DXI_KIND_LAST)
		return (fault){NULL, 0}; /* only a newer minor knows what it holds */
	return check_record(at, bytes, behind);
}

/* Read a record of a known kind that was checked. */
static void read_record(const unsigned char *at, size_t bytes, const dxi_frame_reader *behind,
                        dxi_record *record)
{
	size_t body_at = DXI_RECORD_HEADER_BYTES + (size_t)get_u16(at + 6);

	*record = (dxi_record){.kind = at[4],
	                       .flags = at[5],
	                       .subject_bytes = get_u16(at + 6),
	                       .id = get_u64(at + 8),
	                       .budget_us = get_u32(at + 16),
	                       .status = (int32_t)get_u32(at + 20),
	                       .attempt = get_u16(at + 24),
	                       .subject = (const char *)at + DXI_RECORD_HEADER_BYTES};
	take_body(at + body_at, bytes - body_at, behind, record);
}

static dxh_status refuse(size_t length, size_t offset, const char *rule)
{
	return dxi_fail(DXH_EPROTO, "frame of %zu bytes, offset %zu: %s", length, offset, rule);
}

dxh_status dxi_message_open(dxi_frame_reader *reader, const void *bytes, size_t length,
                            const void *body, size_t body_bytes)
{
	const unsigned char *begin = bytes;
	fault found = check_frame_header(begin, length);
	size_t offset = DXI_FRAME_HEADER_BYTES, occupied = 0;
	dxi_frame_reader opened = {.body = body, .body_bytes = body_bytes};
	const unsigned char *last = begin;

	if (found.rule)
		return refuse(length, found.offset, found.rule);
	opened.records_left = get_u16(begin + 6);
	opened.at = begin + DXI_FRAME_HEADER_BYTES;
	opened.end = begin + length;
	for (uint32_t i = 1; i <= opened.records_left; i++, offset += occupied) {
		last = begin + offset;
		found = check_any(last, length - offset, i == opened.records_left ? &opened : NULL,
		                  &occupied);
		if (found.rule)
			return refuse(length, offset + found.offset, found.rule);
	}
	if (offset != length)
		return refuse(length, offset, "bytes behind the last record");
	if (body && (last[4] > DXI_KIND_LAST || !(last[5] & DXI_FLAG_BODY_IN_NEXT_PART)))
		return refuse(length, length, "a message part behind it that no record wants");
	*reader = opened;
	return DXH_OK;
}

dxh_status dxi_frame_open(dxi_frame_reader *reader, const void *bytes, size_t length)
{
	return dxi_message_open(reader, bytes, length, NULL, 0);
}

dxh_status dxi_frame_next(dxi_frame_reader *reader, dxi_record *record)
{
	while (reader->records_left > 0) {
		const unsigned char *at = reader->at;
		size_t bytes = get_u32(at);

		reader->at += padded(bytes);
		reader->records_left--;
		if (at[4] <= DXI_KIND_LAST) {
			read_record(at, bytes, reader, record);
			return DXH_OK;
		}
		reader->skipped++;
	}
	return DXH_EEMPTY;
}

/* ---- ids ---- */

void dxi_ids_write(const uint64_t *ids, size_t count, void *bytes)
{
	unsigned char *at = bytes;

	for (size_t i = 0; i < count; i++)
		put_u64(at + i * DXI_ID_BYTES, ids[i]);
}

uint64_t dxi_ids_read(const void *bytes, size_t index)
{
	const unsigned char *at = bytes;

	return get_u64(at + index * DXI_ID_BYTES);
}

/* ---- time ---- */

uint32_t dxi_budget_encode(int64_t deadline_ns, int64_t now_ns)
{
	uint64_t left_us;

	if (deadline_ns == DXH_FOREVER)
		return 0;
	if (deadline_ns <= now_ns)
		return 1;
	left_us = ((uint64_t)deadline_ns - (uint64_t)now_ns) / DXI_NS_PER_US;
	if (left_us == 0)
		return 1;
	return left_us >= BUDGET_LONG ? BUDGET_LONG : (uint32_t)left_us;
}

int64_t dxi_budget_decode(uint32_t budget_us, int64_t now_ns)
{
	int64_t deadline_ns;

	if (budget_us == 0 || budget_us == BUDGET_LONG)
		return DXH_FOREVER;
	if (__builtin_add_overflow(now_ns, (int64_t)budget_us * DXI_NS_PER_US, &deadline_ns))
		return DXH_FOREVER;
	return deadline_ns;
}
