/* SPDX-License-Identifier: MIT */
/* Recordings, written: one record after the other, then an index and the end. */
#include "recording.h"
#include "recording_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20, INDEX_STEP_BYTES = 1 << 20 };

struct index_entry {
	uint64_t ticket, time_ns, offset;
};

struct recording_writer {
	int fd;
	bool compress;
	bool failed;
	uint64_t at; /* where the next record begins */
	struct recording_totals totals;
	struct index_entry *index;
	size_t index_count, index_room;
	unsigned char *packed; /* room for a compressed item */
	size_t packed_room;
	XXH3_state_t *sum;
	size_t buffered;
	char error[256];
	unsigned char buffer[BUFFER_BYTES];
};

static bool fail(struct recording_writer *writer, const char *what)
{
	writer->failed = true;
	snprintf(writer->error, sizeof writer->error, "%s: %s", what, strerror(errno));
	return false;
}

static bool write_all(struct recording_writer *writer, const unsigned char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(writer->fd, bytes, count);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return fail(writer, "the recording cannot be written");
		bytes += written;
		count -= (size_t)written;
	}
	return true;
}

bool recording_flush(struct recording_writer *writer)
{
	size_t count = writer->buffered;

	writer->buffered = 0;
	return !writer->failed && write_all(writer, writer->buffer, count);
}

static bool put(struct recording_writer *writer, const void *bytes, size_t count)
{
	if (writer->failed)
		return false;
	if (count > sizeof writer->buffer - writer->buffered && !recording_flush(writer))
		return false;
	if (count > sizeof writer->buffer)
		return write_all(writer, bytes, count);
	if (count > 0)
		memcpy(writer->buffer + writer->buffered, bytes, count);
	writer->buffered += count;
	return true;
}

/* What to write, before its sum is known. */
struct draft {
	enum recording_kind kind;
	unsigned flags;
	uint64_t ticket;
	int64_t time_ns;
	const void *bytes;
	size_t count;
};

static bool add(struct recording_writer *writer, const struct draft *draft)
{
	static const unsigned char zeros[8];
	unsigned char header[RECORDING_HEADER_BYTES] = {0};
	size_t padding = recording_padding(draft->count);

	recording_put(header, 8, draft->count);
	header[8] = (unsigned char)draft->kind;
	header[9] = (unsigned char)draft->flags;
	recording_put(header + 16, 8, draft->ticket);
	recording_put(header + 24, 8, (uint64_t)draft->time_ns);
	recording_put(header + RECORDING_SUMMED_BYTES, 8,
	              recording_sum(writer->sum, header, draft->bytes, draft->count));
	if (!put(writer, header, sizeof header) || !put(writer, draft->bytes, draft->count) ||
	    !put(writer, zeros, padding))
		return false;
	writer->at += sizeof header + draft->count + padding;
	return true;
}

/* The first record of each MiB, so that a reader finds its place; and each BLOCK, which it
 * must not miss on the way there. */
static bool
note_in_index(struct recording_writer *writer, uint64_t ticket, int64_t time_ns, bool always)
{
	const struct index_entry *last =
		writer->index_count ? &writer->index[writer->index_count - 1] : NULL;

	if (!always && last && writer->at - last->offset < INDEX_STEP_BYTES)
		return true;
	if (writer->index_count == writer->index_room) {
		size_t room = writer->index_room ? writer->index_room * 2 : 64;
		struct index_entry *more = realloc(writer->index, room * sizeof *more);

		if (!more)
			return fail(writer, "the index");
		writer->index = more;
		writer->index_room = room;
	}
	writer->index[writer->index_count++] =
		(struct index_entry){ticket, (uint64_t)time_ns, writer->at};
	return true;
}

struct recording_writer *recording_create(const char *path, bool replace, bool compress)
{
	unsigned char header[RECORDING_FILE_HEADER_BYTES] = {0};
	struct recording_writer *writer = calloc(1, sizeof *writer);

