/* SPDX-License-Identifier: MIT */
/* Links within a hub (inproc://name): frames are handed over in memory, and no socket,
 * descriptor or other thread takes part.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_LOOPBACK_H
#define DXI_LOOPBACK_H

#include "runtime/link.h"

typedef struct dxi_loopbacks dxi_loopbacks;

/* Who listens under which name. free: once all links are closed; of NULL nothing. */
dxh_status dxi_loopbacks_open(dxi_loopbacks **loopbacks);
void dxi_loopbacks_free(dxi_loopbacks *loopbacks);

/* What was received last has been read. Once a turn. */
void dxi_loopbacks_settle(dxi_loopbacks *loopbacks);

/* When nobody listens, the owner is told at the next look that it is disconnected. */
dxh_status dxi_loopback_connect(dxi_links *links, const dxi_link_config *config,
                                const char *endpoint, dxi_link **link);

/* DXH_EBUSY: somebody listens under this name. */
dxh_status dxi_loopback_bind(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                             char *bound, size_t capacity, dxi_link **link);

#endif
