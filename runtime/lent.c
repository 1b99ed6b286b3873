/* SPDX-License-Identifier: MIT */
/* A list, so that at the end of the hub also those bodies are given back that no worker
 * has returned. */
#include "runtime/lent.h"

void dxi_lend(dxh_request *request, dxi_body *owner, const void *bytes)
{
	dxh_hub *hub = request->service->hub;

	dxi_body_acquire(owner);
	request->lender = owner;
	request->body = (unsigned char *)(uintptr_t)bytes; /* only read: it is not its own */
	request->previous_lent = NULL;
	request->next_lent = hub->lent;
	if (hub->lent)
		hub->lent->previous_lent = request;
	hub->lent = request;
}

void dxi_return(dxh_request *request)
{
	if (!request->lender)
		return;
	if (request->previous_lent)
		request->previous_lent->next_lent = request->next_lent;
	else
		request->service->hub->lent = request->next_lent;
	if (request->next_lent)
		request->next_lent->previous_lent = request->previous_lent;
	dxi_body_release(request->lender);
	request->lender = NULL;
}

void dxi_return_all(dxh_hub *hub)
{
	while (hub->lent)
		dxi_return(hub->lent);
}
