/* SPDX-License-Identifier: MIT */
/* The frame of a recording's records, for the file's writer and its reader. */
#ifndef RECORDING_BYTES_H
#define RECORDING_BYTES_H

#include <stdint.h>
#include <xxhash.h>

#define RECORDING_MAGIC "DXHREC\r\n"

enum {
	RECORDING_MAJOR = 1,
	RECORDING_FILE_HEADER_BYTES = 16,
	RECORDING_HEADER_BYTES = 40,
	RECORDING_SUMMED_BYTES = 32, /* of the header */
	RECORDING_COMPRESSED = 1,
	RECORDING_BLOCK_BYTES = 112, /* in front of the schema */
	RECORDING_END_BYTES = 32,
	RECORDING_INDEX_ENTRY_BYTES = 24
};

static inline void recording_put(unsigned char *at, unsigned bytes, uint64_t number)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (unsigned char)(number >> 8 * i);
}

static inline uint64_t recording_get(const unsigned char *at, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)at[i] << 8 * i;
	return number;
}

static inline uint64_t recording_padding(uint64_t bytes)
{
	return -bytes & 7;
}

/* XXH3 of a header's beginning and what follows it. */
static inline uint64_t
recording_sum(XXH3_state_t *state, const unsigned char *header, const void *bytes, size_t count)
{
	XXH3_64bits_reset(state);
	XXH3_64bits_update(state, header, RECORDING_SUMMED_BYTES);
	XXH3_64bits_update(state, bytes, count);
	return XXH3_64bits_digest(state);
}

#endif
