/* SPDX-License-Identifier: MIT */
/* From events to publications: numbered, in order, and waiting where there is no room, for
 * a watcher could not know of one that was never published. */
#ifndef DXI_ANNOUNCE_H
#define DXI_ANNOUNCE_H

#include "runtime/broker/event.h"

typedef struct dxi_announcer {
	dxh_service *service;
	uint64_t broker; /* random */
	uint64_t number; /* of the last event */
} dxi_announcer;

/* Returns: DXH_ESYSTEM without random numbers. */
dxh_status dxi_announcer_init(dxi_announcer *announcer, dxh_service *service);

/* A dxi_listener's function. Blocks: as long as the I/O thread has too many publications
 * to hand on. */
void dxi_announce(void *announcer, const dxh_watch_event *event);

#endif
