/* SPDX-License-Identifier: MIT */
/* `dxh record`: what a block's producer publishes, into a file, as a read-only follower. */
#include "record.h"

#include "source.h"
#include "text.h"

#include <dxh.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "record";

enum {
	FLUSH_NS = 200000000,    /* what is lost of a recorder that is killed */
	PROGRESS_NS = 200000000, /* between two pictures of the progress */
	CLOCK_STEP_NS = 1000000, /* of the offset, which is told again then */
	READ_WAIT_NS = 100000000 /* a look at the signals at the latest */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int unused)
{
	(void)unused;
	interrupted = 1;
}

static int help(void)
{
	printf("usage: dxh record [--broker ENDPOINT | --dir DIR] [--output FILE [--replace]]\n"
	       "                  [--seconds S] [--items N] [--start oldest|newest|next|TICKET]\n"
	       "                  [--until-closed] [--lossless] [--lz4 | --format csv]\n"
	       "                  [--zones S] [--quiet] NAME\n\n"
	       "Record what the producer of a channel or a block publishes, until SIGINT or what\n"
	       "the options say. The recorder only reads: it does not hold the producer back, and\n"
	       "what it misses is told in the file, exactly. A producer that dies, a successor "
	       "and\n"
	       "a block that is made anew are recorded as such. docs/recording-format.md tells\n"
	       "the format; dxh replay plays it.\n\n"
	       "  --broker ENDPOINT  NAME is a channel of this broker; without it, and without\n"
	       "                     $DXH_BROKER or with --dir, a block\n"
	       "                     (one that is not there yet is waited for, five seconds)\n"
	       "  --dir DIR          where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --output FILE      default: NAME.dxr, with - for /; - is standard output, for\n"
	       "                     csv only\n"
	       "  --replace          FILE may exist\n"
	       "  --seconds S        how long\n"
	       "  --items N          how many\n"
	       "  --start WHERE      the first item: default next\n"
	       "  --until-closed     until the producer has closed or died\n"
	       "  --lossless         hold the producer back rather than miss something; the block\n"
	       "                     must have room for such readers\n"
	       "  --lz4              compress items\n"
	       "  --format csv       one line an item, a column a number; gaps are comments (#)\n"
	       "  --zones S          copy the zones every S seconds; else only at the begin and\n"
	       "                     the end\n"
	       "  --quiet            no progress\n\n"
	       "exit status: 0 recorded, 1 not all of it could be, 2 wrong usage\n"
	       "example:     dxh record --seconds 60 --lz4 camera/front\n");
	return TOOL_OK;
}

/* ---- what was asked for ---- */

static bool take_seconds(const char *option, const char *text, int64_t *ns)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0.001) || seconds > 1e9) {
		tool_usage(name, "%s takes seconds, from 0.001 on, not \"%s\"", option,
		           tool_shown(text).s);
		return false;
	}
	*ns = (int64_t)(seconds * 1e9);
	return true;
}

static bool take_start(struct recording_job *job, const char *text)
{
	static const char *const words[] = {"oldest", "newest", "next"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i]) == 0) {
			job->start = (dxh_start)i;
			return true;
		}
	job->start = DXH_START_TICKET;
	return tool_number(name, "--start, unless it is oldest, newest or next,", text, 0,
	                   UINT64_MAX / 4, &job->start_ticket);
}

static bool take_option(struct recording_job *job, int letter)
{
	switch (letter) {
	case 'b':
		job->source.broker = optarg;
		return true;
	case 'd':
		job->source.directory = optarg;
		return true;
	case 'o':
		job->output = optarg;
		return true;
	case 'r':
		return job->replace = true;
	case 's':
		return take_seconds("--seconds", optarg, &job->length_ns);
	case 'n':
		return tool_number(name, "--items", optarg, 1, UINT64_MAX / 4, &job->items_max);
	case 'S':
		return take_start(job, optarg);
	case 'c':
		return job->until_closed = true;
	case 'l':
		return job->source.lossless = true;
	case '4':
		return job->compress = true;
	case 'f':
		job->as_csv = true;
		if (strcmp(optarg, "csv") == 0)
			return true;
		tool_usage(name, "--format takes csv, not \"%s\"", tool_shown(optarg).s);
		return false;
	case 'z':
		return take_seconds("--zones", optarg, &job->zones_ns);
	case 'q':
		return job->quiet = true;
	default:
		tool_usage(name, "that cannot be understood");
		return false;
	}
}

static bool check(struct recording_job *job, int argc, char **argv)
{
	if (optind + 1 != argc)
		tool_usage(name, optind == argc ? "record what?" : "one NAME at a time");
	else if (job->as_csv && job->compress)
		tool_usage(name, "--lz4 is for recordings, not for csv");
	else if (job->output && strcmp(job->output, "-") == 0 && !job->as_csv)
		tool_usage(name, "a recording needs a file: --output FILE");
	else
		return source_choose(&job->source, name, argv[optind], false);
	return false;
}

