/* SPDX-License-Identifier: MIT */
/* `dxh tail`: items as they are published, a line each, by the members of their struct. */
#include "json.h"
#include "source.h"
#include "text.h"
#include "tool.h"
#include "value.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char name[] = "tail";

enum {
	READ_WAIT_NS = 100000000, /* a look at the signals at the latest */
	ELEMENTS_SHOWN = 4,       /* of an array in a line for people */
	BYTES_SHOWN = 32,
	ELEMENTS_TOLD = 65536
};

struct tail {
	struct source source;
	dxh_consumer *consumer;
	dxh_zone_entry slot;
	dxh_block_info block;
	unsigned char *copy;
	uint64_t last, items_max;
	int64_t every_ns; /* between two items that are shown; 0: all of them */
	int64_t shown_ns;
	bool as_json, until_closed;
	uint64_t items;
	dxh_status told; /* of the producer, until an item comes */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int unused)
{
	(void)unused;
	interrupted = 1;
}

static int help(void)
{
	printf("usage: dxh tail [--broker ENDPOINT | --dir DIR] [--last N] [--items N]\n"
	       "                [--every S] [--until-closed] [--json] NAME | FILE\n\n"
	       "Show what the producer of a channel or a block publishes, a line an item, by the\n"
	       "members of the struct that the block describes. Only reads; what it misses is "
	       "told.\n"
	       "Follows a successor, and a block that is made anew.\n\n"
	       "  FILE               a data file, for example a copy; begins with / or . and is\n"
	       "                     not followed: its newest items, and that is all\n"
	       "  --broker ENDPOINT  NAME is a channel of this broker; without it, and without\n"
	       "                     $DXH_BROKER or with --dir, a block\n"
	       "                     (one that is not there yet is waited for, five seconds)\n"
	       "  --dir DIR          where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --last N           begin with the N newest items; default 1\n"
	       "  --items N          end after so many\n"
	       "  --every S          show one item in S seconds, the newest then\n"
	       "  --until-closed     end when the producer has closed or died\n"
	       "  --json             a line of JSON an item, whole; and a line for each loss\n\n"
	       "exit status: 0 shown, 1 it could not be, 2 wrong usage\n"
	       "example:     dxh tail --every 0.5 camera/front\n");
	return TOOL_OK;
}

/* ---- what was asked for ---- */

static bool take_option(struct tail *tail, int letter)
{
	char *end;
	double seconds;

	switch (letter) {
	case 'b':
		tail->source.broker = optarg;
		return true;
	case 'd':
		tail->source.directory = optarg;
		return true;
	case 'l':
		return tool_number(name, "--last", optarg, 0, 65536, &tail->last);
	case 'n':
		return tool_number(name, "--items", optarg, 1, UINT64_MAX / 4, &tail->items_max);
	case 'e':
		seconds = strtod(optarg, &end);
		if (end == optarg || *end != '\0' || !(seconds >= 0.001) || seconds > 1e6) {
			tool_usage(name, "--every takes seconds, from 0.001 on, not \"%s\"",
			           tool_shown(optarg).s);
			return false;
		}
		tail->every_ns = (int64_t)(seconds * 1e9);
		return true;
	case 'c':
		return tail->until_closed = true;
	case 'j':
		return tail->as_json = true;
	default:
		tool_usage(name, "that cannot be understood");
		return false;
	}
}

/* ---- items ---- */

/* The time of day of an item, or how long after boot. */
static void show_time(const struct tail *tail, int64_t published_ns)
{
	int64_t realtime_ns = tool_realtime_ns(published_ns, tail->block.clock_offset_ns);
	time_t seconds = realtime_ns / 1000000000;
	struct tm local;
	char text[16];

	if (published_ns == 0) {
		putchar('-');
		return;
	}
	if (realtime_ns == 0 || localtime_r(&seconds, &local) == NULL) {
		printf("%" PRId64 ".%06" PRId64 " s", published_ns / 1000000000,
		       published_ns % 1000000000 / 1000);
		return;
	}
	strftime(text, sizeof text, "%H:%M:%S", &local);
	printf("%s.%06" PRId64, text, realtime_ns % 1000000000 / 1000);
}

static void show_number(dxh_type type, const unsigned char *at)
{
	struct value_number number = value_number_at(type, at);

	switch (number.class) {
	case VALUE_UNSIGNED:
		printf("%" PRIu64, number.whole);
		break;
	case VALUE_SIGNED:
		printf("%" PRId64, number.integer);
		break;
	case VALUE_REAL:
		printf("%.6g", number.real);
		break;
	case VALUE_BOOL:
		fputs(number.whole != 0 ? "true" : "false", stdout);
		break;
	}
}

