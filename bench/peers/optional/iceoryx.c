/* SPDX-License-Identifier: MIT */
/* iceoryx: chunks loaned and published, taken by polling or by a WaitSet. Payloads are
 * copied in and out, as those of the others are. RouDi runs beside the rounds. */
#include "bench/peers/peers.h"
#include "bench/way.h"

#include <grp.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/types.h>
#include <iceoryx_binding_c/wait_set.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static pid_t roudi;

/* Made after ours was started: another one's would vanish with it. */
static bool is_ready(const struct timespec *since)
{
	struct stat facts;

	return stat("/tmp/roudi", &facts) == 0 &&
	       (facts.st_ctim.tv_sec > since->tv_sec ||
	        (facts.st_ctim.tv_sec == since->tv_sec && facts.st_ctim.tv_nsec > since->tv_nsec));
}

static const char *begin(void)
{
	static char program[] = "iox-roudi", log[] = "-l", off[] = "off", delay[] = "-k",
		    none[] = "0";
	char *arguments[] = {program, log, off, delay, none, NULL};
	struct timespec pause = {.tv_nsec = 20000000}, since;

	/* Files are stamped by the coarse clock, which lags. */
	clock_gettime(CLOCK_REALTIME_COARSE, &since);
	roudi = bench_daemon_start(arguments);
	if (roudi == -1)
		return "iox-roudi could not be started";
	for (int tries = 0; tries < 500 && !bench_daemon_ended(roudi); tries++) {
		if (is_ready(&since))
			return NULL;
		nanosleep(&pause, NULL);
	}
	return "iox-roudi does not run (another one does, or iceoryx is not installed)";
}

static void end(void)
{
	const struct group *group = getgrgid(getegid());

	bench_daemon_end(roudi);
	/* What one leaves that was slow to go and had to be killed: its own segment, and one
	 * named after the group. */
	(void)shm_unlink("/iceoryx_mgmt");
	if (group != NULL)
		(void)shm_unlink(group->gr_name);
}

/* ---- one way --------------------------------------------------------------------------------- */

typedef struct port {
	iox_pub_storage_t pub_storage;
	iox_pub_t pub;
	iox_sub_storage_t sub_storage;
	iox_sub_t sub;
	iox_ws_storage_t set_storage;
	iox_ws_t set;
	bool met; /* the writer has seen its reader */
} port;

static void join(bench_round *round)
{
	static bool joined;
	char name[80];

	if (joined)
		return;
	joined = true;
	snprintf(name, sizeof name, "%s-%d", round->name, (int)getpid());
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(name);
}

/* Ours keeps what fits in 32 MiB; here a queue holds 256 chunks at the most, and there
 * are ten chunks of more than a MiB. */
static uint64_t queue_length(const bench_way *way)
{
	return way->round->load.bytes > 100000 ? 8 : 256;
}

static void open_writer(bench_way *way, port *own)
{
	iox_pub_options_t options;

	iox_pub_options_init(&options);
	options.historyCapacity = 0;
	options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	own->pub = iox_pub_init(&own->pub_storage, "dxh", "bench", bench_way_name(way), &options);
}

static void open_reader(bench_way *way, port *own)
{
	iox_sub_options_t options;

	iox_sub_options_init(&options);
	options.queueCapacity = queue_length(way);
	options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	own->sub = iox_sub_init(&own->sub_storage, "dxh", "bench", bench_way_name(way), &options);
	if (!way->blocking)
		return;
	own->set = iox_ws_init(&own->set_storage);
	if (iox_ws_attach_subscriber_state(own->set, own->sub, SubscriberState_HAS_DATA, 1, NULL) !=
	    WaitSetResult_SUCCESS)
		bench_fail(way->round, "iceoryx: attach");
}

static void open_way(bench_way *way)
{
	port *own = calloc(1, sizeof *own);

	bench_check(way->round, own != NULL, "memory");
	join(way->round);
	if (way->writes)
		open_writer(way, own);
	else
		open_reader(way, own);
	way->own = own;
}

static void send(bench_way *way, const void *payload)
{
	port *own = way->own;
	void *chunk;

	/* The first one waits for its reader. */
	while (!own->met && !(own->met = iox_pub_has_subscribers(own->pub)))
		;
	while (iox_pub_loan_chunk(own->pub, &chunk, (uint32_t)way->round->load.bytes) !=
	       AllocationResult_SUCCESS)
		bench_pause();
	memcpy(chunk, payload, way->round->load.bytes);
	iox_pub_publish_chunk(own->pub, chunk);
}

static void receive(bench_way *way, void *payload)
{
	iox_notification_info_t news[1];
	uint64_t missed;
	port *own = way->own;
	const void *chunk;

	while (iox_sub_take_chunk(own->sub, &chunk) != ChunkReceiveResult_SUCCESS) {
		if (way->blocking)
			iox_ws_wait(own->set, news, 1, &missed);
		else
			bench_pause();
	}
	memcpy(payload, chunk, way->round->load.bytes);
	iox_sub_release_chunk(own->sub, chunk);
}

static void close_way(bench_way *way)
{
	port *own = way->own;

	if (own->set) {
		iox_ws_detach_subscriber_state(own->set, own->sub, SubscriberState_HAS_DATA);
		iox_ws_deinit(own->set);
	}
	if (own->sub)
		iox_sub_deinit(own->sub);
	if (own->pub)
		iox_pub_deinit(own->pub);
	free(own);
}

static const bench_transport transport = {
	.open = open_way, .send = send, .receive = receive, .close = close_way};

static void polling(bench_round *round)
{
	bench_way_latency(round, &transport, false);
}

static void waitset(bench_round *round)
{
	bench_way_latency(round, &transport, true);
}

static void rate(bench_round *round)
{
	bench_way_rate(round, &transport, false);
}

static const bench_peer_job jobs[] = {
	{"polling", polling}, {"WaitSet", waitset}, {"rate", rate}, {NULL, NULL}};

const bench_peer bench_peer_module = {
	.version = ICEORYX_VERSION, .begin = begin, .end = end, .jobs = jobs};