static bool name_output(struct recording_job *job)
{
	size_t bytes = strlen(job->source.name) + 5;
	char *path = malloc(bytes);

	if (!path)
		return false;
	snprintf(path, bytes, "%s%s", job->source.name, job->as_csv ? ".csv" : ".dxr");
	for (char *at = path; *at; at++)
		if (*at == '/')
			*at = '-';
	job->output = job->output_own = path;
	return true;
}

/* ---- what happens ---- */

static void show_progress(struct recording_job *job, bool last)
{
	int64_t now_ns = dxh_now_ns();
	double seconds = (double)(now_ns - job->begun_ns) / 1e9;

	if (job->quiet || !isatty(STDERR_FILENO) ||
	    (!last && now_ns - job->pictured_ns < PROGRESS_NS))
		return;
	job->pictured_ns = now_ns;
	fprintf(stderr, "\r\033[K%.1f s  %s items  %s  %s/s", seconds,
	        tool_text_plain(job->items).s, tool_text_bytes((double)job->bytes).s,
	        tool_text_bytes(seconds > 0 ? (double)job->bytes / seconds : 0).s);
	if (job->missing)
		fprintf(stderr, "  missing %s in %s gaps", tool_text_plain(job->missing).s,
		        tool_text_plain(job->gaps).s);
	if (job->length_ns > 0 && !last) {
		double part = seconds * 1e9 / (double)job->length_ns;
		int filled = part < 1 ? (int)(part * 20) : 20;

		fprintf(stderr, "  [%.*s%.*s]", filled, "####################", 20 - filled,
		        "....................");
	}
	if (last)
		fputc('\n', stderr);
}

/* Said once: what could not be written cannot be closed either. */
static bool store_failed(struct recording_job *job)
{
	if (job->failed)
		return false;
	job->failed = true;
	tool_fail(name, "%s: %s%s", tool_shown(job->output).s, job->sink->error(job),
	          job->items > 0 && !job->as_csv ? "; up to there it is good" : "");
	return false;
}

static bool store_gap(struct recording_job *job, const dxh_item *item, enum recording_reason reason)
{
	job->gaps++;
	job->missing += item->lost;
	return job->sink->gap(job, item->lost_first, item->lost_last, reason) || store_failed(job);
}

static bool store_clock(struct recording_job *job)
{
	dxh_block_info info;
	int64_t change;

	if (dxh_consumer_info(job->consumer, &info) != DXH_OK || info.clock_offset_ns == 0)
		return true;
	change = info.clock_offset_ns - job->clock_offset_ns;
	if (change > -CLOCK_STEP_NS && change < CLOCK_STEP_NS)
		return true;
	job->clock_offset_ns = info.clock_offset_ns;
	return job->sink->clock(job, info.clock_offset_ns) || store_failed(job);
}

static bool store_zones(struct recording_job *job)
{
	dxh_zone_entry zone;

	job->zoned_ns = dxh_now_ns();
	for (uint32_t i = 0; dxh_consumer_zone_entry(job->consumer, i, &zone) == DXH_OK; i++) {
		void *copy = malloc(zone.bytes);
		bool stored = true;

		if (copy && dxh_zone_copy_at(job->consumer, i, NULL, copy, zone.bytes) == DXH_OK)
			stored = job->sink->zone(job, i, copy, zone.bytes);
		free(copy);
		if (!stored)
			return store_failed(job);
	}
	return true;
}

static bool store_item(struct recording_job *job, const dxh_item *item)
{
	if (!store_clock(job))
		return false;
	if (item->epoch != job->epoch) {
		job->epoch = item->epoch;
		if (!job->sink->fate(job, RECORDING_TAKEN_OVER, item->epoch, item->ticket))
			return store_failed(job);
	}
	if (!job->sink->item(job, item, job->copy))
		return store_failed(job);
	job->next_ticket = item->ticket + 1;
	job->items++;
	job->bytes += item->bytes;
	job->fate = 0;
	return true;
}

/* Told once, until an item comes again; with the zones as they are then, for the next block
 * may take their place. */
static bool store_fate(struct recording_job *job, enum recording_fate fate)
{
	if (job->fate == (unsigned)fate)
		return true;
	job->fate = fate;
	return (job->sink->fate(job, fate, job->epoch, job->next_ticket) || store_failed(job)) &&
	       store_zones(job);
}

/* The block of that name as it is now. */
static bool attach(struct recording_job *job)
{
	dxh_block_info info;
	size_t schema_bytes;
	const void *schema;
	struct recording_block block = {0};

	if (dxh_consumer_info(job->consumer, &info) != DXH_OK)
		return false;
	schema = dxh_consumer_schema(job->consumer, &schema_bytes);
	snprintf(block.name, sizeof block.name, "%s", info.name);
	memcpy(block.uuid, info.uuid, sizeof block.uuid);
	memcpy(job->uuid, info.uuid, sizeof job->uuid);
	block.epoch = job->epoch = info.epoch;
	block.slot_bytes = info.slot_bytes;
	block.slot_count = info.slot_count;
	block.schema = schema;
	block.schema_bytes = schema_bytes;
	free(job->copy);
	job->copy_bytes = info.slot_bytes;
	job->copy = malloc(job->copy_bytes + 1);
	job->clock_offset_ns = 0;
	job->fate = 0;
	if (!job->copy) {
		tool_fail(name, "no memory for an item of %" PRIu64 " bytes", info.slot_bytes);
		return false;
	}
	if (!job->sink->block(job, &block))
		return store_failed(job);
	return store_clock(job) && store_zones(job) && (job->sink->flush(job) || store_failed(job));
}

