/* SPDX-License-Identifier: MIT */
/* `dxh size`: how many bytes a block will take, before it is made. */
#include "block.h"
#include "json.h"
#include "text.h"

#include <dxh/inspect.h>
#include <dxh/zone.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command[] = "size";

struct plan {
	const char *name;
	const char *like; /* a block whose zones and slot are taken; NULL: none */
	bool as_json;
	bool slot_given, slots_given;
	uint32_t zone_count;
	char like_name[DXH_BLOCK_NAME_MAX + 1];
	char zone_names[DXH_ZONES_MAX][DXH_SCHEMA_NAME_MAX + 2];
	dxh_block_config config;
};

static int help(void)
{
	printf("usage: dxh size [--zone ZONE]... [--slot BYTES --slots N | --policy POLICY]\n"
	       "                [--readers N] [--zones-writable] [--memfd] [--name NAME] [--json]\n"
	       "       dxh size --like BLOCK [--slots N] [--readers N] ... [--json]\n\n"
	       "Tell how many bytes a block will take, exactly, without making it.\n\n"
	       "  --zone ZONE       NAME:BYTES, NAME:BYTES:latch for a latch; either may end in\n"
	       "                    :xxh3, :crc32c or :blake2b for a digest. At most 16\n"
	       "  --slot BYTES      capacity of a slot\n"
	       "  --slots N         how many items are kept: 1, 2, or 4 to 65536\n"
	       "  --policy POLICY   single or double: the same as --slots 1 or 2\n"
	       "  --readers N       rows for lossless readers, up to 64\n"
	       "  --zones-writable  consumers may write the zones, which lie in a file of their "
	       "own\n"
	       "  --memfd           a block without a name\n"
	       "  --name NAME       what it will be called; that counts, too. Default: block\n"
	       "  --like BLOCK      zones and slot of this block, with the structs that they "
	       "hold,\n"
	       "                    and all else of it that is not given here\n"
	       "  --json            facts for programs\n\n"
	       "BYTES may end in K, M or G (1024, 1024 K, 1024 M). Zones and slots are raw bytes\n"
	       "here; the description of a struct takes room, too, see --like and\n"
	       "dxh_block_size().\n\n"
	       "exit status: 0 told, 2 wrong usage or no such block can be made, 3 the block of\n"
	       "             --like cannot be read\n"
	       "example:     dxh size --zone telemetry:256 --zone metadata:1K:latch --slot 4M "
	       "--slots 8\n");
	return TOOL_OK;
}

/* ---- the command line ---- */

/* "4096", "4K"; what stands behind it is left in *rest. */
static bool read_bytes(const char *text, size_t *bytes, const char **rest)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned long long value;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	value = strtoull(text, &end, 10);
	unit = *end != '\0' ? strchr(units, *end) : NULL;
	*rest = unit != NULL ? end + 1 : end;
	if (value > SIZE_MAX >> 30)
		return false;
	*bytes = (size_t)value << (unit != NULL ? 10 * (unit - units + 1) : 0);
	return true;
}

/* ":latch", ":xxh3", both, or nothing. */
static bool read_kind(const char *text, dxh_zone_spec *zone)
{
	static const char *const digests[] = {[DXH_CHECKSUM_XXH3] = ":xxh3",
	                                      [DXH_CHECKSUM_CRC32C] = ":crc32c",
	                                      [DXH_CHECKSUM_BLAKE2B] = ":blake2b"};

	if (strncmp(text, ":latch", 6) == 0) {
		zone->latch = 1;
		text += 6;
	}
	for (uint32_t kind = DXH_CHECKSUM_XXH3; kind <= DXH_CHECKSUM_BLAKE2B; kind++)
		if (strcmp(text, digests[kind]) == 0) {
			zone->digest = kind;
			return true;
		}
	return *text == '\0';
}

static bool take_zone(struct plan *plan, const char *text)
{
	dxh_zone_spec *zone = &plan->config.zones[plan->zone_count];
	const char *colon = strchr(text, ':'), *rest;

	if (plan->zone_count == DXH_ZONES_MAX) {
		tool_usage(command, "a block has at most %d zones", DXH_ZONES_MAX);
		return false;
	}
	if (colon == NULL || !read_bytes(colon + 1, &zone->bytes, &rest) ||
	    !read_kind(rest, zone)) {
		tool_usage(command, "--zone takes NAME:BYTES[:latch][:DIGEST], not \"%s\"",
		           tool_shown(text).s);
		return false;
	}
	snprintf(plan->zone_names[plan->zone_count], sizeof plan->zone_names[0], "%.*s",
	         (int)(colon - text), text);
	zone->name = plan->zone_names[plan->zone_count++];
	return true;
}

