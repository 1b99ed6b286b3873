/* SPDX-License-Identifier: MIT */
/* Is this text an endpoint? Asked before ZeroMQ sees it, so that the answer says
 * what is wrong. Pure, but for dxi_endpoint_in_use(). */
#ifndef DXI_ENDPOINT_H
#define DXI_ENDPOINT_H

#include <dxh/base.h>

#include <stdbool.h>

enum { DXI_ENDPOINT_BYTES_MAX = 255 };

/* For connecting: DXH_OK, or DXH_EINVAL saying what is wrong. */
dxh_status dxi_endpoint_check_connect(const char *endpoint);

/* For binding: also a port "*", and DXH_EINSECURE for tcp beyond loopback unless
 * `insecure`. */
dxh_status dxi_endpoint_check_bind(const char *endpoint, bool insecure);

/* Does somebody listen on this ipc path? ZeroMQ would take the path from it. */
bool dxi_endpoint_in_use(const char *endpoint);

#endif