static void show_hex(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count && i < BYTES_SHOWN; i++)
		printf("%02x", bytes[i]);
	if (count > BYTES_SHOWN)
		fputs("...", stdout);
}

static void show_array(const dxh_field *field, const unsigned char *at)
{
	size_t bytes = dxh_type_bytes(field->type);

	fputc('[', stdout);
	for (uint32_t i = 0; i < field->count && i < ELEMENTS_SHOWN; i++) {
		fputs(i > 0 ? "," : "", stdout);
		show_number(field->type, at + i * bytes);
	}
	fputs(field->count > ELEMENTS_SHOWN ? ",...]" : "]", stdout);
}

static void show_text(const unsigned char *at, size_t bytes)
{
	char text[256];

	snprintf(text, sizeof text, "%.*s", (int)(bytes < 255 ? bytes : 255), (const char *)at);
	printf("\"%s\"", tool_shown(text).s);
}

struct line {
	const unsigned char *bytes;
	size_t count;
};

static dxh_status
show_member(void *context, const char *path, const dxh_field *field, size_t offset)
{
	const struct line *line = context;
	const unsigned char *at = line->bytes + offset;

	if (offset > line->count || line->count - offset < field->bytes)
		return DXH_EEMPTY; /* the item ends before it */
	printf("  %s=", tool_shown(path).s);
	if (field->type == DXH_TYPE_BYTES)
		show_hex(at, field->bytes);
	else if (field->type == DXH_TYPE_TEXT)
		show_text(at, field->bytes);
	else if (field->count > 1)
		show_array(field, at);
	else
		show_number(field->type, at);
	return DXH_OK;
}

static void show_item(const struct tail *tail, const dxh_item *item)
{
	struct line line = {tail->copy, item->bytes};

	printf("%s%" PRIu64 "%s  ", tool_tone(TOOL_BOLD), item->ticket, tool_tone(TOOL_PLAIN));
	show_time(tail, item->timestamp_ns);
	if (tail->slot.schema != NULL) {
		(void)dxh_schema_walk(tail->slot.schema, show_member, &line);
	} else {
		printf("  %zu bytes  ", item->bytes);
		show_hex(tail->copy, item->bytes);
	}
	putchar('\n');
}

static void tell_item(const struct tail *tail, const dxh_item *item)
{
	struct json json = {.out = stdout, .one_line = true};
	struct value value = {tail->slot.schema, tail->copy, item->bytes, item->bytes};
	struct value_limits limits = {.elements = ELEMENTS_TOLD, .left = 16 * ELEMENTS_TOLD};
	int64_t realtime_ns = tool_realtime_ns(item->timestamp_ns, tail->block.clock_offset_ns);

	json_object(&json, NULL);
	json_number(&json, "ticket", item->ticket);
	json_integer(&json, "published_ns", item->timestamp_ns);
	if (realtime_ns != 0)
		json_integer(&json, "realtime_ns", realtime_ns);
	json_number(&json, "epoch", item->epoch);
	value_tell(&json, "item", &value, &limits);
	json_end_object(&json);
	json_finish(&json);
}

/* A loss, or what became of the producer. */
static void say(const struct tail *tail, const char *event, const dxh_item *item)
{
	struct json json = {.out = stdout, .one_line = true};

	if (!tail->as_json) {
		printf("%s-- %s", tool_tone(TOOL_YELLOW), event);
		if (item != NULL)
			printf(": %" PRIu64 " items, tickets %" PRIu64 "..%" PRIu64, item->lost,
			       item->lost_first, item->lost_last);
		printf("%s\n", tool_tone(TOOL_PLAIN));
		return;
	}
	json_object(&json, NULL);
	json_text(&json, "event", event);
	if (item != NULL) {
		json_number(&json, "lost", item->lost);
		json_number(&json, "lost_first", item->lost_first);
		json_number(&json, "lost_last", item->lost_last);
	}
	json_end_object(&json);
	json_finish(&json);
}

/* ---- following ---- */

/* The block as it is attached now. */
static bool look(struct tail *tail)
{
	unsigned char *copy;

	if (dxh_consumer_info(tail->consumer, &tail->block) != DXH_OK ||
	    dxh_consumer_slot_entry(tail->consumer, &tail->slot) != DXH_OK) {
		tool_fail(name, "%s", tool_shown(dxh_last_error()).s);
		return false;
	}
	copy = realloc(tail->copy, tail->block.slot_bytes + 1);
	if (copy == NULL) {
		tool_fail(name, "no memory for an item of %" PRIu64 " bytes",
		          tail->block.slot_bytes);
		return false;
	}
	tail->copy = copy;
	return true;
}

