/* SPDX-License-Identifier: MIT */
/* dxh_produce(): a block, and the broker's knowledge of it. */
#include "runtime/channel.h"

#include "base/status.h"
#include "runtime/broker/registration.h"
#include "runtime/broker/zones.h"
#include "runtime/peer.h"
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

/* As the 32 hex digits of the boot id read. */
static void write_boot(const uint64_t id[2], unsigned char boot[16])
{
	for (int i = 0; i < 16; i++)
		boot[i] = (unsigned char)(id[i / 8] >> (56 - 8 * (i % 8)));
}

static void identify(const dxh_producer *producer, dxi_claim *claim)
{
	const struct dxi_layout_producer *self = &dxi_block_header(&producer->block)->producer;
	uint64_t boot[2];

	/* relaxed: this process wrote them. */
	claim->start = atomic_load_explicit(&self->start_ticks, memory_order_relaxed);
	boot[0] = atomic_load_explicit(&self->boot_id[0], memory_order_relaxed);
	boot[1] = atomic_load_explicit(&self->boot_id[1], memory_order_relaxed);
	write_boot(boot, claim->boot);
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
	identify(producer, claim);
	claim->schema = dxh_producer_schema(producer, &claim->schema_bytes);
	return dxi_zones_of_schema(claim->schema, claim->schema_bytes, claim->zones,
	                           &info->zone_count);
}

/* What a producer has besides its block. */
struct ties {
	dxh_producer *producer;
	_Atomic uint64_t steps; /* see dxh_channel_progress() */
	dxh_service *service;   /* NULL: none */
	dxi_registration *registration;
};

/* Moves while the work goes on: tickets published, and steps told. I/O thread. */
static uint64_t progress(const void *context)
{
	const struct ties *ties = context;

	/* relaxed: a number that changes, nothing is read because of it. */
	return atomic_load_explicit(&dxi_block_header(&ties->producer->block)->head,
	                            memory_order_relaxed) +
	       atomic_load_explicit(&ties->steps, memory_order_relaxed);
}

static void close_service(struct ties *ties)
{
	if (ties->service)
		(void)dxh_service_close(&ties->service);
}

/* First nobody is sent here any more, then nobody is let in. */
static void close_ties(void *context)
{
	struct ties *ties = context;

	dxi_registration_close(ties->registration);
	close_service(ties);
	free(ties);
}

static struct ties *ties_of(const dxh_producer *producer)
{
	return producer->closing == close_ties ? producer->closing_context : NULL;
}

static dxh_status
register_block(dxh_peer *broker, struct ties *ties, const dxi_claim *claim, int64_t deadline_ns)
{
	dxi_registration_config config = {
		.broker = broker, .claim = claim, .progress = progress, .context = ties};

	return dxi_registration_open(&config, deadline_ns, &ties->registration);
}

static dxh_status
serve(dxh_peer *broker, const dxh_channel_config *config, dxi_claim *claim, struct ties *ties)
{
	dxh_channel_info *info = &claim->info;
	dxh_status status;

	if (!config->serve)
		return DXH_OK;
	status = dxi_channel_serve(dxi_peer_hub(broker), config->endpoint, info->block_uuid,
	                           &ties->service);
	if (status != DXH_OK)
		return status;
	/* With the port that it got. */
	return copy_bounded(info->endpoint, sizeof info->endpoint, "the endpoint",
	                    dxh_service_endpoint(ties->service));
}

/* The block is open: serve, then tell the broker. */
static dxh_status tie(dxh_peer *broker, const dxh_channel_config *config, dxh_producer *producer,
                      dxi_claim *claim, int64_t deadline_ns)
{
	struct ties *made = calloc(1, sizeof *made);
	dxh_status status;

	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for channel '%s'", claim->info.name);
	made->producer = producer;
	status = serve(broker, config, claim, made);
	if (status == DXH_OK)
		status = register_block(broker, made, claim, deadline_ns);
	if (status == DXH_OK) {
		dxi_producer_attach_owner(producer, close_ties, made);
		return DXH_OK;
	}
	close_service(made);
	free(made);
	return status;
}

/* Refused: a block that was made for this goes with it. */
static void give_up(dxh_producer *opened, const dxi_claim *claim)
{
	char why[256];

	snprintf(why, sizeof why, "%s", dxh_last_error());
	if (claim->info.epoch == 0)
		opened->unlink_on_close = true;
	dxh_producer_close(&opened);
	dxi_fail_as(why);
}

dxh_status dxh_produce_sized(size_t config_bytes, dxh_peer *broker, const char *name,
                             const dxh_channel_config *given, int64_t deadline_ns,
                             dxh_producer **producer)
{
	dxh_channel_config config;
	dxi_claim claim = {.stall_ms = 0};
	dxh_producer *opened;
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
	claim.stall_ms = config.stall_ms;
	status = end_claim(opened, &claim);
	if (status == DXH_OK)
		status = tie(broker, &config, opened, &claim, deadline_ns);
	if (status == DXH_OK)
		*producer = opened;
	else
		give_up(opened, &claim);
	return status;
}

dxh_service *dxh_channel_service(const dxh_producer *producer)
{
	struct ties *ties = dxi_producer_check(producer) == DXH_OK ? ties_of(producer) : NULL;

	return ties ? ties->service : NULL;
}

dxh_status dxh_channel_progress(dxh_producer *producer)
{
	dxh_status status = dxi_producer_check(producer);
	struct ties *ties = status == DXH_OK ? ties_of(producer) : NULL;

	if (status != DXH_OK)
		return status;
	if (!ties)
		return dxi_fail(DXH_EINVAL,
		                "\"%s\" is no channel: it was not opened with "
		                "dxh_produce()",
		                producer->block.paths.name);
	/* relaxed: see progress(). */
	atomic_fetch_add_explicit(&ties->steps, 1, memory_order_relaxed);
	return DXH_OK;
}
