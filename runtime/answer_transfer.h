/* SPDX-License-Identifier: MIT */
/* A service's side of answers whose bodies leave in parts. All calls: I/O thread. */
#ifndef DXI_ANSWER_TRANSFER_H
#define DXI_ANSWER_TRANSFER_H

#include "runtime/clients.h"

/* Small answers go first, but of so many frames and one more, one is a part. */
enum { DXI_SMALL_FRAMES_IN_ROW = 3 };

/* Parts wait to be sent to this client. */
static inline bool dxi_answer_parts_wait(const dxi_client *client)
{
	return client->departing.count + client->large.count > 0;
}

/* Put the next part into the hub's scratch frame and behind it. Returns the answer whose
 * last part it is, to be freed once it is sent; else NULL. */
dxh_request *dxi_answer_part_encode(dxi_client *client, dxi_outgoing *message);

/* Nobody waits for this answer any more. false: it is not one that leaves in parts. */
bool dxi_answer_parts_cancel(dxi_client *client, uint64_t id);

/* The client is gone. */
void dxi_answer_parts_drop(dxi_client *client);

/* answers.c: an answer leaves, or will not; it counts no longer in its client's window. */
void dxi_answer_left(dxi_client *client, const dxh_request *request);
void dxi_answer_forget(dxi_client *client, const dxh_request *request);

#endif
