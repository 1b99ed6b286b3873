/* SPDX-License-Identifier: MIT */
/* Four kinds, each by the code of a library that does nothing else. */
#include "shm/checksum.h"

#include "shm/layout.h"
#include "shm/xxh3.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <xxhash.h>

static_assert(DXI_CHECKSUM_WORDS * sizeof(uint64_t) == crypto_generichash_BYTES, "one BLAKE2b-256");

/* Ticket and length, as they stand in front of the payload in what is summed. */
typedef struct prefix {
	uint64_t ticket;
	uint64_t bytes;
} prefix;

/* ISA-L takes int lengths and no const; it reverses nothing, so the usual
 * complements of CRC-32C are ours. */
static uint32_t crc32c_more(uint32_t state, const void *from, size_t bytes)
{
	unsigned char *at = (unsigned char *)(uintptr_t)from;

	for (; bytes > INT_MAX; bytes -= INT_MAX, at += INT_MAX)
		state = crc32_iscsi(at, INT_MAX, state);
	return crc32_iscsi(at, (int)bytes, state);
}

static uint64_t crc32c(const prefix *front, const void *payload, size_t bytes)
{
	uint32_t state = crc32c_more(UINT32_MAX, front, sizeof *front);

	return ~crc32c_more(state, payload, bytes);
}

static uint64_t xxh3(const void *payload, size_t bytes, uint64_t seed)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return dxi_xxh3_avx2(payload, bytes, seed);
#endif
	return XXH3_64bits_withSeed(payload, bytes, seed);
}

static void blake2b(const unsigned char *key, const prefix *front, const void *payload,
                    size_t bytes, uint64_t sum[DXI_CHECKSUM_WORDS])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, key, key ? DXI_CHECKSUM_KEY_BYTES : 0,
	                        crypto_generichash_BYTES);
	crypto_generichash_update(&state, (const unsigned char *)front, sizeof *front);
	crypto_generichash_update(&state, payload, bytes);
	crypto_generichash_final(&state, (unsigned char *)sum, crypto_generichash_BYTES);
}

void dxi_checksum_of(const dxi_checksum *checksum, uint64_t ticket, const void *payload,
                     size_t bytes, uint64_t sum[DXI_CHECKSUM_WORDS])
{
	const prefix front = {ticket, bytes};

	memset(sum, 0, DXI_CHECKSUM_WORDS * sizeof *sum);
	switch ((enum dxi_layout_checksum)checksum->kind) {
	case DXI_CHECKSUM_NONE:
		break;
	case DXI_CHECKSUM_XXH3:
		/* The length enters XXH3 by itself, the ticket as its seed. */
		sum[0] = xxh3(payload, bytes, ticket);
		break;
	case DXI_CHECKSUM_CRC32C:
		sum[0] = crc32c(&front, payload, bytes);
		break;
	case DXI_CHECKSUM_BLAKE2B:
		blake2b(NULL, &front, payload, bytes, sum);
		break;
	case DXI_CHECKSUM_BLAKE2B_KEYED:
		blake2b(checksum->key, &front, payload, bytes, sum);
		break;
	}
}

void dxi_checksum_key_id(const unsigned char key[DXI_CHECKSUM_KEY_BYTES],
                         unsigned char id[DXI_CHECKSUM_KEY_ID_BYTES])
{
	unsigned char digest[crypto_generichash_BYTES];

	crypto_generichash(digest, sizeof digest, NULL, 0, key, DXI_CHECKSUM_KEY_BYTES);
	memcpy(id, digest, DXI_CHECKSUM_KEY_ID_BYTES);
}
