/* SPDX-License-Identifier: MIT */
/* The supervisor of the demo: starts everything in order, lets it run, ends it in
 * order, and has the outcome checked. */
#include "demo_supervisor.h"

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char command[] = "demo";

/* How long each step may take, on a machine that is busy with other things. */
enum {
	START_MS = 30000,
	END_MS = 20000,
	SLOW_END_MS = 1000,
	PUMP_MS = 20,
	LIVE_DRAW_MS = 200,
	PLAIN_DRAW_MS = 1000
};

/* ---- waiting -------------------------------------------------------------------------- */

void demo_tell(struct demo *demo, const char *who, const char *format, ...)
{
	char text[DEMO_LINE_BYTES];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	demo_view_line(&demo->view, who, text);
}

static void take_signals(struct demo *demo)
{
	struct signalfd_siginfo info;

	while (read(demo->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (demo->caught == 0)
			demo_tell(demo, "demo", "%s: ending early", strsignal((int)info.ssi_signo));
		demo->caught = (int)info.ssi_signo;
	}
}

static struct demo_picture picture;

static void draw_when_due(struct demo *demo)
{
	int64_t period_ns = (demo->view.live ? LIVE_DRAW_MS : PLAIN_DRAW_MS) * (int64_t)1000000;
	int64_t now_ns = dxh_now_ns();

	if (demo->began_ns == 0 || now_ns - demo->drawn_ns < period_ns)
		return;
	/* On the grid, but for a supervisor that was held up. */
	demo->drawn_ns += period_ns;
	if (now_ns - demo->drawn_ns >= period_ns)
		demo->drawn_ns = now_ns;
	demo_picture_make(demo, &picture);
	demo_view_draw(&demo->view, &picture);
}

static void pump(struct demo *demo, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = demo->signal_fd, .events = POLLIN},
	                        {.fd = demo->children.output_fd, .events = POLLIN}};

	poll(fds, 2, timeout_ms);
	take_signals(demo);
	demo_children_listen(&demo->children, &demo->view);
	demo->broken = demo_children_reap(&demo->children) > 0 || demo->broken;
	draw_when_due(demo);
}

bool demo_wait(struct demo *demo, demo_condition *condition, int64_t deadline_ns, bool brave)
{
	int64_t left_ns;

	for (;;) {
		if (condition != NULL && condition(demo))
			return true;
		left_ns = deadline_ns - dxh_now_ns();
		if (left_ns <= 0 || (!brave && (demo->caught != 0 || demo->broken)))
			return false;
		pump(demo, left_ns / 1000000 < PUMP_MS ? (int)(left_ns / 1000000) + 1 : PUMP_MS);
	}
}

/* ---- the beginning ------------------------------------------------------------------------ */

static bool broker_answers(struct demo *demo)
{
	return dxh_peer_state_get(demo->peer) == DXH_PEER_READY;
}

static bool producer_is_ready(struct demo *demo)
{
	return atomic_load(&demo->facts->producer[0].ready) != 0;
}

static bool all_are_ready(struct demo *demo)
{
	struct demo_facts *facts = demo->facts;

	for (unsigned i = 0; i < DEMO_READERS; i++)
		if (atomic_load(&facts->reader[i].ready) == 0)
			return false;
	return demo_latest_has_seen(&demo->latest) && atomic_load(&facts->client.ready) != 0 &&
	       (!facts->config.chaos || atomic_load(&facts->producer[1].ready) != 0);
}

/* A start that a signal cut short is nobody's fault. */
static bool blame(struct demo *demo, const char *what, const char *why)
{
	if (demo->caught == 0)
		demo_problem(&demo->problems, "%s%s%s", what, why[0] != '\0' ? ": " : "", why);
	return false;
}

/* The broker lives in the supervisor, unless it is going to be killed. */
static bool start_broker(struct demo *demo)
{
	const struct demo_config *config = &demo->facts->config;

	if (dxh_hub_open(&(dxh_hub_config){.name = "supervisor", .reconnect_max_ns = 100000000},
	                 &demo->hub) != DXH_OK)
		return blame(demo, "cannot open a hub", dxh_last_error());
	if (config->chaos) {
		if (!demo_child_start(&demo->children, DEMO_BROKER))
			return blame(demo, "cannot start the broker", "");
	} else if (dxh_broker_start(demo->hub, config->broker, NULL, &demo->broker) != DXH_OK) {
		return blame(demo, "cannot start the broker", dxh_last_error());
	}
	if (dxh_peer_connect(demo->hub, config->broker, NULL, &demo->peer) != DXH_OK)
		return blame(demo, "cannot connect to the broker", dxh_last_error());
	if (!demo_wait(demo, broker_answers, dxh_in_ms(START_MS), false))
		return blame(demo, "the broker did not come up", "");
	return true;
}

