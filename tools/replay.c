/* SPDX-License-Identifier: MIT */
/* `dxh replay`: a recording, published again. */
#include "replay.h"

#include "channel.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "replay";

static volatile sig_atomic_t interrupted;

static void interrupt(int unused)
{
	(void)unused;
	interrupted = 1;
}

bool replay_interrupted(void)
{
	return interrupted;
}

bool replay_say(const char *what)
{
	tool_fail(name, "%s", what);
	return false;
}

static int help(void)
{
	printf("usage: dxh replay [--as NAME] [--broker ENDPOINT | --dir DIR] [--slots N]\n"
	       "                  [--speed X | --fast] [--lossless N] [--keep-tickets]\n"
	       "                  [--from-ticket T] [--to-ticket T] [--from S] [--to S]\n"
	       "                  [--quiet] FILE\n"
	       "       dxh replay --csv OUT [--from-ticket T] [--to-ticket T] [--from S] [--to S] "
	       "FILE\n\n"
	       "Publish again what dxh record has recorded: the same bytes in the same order, in "
	       "a\n"
	       "block that describes itself the same way. Or write it as text.\n\n"
	       "  --as NAME          the block or channel; default: as it was called\n"
	       "  --broker ENDPOINT  register it as a channel there; default: $DXH_BROKER, else\n"
	       "                     nowhere\n"
	       "  --dir DIR          where blocks are; default: $DXH_SHM_DIR, else /dev/shm;\n"
	       "                     given, $DXH_BROKER is not asked\n"
	       "  --slots N          items that the block keeps; default: as many as it did\n"
	       "  --speed X          so many times as fast as it was; default 1\n"
	       "  --fast             as fast as possible\n"
	       "  --lossless N       begin when N lossless consumers are there (dxh record\n"
	       "                     --lossless is one), and never overtake them\n"
	       "  --keep-tickets     abort a ticket for each that is missing, so that tickets are\n"
	       "                     as far apart as they were\n"
	       "  --from-ticket T    begin with this ticket of the recording\n"
	       "  --to-ticket T      end with this ticket\n"
	       "  --from S, --to S   the same in seconds after its first item\n"
	       "  --csv OUT          write text there, - is standard output\n"
	       "  --quiet            no progress\n\n"
	       "exit status: 0 all was played, 1 it was not, was interrupted, or ends in "
	       "something\n"
	       "broken, 2 wrong usage\n"
	       "example:     dxh replay --speed 10 --as camera/again camera-front.dxr\n");
	return TOOL_OK;
}

/* ---- what was asked for ---- */

static bool take_real(const char *option, const char *text, double least, double *number)
{
	char *end;

	*number = strtod(text, &end);
	if (end != text && *end == '\0' && *number >= least && *number <= 1e9)
		return true;
	tool_usage(name, "%s takes a number from %g to 1e9, not \"%s\"", option, least,
	           tool_shown(text).s);
	return false;
}

static bool take_ns(const char *option, const char *text, int64_t *ns)
{
	double seconds;

	if (!take_real(option, text, 0, &seconds))
		return false;
	*ns = (int64_t)(seconds * 1e9);
	return true;
}

static bool take_option(struct replay *replay, int letter)
{
	switch (letter) {
	case 'a':
		replay->as = optarg;
		return true;
	case 'b':
		replay->broker = optarg;
		return true;
	case 'd':
		replay->directory = optarg;
		return true;
	case 'n':
		return tool_number(name, "--slots", optarg, 1, 65536, &replay->slots);
	case 's':
		return take_real("--speed", optarg, 0.001, &replay->speed);
	case 'f':
		replay->speed = 0;
		return true;
	case 'l':
		return tool_number(name, "--lossless", optarg, 1, DXH_READERS_MAX,
		                   &replay->readers);
	case 'k':
		return replay->keep_tickets = true;
	case 't':
		return tool_number(name, "--from-ticket", optarg, 0, UINT64_MAX / 4,
		                   &replay->first_ticket);
	case 'T':
		return tool_number(name, "--to-ticket", optarg, 0, UINT64_MAX / 4,
		                   &replay->last_ticket);
	case 'r':
		return take_ns("--from", optarg, &replay->from_ns);
	case 'R':
		return take_ns("--to", optarg, &replay->to_ns);
	case 'c':
		replay->csv_path = optarg;
		return true;
	case 'q':
		return replay->quiet = true;
	default:
		tool_usage(name, "that cannot be understood");
		return false;
	}
}

static bool check(struct replay *replay, int argc, char **argv)
{
	if (optind + 1 != argc)
		tool_usage(name, optind == argc ? "replay which file?" : "one FILE at a time");
	else if (replay->csv_path && (replay->as || replay->broker || replay->directory))
		tool_usage(name, "--csv writes text and makes no block");
	else {
		replay->path = argv[optind];
		if (!replay->csv_path && !replay->directory)
			replay->broker = channel_broker(replay->broker);
		return true;
	}
	return false;
}

/* ---- the file ---- */

/* When the first item was published, from which --from and --to count. */
static void find_first_item(struct replay *replay)
{
	struct recording_record record;

	while (recording_next(&replay->reader, &record))
		if (record.kind == RECORDING_ITEM) {
			replay->first_ns = record.time_ns;
			break;
		}
	recording_rewind(&replay->reader);
}

