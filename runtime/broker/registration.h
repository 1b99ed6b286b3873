/* SPDX-License-Identifier: MIT */
/* Keeping a producer or a consumer registered: beats at the interval the broker asks for,
 * and a new registration whenever the broker may have forgotten.
 *
 * No thread of its own: a tick and a watch on the I/O thread of the broker's
 * peer, where it only posts, notifies and polls. Never saw shared memory.
 */
#ifndef DXI_REGISTRATION_H
#define DXI_REGISTRATION_H

#include "runtime/broker/consumer_message.h"

typedef struct dxi_registration dxi_registration;

typedef struct dxi_registration_config {
	dxh_peer *broker;
	/* One of the two; copied, with the schema. */
	const dxi_claim *claim;         /* a producer claims a channel */
	const dxi_reader_claim *reader; /* a consumer says which one it reads */
	/* Told with each beat; called on the I/O thread. A consumer fills in progress and all
	 * figures: broken items are told when there are more of them. */
	uint64_t (*progress)(const void *context);
	void (*figures)(const void *context, dxi_reader_word *word);
	const void *context;
} dxi_registration_config;

/* Register, and stay registered until closed, or until the broker's peer is.
 *
 * Blocks:  until the broker has answered, or the deadline.
 * Returns: DXH_OK also when no answer came: then it goes on trying. A refusal
 *          that trying again does not change is returned: DXH_ECONFLICT, ... */
dxh_status dxi_registration_open(const dxi_registration_config *config, int64_t deadline_ns,
                                 dxi_registration **registration);

/* Deregister. Blocks: a quarter of a second at most. In a child of fork() it
 * only frees memory. */
void dxi_registration_close(dxi_registration *registration);

#endif
