/* SPDX-License-Identifier: MIT */
/* `dxh recover`: put in order what a crash left. */
#include "block.h"
#include "finding.h"
#include "text.h"

#include <stdio.h>

static int help(void)
{
	printf("usage: dxh recover [--dir DIR] [--owner USER] [--apply] [--json] BLOCK\n\n"
	       "Put in order what a crash left in a block whose producer is gone. The next "
	       "producer\n"
	       "does the same by itself; this is for blocks that wait for one. Without --apply\n"
	       "nothing is changed and only told what would be. Each repair is one step, which "
	       "may\n"
	       "be interrupted and made again, and is counted in the block.\n\n"
	       "  --dir DIR     where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --owner USER  accept a block of this user, by name or number\n"
	       "  --apply       do it\n"
	       "  --json        facts for programs\n\n"
	       "exit status: 0 nothing is left to repair, 1 something is, or is beyond repair,\n"
	       "             2 wrong usage, 3 it could not be done\n"
	       "example:     dxh recover camera, then: dxh recover --apply camera\n");
	return TOOL_OK;
}

static void show(const struct block_arguments *arguments, const dxh_report *report)
{
	size_t left = findings_count(report, DXH_REPAIR_RECOVER);
	size_t done = findings_count(report, DXH_REPAIR_DONE);
	const char *name = arguments->given;

	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].repair != DXH_REPAIR_NONE ||
		    report->findings[i].severity == DXH_ERROR)
			finding_show(&report->findings[i]);
	if (done > 0)
		printf("%s: %zu repaired\n", tool_shown(name).s, done);
	else if (left == 0 && report->errors == 0)
		printf("%s: nothing to repair\n", tool_shown(name).s);
	if (left > 0)
		printf("%s: %zu to repair; nothing was changed\n"
		       "next: dxh recover --apply %s, or start its producer\n",
		       tool_shown(name).s, left, tool_shown(name).s);
	if (report->errors > 0)
		printf("%s: %u errors that nobody can repair\n"
		       "next: copy the data file if it is worth it; dxh gc --apply removes the "
		       "block "
		       "once nobody has it open\n",
		       tool_shown(name).s, report->errors);
}

static void tell(const struct block_arguments *arguments, const dxh_report *report)
{
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "name", report->block.name);
	json_bool(&json, "readable", report->readable != 0);
	json_bool(&json, "apply", arguments->apply);
	json_number(&json, "repaired", findings_count(report, DXH_REPAIR_DONE));
	json_number(&json, "to_repair", findings_count(report, DXH_REPAIR_RECOVER));
	json_number(&json, "recoveries", report->recoveries);
	findings_tell(&json, report);
	json_end_object(&json);
	json_finish(&json);
}

int tool_recover(int argc, char **argv)
{
	struct block_arguments arguments;
	dxh_report *report = NULL;
	dxh_status status;
	int code;

	if (!block_arguments(argc, argv, BLOCK_NAME | BLOCK_APPLY, help, &arguments, &code))
		return code;
	status = dxh_block_recover(arguments.name,
	                           &(dxh_recover_config){
					   .directory = arguments.directory,
					   .apply = arguments.apply,
					   .owner_uid_plus1 = arguments.owner_uid_plus1,
				   },
	                           &report);
	if (status != DXH_OK)
		return block_unable(&arguments, status);
	if (arguments.as_json)
		tell(&arguments, report);
	else
		show(&arguments, report);
	code = report->errors > 0 || findings_count(report, DXH_REPAIR_RECOVER) > 0 ? TOOL_FOUND
	                                                                            : TOOL_OK;
	dxh_report_free(&report);
	return code;
}
