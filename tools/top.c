/* SPDX-License-Identifier: MIT */
/* `dxh top`: all blocks of a directory as they work: rates, readers, hubs. */
#include "top.h"

#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char name[] = "top";

static int help(void)
{
	printf("usage: dxh top [--broker ENDPOINT | --dir DIR] [--every S] [--once] [--json]\n\n"
	       "Watch all blocks of a directory: who produces, how many items and bytes a second,\n"
	       "wake-ups, readers with how far they are behind, other processes that have it "
	       "mapped\n"
	       "(READERS: rows+others); and hubs that keep their metrics in a block: requests a\n"
	       "second, open operations, times of the service. What is watched pays nothing for "
	       "it.\n\n"
	       "With a broker: the channels it knows, wherever they lie, with their consumers, lag "
	       "and\n"
	       "losses; and the hubs of the directory.\n\n"
	       "  --broker ENDPOINT  default: $DXH_BROKER, else none\n"
	       "  --dir DIR  default: $DXH_SHM_DIR, else /dev/shm; given, no broker is asked\n"
	       "  --every S  between two looks, 0.1 to 60 seconds; default 1\n"
	       "  --once     print lines after one interval and end; also where no terminal is\n"
	       "  --json     the same for programs\n\n"
	       "keys:        q quit, p pause, + and - faster and slower, arrows scroll\n"
	       "exit status: 0 shown, 1 the directory or broker cannot be read, 2 wrong usage\n"
	       "example:     dxh top --every 0.5\n");
	return TOOL_OK;
}

int top_unable(const struct top_place *place)
{
	if (place->asker.peer != NULL)
		return channel_unanswered(name, &place->asker, DXH_EEXPIRED);
	return tool_fail(name, "%s: %s", tool_shown(place->directory).s, strerror(errno));
}

static int print_once(const struct top_place *place, double every_s, bool as_json)
{
	struct timespec pause = {(time_t)every_s,
	                         (long)((every_s - (double)(time_t)every_s) * 1e9)};
	struct top_sample first, second;
	bool taken = top_take(place, NULL, &first);

	if (taken) {
		nanosleep(&pause, NULL);
		taken = top_take(place, &first, &second);
		top_free(&first);
	}
	if (!taken)
		return top_unable(place);
	if (as_json)
		top_tell(&second);
	else
		top_print(&second);
	top_free(&second);
	return TOOL_OK;
}

static const char *default_directory(void)
{
	const char *given = getenv("DXH_SHM_DIR");

	return given != NULL && given[0] != '\0' ? given : "/dev/shm";
}

static bool take_every(const char *text, double *every_s)
{
	char *end;

	*every_s = strtod(text, &end);
	if (end != text && *end == '\0' && *every_s >= 0.1 && *every_s <= 60)
		return true;
	tool_usage(name, "--every takes 0.1 to 60 seconds, not \"%s\"", tool_shown(text).s);
	return false;
}

static int watch(const char *directory, const char *broker, double every_s, bool once, bool as_json)
{
	struct top_place place = {.directory = directory ? directory : default_directory()};
	int code;

	if (directory == NULL)
		broker = channel_broker(broker);
	if (broker != NULL && !channel_connect(name, broker, &place.asker))
		return TOOL_FAILED;
	code = once ? print_once(&place, every_s, as_json) : top_screen(&place, every_s);
	channel_disconnect(&place.asker);
	return code;
}

int tool_top(int argc, char **argv)
{
	static const struct option options[] = {{"broker", required_argument, NULL, 'b'},
	                                        {"dir", required_argument, NULL, 'd'},
	                                        {"every", required_argument, NULL, 'e'},
	                                        {"once", no_argument, NULL, 'o'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	const char *directory = NULL, *broker = NULL;
	bool once = !isatty(STDOUT_FILENO), as_json = false;
	double every_s = 1;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
		switch (option) {
		case 'b':
			broker = optarg;
			break;
		case 'd':
			directory = optarg;
			break;
		case 'e':
			if (!take_every(optarg, &every_s))
				return TOOL_USAGE;
			break;
		case 'o':
			once = true;
			break;
		case 'j':
			once = as_json = true;
			break;
		case 'h':
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	if (optind < argc)
		return tool_usage(name, "what is \"%s\"?", tool_shown(argv[optind]).s);
	if (broker != NULL && directory != NULL)
		return tool_usage(name, "the broker knows the directories: --broker or --dir");
	return watch(directory, broker, every_s, once, as_json);
}
