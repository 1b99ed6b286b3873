/* SPDX-License-Identifier: MIT */
/* The metrics of a hub in a block: read by others while it works, and when it is dead. */
#include "tests/support/support.h"

#include "runtime/hub.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(metrics, .timeout = 60);

/* Another name at each call. */
static const char *block_name(void)
{
	static char names[4][48];
	static unsigned count;
	char *name = names[count % 4];

	snprintf(name, sizeof names[0], "metrics-%d-%u", getpid(), count++);
	return name;
}

static dxh_hub *open_hub(const char *block)
{
	dxh_hub *hub;

	must(dxh_hub_open(&(dxh_hub_config){.name = "seen", .metrics_block = block}, &hub));
	return hub;
}

static dxh_consumer *open_consumer(const char *block)
{
	dxh_consumer *consumer;

	must(dxh_consumer_open(block, NULL, &consumer));
	return consumer;
}

static dxh_metrics read_metrics(dxh_consumer *consumer)
{
	dxh_metrics metrics;

	must(dxh_metrics_read(consumer, &metrics));
	return metrics;
}

static dxh_block_info info_of(dxh_consumer *consumer)
{
	dxh_block_info info;

	must(dxh_consumer_info(consumer, &info));
	return info;
}

static void ask(dxh_peer *peer, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
}

static dxh_status do_nothing(void *context)
{
	(void)context;
	return DXH_OK;
}

/* ---- what is seen --------------------------------------------------------------- */

/* Until the I/O thread sleeps again, which is when it tells the rest. */
static void await_equal(dxh_hub *hub, dxh_consumer *consumer)
{
	int64_t deadline_ns = SOON;
	dxh_hub_stats own, seen;

	must(dxi_hub_call(hub, do_nothing, NULL));
	do {
		own = test_stats(hub);
		seen = read_metrics(consumer).stats;
	} while (memcmp(&own, &seen, sizeof own) != 0 && dxh_now_ns() < deadline_ns);
	for (size_t i = 0; i < sizeof own / sizeof(uint64_t); i++)
		cr_assert_eq(((uint64_t *)&own)[i], ((uint64_t *)&seen)[i], "counter %zu", i);
}

Test(metrics, a_consumer_sees_what_the_hub_tells_of_itself)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_consumer *consumer = open_consumer(block);
	dxh_latency latency;
	dxh_completion kept;
	dxh_metrics seen;
	dxh_peer *peer;
	test_echo echo;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	ask(peer, 640);
	must(dxh_post(peer, "echo", "kept", 4, SOON, &kept));
	must(dxh_await(kept, SOON, NULL));
	await_equal(hub, consumer);
	seen = read_metrics(consumer);
	cr_expect_eq(seen.stats.posted, 641);
	cr_expect_eq(seen.stats.done, 641);
	cr_expect_eq(seen.stats.slots_now, 1);
	cr_expect_gt(seen.stats.memory_bytes, 0);
	cr_expect_str_eq(seen.hub, "seen");
	cr_expect_str_eq(seen.version, dxh_version());
	cr_expect_eq(seen.pid, getpid());
	cr_expect_gt(seen.opened_ns, 0);
	for (int stage = DXH_STAGE_QUEUE; stage <= DXH_STAGE_WAKE; stage++) {
		must(dxh_hub_latency_get(hub, (dxh_stage)stage, &latency));
		cr_expect_eq(memcmp(&latency, &seen.latency[stage], sizeof latency), 0);
		cr_expect_geq(latency.count, 10, "stage %d", stage);
	}
	must(dxh_release(kept));
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
	must(dxh_consumer_close(&consumer));
}

Test(metrics, an_observer_wakes_nobody)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_consumer *consumer = open_consumer(block);
	uint64_t before;

	await_equal(hub, consumer);
	before = read_metrics(consumer).stats.wakeups;
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(read_metrics(consumer).stats.wakeups, before);
	must(dxh_hub_close(&hub));
	must(dxh_consumer_close(&consumer));
}

/* Percentiles beside the buckets are for those who read fields by their names. */
Test(metrics, percentiles_are_told_while_the_hub_works)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_consumer *consumer = open_consumer(block);
	const dxi_histogram *lane;
	int64_t deadline_ns = SOON;
	const void *zone;
	dxh_peer *peer;
	test_echo echo;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must(dxh_consumer_zone(consumer, "latency", NULL, DXI_STAGES * sizeof(dxi_histogram),
	                       &zone));
	lane = (const dxi_histogram *)zone + DXH_STAGE_LANE;
	while (dxi_count_get(&lane->count) < 2 && dxh_now_ns() < deadline_ns)
		ask(peer, 64);
	cr_expect_geq(dxi_count_get(&lane->count), 2);
	cr_expect_gt(dxi_count_get(&lane->p50_ns), 0);
	cr_expect_geq(dxi_count_get(&lane->p999_ns), dxi_count_get(&lane->p50_ns));
	cr_expect_geq(dxi_count_get(&lane->max_ns), dxi_count_get(&lane->p999_ns));
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
	must(dxh_consumer_close(&consumer));
}

