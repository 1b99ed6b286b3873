/* SPDX-License-Identifier: MIT */
/* `dxh stat` without a block: which there are. */
#include "stat.h"

#include "json.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = ".dxh";

struct listing {
	const struct block_arguments *arguments;
	struct json json;
	size_t shown;
};

static int is_data_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > strlen(suffix) && length <= DXH_BLOCK_NAME_MAX + strlen(suffix) &&
	       strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
}

/* '+' stands for '/' in names of files, and in no name of a block. */
static void name_of(const char *file, char name[DXH_BLOCK_NAME_MAX + 1])
{
	snprintf(name, DXH_BLOCK_NAME_MAX + 1, "%.*s", (int)(strlen(file) - strlen(suffix)), file);
	for (char *at = name; *at != '\0'; at++)
		if (*at == '+')
			*at = '/';
}

static void tell_one(struct json *json, const char *name, const dxh_facts *facts)
{
	json_object(json, NULL);
	json_text(json, "name", name);
	if (facts == NULL) {
		json_text(json, "error", dxh_last_error());
	} else {
		json_text(json, "producer", block_liveness(facts->block.producer));
		json_integer(json, "pid", facts->block.producer_pid);
		json_number(json, "epoch", facts->block.epoch);
		json_number(json, "bytes", facts->block.block_bytes);
		json_number(json, "zone_count", facts->block.zone_count);
		json_number(json, "slot_count", facts->block.slot_count);
		json_number(json, "slot_bytes", facts->block.slot_bytes);
		json_number(json, "head", facts->block.head);
		json_integer(json, "newest_age_ns", stat_age_ns(facts, facts->newest_ns));
		json_number(json, "readers", facts->reader_count);
	}
	json_end_object(json);
}

static void show_one(const char *name, const dxh_facts *facts, bool first)
{
	int64_t age_ns;

	if (first)
		printf("%-24s %-8s %8s %6s %9s %6s %11s %8s  %s\n", "BLOCK", "PRODUCER", "PID",
		       "EPOCH", "SIZE", "ZONES", "HEAD", "READERS", "NEWEST");
	if (facts == NULL) {
		printf("%-24s %s%s%s\n", tool_shown(name).s, tool_tone(TOOL_RED),
		       tool_shown(dxh_last_error()).s, tool_tone(TOOL_PLAIN));
		return;
	}
	age_ns = stat_age_ns(facts, facts->newest_ns);
	printf("%-24s %-8s %8lld %6llu %9s %6u %11llu %8zu  %s%s\n", tool_shown(name).s,
	       block_liveness(facts->block.producer), (long long)facts->block.producer_pid,
	       (unsigned long long)facts->block.epoch,
	       tool_text_bytes((double)facts->block.block_bytes).s, facts->block.zone_count,
	       (unsigned long long)facts->block.head, facts->reader_count,
	       age_ns > 0 ? tool_text_duration(age_ns).s : "-", age_ns > 0 ? " ago" : "");
}

static dxh_status look_at(struct listing *listing, const char *name)
{
	const struct block_arguments *arguments = listing->arguments;
	dxh_facts *facts = NULL;
	dxh_status status = dxh_block_facts(arguments->file ? NULL : name,
	                                    &(dxh_inspect_config){
						    .directory = arguments->directory,
						    .file = arguments->file,
						    .owner_uid_plus1 = arguments->owner_uid_plus1,
					    },
	                                    &facts);

	/* Of a list it went meanwhile; one that was asked for has to be there, and to be one. */
	if (status == DXH_ENOTFOUND || (status != DXH_OK && arguments->file != NULL))
		return status;
	if (arguments->as_json && listing->shown == 0)
		json_array(&listing->json, NULL);
	if (arguments->as_json)
		tell_one(&listing->json, name, facts);
	else
		show_one(name, facts, listing->shown == 0);
	listing->shown++;
	dxh_facts_free(&facts);
	return status;
}

static bool list_directory(struct listing *listing)
{
	const char *directory = block_directory(listing->arguments);
	const char *begin = listing->arguments->given;
	char name[DXH_BLOCK_NAME_MAX + 1];
	struct dirent **files = NULL;
	int count = scandir(directory, &files, is_data_file, alphasort);

	if (count == -1) {
		tool_fail(listing->arguments->command, "%s: %s", tool_shown(directory).s,
		          strerror(errno));
		return false;
	}
	for (int i = 0; i < count; i++) {
		name_of(files[i]->d_name, name);
		if (begin == NULL || strncmp(name, begin, strlen(begin)) == 0)
			(void)look_at(listing, name); /* its line says what is wrong */
		free(files[i]);
	}
	free(files);
	return true;
}

int stat_list(const struct block_arguments *arguments)
{
	struct listing listing = {.arguments = arguments, .json = {.out = stdout}};
	dxh_status status = DXH_OK;

	if (arguments->file != NULL)
		status = look_at(&listing, arguments->file);
	else if (!list_directory(&listing))
		return TOOL_UNABLE;
	if (status != DXH_OK)
		return block_unable(arguments, status);
	if (arguments->as_json) {
		if (listing.shown == 0)
			json_array(&listing.json, NULL);
		json_end_array(&listing.json);
		json_finish(&listing.json);
	} else if (listing.shown == 0) {
		printf("no block in %s%s%s\n", tool_shown(block_directory(arguments)).s,
		       arguments->given != NULL ? " begins with " : "",
		       arguments->given != NULL ? tool_shown(arguments->given).s : "");
	}
	return TOOL_OK;
}
