/* SPDX-License-Identifier: MIT */
/* Recordings as files: docs/recording-format.md, written and read. Never heard of blocks
 * that live, brokers or terminals.
 *
 * Calls that can fail return false, with the reason in `error`.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recording_kind {
	RECORDING_BLOCK = 1,
	RECORDING_ITEM = 2,
	RECORDING_GAP = 3,
	RECORDING_PRODUCER = 4,
	RECORDING_CLOCK = 5,
	RECORDING_ZONE = 6,
	RECORDING_INDEX = 7,
	RECORDING_END = 8
};

enum recording_reason { RECORDING_LAPPED = 1, RECORDING_CORRUPT = 2 };

enum recording_fate {
	RECORDING_TAKEN_OVER = 1,
	RECORDING_CLOSED = 2,
	RECORDING_DIED = 3,
	RECORDING_UNLINKED = 4
};

/* What a BLOCK says. Texts and bytes lie in the record. */
struct recording_block {
	char name[64];
	unsigned char uuid[16];
	uint64_t epoch, slot_bytes, slot_count;
	const unsigned char *schema;
	size_t schema_bytes;
};

/* What END says. */
struct recording_totals {
	uint64_t items, bytes, gaps, missing;
};

/* ---- writing ---- */

struct recording_writer;

/* Make a file, which must not exist unless `replace`. NULL: see errno. */
struct recording_writer *recording_create(const char *path, bool replace, bool compress);

/* Add one record. What is added is in the file after recording_flush() at the latest. */
bool recording_add_block(struct recording_writer *writer, const struct recording_block *block,
                         uint64_t ticket, int64_t now_ns);
bool recording_add_item(struct recording_writer *writer, uint64_t ticket, int64_t published_ns,
                        const void *bytes, size_t count);
bool recording_add_gap(struct recording_writer *writer, uint64_t first, uint64_t last,
                       enum recording_reason reason, int64_t now_ns);
bool recording_add_fate(struct recording_writer *writer, enum recording_fate fate, uint64_t epoch,
                        uint64_t ticket, int64_t now_ns);
bool recording_add_clock(struct recording_writer *writer, int64_t offset_ns, uint64_t ticket,
                         int64_t now_ns);
bool recording_add_zone(struct recording_writer *writer, uint32_t index, const void *bytes,
                        size_t count, int64_t now_ns);

bool recording_flush(struct recording_writer *writer);
const struct recording_totals *recording_written(const struct recording_writer *writer);
uint64_t recording_file_bytes(const struct recording_writer *writer);
const char *recording_writer_error(const struct recording_writer *writer);

/* Index, end, and down to the disk. Frees the writer in any case; sets *error, static. */
bool recording_finish(struct recording_writer **writer, char error[256]);

/* ---- reading ---- */

/* One record, good until the next one is read. Items are given as they were. */
struct recording_record {
	enum recording_kind kind;
	uint64_t ticket;
	int64_t time_ns;
	const unsigned char *bytes;
	size_t count;
	uint64_t offset; /* of the record in the file, and all that it takes there */
	uint64_t bytes_in_file;
};

struct recording_reader {
	int fd;
	uint64_t file_bytes, at;
	unsigned char *stored, *plain; /* room for a payload, as stored and as it was */
	size_t stored_room, plain_room;
	bool closed_well;               /* END was there */
	bool ended;                     /* all that is good was read */
	uint64_t rest;                  /* bytes behind it that are not */
	struct recording_totals totals; /* if closed_well */
	uint64_t index_offset;
	char error[256];
};

/* Does the file begin like a recording? */
bool recording_is_one(const char *path);

/* Open a file and look whether it was closed well. */
bool recording_open(const char *path, struct recording_reader *reader);
void recording_close(struct recording_reader *reader);

/* The next record that is good. False: there is none; reader->ended tells that from a
 * failure, and reader->rest what was not good. */
bool recording_next(struct recording_reader *reader, struct recording_record *record);

/* Begin again. */
void recording_rewind(struct recording_reader *reader);

/* Go on at the last record in the index whose ticket and time are at most these and before
 * which no second BLOCK lies; where it is, if that is nearer or there is no index. */
bool recording_seek(struct recording_reader *reader, uint64_t ticket, int64_t time_ns);

/* Payloads as numbers. False: it does not hold what its kind has to. */
bool recording_read_block(const struct recording_record *record, struct recording_block *block);
bool recording_read_gap(const struct recording_record *record, uint64_t *last,
                        enum recording_reason *reason);
bool recording_read_fate(const struct recording_record *record, enum recording_fate *fate,
                         uint64_t *epoch);
bool recording_read_clock(const struct recording_record *record, int64_t *offset_ns);

#endif
