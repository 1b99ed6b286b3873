/* SPDX-License-Identifier: MIT */
/* `dxh ls`: the channels that a broker knows, one line each; without one the blocks that are
 * here. */
#include "ls.h"
#include "block.h"
#include "channel.h"
#include "json.h"
#include "stat.h"
#include "text.h"
#include "tool.h"

#include <dxh.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "ls";

/* Channels asked for at a time. */
enum { PAGE = 64 };

struct listing {
	const char *endpoint;
	bool is_named;         /* by the user, so that it has to be there */
	const char *directory; /* of blocks; NULL: the default one */
	const char *begin;     /* of the names that are shown; NULL: all */
	bool blocks;           /* no broker is asked, */
	bool asks;             /* or one is, by --broker */
	uint64_t timeout_ms;
	dxh_peer *broker;
	int64_t deadline_ns;
	struct json json; /* json.out is NULL for text */
	bool opened;      /* the array has begun */
	size_t shown;
	bool watch, figures, consumers;
	uint64_t events; /* to watch; 0: without end */
};

static int help(void)
{
	char endpoint[256] = "";

	tool_broker_endpoint(endpoint, sizeof endpoint);
	printf("usage: dxh ls [--broker ENDPOINT] [--timeout MS] [--consumers] [--json]\n"
	       "              [--watch [--events N] | --figures | NAME]\n"
	       "       dxh ls --dir DIR [--json] [NAME]\n"
	       "       dxh ls [--json] FILE\n\n"
	       "List the channels that a broker knows. Where none was named and none is there, "
	       "and\n"
	       "with --dir, the blocks of a directory, which need none.\n\n"
	       "  NAME               those whose names begin with it; else all\n"
	       "  FILE               a data file, for example a copy; begins with / or .\n"
	       "  --broker ENDPOINT  the broker; default: $DXH_BROKER, else\n"
	       "                     ipc:///tmp/dxh-UID/broker (here: %s)\n"
	       "  --dir DIR          blocks of this directory; default: $DXH_SHM_DIR, else\n"
	       "                     /dev/shm\n"
	       "  --timeout MS       how long to wait for it, 1 to 60000; default 2000\n"
	       "  --consumers        also who consumes each, how far behind, and what it lost\n"
	       "  --watch            then tell what happens, a line each, until interrupted;\n"
	       "                     with --json the events alone\n"
	       "  --events N         end after so many events\n"
	       "  --figures          what the broker has counted, in place of the list\n"
	       "  --json             facts for programs; of channels, unless --dir or FILE\n\n"
	       "exit status: 0 listed, 1 it could not be, 2 wrong usage\n"
	       "example:     dxh ls --broker ipc://@plant\n",
	       endpoint);
	return TOOL_OK;
}

/* `facts` is NULL where consumers were not asked for. */
static void
show_json(struct json *json, const dxh_channel_info *channel, const dxh_channel_facts *facts)
{
	char hash[2 * sizeof channel->schema_hash + 1];

	for (size_t i = 0; i < sizeof channel->schema_hash; i++)
		snprintf(hash + 2 * i, 3, "%02x", channel->schema_hash[i]);
	json_object(json, NULL);
	json_text(json, "name", channel->name);
	json_text(json, "state", channel_state_text(channel->state));
	json_text(json, "reason", channel->reason);
	json_text(json, "directory", channel->directory);
	json_text(json, "endpoint", channel->endpoint);
	json_text(json, "schema_hash", hash);
	json_number(json, "producer_pid", (uint64_t)channel->producer_pid);
	json_number(json, "epoch", channel->epoch);
	json_number(json, "slot_bytes", channel->slot_bytes);
	json_number(json, "slot_count", channel->slot_count);
	json_number(json, "zone_count", channel->zone_count);
	json_number(json, "consumers", channel->consumers);
	json_number(json, "checksum_errors", channel->checksum_errors);
	if (facts != NULL)
		channel_tell_consumers(json, "consumer_list", facts->consumers,
		                       facts->consumer_count);
	json_end_object(json);
}