static bool take_slot(struct plan *plan, const char *text)
{
	const char *rest;

	plan->slot_given = true;
	if (read_bytes(text, &plan->config.slot.bytes, &rest) && *rest == '\0')
		return true;
	tool_usage(command, "--slot takes a number of bytes, not \"%s\"", tool_shown(text).s);
	return false;
}

static bool take_count(const char *option, const char *text, uint64_t most, uint32_t *count)
{
	uint64_t number;

	if (!tool_number(command, option, text, 0, most, &number))
		return false;
	*count = (uint32_t)number;
	return true;
}

static bool take_policy(struct plan *plan, const char *text)
{
	plan->slots_given = true;
	if (strcmp(text, "single") == 0)
		plan->config.slot_count = 1;
	else if (strcmp(text, "double") == 0)
		plan->config.slot_count = 2;
	else
		tool_usage(command,
		           "--policy takes single or double; a ring is --slots 4 and more");
	return plan->config.slot_count > 0;
}

static bool take_option(struct plan *plan, int letter, int *code)
{
	*code = TOOL_USAGE;
	switch (letter) {
	case 'z':
		return take_zone(plan, optarg);
	case 's':
		return take_slot(plan, optarg);
	case 'n':
		plan->slots_given = true;
		return take_count("--slots", optarg, 65536, &plan->config.slot_count);
	case 'p':
		return take_policy(plan, optarg);
	case 'r':
		return take_count("--readers", optarg, DXH_READERS_MAX, &plan->config.readers_max);
	case 'w':
		plan->config.zones_writable = 1;
		return true;
	case 'm':
		plan->config.memfd = 1;
		return true;
	case 'N':
		plan->name = optarg;
		return true;
	case 'l':
		plan->like = optarg;
		return true;
	case 'j':
		return plan->as_json = true;
	case 'h':
		*code = help();
		return false;
	default:
		tool_usage(command, "that cannot be understood");
		return false;
	}
}

static bool take_arguments(int argc, char **argv, struct plan *plan, int *code)
{
	static const struct option options[] = {{"zone", required_argument, NULL, 'z'},
	                                        {"slot", required_argument, NULL, 's'},
	                                        {"slots", required_argument, NULL, 'n'},
	                                        {"policy", required_argument, NULL, 'p'},
	                                        {"readers", required_argument, NULL, 'r'},
	                                        {"zones-writable", no_argument, NULL, 'w'},
	                                        {"memfd", no_argument, NULL, 'm'},
	                                        {"name", required_argument, NULL, 'N'},
	                                        {"like", required_argument, NULL, 'l'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {NULL, 0, NULL, 0}};
	int letter;

	while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1)
		if (!take_option(plan, letter, code))
			return false;
	*code = TOOL_USAGE;
	if (optind < argc)
		tool_usage(command, "what is \"%s\"?", tool_shown(argv[optind]).s);
	else if (plan->like != NULL && (plan->zone_count > 0 || plan->slot_given))
		tool_usage(command, "--like takes zones and slot from the block: leave --zone and "
		                    "--slot out");
	else
		return true;
	return false;
}

/* ---- like another block ---- */

static void copy_tables(const dxh_consumer *consumer, struct plan *plan)
{
	dxh_block_config *config = &plan->config;
	dxh_zone_entry entry;

	for (uint32_t i = 0; i < DXH_ZONES_MAX; i++) {
		if (dxh_consumer_zone_entry(consumer, i, &entry) != DXH_OK)
			break;
		config->zones[i] = (dxh_zone_spec){.name = entry.name,
		                                   .schema = entry.schema,
		                                   .bytes = entry.bytes,
		                                   .align = entry.align,
		                                   .latch = entry.kind == DXH_ZONE_IS_LATCH,
		                                   .digest = entry.digest};
	}
	if (dxh_consumer_slot_entry(consumer, &entry) == DXH_OK)
		config->slot = (dxh_slot_spec){.schema = entry.schema, .bytes = entry.bytes};
}

static void copy_facts(const dxh_facts *facts, struct plan *plan)
{
	dxh_block_config *config = &plan->config;

	if (!plan->slots_given)
		config->slot_count = facts->block.slot_count;
	if (config->readers_max == 0)
		config->readers_max = facts->readers_max;
	if (facts->zones_writable)
		config->zones_writable = 1;
}

