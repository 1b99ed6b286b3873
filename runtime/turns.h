/* SPDX-License-Identifier: MIT */
/* Whose turn it is: received requests wait in a backlog of their client, and one
 * of each backlog in turn goes on to the workers. Pure: lists with one owner.
 *
 * Only a few are ahead of the workers at a time, for what is there already keeps
 * its order. So a client of which nothing waits is served after at most those and
 * one of each backlog, however many others wait: DXI_AHEAD_MIN, or more, up to
 * DXI_AHEAD_MAX, for workers who emptied the inbox while others waited.
 */
#ifndef DXI_TURNS_H
#define DXI_TURNS_H

#include "queue/queue.h"

#include <dxh/message.h>

#include <stdbool.h>

/* Workers who answer within a microsecond take 64 while the I/O thread sends one
 * frame; with 1024 they do not wait for it. It is theirs again after a while of not
 * needing more. */
enum { DXI_AHEAD_MIN = 64, DXI_AHEAD_MAX = 1024, DXI_AHEAD_KEPT_NS = 10000000 };

/* What waits of one client, oldest first. Zeroed is empty. */
typedef struct dxi_backlog {
	struct dxi_backlog *next; /* in turn */
	dxi_node *first, *last;   /* the begin of a request, or of a notification */
	uint32_t count, requests; /* of these */
} dxi_backlog;

/* The backlogs that are not empty, in turn. Zeroed is none. */
typedef struct dxi_turns {
	dxi_backlog *first, *last;
	uint64_t count, requests; /* in all of them */
	/* Handed on, modulo 2^32; and how many requests had been when one was, the latest. */
	uint32_t handed_on, requests_handed_on, requests_before[DXI_AHEAD_MAX];
} dxi_turns;

void dxi_turns_add(dxi_turns *turns, dxi_backlog *backlog, dxh_request *request);

/* The same for `count` notifications, linked by their first members. */
void dxi_turns_add_chain(dxi_turns *turns, dxi_backlog *backlog, dxi_node *first, dxi_node *last,
                         uint32_t count);

/* The one whose turn it is, out of its backlog; NULL: nothing waits. */
dxh_request *dxi_turns_next(dxi_turns *turns);

/* How many requests are among the latest `count` that were handed on; of so many as can be
 * ahead. Those in the inbox are the latest, for it is first in, first out. */
uint32_t dxi_turns_requests_of_latest(const dxi_turns *turns, uint32_t count);

/* What waits in `from` waits behind what is in `to`; `from` is empty then. O(the
 * backlogs that wait). */
void dxi_turns_move(dxi_turns *turns, dxi_backlog *from, dxi_backlog *to);

#endif
