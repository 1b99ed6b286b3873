/* SPDX-License-Identifier: MIT */
/* Recordings, read: every byte is a stranger's until its sum was right, and what is right
 * must still fit. */
#include "recording.h"
#include "recording_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAIN_BYTES_MAX = LZ4_MAX_INPUT_SIZE };

__attribute__((format(printf, 2, 3))) static bool
fail(struct recording_reader *reader, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(reader->error, sizeof reader->error, format, values);
	va_end(values);
	return false;
}

/* Exactly so many bytes from there; false also at the end of the file. */
static bool read_at(struct recording_reader *reader, uint64_t offset, void *bytes, size_t count)
{
	unsigned char *at = bytes;

	while (count > 0) {
		ssize_t got = pread(reader->fd, at, count, (off_t)offset);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return fail(reader, "%s",
			            got == 0 ? "the file became shorter" : strerror(errno));
		at += got;
		offset += (uint64_t)got;
		count -= (size_t)got;
	}
	return true;
}

static bool
make_room(struct recording_reader *reader, unsigned char **bytes, size_t *room, size_t count)
{
	unsigned char *more;

	if (count <= *room)
		return true;
	more = realloc(*bytes, count);
	if (!more)
		return fail(reader, "no memory for a record of %zu bytes", count);
	*bytes = more;
	*room = count;
	return true;
}

static uint64_t bytes_in_file(uint64_t count)
{
	return RECORDING_HEADER_BYTES + count + recording_padding(count);
}

/* What a record is that begins at an offset. */
enum found { GOOD, BAD, IMPOSSIBLE };

/* Compressed items as they were. */
static enum found unpack(struct recording_reader *reader, struct recording_record *record)
{
	uint64_t plain;

	if (record->count < 8)
		return BAD;
	plain = recording_get(record->bytes, 8);
	if (plain > PLAIN_BYTES_MAX || record->count - 8 > PLAIN_BYTES_MAX)
		return BAD;
	if (!make_room(reader, &reader->plain, &reader->plain_room, (size_t)plain + 1))
		return IMPOSSIBLE;
	if (LZ4_decompress_safe((const char *)record->bytes + 8, (char *)reader->plain,
	                        (int)(record->count - 8), (int)plain) != (int)plain)
		return BAD;
	record->bytes = reader->plain;
	record->count = (size_t)plain;
	return GOOD;
}

static enum found
read_record(struct recording_reader *reader, uint64_t offset, struct recording_record *record)
{
	unsigned char header[RECORDING_HEADER_BYTES];
	uint64_t left = reader->file_bytes - offset, bytes;
	XXH3_state_t *state;
	bool is_right;

	if (left < sizeof header)
		return BAD;
	if (!read_at(reader, offset, header, sizeof header))
		return IMPOSSIBLE;
	bytes = recording_get(header, 8);
	if (bytes > left - sizeof header)
		return BAD;
	/* At most what the file holds. */
	if (!make_room(reader, &reader->stored, &reader->stored_room, (size_t)bytes + 1) ||
	    !read_at(reader, offset + sizeof header, reader->stored, (size_t)bytes))
		return IMPOSSIBLE;
	state = XXH3_createState();
	if (!state) {
		fail(reader, "no memory for a sum");
		return IMPOSSIBLE;
	}
	is_right = recording_get(header + RECORDING_SUMMED_BYTES, 8) ==
	           recording_sum(state, header, reader->stored, (size_t)bytes);
	XXH3_freeState(state);
	if (!is_right)
		return BAD;
	*record = (struct recording_record){.kind = header[8],
	                                    .ticket = recording_get(header + 16, 8),
	                                    .time_ns = (int64_t)recording_get(header + 24, 8),
	                                    .bytes = reader->stored,
	                                    .count = (size_t)bytes,
	                                    .offset = offset,
	                                    .bytes_in_file = bytes_in_file(bytes)};
	if (header[8] == RECORDING_ITEM && (header[9] & RECORDING_COMPRESSED))
		return unpack(reader, record);
	return GOOD;
}

/* END, if the file was closed well. */
static bool look_for_end(struct recording_reader *reader)
{
	uint64_t bytes = bytes_in_file(RECORDING_END_BYTES);
	struct recording_record end;

	if (reader->file_bytes < RECORDING_FILE_HEADER_BYTES + bytes)
		return true;
	switch (read_record(reader, reader->file_bytes - bytes, &end)) {
	case IMPOSSIBLE:
		return false;
	case BAD:
		return true;
	case GOOD:
		break;
	}
	if (end.kind != RECORDING_END || end.count < RECORDING_END_BYTES)
		return true;
	reader->closed_well = true;
	reader->totals = (struct recording_totals){.items = end.ticket,
	                                           .bytes = recording_get(end.bytes, 8),
	                                           .gaps = recording_get(end.bytes + 8, 8),
	                                           .missing = recording_get(end.bytes + 16, 8)};
	reader->index_offset = recording_get(end.bytes + 24, 8);
	return true;
}

bool recording_is_one(const char *path)
{
	struct recording_reader reader;
	bool is_one = recording_open(path, &reader);

	recording_close(&reader);
	return is_one;
}

