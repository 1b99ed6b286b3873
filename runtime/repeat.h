/* SPDX-License-Identifier: MIT */
/* A service's side of requests that come again: who is remembered, and what a repetition
 * gets. All calls: I/O thread. */
#ifndef DXI_REPEAT_H
#define DXI_REPEAT_H

#include "runtime/clients.h"

/* The cache that the service's config asks for. */
dxh_status dxi_repeats_init(dxh_service *service);

/* It says farewell: nothing is known any more. */
void dxi_repeats_stop(dxh_service *service);

/* The client has said HELLO, and would acknowledge answers. */
void dxi_client_remember(dxi_client *client);

/* It is gone; with a GOODBYE it will not come back. */
void dxi_client_went(dxi_client *client);
void dxi_client_said_goodbye(dxi_client *client);

/* Deal with a request, or the first part of one, that was sent before. false: it is to be
 * executed, now or once more. */
bool dxi_repeat_taken(dxi_client *client, const dxi_record *record);

/* ACK: the client has these answers. */
void dxi_acks_taken(dxi_client *client, const dxi_record *record);

#endif
