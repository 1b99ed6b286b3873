/* SPDX-License-Identifier: MIT */
/* What proves that an item is what its writer published: a sum over its ticket,
 * its length and its payload. Which kinds there are, and nothing about slots.
 */
#ifndef DXI_CHECKSUM_H
#define DXI_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DXI_CHECKSUM_WORDS = 4, DXI_CHECKSUM_KEY_BYTES = 32, DXI_CHECKSUM_KEY_ID_BYTES = 8 };

/* The sums of one block. */
typedef struct dxi_checksum {
	uint8_t kind; /* dxi_layout_checksum */
	bool manual;  /* only where the writer asks for it */
	unsigned char key[DXI_CHECKSUM_KEY_BYTES];
} dxi_checksum;

/* `payload` may lie in shared memory: what is summed there is believed only if
 * the slot was not written meanwhile. Words that a kind does not use are 0. */
void dxi_checksum_of(const dxi_checksum *checksum, uint64_t ticket, const void *payload,
                     size_t bytes, uint64_t sum[DXI_CHECKSUM_WORDS]);

/* By what a key is recognised without being shown: BLAKE2b with this key of no
 * bytes, its first 8. */
void dxi_checksum_key_id(const unsigned char key[DXI_CHECKSUM_KEY_BYTES],
                         unsigned char id[DXI_CHECKSUM_KEY_ID_BYTES]);

#endif
