/* SPDX-License-Identifier: MIT */
/* The tickets in the slots are the journal of the ring; these rules make it one. */
#include "shm/scan.h"

#include <stdbool.h>

const char *dxi_seq_rule(uint64_t seq, uint64_t index, uint64_t physical)
{
	if (seq == 0)
		return NULL;
	if (dxi_ticket_of(seq) >= DXI_TICKET_MAX)
		return "seq is beyond any ticket";
	if (dxi_ticket_of(seq) % physical != index)
		return "seq is of a ticket that belongs elsewhere";
	return NULL;
}

const char *dxi_seq_rule_beside(uint64_t seq, uint64_t index, uint64_t physical, uint64_t largest)
{
	if (largest == 0 || seq == largest)
		return NULL;
	if (seq % 2 == 1)
		return "being written, but not the newest";
	if (seq == 0 ? dxi_ticket_of(largest) >= index
	             : dxi_ticket_of(seq) + physical <= dxi_ticket_of(largest))
		return "seq is older than the ring goes back";
	return NULL;
}

/* The newest ticket below `head` that lies in this slot; false: none does yet. */
static bool newest_below(uint64_t head, uint64_t index, uint64_t physical, uint64_t *ticket)
{
	if (head <= index)
		return false;
	*ticket = (head - 1 - index) / physical * physical + index;
	return true;
}

const char *dxi_seq_rule_live(uint64_t seq, uint64_t index, uint64_t physical, uint64_t head_before,
                              uint64_t head_after, uint64_t kept)
{
	uint64_t ticket;

	if (newest_below(head_before, index, physical, &ticket) && seq < 2 * ticket + 2)
		return "seq is older than what head announces";
	if (seq != 0 && dxi_ticket_of(seq) >= head_after && dxi_ticket_of(seq) - head_after >= kept)
		return "seq is of a ticket that is not due yet";
	return NULL;
}