static void show_text(const dxh_channel_info *channel, bool first)
{
	if (first)
		printf("%-32s %-8s %8s %6s %6s %14s %9s %6s  %s\n", "CHANNEL", "STATE", "PID",
		       "EPOCH", "ZONES", "RING", "CONSUMERS", "BROKEN", "SERVICE");
	printf("%-32s %-8s %8" PRId64 " %6" PRIu64 " %6u %5u x %6" PRIu64 " %9u %6" PRIu64
	       "  %s%s%s\n",
	       channel->name, channel_state_text(channel->state), channel->producer_pid,
	       channel->epoch, channel->zone_count, channel->slot_count, channel->slot_bytes,
	       channel->consumers, channel->checksum_errors,
	       channel->endpoint[0] != '\0' ? channel->endpoint : "-",
	       channel->reason[0] != '\0' ? "  " : "", channel->reason);
}

static dxh_status list_one(struct listing *listing, const dxh_channel_info *channel)
{
	dxh_channel_facts *facts = NULL;
	dxh_status status = DXH_OK;

	if (listing->begin != NULL &&
	    strncmp(channel->name, listing->begin, strlen(listing->begin)) != 0)
		return DXH_OK;
	if (listing->consumers)
		status = dxh_describe(listing->broker, channel->name, listing->deadline_ns, &facts);
	if (status != DXH_OK)
		return status;
	if (listing->json.out != NULL)
		show_json(&listing->json, channel, facts);
	else
		show_text(channel, listing->shown == 0);
	if (listing->json.out == NULL && facts != NULL)
		channel_show_consumers(facts, 2);
	listing->shown++;
	dxh_channel_facts_free(&facts);
	return DXH_OK;
}

static dxh_status list(struct listing *listing)
{
	static dxh_channel_info page[PAGE];
	char after[DXH_CHANNEL_NAME_MAX + 1] = "";
	size_t count = 0;
	dxh_status status;

	do {
		status = dxh_list(listing->broker, after[0] != '\0' ? after : NULL,
		                  listing->deadline_ns, page, PAGE, &count, NULL);
		if (status != DXH_OK)
			return status;
		if (listing->json.out != NULL && !listing->opened)
			json_array(&listing->json, NULL);
		listing->opened = true;
		for (size_t i = 0; status == DXH_OK && i < count; i++)
			status = list_one(listing, &page[i]);
		if (count > 0)
			strcpy(after, page[count - 1].name);
	} while (status == DXH_OK && count == PAGE);
	return status;
}

/* The list in between events: as often as that must be, with a deadline of its own. */
static dxh_status list_again(void *context)
{
	struct listing *listing = context;

	listing->deadline_ns = dxh_in_ms(5000);
	listing->shown = 0;
	return list(listing);
}

/* All of it or nothing: a broker that goes away in between, or refuses to describe a channel,
 * would leave half an array. */
static dxh_status list_for_programs(struct listing *listing)
{
	char *text = NULL;
	size_t bytes = 0;
	dxh_status status;

	listing->json.out = open_memstream(&text, &bytes);
	if (listing->json.out == NULL)
		return DXH_ENOMEM;
	status = list(listing);
	if (status == DXH_OK) {
		json_end_array(&listing->json);
		if (!json_finish(&listing->json))
			status = DXH_ENOMEM;
	}
	fclose(listing->json.out);
	listing->json.out = stdout;
	if (status == DXH_OK)
		fwrite(text, 1, bytes, stdout); /* main() says if it could not */
	free(text);
	return status;
}

static dxh_status show(struct listing *listing)
{
	bool as_json = listing->json.out != NULL;

	if (listing->figures)
		return ls_figures(listing->broker, listing->deadline_ns, as_json);
	if (listing->watch)
		return ls_watch(listing->broker, listing->deadline_ns, listing->events, as_json,
		                list_again, listing);
	return as_json ? list_for_programs(listing) : list(listing);
}

static int list_blocks(const struct listing *listing)
{
	bool is_file =
		listing->begin != NULL && (listing->begin[0] == '/' || listing->begin[0] == '.');
	struct block_arguments arguments = {.command = name,
	                                    .given = listing->begin,
	                                    .file = is_file ? listing->begin : NULL,
	                                    .directory = listing->directory,
	                                    .as_json = listing->json.out != NULL};

	return stat_list(&arguments) == TOOL_OK ? TOOL_OK : TOOL_FAILED;
}

/* Nobody who did not name a broker means one that is not there. What programs read is of one
 * kind, and what only a broker can tell is not told without. */
