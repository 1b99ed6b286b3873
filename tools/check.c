/* SPDX-License-Identifier: MIT */
/* `dxh check`: is a block as it should be, and are its items what was written? */
#include "block.h"
#include "finding.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

static int help(void)
{
	printf("usage: dxh check [--dir DIR] [--owner USER] [--key FILE] [--json] BLOCK | FILE\n\n"
	       "Look at a block from header to last item, also at a broken one; read only, "
	       "whether\n"
	       "its producer lives or not. Each finding says what it means and what to do.\n\n"
	       "  BLOCK         the name of a block\n"
	       "  FILE          a data file, for example a copy; begins with / or .\n"
	       "  --dir DIR     where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --owner USER  accept a block of this user, by name or number\n"
	       "  --key FILE    the 32 bytes of the key of keyed checksums\n"
	       "  --json        facts for programs\n\n"
	       "exit status: 0 in order (notes need no action), 1 warnings or errors were found,\n"
	       "             2 wrong usage, 3 it could not be looked at\n"
	       "example:     dxh check camera\n");
	return TOOL_OK;
}

static void show(const struct block_arguments *arguments, const dxh_report *report)
{
	bool in_order = report->errors + report->warnings == 0;
	uint64_t kept = report->finding_count;
	uint64_t found = (uint64_t)report->errors + report->warnings + report->notes;

	for (size_t i = 0; i < report->finding_count; i++)
		finding_show(&report->findings[i]);
	if (found > kept)
		printf("and %" PRIu64 " more\n", found - kept);
	printf("%s: %s%s%s", tool_shown(arguments->given).s,
	       tool_tone(in_order ? TOOL_GREEN : TOOL_RED), in_order ? "in order" : "not in order",
	       tool_tone(TOOL_PLAIN));
	if (report->readable)
		printf(", producer %s", block_liveness(report->block.producer));
	printf("; %u errors, %u warnings, %u notes\n", report->errors, report->warnings,
	       report->notes);
	if (report->items_verified + report->items_unverified > 0)
		printf("%" PRIu64 " items verified by checksum, %" PRIu64 " not%s\n",
		       report->items_verified, report->items_unverified,
		       report->items_unverified == 0 ? ""
		       : arguments->key == NULL      ? ": they have none, or it is keyed (--key)"
		                                     : ": they have none");
	if (findings_count(report, DXH_REPAIR_RECOVER) > 0)
		printf("next: `dxh recover %s` shows what it would repair, or start its producer\n",
		       tool_shown(arguments->given).s);
}

static void tell(const dxh_report *report)
{
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "name", report->block.name);
	json_bool(&json, "readable", report->readable != 0);
	json_text(&json, "producer", block_liveness(report->block.producer));
	json_number(&json, "items_verified", report->items_verified);
	json_number(&json, "items_unverified", report->items_unverified);
	json_number(&json, "recoveries", report->recoveries);
	json_integer(&json, "recovered_realtime_ns", report->recovered_ns);
	findings_tell(&json, report);
	json_end_object(&json);
	json_finish(&json);
}

int tool_check(int argc, char **argv)
{
	struct block_arguments arguments;
	dxh_report *report = NULL;
	dxh_status status;
	int code;

	if (!block_arguments(argc, argv, BLOCK_NAME | BLOCK_FILE | BLOCK_KEY, help, &arguments,
	                     &code))
		return code;
	status = dxh_block_check(arguments.name,
	                         &(dxh_inspect_config){
					 .directory = arguments.directory,
					 .file = arguments.file,
					 .owner_uid_plus1 = arguments.owner_uid_plus1,
					 .checksum_key = arguments.key,
				 },
	                         &report);
	if (status != DXH_OK)
		return block_unable(&arguments, status);
	if (arguments.as_json)
		tell(report);
	else
		show(&arguments, report);
	code = report->errors + report->warnings > 0 ? TOOL_FOUND : TOOL_OK;
	dxh_report_free(&report);
	return code;
}
