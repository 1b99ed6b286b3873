/* SPDX-License-Identifier: MIT */
/* Is this text an endpoint? Asked before ZeroMQ sees it, so that the answer says
 * what is wrong. Pure, but for what looks at a path. */
#ifndef DXI_ENDPOINT_H
#define DXI_ENDPOINT_H

#include <dxh/base.h>

#include <stdbool.h>
#include <sys/types.h>

enum { DXI_ENDPOINT_BYTES_MAX = 255 };

/* For connecting: DXH_OK, or DXH_EINVAL saying what is wrong. */
dxh_status dxi_endpoint_check_connect(const char *endpoint);

/* For binding: also a port "*", and DXH_EINSECURE for tcp beyond loopback unless
 * `insecure`. */
dxh_status dxi_endpoint_check_bind(const char *endpoint, bool insecure);

/* Within the hub: no socket takes part. */
bool dxi_endpoint_is_inproc(const char *endpoint);

/* Before binding, as ZeroMQ would remove whatever is at an ipc path: DXH_EEXIST
 * when that is no socket, DXH_EBUSY when somebody listens there. */
dxh_status dxi_endpoint_check_free(const char *endpoint);

/* The socket file that a bind has made, to be removed at the end: ZeroMQ leaves
 * it. Nothing is removed that somebody else has put there since. */
typedef struct dxi_endpoint_file {
	dev_t device;
	ino_t inode; /* 0: no file */
} dxi_endpoint_file;

dxi_endpoint_file dxi_endpoint_file_of(const char *endpoint);
void dxi_endpoint_file_remove(const char *endpoint, dxi_endpoint_file file);

/* Take the socket out of its name, so that nobody new finds it, and put it back. Connections
 * stay, and what is hidden is removed like what is not. false: there is no such file (any
 * more), or at its name is something else now. */
bool dxi_endpoint_file_hide(const char *endpoint, dxi_endpoint_file file);
bool dxi_endpoint_file_show(const char *endpoint, dxi_endpoint_file file);

#endif