static bool begin(struct tail *tail)
{
	uint64_t first;

	if (!source_open(&tail->source, name, DXH_START_NEXT, 0, &tail->consumer) || !look(tail))
		return false;
	/* A live one would go on and on. */
	if (tail->source.file != NULL && (tail->items_max == 0 || tail->items_max > tail->last))
		tail->items_max = tail->last > 0 ? tail->last : 1;
	first = tail->block.head > tail->last ? tail->block.head - tail->last : 0;
	return tail->last == 0 ||
	       dxh_consumer_seek(tail->consumer,
	                         tail->last >= tail->block.slot_count ? DXH_START_OLDEST
	                                                              : DXH_START_TICKET,
	                         tail->last >= tail->block.slot_count ? 0 : first) == DXH_OK;
}

static void pause_ns(int64_t ns)
{
	struct timespec pause = {ns / 1000000000, ns % 1000000000};

	nanosleep(&pause, NULL);
}

/* Once, until an item comes again. */
static bool say_fate(struct tail *tail, dxh_status fate)
{
	if (tail->source.file != NULL)
		return false; /* it does not tell */
	if (tail->told != fate)
		say(tail,
		    fate == DXH_EDEAD     ? "the producer died"
		    : fate == DXH_ECLOSED ? "the producer closed"
		                          : "the block was unlinked",
		    NULL);
	tail->told = fate;
	return !tail->until_closed;
}

static bool take_item(struct tail *tail, const dxh_item *item)
{
	int64_t now_ns = dxh_now_ns();

	tail->told = DXH_OK;
	if (tail->every_ns > 0 && now_ns - tail->shown_ns < tail->every_ns) {
		/* Then on with the newest, which makes no loss. */
		int64_t rest_ns = tail->shown_ns + tail->every_ns - now_ns;

		pause_ns(rest_ns < READ_WAIT_NS ? rest_ns : READ_WAIT_NS);
		return dxh_consumer_seek(tail->consumer, DXH_START_NEWEST, 0) == DXH_OK;
	}
	tail->shown_ns = now_ns;
	if (tail->block.clock_offset_ns == 0)
		(void)dxh_consumer_info(tail->consumer, &tail->block);
	if (tail->as_json)
		tell_item(tail, item);
	else
		show_item(tail, item);
	tail->items++;
	return tail->items_max == 0 || tail->items < tail->items_max;
}

static bool follow(struct tail *tail, int *code)
{
	dxh_item item = {0};

	switch (dxh_read_next(tail->consumer, tail->copy, tail->block.slot_bytes,
	                      dxh_in_ns(READ_WAIT_NS), &item)) {
	case DXH_OK:
		return take_item(tail, &item);
	case DXH_ELAPPED:
		say(tail, "lost", &item);
		return true;
	case DXH_ECORRUPT:
		say(tail, "broken", &item);
		return true;
	case DXH_EWAIT:
		return tail->source.file == NULL;
	case DXH_EDEAD:
		return say_fate(tail, DXH_EDEAD);
	case DXH_ECLOSED:
		return say_fate(tail, DXH_ECLOSED);
	case DXH_EUNLINKED:
		return say_fate(tail, DXH_EUNLINKED);
	case DXH_EMOVED:
		tail->told = DXH_OK;
		say(tail, "the block was made anew", NULL);
		return look(tail);
	default:
		*code = tool_fail(name, "%s", tool_shown(dxh_last_error()).s);
		return false;
	}
}

static int run(struct tail *tail)
{
	int code = TOOL_OK;

	if (!begin(tail))
		return TOOL_FAILED;
	while (!interrupted && follow(tail, &code))
		if (fflush(stdout) == EOF)
			return errno == EPIPE
			               ? TOOL_OK
			               : tool_fail(name, "standard output: %s", strerror(errno));
	return code;
}

int tool_tail(int argc, char **argv)
{
	static const struct option options[] = {{"broker", required_argument, NULL, 'b'},
	                                        {"dir", required_argument, NULL, 'd'},
	                                        {"last", required_argument, NULL, 'l'},
	                                        {"items", required_argument, NULL, 'n'},
	                                        {"every", required_argument, NULL, 'e'},
	                                        {"until-closed", no_argument, NULL, 'c'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	struct tail tail = {.last = 1};
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return help();
		if (!take_option(&tail, option))
			return TOOL_USAGE;
	}
	if (optind + 1 != argc)
		return tool_usage(name, optind == argc ? "follow what?" : "one NAME at a time");
	if (!source_choose(&tail.source, name, argv[optind], true))
		return TOOL_USAGE;
	tool_when_ended(interrupt);
	code = run(&tail);
	if (tail.consumer)
		dxh_consumer_close(&tail.consumer);
	source_close(&tail.source);
	free(tail.copy);
	return code;
}
