/* SPDX-License-Identifier: MIT */
/* dxh_produce(): a block, and the broker's knowledge of it. */
#include "runtime/channel.h"

#include "base/status.h"
#include "runtime/broker/registration.h"
#include "shm/producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static dxh_status copy_bounded(char *copy, size_t capacity, const char *what, const char *text)
{
	if (strlen(text) >= capacity)
		return dxi_fail(DXH_EINVAL, "%s \"%.60s...\" is longer than %zu bytes", what, text,
		                capacity - 1);
	strcpy(copy, text);
	return DXH_OK;
}

/* The directory as others can find it. One that does not exist is for
 * dxh_producer_open() to refuse. */
static dxh_status resolve_directory(const char *given, const char *name, dxh_channel_info *info)
{
	dxi_paths paths;
	char *resolved;
	dxh_status status = dxi_paths_of(given, name, &paths);

	if (status != DXH_OK)
		return status;
	resolved = realpath(paths.directory, NULL);
	if (!resolved)
		return errno == ENOENT ? DXH_OK
		                       : dxi_fail_errno(errno, "the directory %s", paths.directory);
	status = copy_bounded(info->directory, sizeof info->directory, "the directory", resolved);
	free(resolved);
	return status;
}

/* What can be said about the channel before its block is open. */
static dxh_status
begin_claim(const char *name, const dxh_channel_config *config, dxh_channel_info *info)
{
	dxh_status status;

	if (config->block.memfd)
		return dxi_fail(DXH_EINVAL,
		                "a channel's block is opened by its name: memfd must be zero");
	status = resolve_directory(config->block.directory, name, info);
	if (status == DXH_OK)
		status = copy_bounded(info->name, sizeof info->name, "the name", name);
	if (status == DXH_OK && config->endpoint)
		status = copy_bounded(info->endpoint, sizeof info->endpoint, "the endpoint",
		                      config->endpoint);
	if (status == DXH_OK && getrandom(&info->producer_uid, sizeof info->producer_uid, 0) == -1)
		status = dxi_fail_errno(errno, "the system gives no random numbers");
	return status;
}

static dxh_status end_claim(const dxh_producer *producer, dxi_claim *claim)
{
	dxh_block_info block;
	dxh_channel_info *info = &claim->info;
	dxh_status status = dxh_producer_info(producer, &block);

	if (status != DXH_OK)
		return status;
	memcpy(info->schema_hash, block.schema_hash, sizeof info->schema_hash);
	memcpy(info->block_uuid, block.uuid, sizeof info->block_uuid);
	info->producer_pid = block.producer_pid;
	info->epoch = block.epoch;
	info->slot_bytes = block.slot_bytes;
	info->slot_count = block.slot_count;
	info->zone_count = block.zone_count;
	claim->schema = dxh_producer_schema(producer, &claim->schema_bytes);
	return DXH_OK;
}

/* Tickets published: moves while the work goes on. I/O thread. */
static uint64_t progress(const void *context)
{
	const dxh_producer *producer = context;

	/* relaxed: a number that changes, nothing is read because of it. */
	return atomic_load_explicit(&dxi_block_header(&producer->block)->head,
	                            memory_order_relaxed);
}

static void close_registration(void *registration)
{
	dxi_registration_close(registration);
}

static dxh_status register_block(dxh_peer *broker, dxh_producer *producer, const dxi_claim *claim,
                                 int64_t deadline_ns)
{
	dxi_registration_config config = {
		.broker = broker, .claim = claim, .progress = progress, .context = producer};
	dxi_registration *registration;
	dxh_status status = dxi_registration_open(&config, deadline_ns, &registration);

	if (status == DXH_OK)
		dxi_producer_attach_owner(producer, close_registration, registration);
	/* Refused: a block that was made for this goes with it. */
	else if (claim->info.epoch == 0)
		producer->unlink_on_close = true;
	return status;
}

dxh_status dxh_produce_sized(size_t config_bytes, dxh_peer *broker, const char *name,
                             const dxh_channel_config *given, int64_t deadline_ns,
                             dxh_producer **producer)
{
	dxh_channel_config config;
	dxi_claim claim = {.stall_ms = 0};
	dxh_producer *opened;
	char why[256];
	dxh_status status = dxi_channel_check_call(broker, name, producer);

	if (status == DXH_OK && !given)
		status = dxi_fail(DXH_EINVAL, "config is NULL: it says what the block holds");
	if (status == DXH_OK)
		status = dxi_config_read(&config, sizeof config, given, config_bytes);
	if (status == DXH_OK)
		status = begin_claim(name, &config, &claim.info);
	if (status == DXH_OK)
		status = dxh_producer_open(name, &config.block, &opened);
	if (status != DXH_OK)
		return status;
	status = end_claim(opened, &claim);
	if (status == DXH_OK)
		status = register_block(broker, opened, &claim, deadline_ns);
	if (status == DXH_OK) {
		*producer = opened;
		return DXH_OK;
	}
	snprintf(why, sizeof why, "%s", dxh_last_error());
	dxh_producer_close(&opened);
	dxi_fail_as(why);
	return status;
}
