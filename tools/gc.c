/* SPDX-License-Identifier: MIT */
/* `dxh gc`: remove blocks that nobody uses, and what half-made ones left. */
#include "block.h"
#include "json.h"
#include "text.h"

#include <dxh/inspect.h>

#include <stdio.h>

static int help(void)
{
	printf("usage: dxh gc [--dir DIR] [--keep-closed] [--apply] [--json]\n\n"
	       "Find blocks whose producer is gone and which nobody has open, and files that half\n"
	       "made or half removed blocks left. Without --apply nothing is removed and only "
	       "told\n"
	       "what would be: a block may wait for a producer that is to come back.\n\n"
	       "  --dir DIR      where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --keep-closed  keep blocks that were closed in good order\n"
	       "  --apply        remove them\n"
	       "  --json         facts for programs\n\n"
	       "exit status: 0 nothing is left to remove, 1 something is, 2 wrong usage,\n"
	       "             3 it could not be done\n"
	       "example:     dxh gc, then: dxh gc --apply\n");
	return TOOL_OK;
}

static const char *kind_text(dxh_garbage kind)
{
	switch (kind) {
	case DXH_GARBAGE_BLOCK:
		return "block";
	case DXH_GARBAGE_LEFTOVER:
		return "leftover";
	case DXH_GARBAGE_NOT_OURS:
		break;
	}
	return "foreign";
}

static const char *verdict_text(dxh_gc_verdict verdict)
{
	switch (verdict) {
	case DXH_GC_REMOVABLE:
		return "removable";
	case DXH_GC_REMOVED:
		return "removed";
	case DXH_GC_KEPT:
		break;
	}
	return "kept";
}

static void show(const struct block_arguments *arguments, const dxh_gc_report *report)
{
	for (size_t i = 0; i < report->entry_count; i++) {
		const dxh_gc_entry *entry = &report->entries[i];

		printf("%s%-9s%s %-8s %-24s %9s  %s\n",
		       tool_tone(entry->verdict == DXH_GC_KEPT ? TOOL_PLAIN : TOOL_YELLOW),
		       verdict_text(entry->verdict), tool_tone(TOOL_PLAIN), kind_text(entry->kind),
		       tool_shown(entry->name).s, tool_text_bytes((double)entry->bytes).s,
		       tool_shown(entry->reason).s);
	}
	printf("%s: %u kept, %u %s, %s\n", tool_shown(block_directory(arguments)).s, report->kept,
	       arguments->apply ? report->removed : report->removable,
	       arguments->apply ? "removed" : "removable",
	       tool_text_bytes((double)report->bytes).s);
	if (report->removable > 0)
		printf("nothing was removed\nnext: dxh gc --apply%s removes them\n",
		       arguments->keep_closed ? " --keep-closed" : "");
}

static void tell(const struct block_arguments *arguments, const dxh_gc_report *report)
{
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "directory", block_directory(arguments));
	json_bool(&json, "apply", arguments->apply);
	json_number(&json, "kept", report->kept);
	json_number(&json, "removable", report->removable);
	json_number(&json, "removed", report->removed);
	json_number(&json, "bytes", report->bytes);
	json_array(&json, "entries");
	for (size_t i = 0; i < report->entry_count; i++) {
		const dxh_gc_entry *entry = &report->entries[i];

		json_object(&json, NULL);
		json_text(&json, "name", entry->name);
		json_text(&json, "kind", kind_text(entry->kind));
		json_text(&json, "verdict", verdict_text(entry->verdict));
		json_number(&json, "bytes", entry->bytes);
		json_text(&json, "reason", entry->reason);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
	json_finish(&json);
}

int tool_gc(int argc, char **argv)
{
	struct block_arguments arguments;
	dxh_gc_report *report = NULL;
	dxh_status status;
	int code;

	if (!block_arguments(argc, argv, BLOCK_APPLY | BLOCK_KEEP, help, &arguments, &code))
		return code;
	status = dxh_block_gc(&(dxh_gc_config){.directory = arguments.directory,
	                                       .apply = arguments.apply,
	                                       .keep_closed = arguments.keep_closed},
	                      &report);
	if (status != DXH_OK)
		return block_unable(&arguments, status);
	if (arguments.as_json)
		tell(&arguments, report);
	else
		show(&arguments, report);
	code = report->removable > 0 ? TOOL_FOUND : TOOL_OK;
	dxh_gc_report_free(&report);
	return code;
}
