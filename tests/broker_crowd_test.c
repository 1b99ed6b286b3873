/* SPDX-License-Identifier: MIT */
/* Crowds at a broker: a hundred producers and three hundred consumers come and go at random,
 * some are killed, and so is the broker; at the end it knows exactly who is there, and so does
 * who watched. And ten thousand channels of a thousand clients.
 *
 * CROWD_SECONDS: how long they come and go; 2 unless set.
 */
#include "tests/support/channels.h"

#include "runtime/broker/zones.h"

#include <dxh/watch.h>

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	PRODUCERS = 100,
	CONSUMERS = 300,
	HUBS = 4,
	BEAT_MS = 200,
	TWO_BEATS_MS = 2 * BEAT_MS,
	DOOMED = 5 /* producers of a process that is killed, and as many consumers */
};

/* splitmix64: the same numbers in every run. */
static uint64_t random_state = 7;

static uint32_t random_below(uint32_t below)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ z >> 31) % below);
}

/* ---- a broker in a process of its own ---- */

static char endpoint[96];
static pid_t broker;

/* Returns when it listens. */
static void start_broker(void)
{
	const char *build = getenv("DXH_BUILD");
	char path[256], beat[16];
	char *arguments[] = {path, "broker",         "--endpoint", endpoint,       "--beat-ms",
	                     beat, "--beats-missed", "10",         "--beats-kept", "3",
	                     NULL};
	posix_spawn_file_actions_t actions;
	char line[256];
	int out[2];

	snprintf(path, sizeof path, "%s/dxh", build ? build : "build");
	snprintf(beat, sizeof beat, "%d", BEAT_MS);
	cr_assert_eq(pipe(out), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	cr_assert_eq(posix_spawn(&broker, path, &actions, NULL, arguments, environ), 0, "%s", path);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	cr_assert_gt(read(out[0], line, sizeof line), 0, "the broker does not listen");
	close(out[0]);
}

static void end_broker(int sign)
{
	int ended;

	kill(broker, sign);
	cr_assert_eq(waitpid(broker, &ended, 0), broker);
	if (sign == SIGTERM)
		cr_expect(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
}

/* ---- who is there ---- */

static struct {
	dxh_hub *hubs[HUBS];
	dxh_peer *peers[HUBS];
	dxh_producer *producers[PRODUCERS];
	dxh_consumer *consumers[CONSUMERS];
	int reads[CONSUMERS]; /* which producer's channel */
	uint64_t came, went;
} crowd;

static const char *name_of(int producer)
{
	static char name[32];

	snprintf(name, sizeof name, "w%d.%d", (int)getpid(), producer);
	return name;
}

static dxh_peer *some_peer(void)
{
	return crowd.peers[random_below(HUBS)];
}

static void come_or_go_as_producer(int i)
{
	dxh_channel_config config = channel_config();

	if (crowd.producers[i]) {
		must(dxh_producer_close(&crowd.producers[i]));
		crowd.went++;
		return;
	}
	must(dxh_produce(some_peer(), name_of(i), &config, SOON, &crowd.producers[i]));
	crowd.came++;
}

static void come_or_go_as_consumer(int i)
{
	int producer = (int)random_below(PRODUCERS);

	if (crowd.consumers[i]) {
		must(dxh_consumer_close(&crowd.consumers[i]));
		crowd.went++;
	} else if (crowd.producers[producer]) {
		must(dxh_consume(some_peer(), name_of(producer), NULL, SOON, &crowd.consumers[i]));
		crowd.reads[i] = producer;
		crowd.came++;
	}
}

static void somebody_comes_or_goes(void)
{
	uint32_t who = random_below(PRODUCERS + CONSUMERS);

	if (who < PRODUCERS)
		come_or_go_as_producer((int)who);
	else
		come_or_go_as_consumer((int)(who - PRODUCERS));
}

static void open_crowd(void)
{
	for (int i = 0; i < HUBS; i++) {
		/* Back at once, so that what is measured is the registration. */
		dxh_hub_config config = {.reconnect_max_ns = 50 * 1000000};

		must(dxh_hub_open(&config, &crowd.hubs[i]));
		must(dxh_peer_connect(crowd.hubs[i], endpoint, NULL, &crowd.peers[i]));
	}
}

static void close_crowd(void)
{
	for (int i = 0; i < CONSUMERS; i++)
		if (crowd.consumers[i])
			must(dxh_consumer_close(&crowd.consumers[i]));
	for (int i = 0; i < PRODUCERS; i++)
		if (crowd.producers[i])
			must(dxh_producer_close(&crowd.producers[i]));
	for (int i = 0; i < HUBS; i++)
		must(dxh_hub_close(&crowd.hubs[i]));
}

/* ---- the truth, and what the broker and a watcher say ---- */

static dxh_channel_info listed[PRODUCERS + DOOMED + 1];
static size_t listed_count;

static uint32_t readers_of(int producer)
{
	uint32_t count = 0;

	for (int i = 0; i < CONSUMERS; i++)
		count += crowd.consumers[i] && crowd.reads[i] == producer;
	return count;
}

static const dxh_channel_info *find(const char *name)
{
	for (size_t i = 0; i < listed_count; i++)
		if (strcmp(listed[i].name, name) == 0)
			return &listed[i];
	return NULL;
}

/* A block's identity: whoever else would register the name is somebody else. */
static bool is_told_rightly(int producer, const dxh_channel_info *told)
{
	dxh_block_info block;

	must(dxh_producer_info(crowd.producers[producer], &block));
	return told && told->state == DXH_CHANNEL_FOUND && told->producer_pid == getpid() &&
	       memcmp(told->block_uuid, block.uuid, sizeof block.uuid) == 0 &&
	       told->consumers == readers_of(producer);
}

static bool broker_tells_the_truth(void)
{
	size_t there = 0;

	if (dxh_list(crowd.peers[0], NULL, dxh_in_ms(1000), listed, sizeof listed / sizeof *listed,
	             &listed_count, NULL) != DXH_OK)
		return false;
	for (int i = 0; i < PRODUCERS; i++) {
		if (!crowd.producers[i])
			continue;
		there++;
		if (!is_told_rightly(i, find(name_of(i))))
			return false;
	}
	return listed_count == there;
}

static int64_t wait_for_truth_ms(void)
{
	int64_t begun_ns = dxh_now_ns(), deadline_ns = SOON;

	while (!broker_tells_the_truth())
		cr_assert_lt(dxh_now_ns(), deadline_ns, "the broker never tells the truth");
	return (dxh_now_ns() - begun_ns) / 1000000;
}

static struct {
	dxh_watcher *watcher;
	bool live[PRODUCERS];
	uint64_t events, gaps, consumers_died, errors, doomed_closed;
} watching;

static int index_of(const char *channel)
{
	const char *dot = strrchr(channel, '.');

	return channel[0] == 'w' && dot ? atoi(dot + 1) : -1;
}

static void look_anew(void)
{
	memset(watching.live, 0, sizeof watching.live);
	must(dxh_list(crowd.peers[1], NULL, SOON, listed, sizeof listed / sizeof *listed,
	              &listed_count, NULL));
	for (size_t i = 0; i < listed_count; i++)
		if (index_of(listed[i].name) >= 0)
			watching.live[index_of(listed[i].name)] =
				listed[i].state == DXH_CHANNEL_FOUND;
}

static void take_event(const dxh_watch_event *event)
{
	int producer = index_of(event->channel);

	watching.events++;
	if (event->kind == DXH_WATCH_GAP) {
		watching.gaps++;
		look_anew();
		return;
	}
	if (event->kind == DXH_WATCH_CONSUMER_DIED) {
		watching.consumers_died++;
		return;
	}
	watching.errors += event->kind == DXH_WATCH_ERROR;
	if (producer < 0)
		watching.doomed_closed += event->kind == DXH_WATCH_CLOSING;
	else
		watching.live[producer] =
			event->kind == DXH_WATCH_OPENED || event->kind == DXH_WATCH_CHANGED;
}

static void take_events(void)
{
	dxh_watch_event event;

	while (dxh_watcher_next(watching.watcher, DXH_NOW, &event) == DXH_OK)
		take_event(&event);
}

static bool watcher_knows_the_truth(void)
{
	for (int i = 0; i < PRODUCERS; i++)
		if (watching.live[i] != (crowd.producers[i] != NULL))
			return false;
	return true;
}

/* ---- those who are killed ---- */

/* A process of its own, forked before there is any hub here. */
static pid_t fork_doomed(int *ready)
{
	int out[2];
	pid_t child;

	cr_assert_eq(pipe(out), 0);
	child = fork();
	if (child == 0) {
		dxh_hub *hub = NULL;
		dxh_peer *peer = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dxh_hub_open(NULL, &hub) != DXH_OK ||
		    dxh_peer_connect(hub, endpoint, NULL, &peer) != DXH_OK)
			_exit(1);
		for (int i = 0; i < DOOMED; i++) {
			dxh_channel_config config = channel_config();
			dxh_producer *producer;
			dxh_consumer *consumer;
			char name[32];

			snprintf(name, sizeof name, "d%d.%d", (int)getpid(), i);
			if (dxh_produce(peer, name, &config, SOON, &producer) != DXH_OK ||
			    dxh_consume(peer, name, NULL, SOON, &consumer) != DXH_OK)
				_exit(1);
		}
		if (write(out[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(out[1]);
	*ready = out[0];
	return child;
}

static void kill_doomed(pid_t child)
{
	int64_t deadline_ns = SOON;
	dxh_watch_event event;

	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	while (watching.consumers_died < DOOMED || watching.doomed_closed < DOOMED) {
		if (dxh_watcher_next(watching.watcher, dxh_in_ms(100), &event) == DXH_OK)
			take_event(&event);
		cr_assert_lt(dxh_now_ns(), deadline_ns, "%d consumers died, %d channels closed",
		             (int)watching.consumers_died, (int)watching.doomed_closed);
	}
	cr_expect_eq(watching.consumers_died, DOOMED, "nobody else died");
	cr_expect_eq(watching.errors, DOOMED);
	for (int i = 0; i < DOOMED; i++) {
		char name[32];

		snprintf(name, sizeof name, "d%d.%d", (int)child, i);
		must(dxh_block_unlink(NULL, name));
	}
}

/* ---- coming and going ---- */

static void come_and_go_until(int64_t end_ns)
{
	while (dxh_now_ns() < end_ns) {
		somebody_comes_or_goes();
		take_events();
	}
}

/* The broker is killed amid it, and all that is there must be known to the next one. */
static int64_t survive_a_kill_ms(void)
{
	int64_t found_ms;

	end_broker(SIGKILL);
	for (int i = 0; i < 20; i++)
		if (crowd.consumers[i])
			must(dxh_consumer_close(&crowd.consumers[i])); /* nobody is told */
	start_broker();
	found_ms = wait_for_truth_ms();
	return found_ms;
}

static void setup_endpoint(void)
{
	const char *temporary = getenv("TMPDIR");

	snprintf(endpoint, sizeof endpoint, "ipc://%s/dxh-crowd-%d",
	         temporary && strlen(temporary) < 60 ? temporary : "/tmp", (int)getpid());
}

Test(broker_crowd, at_the_end_broker_and_watcher_know_exactly_who_is_there, .timeout = 280)
{
	const char *given = getenv("CROWD_SECONDS");
	int64_t seconds = given ? atoi(given) : 2, best_ms = INT64_MAX, found_ms;
	int ready;
	char byte;
	pid_t doomed;

	setup_endpoint();
	start_broker();
	doomed = fork_doomed(&ready);
	cr_assert_eq(read(ready, &byte, 1), 1, "the doomed do not come");
	close(ready);
	open_crowd();
	must(dxh_watch(crowd.peers[1], "", NULL, SOON, &watching.watcher));
	look_anew();
	for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
		somebody_comes_or_goes();
	kill_doomed(doomed);
	/* Killed three times: on a busy machine one may be slow, a broken way back always is. */
	for (int i = 0; i < 3; i++) {
		come_and_go_until(dxh_in_ms(1000 * seconds / 3));
		found_ms = survive_a_kill_ms();
		best_ms = found_ms < best_ms ? found_ms : best_ms;
	}
	come_and_go_until(dxh_in_ms(1000 * seconds / 3));
	(void)wait_for_truth_ms();
	for (int64_t deadline_ns = SOON; !watcher_knows_the_truth(); take_events())
		cr_assert_lt(dxh_now_ns(), deadline_ns, "the watcher never knows the truth");
	fprintf(stderr,
	        "%llu came, %llu went; a killed broker's successor knew all of them after %lld ms; "
	        "%llu events, %llu gaps\n",
	        (unsigned long long)crowd.came, (unsigned long long)crowd.went, (long long)best_ms,
	        (unsigned long long)watching.events, (unsigned long long)watching.gaps);
	cr_expect_geq(watching.gaps, 3);
	cr_expect_leq(best_ms, TWO_BEATS_MS);
	must(dxh_watcher_close(&watching.watcher));
	close_crowd();
	end_broker(SIGTERM);
}

/* A broker that lies, or a truth that is another: the comparison must notice. */
Test(broker_crowd, a_truth_that_is_another_is_noticed, .timeout = 60)
{
	setup_endpoint();
	start_broker();
	open_crowd();
	come_or_go_as_producer(3);
	for (int i = 0; i < CONSUMERS && !crowd.consumers[0]; i++)
		come_or_go_as_consumer(0);
	while (!crowd.consumers[0])
		come_or_go_as_consumer(0);
	(void)wait_for_truth_ms();
	crowd.reads[0] = 4;
	cr_expect_not(broker_tells_the_truth(), "a consumer of another channel");
	crowd.reads[0] = 3;
	crowd.producers[4] = crowd.producers[3];
	cr_expect_not(broker_tells_the_truth(), "a channel that nobody registered");
	crowd.producers[4] = NULL;
	cr_expect(broker_tells_the_truth());
	close_crowd();
	end_broker(SIGTERM);
}

/* ---- ten thousand channels, a thousand clients ---- */

enum { CLIENTS = 1000, CHANNELS_EACH = 10, PEERS_A_HUB = 250 };

static size_t write_claim(int client, int channel, unsigned char *body, size_t capacity)
{
	static const char schema[] = "\x81\xa5zones\x90";
	dxi_claim claim = {.schema = schema, .schema_bytes = sizeof schema - 1};

	snprintf(claim.info.name, sizeof claim.info.name, "k%03d/%d", client, channel);
	snprintf(claim.info.directory, sizeof claim.info.directory, "/nowhere");
	dxi_hash(schema, sizeof schema - 1, claim.info.schema_hash);
	claim.info.producer_uid = (uint64_t)(client * CHANNELS_EACH + channel + 1);
	claim.info.producer_pid = 1;
	return dxi_claim_write(&claim, body, capacity);
}

static void register_all(dxh_peer **peers)
{
	static dxh_completion done[CLIENTS * CHANNELS_EACH];
	unsigned char body[DXI_CLAIM_WIRE_MAX];
	dxh_reply reply;

	for (int i = 0; i < CLIENTS * CHANNELS_EACH; i++) {
		int client = i % CLIENTS;

		must(dxh_post(peers[client], DXI_SUBJECT_REGISTER, body,
		              write_claim(client, i / CLIENTS, body, sizeof body), SOON, &done[i]));
	}
	for (int i = 0; i < CLIENTS * CHANNELS_EACH; i++) {
		must(dxh_await(done[i], SOON, &reply));
		must(dxh_release(done[i]));
	}
}

static void beat_all(dxh_peer **peers)
{
	unsigned char body[DXI_SMALL_WIRE_MAX];

	for (int i = 0; i < CLIENTS * CHANNELS_EACH; i++) {
		dxi_owner owner = {.producer = (uint64_t)i + 1, .progress = 1};

		snprintf(owner.channel, sizeof owner.channel, "k%03d/%d", i / CHANNELS_EACH,
		         i % CHANNELS_EACH);
		must(dxh_notify(peers[i / CHANNELS_EACH], DXI_SUBJECT_HEARTBEAT, body,
		                dxi_heartbeat_write(&owner, body, sizeof body)));
	}
	for (int i = 0; i < CLIENTS; i++)
		must(dxh_flush(peers[i], DXH_FLUSH_REPLIED, SOON));
}

Test(broker_crowd, ten_thousand_channels_of_a_thousand_clients, .timeout = 280)
{
	static dxh_peer *peers[CLIENTS];
	static dxh_channel_info all[CLIENTS * CHANNELS_EACH];
	dxh_hub *hubs[CLIENTS / PEERS_A_HUB];
	dxh_watch_event event;
	dxh_broker_stats stats;
	dxh_watcher *watcher;
	size_t count, total;

	world_open(&(dxh_broker_config){.clients_max = CLIENTS + 4, .beat_ms = 60000});
	must(dxh_watch(world.consumers, "k", &(dxh_watch_config){.events_max = 20000}, SOON,
	               &watcher));
	for (int i = 0; i < CLIENTS; i++) {
		if (i % PEERS_A_HUB == 0)
			must(dxh_hub_open(NULL, &hubs[i / PEERS_A_HUB]));
		must(dxh_peer_connect(hubs[i / PEERS_A_HUB], world.endpoint, NULL, &peers[i]));
	}
	register_all(peers);
	beat_all(peers);
	must(dxh_list(world.consumers, NULL, SOON, all, CLIENTS * CHANNELS_EACH, &count, &total));
	cr_expect_eq(count, CLIENTS * CHANNELS_EACH);
	cr_expect_eq(total, CLIENTS * CHANNELS_EACH);
	for (size_t i = 1; i < count; i++)
		cr_assert_lt(strcmp(all[i - 1].name, all[i].name), 0);
	for (int i = 0; i < CLIENTS * CHANNELS_EACH; i++) {
		must(dxh_watcher_next(watcher, SOON, &event));
		cr_assert_eq(event.kind, DXH_WATCH_OPENED);
		cr_assert_eq(event.number, (uint64_t)i + 1, "in order, none missing");
	}
	must(dxh_broker_stats_get(world.consumers, SOON, &stats));
	cr_expect_eq(stats.channels_live_now, CLIENTS * CHANNELS_EACH);
	cr_expect_eq(stats.beats, CLIENTS * CHANNELS_EACH);
	cr_expect_eq(stats.refused, 0);
	must(dxh_watcher_close(&watcher));
	for (int i = 0; i < CLIENTS / PEERS_A_HUB; i++)
		must(dxh_hub_close(&hubs[i]));
	world_close();
}

/* ---- nobody ---- */

static long switches_of_broker_thread(void)
{
	char path[64], line[128], name[32] = "";
	long switches = -1;

	for (int tid = (int)getpid(); tid < (int)getpid() + 4096 && switches < 0; tid++) {
		FILE *file;

		snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof line, file)) {
			(void)sscanf(line, "Name:\t%31s", name);
			if (strcmp(name, "dxh-broker") == 0)
				(void)sscanf(line, "voluntary_ctxt_switches:\t%ld", &switches);
		}
		if (file)
			fclose(file);
	}
	return switches;
}

Test(broker_crowd, a_broker_with_nobody_to_expire_does_not_wake, .timeout = 60)
{
	struct timespec while_ns = {.tv_nsec = 400000000};
	long before;

	world_open(&(dxh_broker_config){.beat_ms = 20});
	cr_expect_eq(state_of("nobody"), DXH_CHANNEL_NOT_FOUND);
	/* It has answered, and goes to sleep. */
	nanosleep(&while_ns, NULL);
	before = switches_of_broker_thread();
	cr_assert_geq(before, 0);
	nanosleep(&while_ns, NULL);
	cr_expect_eq(switches_of_broker_thread(), before);
	world_close();
}
