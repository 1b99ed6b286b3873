/* SPDX-License-Identifier: MIT */
/* What a hub tells of itself: times, and what it is doing. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include "runtime/latency.h"
#include "runtime/peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void setup(void)
{
	open_pair(test_endpoint(), NULL, NULL);
}

TestSuite(observe, .init = setup, .fini = close_pair, .timeout = 60);

/* ---- histograms -------------------------------------------------------------------- */

Test(latency, a_value_is_known_to_an_eighth, .timeout = 10)
{
	static dxi_histogram histogram;

	for (uint64_t value = 1; value < UINT64_C(1) << 40; value = value * 5 / 4 + 1) {
		dxh_latency read;

		memset(&histogram, 0, sizeof histogram);
		dxi_histogram_add(&histogram, (int64_t)value);
		dxi_histogram_add(&histogram, INT64_C(1) << 41);
		read = dxi_histogram_read(&histogram);
		cr_assert_eq(read.count, 2);
		cr_assert_geq(read.p50_ns, value);
		cr_assert_leq(read.p50_ns, value + value / 8);
		cr_assert_eq(read.max_ns, UINT64_C(1) << 41);
	}
}

Test(latency, percentiles_of_a_thousand_equal_steps, .timeout = 10)
{
	static dxi_histogram histogram;
	dxh_latency read;

	for (int64_t i = 1; i <= 1000; i++)
		dxi_histogram_add(&histogram, i * 1000);
	read = dxi_histogram_read(&histogram);
	cr_expect(read.p50_ns >= 500000 && read.p50_ns <= 562500);
	cr_expect(read.p90_ns >= 900000 && read.p90_ns <= 1000000);
	cr_expect(read.p99_ns >= 990000 && read.p99_ns <= 1000000);
	cr_expect_eq(read.p999_ns, 1000000, "never more than the largest");
	cr_expect_eq(dxi_histogram_read(&(dxi_histogram){.max_ns = 0}).p50_ns, 0);
	dxi_histogram_add(&histogram, -1);
	cr_expect_eq(dxi_histogram_read(&histogram).count, 1001);
}

Test(latency, stamps_measure_across_their_wrap, .timeout = 10)
{
	int64_t before = (INT64_C(1) << 38) - 1000, after = before + 5000;

	cr_expect_leq(dxi_stamp_age_ns(dxi_stamp_of(before), after), 5000 + 128);
	cr_expect_geq(dxi_stamp_age_ns(dxi_stamp_of(before), after), 5000 - 128);
}

Test(observe, one_in_sixty_four_is_timed_at_each_stage)
{
	dxh_latency latency;

	for (int i = 0; i < 640; i++)
		expect_echo("x", 1);
	for (int stage = DXH_STAGE_QUEUE; stage <= DXH_STAGE_SERVICE; stage++) {
		must(dxh_hub_latency_get(hub, (dxh_stage)stage, &latency));
		cr_expect_eq(latency.count, 10, "stage %d: %lu", stage,
		             (unsigned long)latency.count);
		cr_expect_geq(latency.max_ns, latency.p99_ns);
		cr_expect_geq(latency.p99_ns, latency.p50_ns);
	}
	must(dxh_hub_latency_get(hub, DXH_STAGE_SERVICE, &latency));
	cr_expect_gt(latency.p50_ns, 0);
	must_be(dxh_hub_latency_get(hub, (dxh_stage)4, &latency), DXH_EINVAL, NULL);
	must_be(dxh_hub_latency_get(NULL, DXH_STAGE_LANE, &latency), DXH_EINVAL, NULL);
	must_be(dxh_hub_latency_get(hub, DXH_STAGE_LANE, NULL), DXH_EINVAL, NULL);
}

