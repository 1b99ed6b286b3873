/* SPDX-License-Identifier: MIT */
/* `dxh replay`: a recording, published again. */
#include "csv.h"
#include "recording.h"
#include "text.h"
#include "tool.h"

#include <dxh.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char name[] = "replay";

enum {
	PROGRESS_NS = 200000000,
	HELD_NS = 100000000,  /* a look at the signals while a reader holds it back */
	LOOK_NS = 5000000,    /* between two looks for consumers */
	ABORTS_MAX = 1 << 24, /* tickets in the place of missing ones, a gap */
	STEP_NS = 100000000   /* of a wait, between two looks at the signals */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int unused)
{
	(void)unused;
	interrupted = 1;
}

struct replay {
	const char *path, *as, *broker, *directory, *csv_path;
	double speed; /* 0: as fast as possible */
	bool keep_tickets, quiet;
	uint64_t first_ticket, last_ticket, slots, readers;
	int64_t from_ns, to_ns; /* after the first item */

	struct recording_reader reader;
	struct recording_block block; /* that plays now */
	dxh_description *description;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_producer *producer;
	FILE *csv;

	bool begun; /* an item was played; times count from the first one of the recording */
	int64_t first_ns, played_first_ns, begun_ns, pictured_ns, clock_offset_ns;
	uint64_t next_ticket; /* of the recording, of this block */
	uint64_t items, bytes, missing, blocks;
	bool over; /* all that was asked for was played */
};

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
	       "  --broker ENDPOINT  register it as a channel there\n"
	       "  --dir DIR          where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
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
	       "exit status: 0 all was played, 1 it was not, or the recording ends in something\n"
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
		return true;
	}
	return false;
}

/* ---- the block ---- */

static bool say(const char *what)
{
	tool_fail(name, "%s", what);
	return false;
}

static dxh_status produce(struct replay *replay, const dxh_block_config *config)
{
	const char *as = replay->as ? replay->as : replay->block.name;
	dxh_status status = DXH_OK;

	if (!replay->broker)
		return dxh_producer_open(as, config, &replay->producer);
	if (!replay->hub)
		status = dxh_hub_open(NULL, &replay->hub);
	if (status == DXH_OK && !replay->peer)
		status = dxh_peer_connect(replay->hub, replay->broker, NULL, &replay->peer);
	return status == DXH_OK
	               ? dxh_produce(replay->peer, as, &(dxh_channel_config){.block = *config},
	                             dxh_in_ms(2000), &replay->producer)
	               : status;
}

static bool wait_for_readers(struct replay *replay)
{
	struct timespec pause = {.tv_nsec = LOOK_NS};
	size_t count = 0;

	while (!interrupted && count < replay->readers) {
		if (dxh_producer_readers(replay->producer, NULL, 0, &count) != DXH_OK)
			return say(dxh_last_error());
		if (count < replay->readers)
			nanosleep(&pause, NULL);
	}
	return !interrupted;
}

static bool open_block(struct replay *replay)
{
	dxh_block_config config = {.directory = replay->directory,
	                           .unlink_on_close = 1,
	                           .readers_max = (uint32_t)replay->readers};

	config.slot_count =
		(uint32_t)(replay->slots                      ? replay->slots
	                   : replay->block.slot_count > 65536 ? 65536
	                                                      : replay->block.slot_count);
	(void)dxh_description_apply(replay->description, &config);
	if (produce(replay, &config) != DXH_OK)
		return say(dxh_last_error());
	return replay->readers == 0 || wait_for_readers(replay);
}

