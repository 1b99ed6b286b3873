/* SPDX-License-Identifier: MIT */
/* Many posters, one taker: an intrusive stack that is taken whole, and that
 * knows whether its taker sleeps.
 *
 * The head word holds one of three things: empty (the taker is awake), ARMED
 * (the taker sleeps), or the newest node. The one poster whose push displaced
 * ARMED rings the doorbell; nobody else makes a system call. One word holds both
 * facts, so no store-load fence is needed between them.
 *
 *   field   written by              read by        order
 *   head    push(), arm(), take()   all            CAS / swap, release / acquire
 *   next    push(), before its CAS  take() alone   plain, published by head
 *
 * Posters are lock-free, the taker is wait-free. Order: FIFO per poster.
 */
#ifndef DXI_QUEUE_H
#define DXI_QUEUE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct dxi_node {
	struct dxi_node *next;
} dxi_node;

/* A node that says what it is part of, for a taker of mixed things. */
typedef struct dxi_task {
	dxi_node node;
	uint32_t kind;
	uint32_t number; /* the owner's, as it likes */
} dxi_task;

typedef struct dxi_queue {
	alignas(128) dxi_node *head;
	char alone_on_its_lines[128 - sizeof(dxi_node *)];
} dxi_queue;

void dxi_queue_init(dxi_queue *queue);

/* Push a node, or a chain linked by the caller from `newest` (next: older) down
 * to `oldest`. Returns true when the taker slept: the caller must ring.
 * Thread: any. After the call the nodes belong to the taker. */
bool dxi_queue_push(dxi_queue *queue, dxi_node *newest, dxi_node *oldest);

/* Everything pushed so far, oldest first, NULL when nothing. Disarms.
 * Thread: the taker. */
dxi_node *dxi_queue_take(dxi_queue *queue);

/* Say that the taker goes to sleep. false: something was pushed, take it first.
 * Stays armed until the next push or take. Thread: the taker. */
bool dxi_queue_arm(dxi_queue *queue);

#endif
