/* SPDX-License-Identifier: MIT */
/* A service's side of subscriptions: who asked for what, and notes on their way to
 * each. All calls but the public one: I/O thread. */
#ifndef DXI_PUBLISH_H
#define DXI_PUBLISH_H

#include "runtime/clients.h"

/* A publication has arrived by the queue: give it to whom it concerns. */
void dxi_publication_arrived(dxi_task *task);

/* SUBSCRIBE and UNSUBSCRIBE of a client. */
void dxi_client_subscribe(dxi_client *client, const dxi_record *record);
void dxi_client_unsubscribe(dxi_client *client, uint32_t number);

/* Put waiting notes into a frame behind what is in it, as many as fit. */
void dxi_notes_encode(dxi_client *client, dxi_frame_writer *writer);

/* The client goes, with its subscriptions and notes. */
void dxi_notes_drop(dxi_client *client);

#endif