/* Texts and structs are the consumer's: the caller closes it when the size is told. */
static dxh_status copy_block(struct plan *plan, dxh_consumer **consumer)
{
	bool is_file = plan->like[0] == '/' || plan->like[0] == '.';
	const char *name = is_file ? NULL : plan->like, *file = is_file ? plan->like : NULL;
	dxh_facts *facts = NULL;
	dxh_status status;

	status = dxh_consumer_open(name, &(dxh_consumer_config){.file = file}, consumer);
	if (status != DXH_OK)
		return status;
	status = dxh_block_facts(name, &(dxh_inspect_config){.file = file}, &facts);
	if (status != DXH_OK)
		return status;
	copy_tables(*consumer, plan);
	copy_facts(facts, plan);
	memcpy(plan->like_name, facts->block.name, sizeof plan->like_name);
	if (plan->name == NULL)
		plan->name = plan->like_name;
	dxh_facts_free(&facts);
	return DXH_OK;
}

/* ---- telling ---- */

static void tell(const struct plan *plan, const dxh_block_sizes *sizes)
{
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "name", plan->name);
	json_number(&json, "total_bytes", sizes->total_bytes);
	json_number(&json, "data_bytes", sizes->data_bytes);
	json_number(&json, "control_bytes", sizes->control_bytes);
	json_number(&json, "zones_bytes", sizes->zones_bytes);
	json_number(&json, "lock_bytes", sizes->lock_bytes);
	json_number(&json, "schema_bytes", sizes->schema_bytes);
	json_number(&json, "slots_offset", sizes->slots_offset);
	json_number(&json, "slot_stride_bytes", sizes->slot_stride_bytes);
	json_number(&json, "slots_in_all", sizes->slots_in_all);
	json_end_object(&json);
	json_finish(&json);
}

static void show_line(const char *what, uint64_t bytes, const char *remark)
{
	if (bytes > 0)
		printf("%16s  %-10s %10s%s%s\n", tool_text_plain(bytes).s, what,
		       tool_text_bytes((double)bytes).s, remark[0] != '\0' ? "  " : "", remark);
}

static void show(const struct plan *plan, const dxh_block_sizes *sizes)
{
	uint64_t front = sizes->slots_offset > 0 ? sizes->slots_offset : sizes->data_bytes;
	char slots[96], described[64];

	snprintf(described, sizeof described, "%" PRIu64 " of them the schema",
	         sizes->schema_bytes);
	snprintf(slots, sizeof slots, "%" PRIu32 " of %" PRIu64 ", two more than are kept",
	         sizes->slots_in_all, sizes->slot_stride_bytes);
	show_line("in front", front, described);
	show_line("slots", sizes->slots_in_all * sizes->slot_stride_bytes, slots);
	show_line("data", sizes->data_bytes, "NAME.dxh, both of these");
	show_line("zones", sizes->zones_bytes, "NAME.zones");
	show_line("readers", sizes->control_bytes, "NAME.ctl");
	show_line("lock", sizes->lock_bytes, "NAME.lock");
	printf("%s", tool_tone(TOOL_BOLD));
	show_line("in all", sizes->total_bytes, plan->name);
	printf("%s", tool_tone(TOOL_PLAIN));
}

int tool_size(int argc, char **argv)
{
	static struct plan plan;
	struct block_arguments like = {.command = command};
	dxh_consumer *consumer = NULL;
	dxh_block_sizes sizes;
	dxh_status status = DXH_OK;
	int code;

	plan = (struct plan){0};
	if (!take_arguments(argc, argv, &plan, &code))
		return code;
	if (plan.like != NULL)
		status = copy_block(&plan, &consumer);
	if (status == DXH_OK && plan.name == NULL)
		plan.name = "block";
	if (status != DXH_OK) {
		like.given = like.name = plan.like;
		code = block_unable(&like, status);
	} else if (dxh_block_size(plan.name, &plan.config, &sizes) != DXH_OK) {
		code = tool_usage(command, "%s", tool_shown(dxh_last_error()).s);
	} else {
		if (plan.as_json)
			tell(&plan, &sizes);
		else
			show(&plan, &sizes);
		code = TOOL_OK;
	}
	if (consumer != NULL)
		dxh_consumer_close(&consumer);
	return code;
}
