/* SPDX-License-Identifier: MIT */
/* A subscription from inside: what user threads (subscription.c) and the I/O thread
 * (notes.c) share.
 *
 *   asked ──SUBSCRIBE sent──> sent ──answered──> standing or refused
 *     ^                                             │
 *     └────────────── the connection ended ─────────┘
 *
 *   field     written by    read by          order
 *   standing  I/O thread    _await()         futex, release / acquire
 *   bytes     both          I/O thread       relaxed: only makes room
 *   fd        user, once    I/O thread       acq_rel / acquire
 *   is_marked both          I/O thread       release / acquire: the place in the ring is free
 *   the rest that is atomic: figures, relaxed
 */
#ifndef DXI_NOTES_H
#define DXI_NOTES_H

#include "queue/inbox.h"
#include "runtime/peer.h"

/* The low bits of `standing`; the rest is a refusal's status. */
enum {
	DXI_SUBSCRIPTION_ASKED = 0,
	DXI_SUBSCRIPTION_SENT = 1,
	DXI_SUBSCRIPTION_STANDING = 2,
	DXI_SUBSCRIPTION_REFUSED = 3,
	DXI_SUBSCRIPTION_STATE_BITS = 2
};

struct dxh_subscription {
	/* any thread */
	dxh_peer *peer;
	dxi_inbox *inbox;
	uint32_t inbox_max; /* notes; the ring has room for a mark beside them */
	bool tells_gaps;
	uint64_t inbox_bytes_max;
	_Atomic uint64_t bytes;      /* in the inbox and with users */
	_Atomic uint64_t waiting;    /* in the inbox */
	_Atomic uint64_t references; /* itself, and each note that is out */
	_Atomic uint32_t standing;
	_Atomic int fd;         /* -1 until asked for */
	_Atomic bool is_marked; /* a mark waits in the inbox */
	_Atomic uint64_t received, lost, renewals;

	/* the I/O thread alone */
	struct dxh_subscription *next;
	struct dxh_subscription *next_fresh;
	bool is_fresh;
	bool is_in_frame; /* being sent */
	uint32_t number;
	uint64_t sequence; /* of the last note that came into the inbox */
	bool reconnected;  /* since then */
	bool was_standing;
	uint8_t prefix_bytes;
	char prefix[DXH_SUBJECT_MAX];
};

/* A note as it lies in memory. */
typedef struct dxi_note {
	dxh_note told; /* first: what the user has is this */
	dxh_subscription *subscription;
	size_t bytes;
	bool is_mark;
	char storage[]; /* topic, NUL, padding, body */
} dxi_note;

/* I/O thread: it is no longer in the list of its peer; the service hears so, if it was asked. */
void dxi_subscription_ended(dxh_subscription *subscription);

/* What nobody received goes with the subscription; no receiver may be in it. */
void dxi_subscription_free(dxh_subscription *subscription);

#endif
