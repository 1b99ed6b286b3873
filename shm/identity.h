/* SPDX-License-Identifier: MIT */
/* Numbers that tell one from another: blocks, processes, boots. For humans and
 * for mix-ups; who is alive only the locks know.
 */
#ifndef DXI_IDENTITY_H
#define DXI_IDENTITY_H

#include "shm/layout.h"

/* A random version-4 UUID. */
void dxi_new_uuid(uint8_t uuid[16]);

/* Note this process as the producer: pid, start time, boot. */
void dxi_identity_write(struct dxi_layout_producer *producer);

/* This kernel's boot: the first and the last 16 hex digits of its id; 0: unknown. */
void dxi_boot_id(uint64_t id[2]);

/* CLOCK_REALTIME - CLOCK_MONOTONIC, now. */
int64_t dxi_clock_offset_ns(void);

#endif