/* ---- other processes ------------------------------------------------------------ */

/* A process that opens a hub and a service, asks itself, tells what it has counted, and
 * waits to be killed. */
typedef struct worker {
	pid_t pid;
	int says;
} worker;

static void work(const char *block, unsigned times, int says)
{
	dxh_hub_stats stats;
	dxh_peer *peer;
	test_echo echo;
	dxh_hub *hub;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	hub = open_hub(block);
	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	ask(peer, times);
	stats = test_stats(hub);
	if (write(says, &stats, sizeof stats) != sizeof stats)
		_exit(1);
	for (;;)
		pause();
}

static worker start_worker(const char *block, unsigned times)
{
	int ends[2];
	worker started;

	cr_assert_eq(pipe(ends), 0);
	started.pid = fork();
	if (started.pid == 0)
		work(block, times, ends[1]);
	close(ends[1]);
	started.says = ends[0];
	return started;
}

static dxh_hub_stats hear(const worker *from)
{
	dxh_hub_stats stats;

	cr_assert_eq(read(from->says, &stats, sizeof stats), sizeof stats);
	return stats;
}

static void kill_worker(worker *victim)
{
	kill(victim->pid, SIGKILL);
	waitpid(victim->pid, NULL, 0);
	close(victim->says);
}

Test(metrics, a_killed_hub_leaves_what_it_had_counted)
{
	const char *block = block_name();
	worker killed = start_worker(block, 500);
	dxh_hub_stats told = hear(&killed);
	dxh_consumer *consumer = open_consumer(block), *late;
	dxh_metrics seen;

	cr_expect_eq(info_of(consumer).producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(info_of(consumer).producer_pid, killed.pid);
	kill_worker(&killed);
	cr_expect_eq(info_of(consumer).producer, DXH_PRODUCER_DEAD);
	late = open_consumer(block);
	for (int i = 0; i < 2; i++) {
		seen = read_metrics(i == 0 ? consumer : late);
		cr_expect_eq(seen.pid, killed.pid);
		cr_expect_eq(seen.stats.posted, 500);
		cr_expect_eq(seen.stats.posted, told.posted);
		cr_expect_eq(seen.stats.done, told.done);
		cr_expect_eq(seen.stats.records_sent, told.records_sent);
		cr_expect_geq(seen.latency[DXH_STAGE_SERVICE].count, 7);
	}
	must(dxh_consumer_close(&consumer));
	must(dxh_consumer_close(&late));
	must(dxh_block_unlink(NULL, block));
}

Test(metrics, the_next_hub_takes_the_block_over_and_begins_at_zero)
{
	const char *block = block_name();
	worker killed = start_worker(block, 100);
	dxh_consumer *consumer;
	dxh_metrics before, after;
	dxh_hub *hub;

	hear(&killed);
	consumer = open_consumer(block);
	before = read_metrics(consumer);
	kill_worker(&killed);
	hub = open_hub(block);
	after = read_metrics(consumer);
	cr_expect_eq(info_of(consumer).epoch, 1);
	cr_expect_eq(info_of(consumer).producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(before.stats.posted, 100);
	cr_expect_eq(after.stats.posted, 0);
	cr_expect_eq(after.latency[DXH_STAGE_QUEUE].count, 0);
	cr_expect_eq(after.latency[DXH_STAGE_QUEUE].max_ns, 0);
	cr_expect_eq(after.pid, getpid());
	cr_expect_gt(after.opened_ns, before.opened_ns);
	must(dxh_hub_close(&hub));
	must(dxh_consumer_close(&consumer));
}

/* Read for as long as the hub lives; what is seen must never fall, and must add up. */
static int observe(const char *block)
{
	dxh_metrics seen, last = {.pid = 0};
	dxh_consumer *consumer;
	dxh_block_info info;
	uint64_t reads = 0;

	if (dxh_consumer_open(block, NULL, &consumer) != DXH_OK)
		return 2;
	do {
		const dxh_hub_stats *stats = &seen.stats;

		if (dxh_metrics_read(consumer, &seen) != DXH_OK)
			return 3;
		if (stats->posted < last.stats.posted || stats->done < last.stats.done ||
		    stats->records_sent < last.stats.records_sent)
			return 4;
		/* `posted` is read first: what ends meanwhile is counted behind it. */
		if (stats->posted > stats->done + stats->open_now + 1)
			return 5;
		last = seen;
		reads++;
		if (dxh_consumer_info(consumer, &info) != DXH_OK)
			return 6;
	} while (info.producer == DXH_PRODUCER_ALIVE);
	if (info.producer != DXH_PRODUCER_CLOSED || !info.unlinked)
		return 7;
	return last.stats.posted > 0 && reads >= 10 ? 0 : 8;
}

Test(metrics, another_process_reads_while_the_hub_works)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_peer *peer;
	test_echo echo;
	pid_t observer;
	int status;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	ask(peer, 1);
	observer = fork();
	if (observer == 0)
		_exit(observe(block));
	ask(peer, 3000);
	must(dxh_hub_close(&hub));
	cr_assert_eq(waitpid(observer, &status, 0), observer);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the observer ended with %x",
	          (unsigned)status);
	test_echo_close(&echo);
}

