/* SPDX-License-Identifier: MIT */
/* Flushes: operations without a body that end once what was notified before them has
 * got so far. */
#include "base/status.h"
#include "runtime/peer.h"

dxh_status
dxh_flush_post(dxh_peer *peer, dxh_flush_level level, int64_t deadline_ns, dxh_completion *done)
{
	dxi_operation *operation;
	dxh_status status;
	dxi_slot *slot;

	if (!peer || !done || (level != DXH_FLUSH_SENT && level != DXH_FLUSH_REPLIED))
		return dxi_fail(DXH_EINVAL, "a flush needs a peer, a level and room for the "
		                            "completion");
	status = dxi_hub_check_process(peer->hub);
	if (status != DXH_OK)
		return status;
	slot = dxi_pool_take(peer->hub->pool);
	if (!slot)
		return dxi_operation_fail_no_slot(peer->hub);
	operation = dxi_operation_of(slot);
	*operation = (dxi_operation){.peer = peer,
	                             .timer.deadline_ns = deadline_ns,
	                             .kind = level == DXH_FLUSH_SENT ? DXI_OP_FLUSH_SENT
	                                                             : DXI_OP_FLUSH_REPLIED,
	                             .post.kind = DXI_TASK_OPERATION,
	                             .cancel.kind = DXI_TASK_CANCEL};
	*done = dxi_completion_begin(slot, NULL, NULL);
	dxi_hub_push(peer->hub, &operation->post, &operation->post);
	return DXH_OK;
}

dxh_status dxh_flush(dxh_peer *peer, dxh_flush_level level, int64_t deadline_ns)
{
	dxh_completion done;
	dxh_status status;

	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread cannot wait for its own sending: use "
		                             "dxh_flush_post()");
	status = dxh_flush_post(peer, level, deadline_ns, &done);
	if (status != DXH_OK)
		return status;
	/* The operation's own deadline ends it, so this wait needs none. */
	status = dxh_await(done, DXH_FOREVER, NULL);
	dxh_release(done);
	return status;
}
