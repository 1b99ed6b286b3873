/* SPDX-License-Identifier: MIT */
/* Posters that find no frame free and have the oldest dropped for it. */
#ifndef DXI_ROOM_H
#define DXI_ROOM_H

#include "runtime/batch.h"
#include "runtime/hub.h"

/* A frame that is this poster's, in the order in which they ask and however many others
 * look for a free one. What can be sent is not dropped. NULL: all are in the hands of
 * posters, or on their way to the lane: ask again; on the I/O thread: none was dropped. */
dxi_batch *dxi_room_ask(struct dxh_peer *peer);

/* I/O thread: somebody asks; everything on the queue has been taken. */
void dxi_room_asked(dxi_task *task);
void dxi_rooms_make(dxh_hub *hub);

#endif
