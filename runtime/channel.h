/* SPDX-License-Identifier: MIT */
/* What the calls over channels have in common: checking them, and looking for a
 * channel until it is there. channel_produce.c, channel_consume.c and
 * channel_requests.c hold the calls themselves. Never saw shared memory.
 */
#ifndef DXI_CHANNEL_H
#define DXI_CHANNEL_H

#include <dxh/channel.h>

/* May this call go to a broker, and wait for it? `room` is where it puts what it opens.
 * Returns: DXH_EINVAL, DXH_EDEADLK, DXH_EDRAINING, DXH_ECLOSED, DXH_EFORKED. */
dxh_status dxi_channel_check_call(dxh_peer *broker, const char *name, const void *room);

/* What a look came to: the status is the call's, or says why it is to be tried again. */
typedef enum dxi_outcome { DXI_DECIDED, DXI_NOT_YET } dxi_outcome;

/* What to do with a channel that was found. */
typedef dxi_outcome (*dxi_found_fn)(void *context, const dxh_channel_info *told,
                                    dxh_status *status);

/* Ask the broker for a channel until `found` has decided or the deadline passes: then
 * the last reason is returned.
 * Blocks: until then. Returns: as dxh_consume(). */
dxh_status dxi_channel_search(dxh_peer *broker, const char *name, int64_t deadline_ns,
                              dxi_found_fn found, void *context);

/* Bind the service of a channel on this hub: at `endpoint`, or, if that is NULL, at a place
 * that belongs to the block of this uuid and to this user alone.
 * Returns: as dxh_service_bind(); DXH_EACCESS: that place is somebody else's. */
dxh_status dxi_channel_serve(dxh_hub *hub, const char *endpoint, const unsigned char uuid[16],
                             dxh_service **service);

/* Register an open consumer of the channel at the broker, until it is closed, or until the
 * broker's peer is. Does not wait. Returns: DXH_ENOMEM; DXH_ESYSTEM. */
dxh_status dxi_channel_join(dxh_peer *broker, const char *name, dxh_consumer *consumer);

#endif
