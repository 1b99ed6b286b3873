/* SPDX-License-Identifier: MIT */
/* A service's side of requests whose bodies arrive in parts. All calls: I/O thread. */
#ifndef DXI_REQUEST_ASSEMBLY_H
#define DXI_REQUEST_ASSEMBLY_H

#include "runtime/clients.h"

/* A part of a request has come. */
void dxi_request_part_taken(dxi_client *client, const dxi_record *part);

/* Nobody waits for it any more. false: no such request is under way. */
bool dxi_request_parts_cancel(dxi_client *client, uint64_t id);

/* The service closes: tell the client of each that is under way. */
void dxi_request_parts_refuse(dxi_client *client, dxh_status status, const char *text);

/* The client is gone. */
void dxi_request_parts_drop(dxi_client *client);

#endif
