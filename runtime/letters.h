/* SPDX-License-Identifier: MIT */
/* Messages on their way over a loopback: a queue for each way of a connection.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_LETTERS_H
#define DXI_LETTERS_H

#include "runtime/link.h"

typedef struct dxi_letter {
	struct dxi_letter *next;
	struct dxi_body *owner; /* of the body; NULL: it lies behind the frame */
	const unsigned char *body;
	size_t body_bytes;
	size_t frame_bytes;
	unsigned char bytes[];
} dxi_letter;

typedef struct dxi_letters {
	dxi_letter *first, *last;
	uint32_t count;
} dxi_letters;

/* NULL: no memory. */
dxi_letter *dxi_letter_make(const dxi_outgoing *message);
void dxi_letter_free(dxi_letter *freed); /* of NULL nothing */

/* take: the oldest; NULL: there is none. */
void dxi_letters_put(dxi_letters *queue, dxi_letter *added);
dxi_letter *dxi_letters_take(dxi_letters *queue);
bool dxi_letters_are_full(const dxi_letters *queue);
void dxi_letters_drop(dxi_letters *queue);

#endif
