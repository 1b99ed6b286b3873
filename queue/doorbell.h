/* SPDX-License-Identifier: MIT */
/* The eventfd that ends a sleep in epoll. */
#ifndef DXI_DOORBELL_H
#define DXI_DOORBELL_H

#include <dxh/base.h>

dxh_status dxi_doorbell_open(int *fd);

/* Make it readable. Thread: any, also in a signal handler. */
void dxi_doorbell_ring(int fd);

/* Make it unreadable again. */
void dxi_doorbell_clear(int fd);

#endif