/* Another block begins in the recording. */
static bool take_block(struct replay *replay, const struct recording_record *record)
{
	if (!recording_read_block(record, &replay->block))
		return say("the recording describes no block");
	if (replay->producer)
		dxh_producer_close(&replay->producer);
	dxh_description_free(&replay->description);
	if (dxh_description_read(replay->block.schema, replay->block.schema_bytes,
	                         &replay->description) != DXH_OK)
		return say(dxh_last_error());
	replay->blocks++;
	replay->next_ticket = 0;
	replay->clock_offset_ns = 0;
	if (!replay->csv)
		return open_block(replay);
	fprintf(replay->csv, "# block %s, epoch %" PRIu64 "\n", replay->block.name,
	        replay->block.epoch);
	return csv_names(replay->csv, replay->description->slot.schema) ||
	       say("its items have too many numbers for a line");
}

/* ---- items ---- */

static void show_progress(struct replay *replay, bool last)
{
	int64_t now_ns = dxh_now_ns();
	double part = replay->reader.file_bytes
	                      ? (double)replay->reader.at / (double)replay->reader.file_bytes
	                      : 1;
	int filled = (int)(part * 20);

	if (replay->quiet || !isatty(STDERR_FILENO) || replay->csv ||
	    (!last && now_ns - replay->pictured_ns < PROGRESS_NS))
		return;
	replay->pictured_ns = now_ns;
	fprintf(stderr, "\r\033[K[%.*s%.*s] %.1f s  %s items  %s", filled, "####################",
	        20 - filled, "....................", (double)(now_ns - replay->begun_ns) / 1e9,
	        tool_text_plain(replay->items).s, tool_text_bytes((double)replay->bytes).s);
	if (last)
		fputc('\n', stderr);
}

/* Not before its time; false when interrupted. */
static bool wait_until_due(struct replay *replay, int64_t published_ns)
{
	int64_t due_ns;

	if (replay->speed == 0)
		return !interrupted;
	due_ns = replay->begun_ns +
	         (int64_t)((double)(published_ns - replay->played_first_ns) / replay->speed);
	while (!interrupted) {
		int64_t now_ns = dxh_now_ns();
		int64_t until_ns = due_ns < now_ns + STEP_NS ? due_ns : now_ns + STEP_NS;
		struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};

		if (now_ns >= due_ns)
			return true;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		show_progress(replay, false);
	}
	return false;
}

/* In the place of tickets that are not there. */
static bool abort_tickets(struct replay *replay, uint64_t count)
{
	dxh_write_slot slot;

	if (count > ABORTS_MAX)
		return say("a gap is too long for --keep-tickets");
	for (; count > 0; count--)
		if (dxh_write_begin(replay->producer, DXH_FOREVER, &slot) != DXH_OK ||
		    dxh_write_abort(&slot) != DXH_OK)
			return say(dxh_last_error());
	return true;
}

static bool publish(struct replay *replay, const struct recording_record *record)
{
	dxh_status status;

	do
		status = dxh_publish(replay->producer, record->bytes, record->count,
		                     dxh_in_ns(HELD_NS));
	while (status == DXH_EWAIT && !interrupted);
	return status == DXH_OK || interrupted || say(dxh_last_error());
}

static bool play_item(struct replay *replay, const struct recording_record *record)
{
	uint64_t skipped = record->ticket - replay->next_ticket;

	if (!replay->begun) {
		replay->begun = true;
		replay->played_first_ns = record->time_ns;
		replay->begun_ns = dxh_now_ns();
		skipped = 0;
	}
	replay->next_ticket = record->ticket + 1;
	replay->items++;
	replay->bytes += record->count;
	if (replay->csv) {
		csv_item(replay->csv, replay->description->slot.schema, record->ticket,
		         record->time_ns,
		         replay->clock_offset_ns ? record->time_ns + replay->clock_offset_ns : 0,
		         record->bytes, record->count);
		return true;
	}
	return wait_until_due(replay, record->time_ns) &&
	       (!replay->keep_tickets || abort_tickets(replay, skipped)) && publish(replay, record);
}

static bool take_item(struct replay *replay, const struct recording_record *record)
{
	int64_t since_ns = record->time_ns - replay->first_ns;

	if (record->ticket < replay->first_ticket || since_ns < replay->from_ns)
		return true;
	if (record->ticket > replay->last_ticket || since_ns > replay->to_ns) {
		replay->over = true;
		return false;
	}
	return play_item(replay, record);
}

