/* SPDX-License-Identifier: MIT */
/* `dxh cat`: what zones and slots of a block hold, member by member, without the header
 * file of its structs. */
#include "cat.h"
#include "block.h"
#include "text.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int help(void)
{
	printf("usage: dxh cat [--zones] [--zone NAME] [--last N] [--ticket T] [--elements N]\n"
	       "               [--broker ENDPOINT | --dir DIR] [--owner USER] [--key FILE] "
	       "[--json]\n"
	       "               CHANNEL | BLOCK | FILE\n\n"
	       "Print what a block holds by the members of its structs, which it describes "
	       "itself;\n"
	       "read only, whether its producer lives or not. A latch is one whole value, an item\n"
	       "is whole or not shown. Without a choice: all zones and the newest item.\n\n"
	       "  CHANNEL       a name that a broker knows: with --broker or $DXH_BROKER\n"
	       "  BLOCK         without these, or with --dir, the name of a block\n"
	       "  FILE          a data file, for example a copy; begins with / or .\n"
	       "  --zones       all zones\n"
	       "  --zone NAME   this zone\n"
	       "  --last N      the N newest items, the newest first\n"
	       "  --ticket T    the item of this ticket\n"
	       "  --elements N  of an array, and bytes of a text, at most (%d; %d with --json);\n"
	       "                1024 and sixteen times as many in all\n"
	       "  --broker ENDPOINT  ask this broker where it is\n"
	       "  --dir DIR     where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --owner USER  accept a block of this user, by name or number\n"
	       "  --key FILE    the 32 bytes of the key of keyed checksums\n"
	       "  --json        facts for programs\n\n"
	       "exit status: 0 shown, 1 shown but for zones or items that are broken or not at "
	       "hand,\n"
	       "             2 wrong usage, 3 it could not be read, or has no such zone or item\n"
	       "example:     dxh cat --zone telemetry camera\n",
	       CAT_SHOWN, CAT_TOLD);
	return TOOL_OK;
}

/* ---- the command line ---- */

static bool take(void *context, int letter, const char *value)
{
	struct cat *cat = context;
	uint64_t number;

	switch (letter) {
	case 'Z':
		cat->zones = true;
		return true;
	case 'z':
		cat->zone = value;
		return true;
	case 'l':
		return tool_number("cat", "--last", value, 1, 65536, &cat->last);
	case 't':
		cat->by_ticket = true;
		return tool_number("cat", "--ticket", value, 0, (UINT64_C(1) << 62) - 1,
		                   &cat->ticket);
	default:
		if (!tool_number("cat", "--elements", value, 1, 100000000, &number))
			return false;
		cat->elements = (uint32_t)number;
		return true;
	}
}

static const struct option own_options[] = {
	{"zones", no_argument, NULL, 'Z'},          {"zone", required_argument, NULL, 'z'},
	{"last", required_argument, NULL, 'l'},     {"ticket", required_argument, NULL, 't'},
	{"elements", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};

/* What was not chosen. */
static void complete(struct cat *cat, bool as_json)
{
	cat->as_json = as_json;
	if (!cat->zones && cat->zone == NULL && cat->last == 0 && !cat->by_ticket) {
		cat->zones = true;
		cat->last = 1;
	}
	if (cat->elements == 0)
		cat->elements = as_json ? CAT_TOLD : CAT_SHOWN;
}

/* ---- doing it ---- */

/* Who may write a file can truncate it under who has it mapped. */
static void on_bus_error(int signal)
{
	static const char said[] = "dxh cat: the file was truncated while it was read\n";

	(void)signal;
	if (write(STDERR_FILENO, said, sizeof said - 1) == -1)
		_exit(TOOL_UNABLE);
	_exit(TOOL_UNABLE);
}

static dxh_status open_block(const struct block_arguments *arguments, dxh_consumer **consumer)
{
	dxh_consumer_config config = {
		.directory = arguments->directory,
		.file = arguments->file,
		.owner_uid_plus1 = arguments->owner_uid_plus1,
		.checksum_key = arguments->key,
		.start = DXH_START_NEXT,
	};

	return dxh_consumer_open(arguments->name, &config, consumer);
}

static int fail(const struct block_arguments *arguments, const struct cat *cat, dxh_status status)
{
	dxh_block_info block = {0};

	if (status == DXH_EZONE || status == DXH_ESTATE) {
		tool_fail("cat", "%s", tool_shown(dxh_last_error()).s);
		return TOOL_UNABLE;
	}
	if (status != DXH_EEMPTY)
		return block_unable(arguments, status);
	if (dxh_consumer_info(cat->consumer, &block) != DXH_OK)
		return TOOL_UNABLE;
	if (cat->ticket >= block.head)
		tool_fail("cat",
		          "there is no item with ticket %" PRIu64 ": it was not published yet, the "
		          "next one is %" PRIu64,
		          cat->ticket, block.head);
	else
		tool_fail("cat",
		          "there is no item with ticket %" PRIu64 ": it was aborted, or is not one "
		          "of the %" PRIu32 " kept below %" PRIu64,
		          cat->ticket, block.slot_count, block.head);
	return TOOL_UNABLE;
}

int tool_cat(int argc, char **argv)
{
	struct cat cat = {0};
	struct block_own own = {own_options, take, &cat};
	struct block_arguments arguments;
	dxh_status status;
	int code;

	if (!block_arguments_and(argc, argv, BLOCK_NAME | BLOCK_FILE | BLOCK_KEY | BLOCK_CHANNEL,
	                         help, &own, &arguments, &code))
		return code;
	complete(&cat, arguments.as_json);
	signal(SIGBUS, on_bus_error);
	status = open_block(&arguments, &cat.consumer);
	if (status != DXH_OK)
		return block_unable(&arguments, status);
	status = cat_block(&cat);
	if (status == DXH_OK)
		code = cat.missing > 0 ? TOOL_FOUND : TOOL_OK;
	else
		code = fail(&arguments, &cat, status);
	dxh_consumer_close(&cat.consumer);
	return code;
}
