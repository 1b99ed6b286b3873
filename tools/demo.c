/* SPDX-License-Identifier: MIT */
/* `dxh demo`: the command line, and the door through which the demo's own
 * processes come in. */
#include "demo.h"

#include "tool.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char name[] = "demo";

enum { SECONDS_MAX = 86400 };

static int help(void)
{
	printf("usage: dxh demo [--seconds N] [--rate HZ] [--chaos] [--json FILE]\n\n"
	       "Run the whole library on real input, this machine, and check that it adds up:\n"
	       "a producer samples /proc into a channel; a reader of the latest draws it, a\n"
	       "follower sees every sample, a slow one is lapped; a client with %d threads\n"
	       "posts requests to the producer's service and notifies it.\n\n"
	       "  --seconds N  how long, 1 to %d; default 10\n"
	       "  --rate HZ    samples per second, 10 to %d; default 1000\n"
	       "  --chaos      kill the follower, the broker and the producer on the way\n"
	       "  --json FILE  write the report there, for programs too; - is standard\n"
	       "               output, and what people read then goes to standard error\n\n"
	       "exit status: 0 everything adds up, 1 it does not, 2 wrong usage, 130 or 143\n"
	       "ended early by SIGINT or SIGTERM, with a report that adds up\n"
	       "environment: DXH_SHM_DIR where blocks lie (default /dev/shm), NO_COLOR\n"
	       "example:     dxh demo --chaos --seconds 20 --json report.json\n",
	       DEMO_THREADS, SECONDS_MAX, DEMO_RATE_MAX);
	return TOOL_OK;
}

/* ---- a process of the demo --------------------------------------------------------- */

static int run_broker(const struct demo_facts *facts)
{
	sigset_t until;
	int code;

	sigemptyset(&until);
	sigaddset(&until, DEMO_SIGNAL_END);
	code = tool_broker_serve(facts->config.broker, &until);
	if (code != TOOL_OK)
		demo_say("cannot serve: %s", dxh_last_error());
	return code;
}

static int run_role(struct demo_facts *facts, enum demo_role role)
{
	switch (role) {
	case DEMO_BROKER:
		return run_broker(facts);
	case DEMO_PRODUCER:
	case DEMO_STANDBY:
		return demo_role_producer(facts, role == DEMO_STANDBY);
	case DEMO_FOLLOWER:
		return demo_role_follower(facts);
	case DEMO_SLOW:
		return demo_role_slow(facts);
	case DEMO_CLIENT:
		return demo_role_client(facts);
	case DEMO_ROLES:
		break;
	}
	return TOOL_USAGE;
}

static int enter_role(const char *role_name, int fd)
{
	struct demo_facts *facts = demo_facts_map(fd);

	if (facts == NULL)
		return TOOL_USAGE;
	/* None of us outlives the supervisor, not even one that dies just now. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)facts->config.supervisor_pid)
		return TOOL_FAILED;
	for (unsigned i = 0; i < DEMO_ROLES; i++) {
		if (strcmp(role_name, demo_role_name((enum demo_role)i)) != 0)
			continue;
		demo_speak_as(role_name, STDOUT_FILENO, DXH_LOG_WARNING);
		return run_role(facts, (enum demo_role)i);
	}
	return TOOL_USAGE;
}

/* ---- the command line ----------------------------------------------------------------- */

static bool read_fault(struct demo_config *config)
{
	static const char *const faults[] = {"", "lose-one", "corrupt-one", "lose-completion",
	                                     "leave-file"};
	const char *wanted = getenv("DXH_DEMO_FAULT");

	if (wanted == NULL)
		return true;
	for (uint32_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		if (strcmp(wanted, faults[i]) == 0) {
			config->fault = i;
			return true;
		}
	}
	tool_usage(name, "DXH_DEMO_FAULT=%s: lose-one, corrupt-one, lose-completion or leave-file",
	           wanted);
	return false;
}

/* Items kept: a fifth of the run, half a second to two. The slow follower is
 * lapped a few times, the other one has time to breathe on a loaded machine. */
static uint32_t choose_slot_count(const struct demo_config *config)
{
	uint32_t tenths = config->seconds * 2;
	uint32_t count;

	if (tenths < 5)
		tenths = 5;
	if (tenths > 20)
		tenths = 20;
	count = config->rate_hz * tenths / 10;
	return count < 16 ? 16 : count;
}

int tool_demo(int argc, char **argv)
{
	enum { ROLE = 256, FACTS };
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'}, {"rate", required_argument, NULL, 'r'},
		{"chaos", no_argument, NULL, 'c'},         {"json", required_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},          {"role", required_argument, NULL, ROLE},
		{"facts", required_argument, NULL, FACTS}, {NULL, 0, NULL, 0}};
	struct demo_options demo = {0};
	const char *role = NULL;
	uint64_t seconds = 10;
	uint64_t rate = 1000;
	uint64_t facts_fd = 0;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			if (!tool_number(name, "--seconds", optarg, 1, SECONDS_MAX, &seconds))
				return TOOL_USAGE;
			break;
		case 'r':
			if (!tool_number(name, "--rate", optarg, 10, DEMO_RATE_MAX, &rate))
				return TOOL_USAGE;
			break;
		case 'c':
			demo.config.chaos = 1;
			break;
		case 'j':
			demo.json = optarg;
			break;
		case 'h':
			return help();
		case ROLE: /* only the demo itself starts these */
			role = optarg;
			break;
		case FACTS:
			if (!tool_number(name, "--facts", optarg, 3, 65535, &facts_fd))
				return TOOL_USAGE;
			break;
		default:
			return tool_usage(name, "that cannot be understood");
		}
	}
	if (optind < argc)
		return tool_usage(name, "what is \"%s\"?", argv[optind]);
	if (role != NULL)
		return enter_role(role, (int)facts_fd);
	if (!read_fault(&demo.config))
		return TOOL_USAGE;
	demo.config.seconds = (uint32_t)seconds;
	demo.config.rate_hz = (uint32_t)rate;
	demo.config.slot_count = choose_slot_count(&demo.config);
	return demo_run(&demo);
}