	if (!writer)
		return NULL;
	writer->compress = compress;
	writer->sum = XXH3_createState();
	writer->fd =
		open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0666);
	if (!writer->sum || writer->fd == -1) {
		int reason = writer->sum ? errno : ENOMEM;

		if (writer->fd != -1)
			close(writer->fd);
		XXH3_freeState(writer->sum);
		free(writer);
		errno = reason;
		return NULL;
	}
	memcpy(header, RECORDING_MAGIC, 8);
	recording_put(header + 8, 2, RECORDING_MAJOR);
	put(writer, header, sizeof header);
	writer->at = sizeof header;
	return writer;
}

bool recording_add_block(struct recording_writer *writer, const struct recording_block *block,
                         uint64_t ticket, int64_t now_ns)
{
	size_t count = RECORDING_BLOCK_BYTES + block->schema_bytes;
	unsigned char *bytes = calloc(1, count);
	bool added;

	if (!bytes)
		return fail(writer, "a block's description");
	recording_put(bytes, 8, RECORDING_BLOCK_BYTES);
	memcpy(bytes + 8, block->uuid, sizeof block->uuid);
	recording_put(bytes + 24, 8, block->epoch);
	recording_put(bytes + 32, 8, block->slot_bytes);
	recording_put(bytes + 40, 8, block->slot_count);
	memcpy(bytes + 48, block->name, strnlen(block->name, sizeof block->name - 1));
	memcpy(bytes + RECORDING_BLOCK_BYTES, block->schema, block->schema_bytes);
	added = note_in_index(writer, ticket, now_ns, true) &&
	        add(writer, &(struct draft){.kind = RECORDING_BLOCK,
	                                    .ticket = ticket,
	                                    .time_ns = now_ns,
	                                    .bytes = bytes,
	                                    .count = count});
	free(bytes);
	return added;
}

/* The item compressed, when that makes it smaller. */
static size_t compress(struct recording_writer *writer, const void *bytes, size_t count)
{
	size_t room = 8 + (count < LZ4_MAX_INPUT_SIZE ? (size_t)LZ4_compressBound((int)count) : 0);
	int packed;

	if (!writer->compress || count == 0 || count >= LZ4_MAX_INPUT_SIZE)
		return 0;
	if (room > writer->packed_room) {
		unsigned char *more = realloc(writer->packed, room);

		if (!more)
			return 0; /* then it is stored as it is */
		writer->packed = more;
		writer->packed_room = room;
	}
	recording_put(writer->packed, 8, count);
	packed = LZ4_compress_default(bytes, (char *)writer->packed + 8, (int)count,
	                              (int)(room - 8));
	return packed > 0 && (size_t)packed + 8 < count ? (size_t)packed + 8 : 0;
}

bool recording_add_item(struct recording_writer *writer, uint64_t ticket, int64_t published_ns,
                        const void *bytes, size_t count)
{
	size_t packed = compress(writer, bytes, count);

	if (!note_in_index(writer, ticket, published_ns, false) ||
	    !add(writer, &(struct draft){.kind = RECORDING_ITEM,
	                                 .flags = packed ? RECORDING_COMPRESSED : 0,
	                                 .ticket = ticket,
	                                 .time_ns = published_ns,
	                                 .bytes = packed ? writer->packed : bytes,
	                                 .count = packed ? packed : count}))
		return false;
	writer->totals.items++;
	writer->totals.bytes += count;
	return true;
}

bool recording_add_gap(struct recording_writer *writer, uint64_t first, uint64_t last,
                       enum recording_reason reason, int64_t now_ns)
{
	unsigned char bytes[12];

	recording_put(bytes, 8, last);
	recording_put(bytes + 8, 4, reason);
	if (!add(writer, &(struct draft){.kind = RECORDING_GAP,
	                                 .ticket = first,
	                                 .time_ns = now_ns,
	                                 .bytes = bytes,
	                                 .count = sizeof bytes}))
		return false;
	writer->totals.gaps++;
	writer->totals.missing += last - first + 1;
	return true;
}

