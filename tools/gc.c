/* SPDX-License-Identifier: MIT */
/* `dxh gc`: remove blocks that nobody uses, what half-made ones left, and the sockets of
 * channels whose producers were killed. */
#include "gc.h"

#include "block.h"
#include "json.h"
#include "text.h"

#include <dxh/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that was found. */
struct garbage {
	dxh_gc_report *blocks;
	struct gc_sockets sockets;
	const char *folder; /* of sockets; NULL: the default one */
	bool with_sockets;
};

static int help(void)
{
	printf("usage: dxh gc [--dir DIR] [--sockets FOLDER] [--keep-closed] [--apply] [--json]\n\n"
	       "Find blocks whose producer is gone and which nobody has open, files that half "
	       "made\n"
	       "or half removed blocks left, and sockets of channels that nobody listens to any\n"
	       "more. Without --apply nothing is removed and only told what would be: a block may\n"
	       "wait for a producer that is to come back.\n\n"
	       "  --dir DIR         where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --sockets FOLDER  where sockets of channels are; default: /tmp/dxh-UID, and "
	       "none\n"
	       "                    are looked at where another DIR is meant than /dev/shm\n"
	       "  --keep-closed     keep blocks that were closed in good order\n"
	       "  --apply           remove them\n"
	       "  --json            facts for programs\n\n"
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

static uint64_t removable(const struct garbage *found)
{
	return found->blocks->removable + found->sockets.count - found->sockets.removed;
}

static uint64_t removed(const struct garbage *found)
{
	return found->blocks->removed + found->sockets.removed;
}

static dxh_gc_verdict verdict_of(const struct gc_socket *socket)
{
	return socket->removed ? DXH_GC_REMOVED : DXH_GC_REMOVABLE;
}

static void show_one(dxh_gc_verdict verdict, const char *kind, const char *name, uint64_t bytes,
                     const char *reason)
{
	printf("%s%-9s%s %-8s %-24s %9s  %s\n",
	       tool_tone(verdict == DXH_GC_KEPT ? TOOL_PLAIN : TOOL_YELLOW), verdict_text(verdict),
	       tool_tone(TOOL_PLAIN), kind, tool_shown(name).s, tool_text_bytes((double)bytes).s,
	       tool_shown(reason).s);
}

static void show(const struct block_arguments *arguments, const struct garbage *found)
{
	const dxh_gc_report *report = found->blocks;

	for (size_t i = 0; i < report->entry_count; i++)
		show_one(report->entries[i].verdict, kind_text(report->entries[i].kind),
		         report->entries[i].name, report->entries[i].bytes,
		         report->entries[i].reason);
	for (size_t i = 0; i < found->sockets.count; i++)
		show_one(verdict_of(&found->sockets.list[i]), "socket", found->sockets.list[i].name,
		         0, found->sockets.list[i].reason);
	printf("%s: %u kept, %" PRIu64 " %s, %s\n", tool_shown(block_directory(arguments)).s,
	       report->kept, arguments->apply ? removed(found) : removable(found),
	       arguments->apply ? "removed" : "removable",
	       tool_text_bytes((double)report->bytes).s);
	if (removable(found) > 0 && !arguments->apply)
		printf("nothing was removed\nnext: dxh gc --apply%s removes them\n",
		       arguments->keep_closed ? " --keep-closed" : "");
}

static void tell_one(struct json *json, dxh_gc_verdict verdict, const char *kind, const char *name,
                     uint64_t bytes, const char *reason)
{
	json_object(json, NULL);
	json_text(json, "name", name);
	json_text(json, "kind", kind);
	json_text(json, "verdict", verdict_text(verdict));
	json_number(json, "bytes", bytes);
	json_text(json, "reason", reason);
	json_end_object(json);
}

static void tell(const struct block_arguments *arguments, const struct garbage *found)
{
	const dxh_gc_report *report = found->blocks;
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "directory", block_directory(arguments));
	json_bool(&json, "apply", arguments->apply);
	json_number(&json, "kept", report->kept);
	json_number(&json, "removable", removable(found));
	json_number(&json, "removed", removed(found));
	json_number(&json, "bytes", report->bytes);
	json_array(&json, "entries");
	for (size_t i = 0; i < report->entry_count; i++)
		tell_one(&json, report->entries[i].verdict, kind_text(report->entries[i].kind),
		         report->entries[i].name, report->entries[i].bytes,
		         report->entries[i].reason);
	for (size_t i = 0; i < found->sockets.count; i++)
		tell_one(&json, verdict_of(&found->sockets.list[i]), "socket",
		         found->sockets.list[i].name, 0, found->sockets.list[i].reason);
	json_end_array(&json);
	json_end_object(&json);
	json_finish(&json);
}

/* Who asks about blocks of a place of their own asks about nothing outside of it. */
static bool with_sockets(const struct block_arguments *arguments)
{
	return strcmp(block_directory(arguments), "/dev/shm") == 0;
}

static bool take(void *context, int letter, const char *value)
{
	struct garbage *found = context;

	(void)letter;
	found->folder = value;
	return found->with_sockets = true;
}

int tool_gc(int argc, char **argv)
{
	static const struct option options[] = {{"sockets", required_argument, NULL, 's'},
	                                        {NULL, 0, NULL, 0}};
	struct garbage found = {0};
	struct block_own own = {options, take, &found};
	struct block_arguments arguments;
	dxh_status status;
	int code;

	if (!block_arguments_and(argc, argv, BLOCK_APPLY | BLOCK_KEEP, help, &own, &arguments,
	                         &code))
		return code;
	found.with_sockets |= with_sockets(&arguments);
	if (found.with_sockets && !gc_sockets(found.folder, arguments.apply, &found.sockets)) {
		tool_fail("gc", "the folder of sockets%s%s: %s", found.folder != NULL ? " " : "",
		          found.folder != NULL ? tool_shown(found.folder).s : "",
		          errno == EPERM ? "it must be yours, and none but you may write there"
		                         : strerror(errno));
		return TOOL_UNABLE;
	}
	status = dxh_block_gc(&(dxh_gc_config){.directory = arguments.directory,
	                                       .apply = arguments.apply,
	                                       .keep_closed = arguments.keep_closed},
	                      &found.blocks);
	if (status == DXH_OK) {
		if (arguments.as_json)
			tell(&arguments, &found);
		else
			show(&arguments, &found);
		code = removable(&found) > 0 ? TOOL_FOUND : TOOL_OK;
	} else {
		code = block_unable(&arguments, status);
	}
	dxh_gc_report_free(&found.blocks);
	gc_sockets_free(&found.sockets);
	return code;
}
