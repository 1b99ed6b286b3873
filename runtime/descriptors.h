/* SPDX-License-Identifier: MIT */
/* Enough file descriptors, seen to before libzmq needs them: where it runs out of
 * them inside its own threads, it aborts the process. */
#ifndef DXI_DESCRIPTORS_H
#define DXI_DESCRIPTORS_H

#include <dxh/base.h>

enum {
	DXI_DESCRIPTORS_OF_HUB = 16, /* doorbell, epoll, libzmq's threads; and to spare */
	DXI_DESCRIPTORS_OF_PEER = 4, /* socket, monitor and its pair, connection */
	DXI_DESCRIPTORS_SPARE = 16   /* what others open at the same time */
};

/* See that `need` more can be opened, raising the soft limit where the hard one
 * allows. DXH_ELIMIT with need, have and limit. `what` for people. */
dxh_status dxi_descriptors_reserve(const char *what, uint32_t need);

/* From which descriptor on strangers are to be turned away from what is to have room for `need`
 * more: a quarter of the limit stays free for all else, or what was reserved. */
int dxi_descriptors_ceiling(uint32_t need);

/* The lowest that is free; INT_MAX: none. */
int dxi_descriptors_next(void);

/* Raise the soft limit as far as a listening socket may come to need: strangers
 * connect before they can be refused. */
void dxi_descriptors_raise(void);

#endif
