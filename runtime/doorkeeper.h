/* SPDX-License-Identifier: MIT */
/* Who may come in to the encrypted services of a hub, and who was sent away. */
#ifndef DXI_DOORKEEPER_H
#define DXI_DOORKEEPER_H

#include "runtime/hub.h"

/* Have libzmq ask us, if it does not yet. I/O thread. */
dxh_status dxi_doorkeeper_open(dxh_hub *hub);

/* Before the context is closed. I/O thread. */
void dxi_doorkeeper_close(dxh_hub *hub);

#endif