/* ---- refusals ------------------------------------------------------------------- */

Test(metrics, a_name_that_is_taken_is_refused)
{
	const char *block = block_name(), *other = block_name();
	dxh_producer *producer;
	dxh_hub *hub = open_hub(block), *second = NULL;
	dxh_hub_config config = {.metrics_block = block};

	must_be(dxh_hub_open(&config, &second), DXH_EBUSY, block);
	must(dxh_hub_close(&hub));
	/* Somebody's data are not ours to remove, whether he lives or not. */
	must(dxh_producer_open(other, &(dxh_block_config){.zones = {DXH_ZONE_RAW("counters", 64)}},
	                       &producer));
	config.metrics_block = other;
	must_be(dxh_hub_open(&config, &second), DXH_EBUSY, other);
	must(dxh_producer_close(&producer));
	must_be(dxh_hub_open(&config, &second), DXH_ESCHEMA, "counters");
	must(dxh_block_unlink(NULL, other));
	must(dxh_hub_open(&config, &second));
	must(dxh_hub_close(&second));
	config.metrics_block = ".hidden";
	must_be(dxh_hub_open(&config, &second), DXH_EINVAL, NULL);
	cr_expect_null(second);
}

Test(metrics, what_a_hub_of_another_version_left_is_replaced)
{
	const char *block = block_name();
	dxh_producer *old;
	dxh_consumer *consumer;
	dxh_metrics metrics;
	dxh_hub *hub;

	must(dxh_producer_open(
		block,
		&(dxh_block_config){.zones = {{.name = "hub", .bytes = 96, .latch = 1},
	                                      DXH_ZONE_RAW("counters", 64),
	                                      DXH_ZONE_RAW("latency", 64)}},
		&old));
	consumer = open_consumer(block);
	must_be(dxh_metrics_read(consumer, &metrics), DXH_ESIZE, "counters");
	must(dxh_producer_close(&old));
	hub = open_hub(block);
	cr_expect(info_of(consumer).unlinked);
	must(dxh_consumer_close(&consumer));
	consumer = open_consumer(block);
	cr_expect_eq(read_metrics(consumer).pid, getpid());
	must(dxh_hub_close(&hub));
	must(dxh_consumer_close(&consumer));
}

Test(metrics, reading_is_refused_with_the_reason)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_consumer *consumer = open_consumer(block), *other_consumer;
	dxh_producer *other;
	dxh_metrics metrics;
	struct {
		char text[DXH_METRICS_NAME_BYTES + DXH_METRICS_VERSION_BYTES];
		int64_t pid, opened_ns;
	} * identity;
	void *room;

	must_be(dxh_metrics_read(NULL, &metrics), DXH_EINVAL, NULL);
	must_be(dxh_metrics_read(consumer, NULL), DXH_EINVAL, NULL);
	must(dxh_producer_open("plain",
	                       &(dxh_block_config){.zones = {DXH_ZONE_RAW("raw", 8)}, .memfd = 1},
	                       &other));
	{
		int fds[DXH_BLOCK_FDS];
		size_t count;

		must(dxh_producer_fds(other, fds, &count));
		must(dxh_consumer_open_fds(fds, count, NULL, &other_consumer));
	}
	must_be(dxh_metrics_read(other_consumer, &metrics), DXH_EZONE, "counters");
	/* As a successor does before it sets the counters to zero. */
	must(dxh_latch_begin(hub->metrics_block, "hub", sizeof *identity, &room));
	identity = room;
	identity->opened_ns = 0;
	must(dxh_latch_commit(hub->metrics_block, "hub"));
	must_be(dxh_metrics_read(consumer, &metrics), DXH_EBUSY, NULL);
	must(dxh_consumer_close(&other_consumer));
	must(dxh_producer_close(&other));
	must(dxh_hub_close(&hub));
	must(dxh_consumer_close(&consumer));
}

/* An older program knows fewer counters: the first so many bytes are filled. */
Test(metrics, an_older_program_reads_what_it_knows)
{
	const char *block = block_name();
	dxh_hub *hub = open_hub(block);
	dxh_consumer *consumer = open_consumer(block);
	struct {
		dxh_metrics metrics;
		uint64_t behind;
	} room;
	size_t older = offsetof(dxh_metrics, stats) + offsetof(dxh_hub_stats, frames_sent);

	memset(&room, 0xa5, sizeof room);
	must(dxh_metrics_read_sized(older, consumer, &room.metrics));
	cr_expect_eq(room.metrics.pid, getpid());
	cr_expect_eq(room.metrics.stats.frames_sent, UINT64_C(0xa5a5a5a5a5a5a5a5));
	must(dxh_metrics_read_sized(sizeof room, consumer, &room.metrics));
	cr_expect_eq(room.behind, 0);
	must(dxh_hub_close(&hub));
	must(dxh_consumer_close(&consumer));
}
