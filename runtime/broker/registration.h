/* SPDX-License-Identifier: MIT */
/* Keeping one channel registered: beats at the interval the broker asks for, and
 * a new registration whenever the broker may have forgotten.
 *
 * No thread of its own: a tick and a watch on the I/O thread of the broker's
 * peer, where it only posts, notifies and polls. Never saw shared memory.
 */
#ifndef DXI_REGISTRATION_H
#define DXI_REGISTRATION_H

#include "runtime/broker/message.h"

typedef struct dxi_registration dxi_registration;

typedef struct dxi_registration_config {
	dxh_peer *broker;
	const dxi_claim *claim; /* copied, with its schema */
	/* Told with each beat; called on the I/O thread. */
	uint64_t (*progress)(const void *context);
	const void *context;
} dxi_registration_config;

/* Register, and stay registered until closed.
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
