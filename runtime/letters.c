/* SPDX-License-Identifier: MIT */
/* Making, queueing and freeing letters. */
#include "runtime/letters.h"

#include "runtime/body.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 16 }; /* on their way, each way of a connection */
static_assert((int)LETTERS_MAX <= (int)DXI_RECEIVE_FRAMES_MAX, "or some are lost at the end");

dxi_letter *dxi_letter_make(const dxi_outgoing *message)
{
	bool is_copied = message->body_bytes > 0 && !message->owner;
	dxi_letter *made =
		malloc(sizeof *made + message->frame_bytes + (is_copied ? message->body_bytes : 0));

	if (!made)
		return NULL;
	*made = (dxi_letter){.owner = message->body_bytes > 0 ? message->owner : NULL,
	                     .body = message->body_bytes > 0 ? message->body : NULL,
	                     .body_bytes = message->body_bytes,
	                     .frame_bytes = message->frame_bytes};
	if (message->frame_bytes > 0)
		memcpy(made->bytes, message->frame, message->frame_bytes);
	if (is_copied) {
		memcpy(made->bytes + message->frame_bytes, message->body, message->body_bytes);
		made->body = made->bytes + message->frame_bytes;
	}
	if (made->owner)
		dxi_body_acquire(made->owner);
	return made;
}

void dxi_letter_free(dxi_letter *freed)
{
	if (!freed)
		return;
	if (freed->owner)
		dxi_body_release(freed->owner);
	free(freed);
}

void dxi_letters_put(dxi_letters *queue, dxi_letter *added)
{
	*(queue->last ? &queue->last->next : &queue->first) = added;
	queue->last = added;
	queue->count++;
}

dxi_letter *dxi_letters_take(dxi_letters *queue)
{
	dxi_letter *taken = queue->first;

	if (!taken)
		return NULL;
	queue->first = taken->next;
	if (!queue->first)
		queue->last = NULL;
	queue->count--;
	return taken;
}

bool dxi_letters_are_full(const dxi_letters *queue)
{
	return queue->count >= LETTERS_MAX;
}

void dxi_letters_drop(dxi_letters *queue)
{
	dxi_letter *dropped;

	while ((dropped = dxi_letters_take(queue)))
		dxi_letter_free(dropped);
}
