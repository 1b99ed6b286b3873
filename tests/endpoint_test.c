/* SPDX-License-Identifier: MIT */
/* Which texts are endpoints, and what is said about those that are none. */
#include "runtime/endpoint.h"
#include "tests/support/support.h"

Test(endpoint, good_ones_to_connect_to, .timeout = 5)
{
	const char *good[] = {"ipc:///tmp/x", "ipc://@name",          "ipc://relative",
	                      "tcp://host:1", "tcp://10.1.2.3:65535", "tcp://[::1]:5555"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		must(dxi_endpoint_check_connect(good[i]));
}

Test(endpoint, bad_ones_are_refused_with_a_reason, .timeout = 5)
{
	const struct {
		const char *endpoint, *words;
	} bad[] = {{NULL, "NULL"},
	           {"", "no endpoint"},
	           {"http://x", "write ipc:///path"},
	           {"ipc://", "names no path"},
	           {"ipc://@", "names no path"},
	           {"tcp://", "lacks host or port"},
	           {"tcp://host", "lacks host or port"},
	           {"tcp://:5", "lacks host or port"},
	           {"tcp://host:0", "1..65535"},
	           {"tcp://host:65536", "1..65535"},
	           {"tcp://host:12x", "1..65535"},
	           {"tcp://host:-1", "1..65535"},
	           {"tcp://*:5555", "for services"},
	           {"tcp://::1:5555", "brackets"}};
	char path[400] = "ipc:///";

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		must_be(dxi_endpoint_check_connect(bad[i].endpoint), DXH_EINVAL, bad[i].words);
	memset(path + 7, 'x', 200);
	must_be(dxi_endpoint_check_connect(path), DXH_EINVAL, "at most 107 bytes");
	memset(path + 7, 'x', 300);
	must_be(dxi_endpoint_check_connect(path), DXH_EINVAL, "at most 255");
}

Test(endpoint, listening_beyond_loopback_is_insecure_unless_said, .timeout = 5)
{
	const char *open[] = {"tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://10.0.0.1:1",
	                      "tcp://[::]:5555", "tcp://eth0:5555"};
	const char *closed[] = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "tcp://localhost:5555",
	                        "tcp://[::1]:5555", "ipc:///tmp/x"};

	for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
		must_be(dxi_endpoint_check_bind(open[i], false), DXH_EINSECURE, "set insecure");
		must(dxi_endpoint_check_bind(open[i], true));
	}
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		must(dxi_endpoint_check_bind(closed[i], false));
}