Test(observe, timing_can_be_switched_off)
{
	dxh_latency latency;
	dxh_hub *plain;
	dxh_peer *other;

	test_needs_sockets();
	must(test_hub_open(&(dxh_hub_config){.sample_one_in = -1}, &plain));
	must(dxh_peer_connect(plain, dxh_service_endpoint(echo.service), NULL, &other));
	for (int i = 0; i < 128; i++)
		must(dxh_request_sync(other, "echo", "", 0, SOON, NULL, 0, NULL));
	must(dxh_hub_latency_get(plain, DXH_STAGE_SERVICE, &latency));
	cr_expect_eq(latency.count, 0);
	must(test_hub_close(&plain));
}

/* ---- the dump ---------------------------------------------------------------------------- */

typedef struct text {
	char bytes[32768];
	size_t length;
	unsigned lines;
} text;

static void append(void *context, const char *line)
{
	text *to = context;
	int written = snprintf(to->bytes + to->length, sizeof to->bytes - to->length, "%s\n", line);

	to->length += (size_t)written;
	to->lines++;
	cr_assert(to->length < sizeof to->bytes);
}

static void expect_says(const text *dumped, const char *words)
{
	cr_expect(strstr(dumped->bytes, words), "no '%s' in:\n%s", words, dumped->bytes);
}

Test(observe, a_dump_names_what_is_open)
{
	static text dumped, other;
	dxh_completion done;
	unsigned age_ms, left_ms;
	const char *line;

	must(dxh_post(peer, "hold", "abc", 3, dxh_in_ms(20000), &done));
	test_wait_for(&echo.held_count, 1);
	must(dxh_hub_dump(hub, append, &dumped));
	expect_says(&dumped, "1 operations open, 1 completions not released");
	expect_says(&dumped, dxh_service_endpoint(echo.service));
	expect_says(&dumped, "ready");
	line = strstr(dumped.bytes, "'hold', 3 bytes: sent, ");
	cr_assert_not_null(line, "%s", dumped.bytes);
	cr_assert_eq(sscanf(line, "'hold', 3 bytes: sent, %u ms old, %u ms left, attempt 0\n",
	                    &age_ms, &left_ms),
	             2, "%s", line);
	cr_expect_leq(age_ms + left_ms, 20002, "both are of the same operation");
	cr_expect_geq(age_ms + left_ms, 19000);
	must(dxh_hub_dump(echo.hub, append, &other));
	expect_says(&other, "1 clients, 1 requests of ");
	expect_says(&other, "a client: 1 requests open");
	test_echo_release(&echo);
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	must_be(dxh_hub_dump(hub, NULL, NULL), DXH_EINVAL, NULL);
	must_be(dxh_hub_dump(NULL, append, &dumped), DXH_EINVAL, NULL);
}

Test(observe, a_dump_tells_why_there_is_no_connection_and_is_bounded)
{
	enum { MANY = 500 };
	static text dumped;
	dxh_completion done[MANY];
	dxh_peer *lonely;

	must(dxh_peer_connect(hub, test_endpoint(), NULL, &lonely));
	for (int i = 0; i < MANY; i++)
		must(dxh_post(lonely, "never", NULL, 0, DXH_FOREVER, &done[i]));
	test_wait_state(lonely, DXH_PEER_WAITING);
	must(dxh_hub_dump(hub, append, &dumped));
	expect_says(&dumped, "nobody listens there");
	expect_says(&dumped, "'never', 0 bytes: waiting");
	expect_says(&dumped, "no deadline");
	/* In one hub, there is a line for the client of the service. */
	expect_says(&dumped,
	            test_is_inproc() ? "and 401 more operations" : "and 400 more operations");
	cr_expect_leq(dumped.lines, 110);
	must(dxh_peer_close(&lonely));
	for (int i = 0; i < MANY; i++)
		must(dxh_release(done[i]));
}

/* What a stranger answers must not steer the terminal on which it is read. */
#define DAY_NS (INT64_C(86400) * 1000000000)

