/* SPDX-License-Identifier: MIT */
/* `dxh stat`: what a block is, who produces and who reads it, what was counted. */
#include "stat.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int help(void)
{
	printf("usage: dxh stat [--broker ENDPOINT | --dir DIR] [--owner USER] [--json]\n"
	       "                [CHANNEL | BLOCK | FILE]\n\n"
	       "Tell what a block is, who produces and who reads it, and what was counted; of a\n"
	       "channel also what its broker knows: its state, and consumers with their losses.\n"
	       "Read only, whether its producer lives or not. Without BLOCK: all blocks of the\n"
	       "directory, one line each.\n\n"
	       "  CHANNEL       a name that a broker knows: with --broker or $DXH_BROKER\n"
	       "  BLOCK         without these, or with --dir, the name of a block\n"
	       "  FILE          a data file, for example a copy; begins with / or .\n"
	       "  --broker ENDPOINT  ask this broker where it is, and who consumes it\n"
	       "  --dir DIR     where blocks are; default: $DXH_SHM_DIR, else /dev/shm\n"
	       "  --owner USER  accept a block of this user, by name or number\n"
	       "  --json        facts for programs; times in ns\n\n"
	       "exit status: 0 told, 2 wrong usage, 3 it could not be looked at\n"
	       "example:     dxh stat camera\n");
	return TOOL_OK;
}

unsigned stat_followers(const struct stat_facts *facts, const struct user *user)
{
	const dxh_facts *block = facts->block;
	const dxh_channel_facts *channel = facts->channel;
	unsigned known = 0;

	for (size_t i = 0; i < block->reader_count; i++)
		known += block->readers[i].state != DXH_READER_DEAD &&
		         block->readers[i].reader.pid == user->pid;
	/* Those that are lossless have a row. */
	for (size_t i = 0; channel && i < channel->consumer_count; i++)
		known += channel->consumers[i].discipline != DXH_LOSSLESS &&
		         channel->consumers[i].pid == user->pid;
	return user->reading > known ? user->reading - known : 0;
}

int64_t stat_age_ns(const dxh_facts *facts, int64_t published_ns)
{
	int64_t now_ns = dxh_now_ns();

	return facts->same_boot && published_ns > 0 && published_ns < now_ns ? now_ns - published_ns
	                                                                     : 0;
}

int64_t stat_realtime_ns(const dxh_facts *facts, int64_t published_ns)
{
	return tool_realtime_ns(published_ns, facts->block.clock_offset_ns);
}

int64_t stat_producer_started_ns(const dxh_facts *facts)
{
	struct timespec booted, now;

	if (!facts->same_boot || facts->producer_started_ns == 0)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &booted);
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - booted.tv_sec) * 1000000000 + now.tv_nsec - booted.tv_nsec +
	       facts->producer_started_ns;
}

/* ---- words ---- */

const char *stat_policy(dxh_policy policy)
{
	switch (policy) {
	case DXH_POLICY_RING:
		return "ring";
	case DXH_POLICY_SINGLE:
		return "single";
	case DXH_POLICY_DOUBLE:
		return "double";
	case DXH_POLICY_NO_SLOTS:
		break;
	}
	return "none";
}

const char *stat_checksum(const dxh_facts *facts)
{
	switch (facts->checksum) {
	case DXH_CHECKSUM_XXH3:
		return "xxh3";
	case DXH_CHECKSUM_CRC32C:
		return "crc32c";
	case DXH_CHECKSUM_BLAKE2B:
		return facts->checksum_keyed ? "blake2b keyed" : "blake2b";
	case DXH_CHECKSUM_NONE:
		break;
	}
	return "none";
}

const char *stat_reader_state(dxh_reader_state state)
{
	switch (state) {
	case DXH_READER_ACTIVE:
		return "active";
	case DXH_READER_LAGGING:
		return "lagging";
	case DXH_READER_EVICTED:
		return "evicted";
	case DXH_READER_DEAD:
		break;
	}
	return "dead";
}

const char *stat_zone_kind(const dxh_zone_info *zone)
{
	return zone->latch ? "latch" : zone->shared ? "shared" : "plain";
}

/* ---- */

int tool_stat(int argc, char **argv)
{
	struct block_arguments arguments;
	struct stat_facts facts = {0};
	dxh_status status;
	int code;

	if (!block_arguments(argc, argv, BLOCK_NAME | BLOCK_FILE | BLOCK_LIST | BLOCK_CHANNEL, help,
	                     &arguments, &code))
		return code;
	if (arguments.given == NULL)
		return stat_list(&arguments);
	status = dxh_block_facts(arguments.name,
	                         &(dxh_inspect_config){
					 .directory = arguments.directory,
					 .file = arguments.file,
					 .owner_uid_plus1 = arguments.owner_uid_plus1,
				 },
	                         &facts.block);
	if (status != DXH_OK)
		return block_unable(&arguments, status);
	/* A broker that says no more than where the block is hides nothing else of it. */
	if (arguments.broker != NULL && arguments.name != NULL)
		facts.channel = channel_describe("stat", arguments.broker, arguments.name);
	users_find(facts.block->path, &facts.users);
	if (arguments.as_json)
		stat_tell(&facts);
	else
		stat_show(&facts);
	users_free(&facts.users);
	dxh_channel_facts_free(&facts.channel);
	dxh_facts_free(&facts.block);
	return TOOL_OK;
}
