/* SPDX-License-Identifier: MIT */
/* The pair that most tests of messages begin with. */
#include "tests/support/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

test_echo echo;
dxh_hub *hub;
dxh_peer *peer;

void open_pair(const char *endpoint, const dxh_service_config *service,
               const dxh_peer_config *config)
{
	test_echo_open(&echo, endpoint, service);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), config, &peer));
}

void close_pair(void)
{
	dxh_hub_stats stats = test_stats(hub);

	cr_expect_eq(stats.posted, stats.done + stats.errors + stats.expired + stats.canceled +
	                                   stats.lost + stats.unsendable + stats.closed +
	                                   stats.flushed + stats.open_now);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

void expect_echo(const void *body, size_t bytes)
{
	static unsigned char reply[600000];
	size_t reply_bytes = 0;

	must(dxh_request_sync(peer, "echo", body, bytes, SOON, reply, sizeof reply, &reply_bytes));
	cr_assert_eq(reply_bytes, bytes);
	cr_assert_eq(memcmp(reply, body, bytes), 0);
}

void path_endpoint(char *endpoint, size_t capacity, const char *name)
{
	const char *directory = getenv("TMPDIR");

	snprintf(endpoint, capacity, "ipc://%s/dxh-%s-%d", directory ? directory : "/tmp", name,
	         (int)getpid());
}