/* One look at the block; false: the job is done, or failed. */
static bool record_next(struct recording_job *job)
{
	int64_t wait_ns = dxh_now_ns() + READ_WAIT_NS;
	dxh_item item = {0};
	dxh_status status;

	if (job->end_ns < wait_ns)
		wait_ns = job->end_ns;
	status = dxh_read_next(job->consumer, job->copy, job->copy_bytes, wait_ns, &item);
	switch (status) {
	case DXH_OK:
		/* Where items do not say when they were published, this is the nearest. */
		if (item.timestamp_ns == 0)
			item.timestamp_ns = dxh_now_ns();
		return store_item(job, &item);
	case DXH_ELAPPED:
	case DXH_EEVICTED:
		return store_gap(job, &item, RECORDING_LAPPED);
	case DXH_ECORRUPT:
		return item.lost == 0 || store_gap(job, &item, RECORDING_CORRUPT);
	case DXH_EWAIT:
		return true;
	case DXH_EDEAD:
		return store_fate(job, RECORDING_DIED) && !job->until_closed;
	case DXH_ECLOSED:
		return store_fate(job, RECORDING_CLOSED) && !job->until_closed;
	case DXH_EUNLINKED:
		return store_fate(job, RECORDING_UNLINKED) && !job->until_closed;
	case DXH_EMOVED:
		job->next_ticket = 0;
		return attach(job);
	default:
		job->failed = true;
		tool_fail(name, "%s", dxh_last_error());
		return false;
	}
}

static void record_all(struct recording_job *job)
{
	int64_t flushed_ns = job->begun_ns;

	while (!interrupted && dxh_now_ns() < job->end_ns && record_next(job)) {
		int64_t now_ns = dxh_now_ns();

		if (job->items_max > 0 && job->items >= job->items_max)
			break;
		if (job->zones_ns > 0 && now_ns - job->zoned_ns >= job->zones_ns &&
		    !store_zones(job))
			break;
		if (now_ns - flushed_ns >= FLUSH_NS) {
			flushed_ns = now_ns;
			if (!job->sink->flush(job)) {
				store_failed(job);
				break;
			}
		}
		show_progress(job, false);
	}
	if (!job->failed)
		store_zones(job);
	show_progress(job, true);
}

static int record(struct recording_job *job)
{
	if (!source_open(&job->source, name, job->start, job->start_ticket, &job->consumer))
		return TOOL_FAILED;
	if (!job->sink->open(job)) {
		int code = tool_fail(name, "%s: %s%s", tool_shown(job->output).s,
		                     job->sink->error(job),
		                     errno == EEXIST ? ": --replace writes over it" : "");

		dxh_consumer_close(&job->consumer);
		return code;
	}
	job->begun_ns = dxh_now_ns();
	job->end_ns = job->length_ns > 0 ? job->begun_ns + job->length_ns : DXH_FOREVER;
	if (attach(job))
		record_all(job);
	else
		job->failed = true;
	if (!job->sink->close(job))
		store_failed(job);
	dxh_consumer_close(&job->consumer);
	return job->failed ? TOOL_FAILED : TOOL_OK;
}

int tool_record(int argc, char **argv)
{
	static const struct option options[] = {{"broker", required_argument, NULL, 'b'},
	                                        {"dir", required_argument, NULL, 'd'},
	                                        {"output", required_argument, NULL, 'o'},
	                                        {"replace", no_argument, NULL, 'r'},
	                                        {"seconds", required_argument, NULL, 's'},
	                                        {"items", required_argument, NULL, 'n'},
	                                        {"start", required_argument, NULL, 'S'},
	                                        {"until-closed", no_argument, NULL, 'c'},
	                                        {"lossless", no_argument, NULL, 'l'},
	                                        {"lz4", no_argument, NULL, '4'},
	                                        {"format", required_argument, NULL, 'f'},
	                                        {"zones", required_argument, NULL, 'z'},
	                                        {"quiet", no_argument, NULL, 'q'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	struct recording_job job = {.start = DXH_START_NEXT};
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (!take_option(&job, option))
			return TOOL_USAGE;
	}
	if (!check(&job, argc, argv))
		return TOOL_USAGE;
	if (!job.output && !name_output(&job))
		return tool_fail(name, "no memory");
	job.sink = job.as_csv ? &record_to_csv : &record_to_file;
	tool_when_ended(interrupt);
	code = record(&job);
	source_close(&job.source);
	free(job.copy);
	free(job.output_own);
	return code;
}
