/* SPDX-License-Identifier: MIT */
/* The submission queue: Concurrency Kit's stack layout with a push that returns
 * the old head, which ck_stack_push_* hides, and take-all only (single pops
 * beside take-all would bring the ABA problem back). */
#include "queue/queue.h"

#include <ck_pr.h>
#include <stddef.h>

/* An address that no node can have. */
static dxi_node armed;

void dxi_queue_init(dxi_queue *queue)
{
	queue->head = NULL;
}

bool dxi_queue_push(dxi_queue *queue, dxi_node *newest, dxi_node *oldest)
{
	dxi_node *head = ck_pr_load_ptr(&queue->head);
	dxi_node *seen;

	for (;;) {
		oldest->next = head == &armed ? NULL : head;
		/* Without it the taker could see the node before its content.
		 * Pairs with the load fence in take(). */
		ck_pr_fence_store();
		if (ck_pr_cas_ptr_value(&queue->head, head, newest, &seen))
			return head == &armed;
		head = seen;
	}
}

static dxi_node *reversed(dxi_node *newest)
{
	dxi_node *oldest = NULL;

	while (newest) {
		dxi_node *older = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

dxi_node *dxi_queue_take(dxi_queue *queue)
{
	dxi_node *newest;

	if (!ck_pr_load_ptr(&queue->head))
		return NULL;
	newest = ck_pr_fas_ptr(&queue->head, NULL);
	/* Pairs with the store fence in push(). */
	ck_pr_fence_load();
	return newest == &armed ? NULL : reversed(newest);
}

bool dxi_queue_arm(dxi_queue *queue)
{
	dxi_node *seen;

	return ck_pr_cas_ptr_value(&queue->head, NULL, &armed, &seen) || seen == &armed;
}
