/* SPDX-License-Identifier: MIT */
/* dxh_consume(): the broker tells where the block is, and which one it must be. */
#include "runtime/channel.h"

#include "base/status.h"
#include "runtime/channel_follow.h"
#include "shm/consumer.h"

#include <dxh/describe.h>

#include <string.h>

enum { DESCRIBE_MS = 1000 };

typedef struct attaching {
	dxh_peer *broker;
	const char *name;
	dxh_consumer_config config;
	int64_t deadline_ns;
	dxh_consumer *opened;
} attaching;

/* Is the block the one that the broker was told of? */
static dxh_status
compare(const char *name, const dxh_channel_info *told, const dxh_consumer *consumer)
{
	dxh_block_info found;
	dxh_status status = dxh_consumer_info(consumer, &found);

	if (status != DXH_OK)
		return status;
	if (memcmp(found.uuid, told->block_uuid, sizeof found.uuid) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "channel '%s': the block in %s is another one than the broker was "
		                "told of: its producer has not registered",
		                name, told->directory);
	if (memcmp(found.schema_hash, told->schema_hash, sizeof found.schema_hash) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "channel '%s': the block in %s has another schema than the broker "
		                "was told of",
		                name, told->directory);
	return DXH_OK;
}

static int waits(void *consumer)
{
	/* relaxed: a hint. */
	return atomic_load_explicit(&((dxh_consumer *)consumer)->follow->waits,
	                            memory_order_relaxed);
}

static void tell(void *consumer, const char *directory)
{
	dxi_follow_tell(((dxh_consumer *)consumer)->follow, directory);
}

static void close_follow(void *follow)
{
	dxi_channel_follow_close(follow);
}

/* A directory that the caller chose is not left for another. */
static dxh_status
follow(const attaching *wanted, const dxh_channel_info *told, dxh_consumer *consumer)
{
	dxi_channel_follow_config config = {.broker = wanted->broker,
	                                    .name = wanted->name,
	                                    .directory = told->directory,
	                                    .waits = waits,
	                                    .tell = tell,
	                                    .context = consumer};
	dxi_channel_follow *follow;
	dxh_status status;

	if (wanted->config.directory)
		return DXH_OK;
	status = dxi_channel_follow_open(&config, &follow);
	if (status == DXH_OK)
		dxi_consumer_attach_owner(consumer, close_follow, follow);
	return status;
}

/* Is it what is expected, as far as the broker knows? Before anything is attached, and for
 * blocks of other machines. What it does not tell is seen when the block is attached. */
static dxh_status check_told(const attaching *wanted)
{
	const dxh_consumer_config *config = &wanted->config;
	int64_t deadline_ns = dxh_in_ms(DESCRIBE_MS);
	dxh_channel_facts *facts = NULL;
	dxh_status status = DXH_OK;

	if (wanted->deadline_ns < deadline_ns)
		deadline_ns = wanted->deadline_ns;
	if (!config->zones && !config->slot.schema && config->slot.bytes == 0)
		return DXH_OK;
	if (dxh_describe(wanted->broker, wanted->name, deadline_ns, &facts) == DXH_OK &&
	    facts->channel.state == DXH_CHANNEL_FOUND)
		status = dxi_consumer_check_schema(config, facts->schema, facts->schema_bytes,
		                                   facts->channel.slot_bytes);
	dxh_channel_facts_free(&facts);
	return status;
}

/* The broker may be a moment behind: a block that is gone, or another one, is
 * asked for again. What else is wrong with the block stays wrong. */
static dxi_outcome attach(void *context, const dxh_channel_info *told, dxh_status *status)
{
	attaching *wanted = context;
	dxh_consumer_config config = wanted->config;
	dxh_consumer *opened;

	if (!config.directory)
		config.directory = told->directory;
	*status = check_told(wanted);
	if (*status != DXH_OK)
		return DXI_DECIDED;
	*status = dxh_consumer_open(wanted->name, &config, &opened);
	if (*status != DXH_OK)
		return *status == DXH_ENOTFOUND ? DXI_NOT_YET : DXI_DECIDED;
	*status = compare(wanted->name, told, opened);
	if (*status != DXH_OK) {
		dxh_consumer_close(&opened);
		return DXI_NOT_YET;
	}
	*status = follow(wanted, told, opened);
	if (*status == DXH_OK)
		*status = dxi_channel_join(wanted->broker, wanted->name, opened);
	if (*status == DXH_OK)
		wanted->opened = opened;
	else
		dxh_consumer_close(&opened);
	return DXI_DECIDED;
}

dxh_status dxh_consume_sized(size_t config_bytes, dxh_peer *broker, const char *name,
                             const dxh_consumer_config *given, int64_t deadline_ns,
                             dxh_consumer **consumer)
{
	attaching wanted = {.broker = broker, .name = name, .deadline_ns = deadline_ns};
	dxh_status status = dxi_channel_check_call(broker, name, consumer);

	if (status == DXH_OK)
		status = dxi_config_read(&wanted.config, sizeof wanted.config, given, config_bytes);
	wanted.config.follow_name = 1;
	if (status == DXH_OK)
		status = dxi_channel_search(broker, name, deadline_ns, attach, &wanted);
	if (status == DXH_OK)
		*consumer = wanted.opened;
	return status;
}