static bool start_all(struct demo *demo)
{
	struct demo_children *children = &demo->children;

	if (!start_broker(demo))
		return false;
	if (!demo_child_start(children, DEMO_PRODUCER) ||
	    !demo_wait(demo, producer_is_ready, dxh_in_ms(START_MS), false))
		return blame(demo, "the producer did not come up", "");
	if (!demo_child_start(children, DEMO_FOLLOWER) || !demo_child_start(children, DEMO_SLOW) ||
	    !demo_child_start(children, DEMO_CLIENT) ||
	    (demo->facts->config.chaos && !demo_child_start(children, DEMO_STANDBY)) ||
	    !demo_latest_start(&demo->latest, demo->facts) ||
	    !demo_wait(demo, all_are_ready, dxh_in_ms(START_MS), false))
		return blame(demo, "not all of the demo came up", "");
	return true;
}

/* ---- the middle ------------------------------------------------------------------------------ */

static void run(struct demo *demo)
{
	int64_t whole_ns = (int64_t)demo->facts->config.seconds * 1000000000;
	int64_t now_ns;

	demo->began_ns = dxh_now_ns();
	demo->drawn_ns = demo->began_ns;
	demo->view.began_ns = demo->began_ns;
	demo_picture_make(demo, &picture); /* rates are told from here on */
	while (demo->caught == 0 && !demo->broken) {
		now_ns = dxh_now_ns();
		if (demo->facts->config.chaos)
			demo_chaos_step(demo, (double)(now_ns - demo->began_ns) / (double)whole_ns);
		if (now_ns - demo->began_ns >= whole_ns && demo_chaos_is_over(demo))
			break;
		pump(demo, PUMP_MS);
	}
	demo->run_seconds = (double)(dxh_now_ns() - demo->began_ns) / 1e9;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static bool client_is_gone(struct demo *demo)
{
	return demo_child_find(&demo->children, DEMO_CLIENT) == NULL;
}

static bool producers_are_gone(struct demo *demo)
{
	return demo_child_find(&demo->children, DEMO_PRODUCER) == NULL &&
	       demo_child_find(&demo->children, DEMO_STANDBY) == NULL;
}

static bool readers_are_gone(struct demo *demo)
{
	return demo_child_find(&demo->children, DEMO_FOLLOWER) == NULL &&
	       demo_child_find(&demo->children, DEMO_SLOW) == NULL &&
	       (!demo->latest.started || demo_latest_ended(&demo->latest));
}

static bool broker_is_gone(struct demo *demo)
{
	return demo_child_find(&demo->children, DEMO_BROKER) == NULL;
}

static void end_step(struct demo *demo, demo_condition *condition, const char *who)
{
	int64_t begun_ns = dxh_now_ns();
	int64_t took_ns;

	if (!demo_wait(demo, condition, dxh_in_ms(END_MS), true))
		demo_problem(&demo->problems, "%s did not end within %d s and had to be killed",
		             who, END_MS / 1000);
	took_ns = dxh_now_ns() - begun_ns;
	if (took_ns > SLOW_END_MS * (int64_t)1000000)
		demo_tell(demo, "demo", "%s took %s to end", who,
		          tool_text_ns((uint64_t)took_ns).s);
}

/* Those who ask first, then those who answer; readers see the end by themselves. */
static void end_all(struct demo *demo)
{
	struct demo_facts *facts = demo->facts;
	struct demo_child *standby = demo_child_find(&demo->children, DEMO_STANDBY);
	struct demo_child *broker;

	atomic_store(&facts->stop_client, 1);
	end_step(demo, client_is_gone, "the client");
	atomic_store(&facts->stop_reading, 1);
	/* A standby that was never needed would take the closing for its cue. */
	if (standby != NULL && demo_get(&facts->producer[1].first_time_ns) == 0)
		demo_child_kill(standby, SIGKILL);
	atomic_store(&facts->stop_producer, 1);
	end_step(demo, producers_are_gone, "the producer");
	end_step(demo, readers_are_gone, "a reader");
	demo_latest_join(&demo->latest);
	broker = demo_child_find(&demo->children, DEMO_BROKER);
	if (broker != NULL)
		demo_child_kill(broker, DEMO_SIGNAL_END);
	end_step(demo, broker_is_gone, "the broker");
}

static bool all_are_gone(struct demo *demo)
{
	for (unsigned i = 0; i < demo->children.count; i++)
		if (demo->children.child[i].pid != 0)
			return false;
	return true;
}

/* Nothing of the demo is left running, whatever happened before. */
static void kill_the_rest(struct demo *demo)
{
	for (unsigned i = 0; i < demo->children.count; i++)
		if (demo->children.child[i].pid != 0)
			demo_child_kill(&demo->children.child[i], SIGKILL);
	demo_wait(demo, all_are_gone, dxh_in_ms(END_MS), true);
	demo_latest_join(&demo->latest);
	if (demo->broker != NULL)
		dxh_broker_stop(&demo->broker);
	if (demo->hub != NULL)
		dxh_hub_close(&demo->hub);
	pump(demo, 0);
}

static void clean(struct demo *demo)
{
	const char *directory = demo->facts->config.directory;
	char path[DEMO_PATH_MAX + 16];
	int fd;

	if (demo->facts->config.fault == DEMO_FAULT_LEAVE_FILE) {
		snprintf(path, sizeof path, "%s/left", directory);
		fd = creat(path, 0600);
		if (fd != -1)
			close(fd);
	}
	demo->have_block = dxh_block_stat(directory, DEMO_CHANNEL, &demo->block) == DXH_OK;
	if (demo->have_block && dxh_block_unlink(directory, DEMO_CHANNEL) != DXH_OK)
		demo_problem(&demo->problems, "cannot remove the block: %s", dxh_last_error());
	demo->files_left = demo_directory_count(directory, demo->file_left, sizeof demo->file_left);
	if (!demo_directory_remove(directory))
		demo_problem(&demo->problems, "cannot remove %s: %s", directory, strerror(errno));
	if (demo_directory_strays(directory) > 0)
		demo_problem(&demo->problems, "something named like %s was left behind",
		             strrchr(directory, '/') + 1);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static bool prepare(struct demo *demo, const struct demo_options *options)
{
	struct demo_config *config;
	sigset_t set;
	int facts_fd = -1;

	demo->options = options;
	/* Before the first thread, which inherits the mask. */
	tool_end_signals(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, DEMO_SIGNAL_END);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	demo->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	demo->facts = demo_facts_create(&facts_fd);
	if (demo->signal_fd == -1 || demo->facts == NULL)
		return false;
	config = &demo->facts->config;
	*config = options->config;
	config->supervisor_pid = (int32_t)getpid();
	snprintf(config->broker, sizeof config->broker, "ipc://@dxh-demo-%d-broker", (int)getpid());
	snprintf(config->service, sizeof config->service, "ipc://@dxh-demo-%d-service",
	         (int)getpid());
	atomic_store(&demo->facts->rate_hz, config->rate_hz);
	return demo_children_open(&demo->children, facts_fd) &&
	       demo_directory_make(config->directory, sizeof config->directory);
}

static FILE *open_json(const char *path)
{
	FILE *out;

	if (path == NULL)
		return NULL;
	if (strcmp(path, "-") == 0)
		return stdout;
	out = fopen(path, "we");
	if (out == NULL)
		tool_fail(command, "cannot write %s: %s", path, strerror(errno));
	return out;
}

static int verdict(const struct demo *demo)
{
	if (demo->problems.count > 0)
		return TOOL_FAILED;
	return demo->caught != 0 ? 128 + demo->caught : TOOL_OK;
}

int demo_run(const struct demo_options *options)
{
	static struct demo demo;
	FILE *json = open_json(options->json);
	int code;

	if ((options->json != NULL && json == NULL) || !prepare(&demo, options))
		return TOOL_FAILED;
	demo_view_open(&demo.view, json == stdout);
	demo_speak_as("demo", demo.children.input_fd, DXH_LOG_WARNING);
	demo.started = start_all(&demo);
	if (demo.started)
		run(&demo);
	end_all(&demo);
	demo_view_close(&demo.view);
	demo.began_ns = 0; /* nothing to draw any more */
	kill_the_rest(&demo);
	clean(&demo);
	demo_check(&demo);
	demo_report(&demo);
	code = verdict(&demo);
	if (json != NULL &&
	    (!demo_report_json(&demo, json) || (json != stdout && fclose(json) != 0)))
		code = tool_fail(command, "cannot write %s", options->json);
	demo_children_close(&demo.children);
	return code;
}
