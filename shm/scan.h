/* SPDX-License-Identifier: MIT */
/* Which seq can a slot have? Rules on numbers; who reads them and when is not known
 * here.
 */
#ifndef DXI_SCAN_H
#define DXI_SCAN_H

#include "shm/layout.h"

/* 2t+1 and 2t+2 both belong to ticket t; seq is not 0. */
static inline uint64_t dxi_ticket_of(uint64_t seq)
{
	return (seq - 1) / 2;
}

/* The rule that this seq breaks in slot `index` of `physical`, whoever writes; NULL:
 * none. */
const char *dxi_seq_rule(uint64_t seq, uint64_t index, uint64_t physical);

/* The rule that it breaks beside the largest seq of all, when nobody writes: the
 * others hold the tickets right before that one, all published. NULL: none. */
const char *dxi_seq_rule_beside(uint64_t seq, uint64_t index, uint64_t physical, uint64_t largest);

/* The rule that it breaks while a producer writes: tickets below `head_before`, which
 * was loaded before it, are published, and none goes beyond `head_after` by more than
 * the `kept` items of one call. NULL: none. */
const char *dxi_seq_rule_live(uint64_t seq, uint64_t index, uint64_t physical, uint64_t head_before,
                              uint64_t head_after, uint64_t kept);

#endif