bool recording_open(const char *path, struct recording_reader *reader)
{
	unsigned char header[RECORDING_FILE_HEADER_BYTES];
	struct stat found;

	*reader = (struct recording_reader){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
	                                    .at = RECORDING_FILE_HEADER_BYTES};
	if (reader->fd == -1)
		return fail(reader, "%s", strerror(errno));
	if (fstat(reader->fd, &found) == -1 || !S_ISREG(found.st_mode))
		return fail(reader, "a recording is a regular file, which this is not");
	reader->file_bytes = (uint64_t)found.st_size;
	if (reader->file_bytes < sizeof header || !read_at(reader, 0, header, sizeof header) ||
	    memcmp(header, RECORDING_MAGIC, 8) != 0)
		return fail(reader,
		            "it is no recording: `dxh record` makes one, and `dxh cat` shows "
		            "a block's data file");
	if (recording_get(header + 8, 2) != RECORDING_MAJOR)
		return fail(reader, "it has format %u, this command reads %d",
		            (unsigned)recording_get(header + 8, 2), RECORDING_MAJOR);
	return look_for_end(reader);
}

void recording_close(struct recording_reader *reader)
{
	if (reader->fd != -1)
		close(reader->fd);
	free(reader->stored);
	free(reader->plain);
	*reader = (struct recording_reader){.fd = -1};
}

bool recording_next(struct recording_reader *reader, struct recording_record *record)
{
	enum found found;

	if (reader->ended || reader->at >= reader->file_bytes) {
		reader->ended = true;
		return false;
	}
	found = read_record(reader, reader->at, record);
	if (found == GOOD) {
		reader->at += record->bytes_in_file;
		return true;
	}
	reader->ended = found == BAD;
	reader->rest = reader->file_bytes - reader->at;
	return false;
}

void recording_rewind(struct recording_reader *reader)
{
	reader->at = RECORDING_FILE_HEADER_BYTES;
	reader->ended = false;
	reader->rest = 0;
}

static bool is_block(struct recording_reader *reader, uint64_t offset)
{
	unsigned char kind;

	return !read_at(reader, offset + 8, &kind, 1) || kind == RECORDING_BLOCK;
}

bool recording_seek(struct recording_reader *reader, uint64_t ticket, int64_t time_ns)
{
	struct recording_record index;
	uint64_t chosen = reader->at;

	if (!reader->closed_well)
		return true;
	if (reader->index_offset < RECORDING_FILE_HEADER_BYTES ||
	    reader->index_offset >= reader->file_bytes)
		return true;
	switch (read_record(reader, reader->index_offset, &index)) {
	case IMPOSSIBLE:
		return false;
	case BAD:
		return true;
	case GOOD:
		break;
	}
	if (index.kind != RECORDING_INDEX)
		return true;
	for (size_t at = 0; at + RECORDING_INDEX_ENTRY_BYTES <= index.count;
	     at += RECORDING_INDEX_ENTRY_BYTES) {
		uint64_t offset = recording_get(index.bytes + at + 16, 8);

		if (recording_get(index.bytes + at, 8) > ticket ||
		    (int64_t)recording_get(index.bytes + at + 8, 8) > time_ns ||
		    offset >= reader->index_offset || (at > 0 && is_block(reader, offset)))
			break;
		if (offset > chosen)
			chosen = offset;
	}
	reader->at = chosen;
	reader->ended = false;
	return true;
}

bool recording_read_block(const struct recording_record *record, struct recording_block *block)
{
	uint64_t schema_at;

	if (record->count < RECORDING_BLOCK_BYTES)
		return false;
	schema_at = recording_get(record->bytes, 8);
	if (schema_at < RECORDING_BLOCK_BYTES || schema_at > record->count)
		return false;
	*block = (struct recording_block){.epoch = recording_get(record->bytes + 24, 8),
	                                  .slot_bytes = recording_get(record->bytes + 32, 8),
	                                  .slot_count = recording_get(record->bytes + 40, 8),
	                                  .schema = record->bytes + schema_at,
	                                  .schema_bytes = record->count - (size_t)schema_at};
	memcpy(block->uuid, record->bytes + 8, sizeof block->uuid);
	memcpy(block->name, record->bytes + 48, sizeof block->name);
	return block->name[sizeof block->name - 1] == '\0';
}

bool recording_read_gap(const struct recording_record *record, uint64_t *last,
                        enum recording_reason *reason)
{
	if (record->count < 12)
		return false;
	*last = recording_get(record->bytes, 8);
	*reason = (enum recording_reason)recording_get(record->bytes + 8, 4);
	return *last >= record->ticket;
}

bool recording_read_fate(const struct recording_record *record, enum recording_fate *fate,
                         uint64_t *epoch)
{
	if (record->count < 16)
		return false;
	*fate = (enum recording_fate)recording_get(record->bytes, 4);
	*epoch = recording_get(record->bytes + 8, 8);
	return true;
}

bool recording_read_clock(const struct recording_record *record, int64_t *offset_ns)
{
	if (record->count < 8)
		return false;
	*offset_ns = (int64_t)recording_get(record->bytes, 8);
	return true;
}