static bool take_zone(struct replay *replay, const struct recording_record *record)
{
	const dxh_zone_spec *zone;
	void *data;

	if (replay->csv || record->ticket >= replay->description->zone_count)
		return true;
	zone = &replay->description->zones[record->ticket];
	if (zone->bytes != record->count)
		return say("a zone of the recording has another size than it says");
	if (zone->latch) {
		if (dxh_latch_begin(replay->producer, zone->name, zone->bytes, &data) != DXH_OK)
			return say(dxh_last_error());
		memcpy(data, record->bytes, record->count);
		return dxh_latch_commit(replay->producer, zone->name) == DXH_OK ||
		       say(dxh_last_error());
	}
	if (dxh_producer_zone(replay->producer, zone->name, NULL, zone->bytes, &data) != DXH_OK)
		return say(dxh_last_error());
	memcpy(data, record->bytes, record->count);
	return true;
}

static bool take_gap(struct replay *replay, const struct recording_record *record)
{
	enum recording_reason reason;
	uint64_t last;

	if (!recording_read_gap(record, &last, &reason))
		return say("a gap of the recording ends before it begins");
	replay->missing += last - record->ticket + 1;
	if (replay->csv)
		fprintf(replay->csv, "# missing: tickets %" PRIu64 "..%" PRIu64 "\n",
		        record->ticket, last);
	return true;
}

static bool take_record(struct replay *replay, const struct recording_record *record)
{
	if (replay->blocks == 0 && record->kind != RECORDING_BLOCK)
		return say("the recording does not begin with a block");
	switch (record->kind) {
	case RECORDING_BLOCK:
		return take_block(replay, record);
	case RECORDING_ITEM:
		return take_item(replay, record);
	case RECORDING_GAP:
		return take_gap(replay, record);
	case RECORDING_CLOCK:
		return recording_read_clock(record, &replay->clock_offset_ns);
	case RECORDING_ZONE:
		return take_zone(replay, record);
	case RECORDING_PRODUCER:
	case RECORDING_INDEX:
	case RECORDING_END:
		return true;
	}
	return true; /* of a newer minor version */
}

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
		if (!take_record(replay, &record))
			return false;
		items_at = replay->reader.at;
	}
	replay->reader.at = items_at;
	return recording_seek(&replay->reader,
	                      replay->first_ticket ? replay->first_ticket : UINT64_MAX,
	                      replay->from_ns ? replay->first_ns + replay->from_ns : INT64_MAX) ||
	       say(replay->reader.error);
}

static int play(struct replay *replay)
{
	struct recording_record record;
	bool going = true;

	while (going && !interrupted && recording_next(&replay->reader, &record)) {
		going = take_record(replay, &record);
		show_progress(replay, false);
	}
	show_progress(replay, true);
	if (interrupted || (going && !replay->reader.ended) || (!going && !replay->over)) {
		if (replay->reader.error[0])
			say(replay->reader.error);
		return interrupted ? TOOL_OK : TOOL_FAILED;
	}
	if (going && replay->reader.rest > 0)
		return tool_fail(
			name,
			"the last %" PRIu64 " bytes of %s are no whole record: the "
			"recorder was killed, or they changed since; all before was played",
			replay->reader.rest, tool_shown(replay->path).s);
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
			return tool_fail(name, "%s: %s", tool_shown(replay->csv_path).s,
			                 strerror(errno));
	}
	if (find_begin(replay))
		code = play(replay);
	if (replay->csv && (fflush(replay->csv) != 0 || ferror(replay->csv)))
		code = tool_fail(name, "%s cannot be written", tool_shown(replay->csv_path).s);
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
	struct sigaction action = {.sa_handler = interrupt};
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (!take_option(&replay, option))
			return TOOL_USAGE;
	}
	if (!check(&replay, argc, argv))
		return TOOL_USAGE;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
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
