/* SPDX-License-Identifier: MIT */
/* Round robin over backlogs: the first one gives one request and goes to the end. */
#include "runtime/service.h"

static void push_backlog(dxi_turns *turns, dxi_backlog *backlog)
{
	backlog->next = NULL;
	if (turns->last)
		turns->last->next = backlog;
	else
		turns->first = backlog;
	turns->last = backlog;
}

static void remove_backlog(dxi_turns *turns, dxi_backlog *backlog)
{
	dxi_backlog *before = NULL;

	for (dxi_backlog *at = turns->first; at != backlog; at = at->next)
		before = at;
	if (before)
		before->next = backlog->next;
	else
		turns->first = backlog->next;
	if (turns->last == backlog)
		turns->last = before;
}

void dxi_turns_add_chain(dxi_turns *turns, dxi_backlog *backlog, dxi_node *first, dxi_node *last,
                         uint32_t count)
{
	last->next = NULL;
	if (backlog->count == 0)
		push_backlog(turns, backlog);
	if (backlog->last)
		backlog->last->next = first;
	else
		backlog->first = first;
	backlog->last = last;
	backlog->count += count;
	turns->count += count;
}

void dxi_turns_add(dxi_turns *turns, dxi_backlog *backlog, dxh_request *request)
{
	dxi_node *node = (dxi_node *)(void *)request;

	dxi_turns_add_chain(turns, backlog, node, node, 1);
	backlog->requests++;
	turns->requests++;
}

static void hand_on(dxi_turns *turns, dxi_backlog *backlog, const dxi_node *node)
{
	uint32_t requests = ((const dxi_task *)(const void *)node)->kind != DXI_TASK_NOTE;

	backlog->count--;
	backlog->requests -= requests;
	turns->count--;
	turns->requests -= requests;
	turns->requests_before[turns->handed_on++ % DXI_AHEAD_MAX] = turns->requests_handed_on;
	turns->requests_handed_on += requests;
}

uint32_t dxi_turns_requests_of_latest(const dxi_turns *turns, uint32_t count)
{
	return count == 0
	               ? 0
	               : turns->requests_handed_on -
	                         turns->requests_before[(turns->handed_on - count) % DXI_AHEAD_MAX];
}

dxh_request *dxi_turns_next(dxi_turns *turns)
{
	dxi_backlog *backlog = turns->first;
	dxi_node *node;

	if (!backlog)
		return NULL;
	node = backlog->first;
	backlog->first = node->next;
	if (!backlog->first)
		backlog->last = NULL;
	hand_on(turns, backlog, node);
	if (backlog->next || backlog->count == 0) { /* else it is its turn again */
		remove_backlog(turns, backlog);     /* it is the first: one step */
		if (backlog->count > 0)
			push_backlog(turns, backlog);
	}
	return (dxh_request *)(void *)node;
}

void dxi_turns_move(dxi_turns *turns, dxi_backlog *from, dxi_backlog *to)
{
	if (from->count == 0)
		return;
	remove_backlog(turns, from);
	if (to->count == 0)
		push_backlog(turns, to);
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
	to->requests += from->requests;
	*from = (dxi_backlog){.count = 0};
}