bool recording_add_fate(struct recording_writer *writer, enum recording_fate fate, uint64_t epoch,
                        uint64_t ticket, int64_t now_ns)
{
	unsigned char bytes[16] = {0};

	recording_put(bytes, 4, fate);
	recording_put(bytes + 8, 8, epoch);
	return add(writer, &(struct draft){.kind = RECORDING_PRODUCER,
	                                   .ticket = ticket,
	                                   .time_ns = now_ns,
	                                   .bytes = bytes,
	                                   .count = sizeof bytes});
}

bool recording_add_clock(struct recording_writer *writer, int64_t offset_ns, uint64_t ticket,
                         int64_t now_ns)
{
	unsigned char bytes[8];

	recording_put(bytes, 8, (uint64_t)offset_ns);
	return add(writer, &(struct draft){.kind = RECORDING_CLOCK,
	                                   .ticket = ticket,
	                                   .time_ns = now_ns,
	                                   .bytes = bytes,
	                                   .count = sizeof bytes});
}

bool recording_add_zone(struct recording_writer *writer, uint32_t index, const void *bytes,
                        size_t count, int64_t now_ns)
{
	return add(writer, &(struct draft){.kind = RECORDING_ZONE,
	                                   .ticket = index,
	                                   .time_ns = now_ns,
	                                   .bytes = bytes,
	                                   .count = count});
}

const struct recording_totals *recording_written(const struct recording_writer *writer)
{
	return &writer->totals;
}

uint64_t recording_file_bytes(const struct recording_writer *writer)
{
	return writer->at;
}

const char *recording_writer_error(const struct recording_writer *writer)
{
	return writer->error;
}

static bool add_index(struct recording_writer *writer)
{
	size_t count = writer->index_count * RECORDING_INDEX_ENTRY_BYTES;
	unsigned char *bytes = malloc(count + 1);
	bool added;

	if (!bytes)
		return fail(writer, "the index");
	for (size_t i = 0; i < writer->index_count; i++) {
		unsigned char *at = bytes + i * RECORDING_INDEX_ENTRY_BYTES;

		recording_put(at, 8, writer->index[i].ticket);
		recording_put(at + 8, 8, writer->index[i].time_ns);
		recording_put(at + 16, 8, writer->index[i].offset);
	}
	added = add(writer, &(struct draft){.kind = RECORDING_INDEX,
	                                    .ticket = writer->index_count,
	                                    .bytes = bytes,
	                                    .count = count});
	free(bytes);
	return added;
}

static bool add_end(struct recording_writer *writer, uint64_t index_offset)
{
	unsigned char bytes[RECORDING_END_BYTES];

	recording_put(bytes, 8, writer->totals.bytes);
	recording_put(bytes + 8, 8, writer->totals.gaps);
	recording_put(bytes + 16, 8, writer->totals.missing);
	recording_put(bytes + 24, 8, index_offset);
	return add(writer, &(struct draft){.kind = RECORDING_END,
	                                   .ticket = writer->totals.items,
	                                   .bytes = bytes,
	                                   .count = sizeof bytes});
}

bool recording_finish(struct recording_writer **given, char error[256])
{
	struct recording_writer *writer = *given;
	uint64_t index_offset = writer->at;
	bool failed;

	if (!writer->failed && add_index(writer) && add_end(writer, index_offset) &&
	    recording_flush(writer) && fdatasync(writer->fd) == -1 && errno != EINVAL)
		fail(writer, "the recording cannot be brought to the disk");
	if (close(writer->fd) == -1 && !writer->failed)
		fail(writer, "the recording cannot be closed");
	memcpy(error, writer->error, sizeof writer->error);
	*given = NULL;
	failed = writer->failed;
	XXH3_freeState(writer->sum);
	free(writer->index);
	free(writer->packed);
	free(writer);
	return !failed;
}