static int list_blocks_instead(const struct listing *listing)
{
	struct channel_asker asker = {.endpoint = listing->endpoint};

	if (listing->json.out != NULL || listing->watch || listing->figures || listing->consumers)
		return channel_unanswered(name, &asker, DXH_EEXPIRED);
	fprintf(stderr, "no broker answers at %s (dxh broker starts one): blocks of %s\n",
	        tool_shown(listing->endpoint).s,
	        tool_shown(block_directory(&(struct block_arguments){0})).s);
	return list_blocks(listing);
}

static int run(struct listing *listing)
{
	struct channel_asker asker;
	dxh_status status;
	int code = TOOL_OK;

	if (!channel_connect(name, listing->endpoint, &asker))
		return TOOL_FAILED;
	listing->broker = asker.peer;
	status = show(listing);
	if (status != DXH_OK && !listing->is_named && channel_is_away(status))
		code = list_blocks_instead(listing);
	else if (status != DXH_OK)
		code = channel_unanswered(name, &asker, status);
	else if (listing->opened && listing->json.out == NULL && listing->shown == 0)
		printf("the broker at %s knows no channel%s%s\n", listing->endpoint,
		       listing->begin != NULL ? " that begins with " : "",
		       listing->begin != NULL ? tool_shown(listing->begin).s : "");
	channel_disconnect(&asker);
	return code;
}

static bool check(struct listing *listing, int argc, char **argv)
{
	bool broker_only = listing->watch || listing->figures || listing->consumers;

	if (optind < argc)
		listing->begin = argv[optind];
	if (listing->begin != NULL && (listing->begin[0] == '/' || listing->begin[0] == '.'))
		listing->blocks = true;
	if (optind + 1 < argc)
		tool_usage(name, "one NAME at a time: what is \"%s\"?",
		           tool_shown(argv[optind + 1]).s);
	else if (listing->watch && listing->figures)
		tool_usage(name, "--watch and --figures are two different things");
	else if (listing->events > 0 && !listing->watch)
		tool_usage(name, "--events says how long to --watch");
	else if (listing->begin != NULL && (listing->watch || listing->figures))
		tool_usage(name, "--watch and --figures are of all channels, not of \"%s\"",
		           tool_shown(listing->begin).s);
	else if (listing->blocks && (listing->asks || broker_only))
		tool_usage(name, "blocks are listed without a broker: --dir and FILE go with "
		                 "--json alone");
	else
		return true;
	return false;
}

static int list_what_is_meant(struct listing *listing)
{
	if (listing->blocks)
		return list_blocks(listing);
	listing->deadline_ns = dxh_in_ms((int64_t)listing->timeout_ms);
	return run(listing);
}

int tool_ls(int argc, char **argv)
{
	static const struct option options[] = {
		{"broker", required_argument, NULL, 'b'},  {"dir", required_argument, NULL, 'd'},
		{"timeout", required_argument, NULL, 't'}, {"watch", no_argument, NULL, 'w'},
		{"events", required_argument, NULL, 'n'},  {"figures", no_argument, NULL, 'f'},
		{"consumers", no_argument, NULL, 'c'},     {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
	struct listing listing = {.timeout_ms = 2000};
	char endpoint[256];
	int option;

	if (!tool_broker_endpoint(endpoint, sizeof endpoint))
		return tool_usage(name, "DXH_BROKER is longer than %zu characters",
		                  sizeof endpoint - 1);
	listing.endpoint = endpoint;
	listing.is_named = channel_broker(NULL) != NULL;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			listing.endpoint = optarg;
			listing.is_named = listing.asks = true;
			break;
		case 'd':
			listing.directory = optarg;
			listing.blocks = true;
			break;
		case 't':
			if (!tool_number(name, "--timeout", optarg, 1, 60000, &listing.timeout_ms))
				return TOOL_USAGE;
			break;
		case 'w':
			listing.watch = true;
			break;
		case 'n':
			if (!tool_number(name, "--events", optarg, 1, UINT32_MAX, &listing.events))
				return TOOL_USAGE;
			break;
		case 'c':
			listing.consumers = true;
			break;
		case 'f':
			listing.figures = true;
			break;
		case 'j':
			listing.json.out = stdout;
			break;
		case 'h':
			return help();
		default:
			return tool_usage(name, "that cannot be understood");
		}
	}
	return check(&listing, argc, argv) ? list_what_is_meant(&listing) : TOOL_USAGE;
}