Test(observe, a_dump_has_no_control_characters)
{
	/* So that nobody else writes the reason meanwhile. */
	dxh_hub_config config = {.reconnect_min_ns = DAY_NS, .reconnect_max_ns = DAY_NS};
	static text dumped;
	dxh_completion done;
	dxh_peer *lonely;
	unsigned newlines = 0;
	dxh_hub *patient;

	must(dxh_hub_open(&config, &patient));
	must(dxh_peer_connect(patient, test_endpoint(), NULL, &lonely));
	test_wait_state(lonely, DXH_PEER_WAITING);
	snprintf(lonely->reason, sizeof lonely->reason, "refused:\n\033[31mred");
	must(dxh_post(lonely, "a\n\033[2Jb", NULL, 0, DXH_FOREVER, &done));
	must(dxh_hub_dump(patient, append, &dumped));
	for (const char *at = dumped.bytes; *at; at++)
		if (*at == '\n')
			newlines++;
		else
			cr_expect_geq((unsigned char)*at, ' ');
	cr_expect_eq(newlines, dumped.lines);
	expect_says(&dumped, "refused:??[31mred");
	expect_says(&dumped, "'a??[2Jb', 0 bytes: waiting");
	must(dxh_release(done));
	must(dxh_hub_close(&patient));
}

Test(observe, a_dump_tells_flushes_and_what_may_be_sent_again)
{
	static text dumped;
	dxh_completion flush, once, again;
	dxh_peer *lonely;

	must(dxh_peer_connect(hub, test_endpoint(), NULL, &lonely));
	must(dxh_post_batch(lonely,
	                    &(dxh_request_item){.subject = "safe",
	                                        .deadline_ns = SOON,
	                                        .flags = DXH_IDEMPOTENT},
	                    1, NULL, &again));
	must(dxh_post(lonely, "unsafe", NULL, 0, SOON, &once));
	must(dxh_flush_post(lonely, DXH_FLUSH_REPLIED, SOON, &flush));
	must(dxh_hub_dump(hub, append, &dumped));
	expect_says(&dumped, "2 to be sent, 0 sent");
	expect_says(&dumped, "flush: waiting, ");
	expect_says(&dumped, "'safe', 0 bytes: waiting, ");
	expect_says(&dumped, "attempt 0, idempotent\n");
	expect_says(&dumped, "'unsafe', 0 bytes: waiting, ");
	must(dxh_peer_close(&lonely));
	must(dxh_release(flush));
	must(dxh_release(again));
	must(dxh_release(once));
}

/* ---- where a dump may be asked for ---- */

static dxh_status own_dump, others_dump;
static text from_callback;
static _Atomic uint64_t called;

static void dump_both(void *others, const dxh_event *event)
{
	(void)event;
	own_dump = dxh_hub_dump(hub, append, &from_callback);
	others_dump = dxh_hub_dump(others, append, &from_callback);
	called++;
}

Test(observe, a_callback_on_the_io_thread_may_dump_its_own_hub)
{
	dxh_completion done;
	dxh_group *group;
	dxh_hub *others;

	must(dxh_hub_open(NULL, &others));
	must(dxh_group_open_inline(dump_both, others, &group));
	must(dxh_post_to(group, peer, "echo", NULL, 0, SOON, &done));
	test_wait_for(&called, 1);
	must(dxh_group_close(&group));
	cr_expect_eq(own_dump, DXH_OK);
	cr_expect_eq(others_dump, DXH_EDEADLK);
	expect_says(&from_callback, " 0 operations open");
	must(dxh_release(done));
	must(dxh_hub_close(&others));
}

Test(observe, a_child_of_fork_is_told_so)
{
	static text dumped;
	dxh_latency latency;
	dxh_hub_stats stats;
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(dxh_hub_dump(hub, append, &dumped) == DXH_EFORKED &&
		                      dxh_hub_stats_get(hub, &stats) == DXH_EFORKED &&
		                      dxh_hub_latency_get(hub, DXH_STAGE_LANE, &latency) ==
		                              DXH_EFORKED
		              ? 0
		              : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
}
