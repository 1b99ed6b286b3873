/* SPDX-License-Identifier: MIT */
#include "tests/support/raw.h"

#include <criterion/criterion.h>

void *test_raw;
static void *context;

void test_raw_open(int type, const char *endpoint)
{
	int zero = 0, one = 1, timeout_ms = 20000;

	context = zmq_ctx_new();
	test_raw = zmq_socket(context, type);
	zmq_setsockopt(test_raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(test_raw, ZMQ_RCVHWM, &one, sizeof one);
	zmq_setsockopt(test_raw, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(type == ZMQ_ROUTER ? zmq_bind(test_raw, endpoint)
	                                : zmq_connect(test_raw, endpoint),
	             0);
}

void test_raw_close(void)
{
	zmq_close(test_raw);
	zmq_ctx_term(context);
}
