/* SPDX-License-Identifier: MIT */
/* BLAKE2b-256, by which schemas are recognised. */
#ifndef DXI_HASH_H
#define DXI_HASH_H

#include <stddef.h>

enum { DXI_HASH_BYTES = 32 };

void dxi_hash(const void *bytes, size_t length, unsigned char hash[DXI_HASH_BYTES]);

#endif