/* A recording may say any times. */
static int64_t from_on_ns(const struct replay *replay)
{
	int64_t ns;

	if (replay->from_ns == 0 || __builtin_add_overflow(replay->first_ns, replay->from_ns, &ns))
		return INT64_MAX;
	return ns;
}

/* What stands before the first item is played in any case; then on to where the items
 * begin that were asked for. */
static bool find_begin(struct replay *replay)
{
	struct recording_record record;
	uint64_t items_at = replay->reader.at;

	find_first_item(replay);
	if (replay->first_ticket == 0 && replay->from_ns == 0)
		return true;
	while (recording_next(&replay->reader, &record) && record.kind != RECORDING_ITEM) {
		if (!replay_record(replay, &record))
			return false;
		items_at = replay->reader.at;
	}
	replay->reader.at = items_at;
	return recording_seek(&replay->reader,
	                      replay->first_ticket ? replay->first_ticket : UINT64_MAX,
	                      from_on_ns(replay)) ||
	       replay_say(replay->reader.error);
}

static bool is_part(const struct replay *replay)
{
	return replay->first_ticket > 0 || replay->last_ticket < UINT64_MAX ||
	       replay->from_ns > 0 || replay->to_ns < INT64_MAX;
}

static int play(struct replay *replay)
{
	struct recording_record record;
	bool going = true;

	while (going && !interrupted && recording_next(&replay->reader, &record)) {
		going = replay_record(replay, &record);
		replay_show_progress(replay, false);
	}
	replay_show_progress(replay, true);
	if (interrupted || (going && !replay->reader.ended) || (!going && !replay->over)) {
		if (replay->reader.error[0])
			replay_say(replay->reader.error);
		if (interrupted)
			tool_fail(name, "interrupted after %" PRIu64 " items", replay->items);
		return TOOL_FAILED;
	}
	if (replay->items == 0 && is_part(replay))
		return tool_fail(name, "no item of the recording lies between what --from and "
		                       "--to say: `dxh replay --csv - FILE` shows all of it");
	if (going && replay->reader.rest > 0)
		return tool_fail(
			name,
			"the last %" PRIu64 " bytes of %s are no whole record: the "
			"recorder was killed, its disk was full, or they changed since; all before "
			"was played",
			replay->reader.rest, tool_shown(replay->path).s);
	if (going && !replay->reader.closed_well)
		tool_fail(
			name,
			"%s was not closed: its recorder was killed, or its disk full; all that is "
			"in it was played",
			tool_shown(replay->path).s);
	return TOOL_OK;
}

static int replay_file(struct replay *replay)
{
	int code = TOOL_FAILED;

	if (!recording_open(replay->path, &replay->reader)) {
		tool_fail(name, "%s: %s", tool_shown(replay->path).s, replay->reader.error);
		return TOOL_FAILED;
	}
	if (replay->csv_path) {
		replay->csv = strcmp(replay->csv_path, "-") == 0 ? stdout
		                                                 : fopen(replay->csv_path, "wxe");
		if (!replay->csv)
			return tool_fail(name, "%s: %s%s", tool_shown(replay->csv_path).s,
			                 strerror(errno),
			                 errno == EEXIST ? ": choose another name" : "");
	}
	if (find_begin(replay))
		code = play(replay);
	if (replay->csv && (fflush(replay->csv) != 0 || ferror(replay->csv)))
		code = tool_fail(name, "%s cannot be written: %s", tool_shown(replay->csv_path).s,
		                 strerror(errno));
	return code;
}

int tool_replay(int argc, char **argv)
{
	static const struct option options[] = {{"as", required_argument, NULL, 'a'},
	                                        {"broker", required_argument, NULL, 'b'},
	                                        {"dir", required_argument, NULL, 'd'},
	                                        {"slots", required_argument, NULL, 'n'},
	                                        {"speed", required_argument, NULL, 's'},
	                                        {"fast", no_argument, NULL, 'f'},
	                                        {"lossless", required_argument, NULL, 'l'},
	                                        {"keep-tickets", no_argument, NULL, 'k'},
	                                        {"from-ticket", required_argument, NULL, 't'},
	                                        {"to-ticket", required_argument, NULL, 'T'},
	                                        {"from", required_argument, NULL, 'r'},
	                                        {"to", required_argument, NULL, 'R'},
	                                        {"csv", required_argument, NULL, 'c'},
	                                        {"quiet", no_argument, NULL, 'q'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	struct replay replay = {
		.speed = 1, .last_ticket = UINT64_MAX, .to_ns = INT64_MAX, .reader = {.fd = -1}};
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (!take_option(&replay, option))
			return TOOL_USAGE;
	}
	if (!check(&replay, argc, argv))
		return TOOL_USAGE;
	tool_when_ended(interrupt);
	code = replay_file(&replay);
	if (replay.producer)
		dxh_producer_close(&replay.producer);
	dxh_description_free(&replay.description);
	if (replay.hub)
		dxh_hub_close(&replay.hub);
	if (replay.csv && replay.csv != stdout)
		fclose(replay.csv);
	recording_close(&replay.reader);
	return code;
}
