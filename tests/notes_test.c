/* SPDX-License-Identifier: MIT */
/* Which frame asks for a subscription, if the socket does not take the first one. */
#include "runtime/notes.h"
#include "tests/support/support.h"

static dxh_peer peer;
static dxh_subscription subscription = {.prefix_bytes = 1, .prefix = "t"};

static uint32_t state(void)
{
	return atomic_load(&subscription.standing) & ((1u << DXI_SUBSCRIPTION_STATE_BITS) - 1);
}

/* Does a frame of so many bytes ask for it? */
static bool asks(size_t capacity)
{
	unsigned char bytes[256];
	dxi_frame_writer writer = dxi_frame_begin(bytes, capacity);

	dxi_subscriptions_encode(&peer, &writer);
	return writer.records > 0;
}

Test(notes, only_the_frame_that_left_has_asked, .timeout = 10)
{
	peer.subscriptions.first = &subscription;
	peer.subscriptions.supported = true;
	peer.subscriptions.due = 1;
	cr_assert(asks(256));                        /* the socket is full: it does not leave */
	cr_assert_not(asks(DXI_FRAME_HEADER_BYTES)); /* nor is there room for it in what does */
	dxi_subscriptions_sent(&peer);
	cr_expect_eq(state(), DXI_SUBSCRIPTION_ASKED);
	cr_assert(asks(256));
	dxi_subscriptions_sent(&peer);
	cr_expect_eq(state(), DXI_SUBSCRIPTION_SENT);
	cr_expect_eq(peer.subscriptions.due, 0);
}
