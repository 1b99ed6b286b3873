/* SPDX-License-Identifier: MIT */
/* Credit of requests, and the words of its refusal. */
#include "runtime/allowance.h"

#include "base/status.h"
#include "runtime/peer.h"

#include <string.h>

dxi_amount dxi_allowance_of_items(const dxh_request_item *items, size_t count)
{
	/* More things than there can be are refused before the bytes are looked at. */
	dxi_amount amount = {.things = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count};

	for (size_t i = 0; i < count; i++)
		amount.bytes += strlen(items[i].subject) + items[i].body_bytes;
	return amount;
}

dxi_amount dxi_allowance_of(const dxi_operation *operation)
{
	return (dxi_amount){1, (uint64_t)operation->subject_bytes + operation->body_bytes};
}

/* More than all there is. */
static dxh_status fail_never(const dxh_peer *peer, dxi_amount need)
{
	dxi_amount total = peer->requests.total;

	if (need.things > total.things)
		return dxi_fail(DXH_EINVAL, "a batch of %u requests; requests_max of '%s' is %u",
		                need.things, peer->endpoint, total.things);
	return dxi_fail(need.things == 1 ? DXH_ETOOBIG : DXH_EINVAL,
	                "%s of %llu bytes; requests_bytes of '%s' is %llu: raise it",
	                need.things == 1 ? "a request" : "a batch", (unsigned long long)need.bytes,
	                peer->endpoint, (unsigned long long)total.bytes);
}

static dxh_status fail_full(const dxh_peer *peer, dxi_amount need)
{
	dxi_amount total = peer->requests.total;
	dxi_amount have = dxi_credit_free(&peer->requests);

	/* It may have come back since it was missed: then the things are named. */
	if (have.things >= need.things && have.bytes < need.bytes)
		return dxi_fail(DXH_EFULL,
		                "%llu of %llu bytes are in flight to '%s', %llu more are needed: "
		                "await some, set full_wait_ns, or raise requests_bytes",
		                (unsigned long long)(total.bytes - have.bytes),
		                (unsigned long long)total.bytes, peer->endpoint,
		                (unsigned long long)need.bytes);
	return dxi_fail(DXH_EFULL,
	                "%u of %u requests are in flight to '%s', %u more are needed: await some, "
	                "set full_wait_ns, or raise requests_max",
	                total.things - have.things, total.things, peer->endpoint, need.things);
}

dxh_status dxi_allowance_take(dxh_peer *peer, dxi_amount amount)
{
	int64_t wait_ns = dxi_may_not_wait ? 0 : peer->config.full_wait_ns;

	if (amount.things > peer->requests.total.things ||
	    amount.bytes > peer->requests.total.bytes)
		return fail_never(peer, amount);
	if (dxi_credit_take(&peer->requests, amount))
		return DXH_OK;
	if (wait_ns > 0 && dxi_credit_take_until(&peer->requests, amount, dxh_in_ns(wait_ns)))
		return DXH_OK;
	return fail_full(peer, amount);
}

void dxi_allowance_give(dxh_peer *peer, dxi_amount amount)
{
	dxi_credit_give(&peer->requests, amount);
}
