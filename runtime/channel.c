/* SPDX-License-Identifier: MIT */
/* The channel: where a block in shared memory and the broker's knowledge of it
 * meet. The only file of this room that sees shm.
 */
#include <dxh/channel.h>

#include "base/clock.h"
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/broker/registration.h"
#include "runtime/peer.h"
#include "shm/consumer.h"
#include "shm/producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Between two questions for a channel that is not there yet. */
enum { PAUSE_MIN_NS = 20 * DXI_NS_PER_MS, PAUSE_MAX_NS = 200 * DXI_NS_PER_MS };

static dxh_status check_call(dxh_peer *broker, const char *name, const void *room)
{
	if (!broker || !name || !room)
		return dxi_fail(DXH_EINVAL, "%s is NULL",
		                !broker ? "the broker's peer"
		                : !name ? "the name"
		                        : "the room for what is opened");
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for the broker");
	return dxi_hub_check_open(dxi_peer_hub(broker));
}

/* ---- producing ---- */

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
	dxh_status status = check_call(broker, name, producer);

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

/* ---- consuming ---- */

/* Looking for a channel until a deadline. */
typedef struct search {
	dxh_peer *broker;
	const char *name;
	dxh_consumer_config config;
	int64_t deadline_ns;
	dxh_status last; /* why it is not there yet; DXH_OK: nothing was answered */
	char why[256];
} search;

/* What a look came to. */
typedef enum outcome { DECIDED, NOT_YET } outcome;

/* Is the block the one that the broker was told of? */
static dxh_status
compare(const search *wanted, const dxh_channel_info *told, const dxh_consumer *consumer)
{
	dxh_block_info found;
	dxh_status status = dxh_consumer_info(consumer, &found);

	if (status != DXH_OK)
		return status;
	if (memcmp(found.uuid, told->block_uuid, sizeof found.uuid) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "channel '%s': the block in %s is another one than the broker was "
		                "told of: its producer has not registered",
		                wanted->name, told->directory);
	if (memcmp(found.schema_hash, told->schema_hash, sizeof found.schema_hash) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "channel '%s': the block in %s has another schema than the broker "
		                "was told of",
		                wanted->name, told->directory);
	return DXH_OK;
}

/* The broker may be a moment behind: a block that is gone, or another one, is
 * asked for again. What else is wrong with the block stays wrong. */
static outcome attach(const search *wanted, const dxh_channel_info *told, dxh_consumer **consumer,
                      dxh_status *status)
{
	dxh_consumer_config config = wanted->config;
	dxh_consumer *opened;

	if (!config.directory)
		config.directory = told->directory;
	*status = dxh_consumer_open(wanted->name, &config, &opened);
	if (*status != DXH_OK)
		return *status == DXH_ENOTFOUND ? NOT_YET : DECIDED;
	*status = compare(wanted, told, opened);
	if (*status != DXH_OK) {
		dxh_consumer_close(&opened);
		return NOT_YET;
	}
	*consumer = opened;
	return DECIDED;
}

/* Ask once, attach if it is there. */
static outcome look_once(const search *wanted, dxh_consumer **consumer, dxh_status *status)
{
	dxh_channel_info told;

	*status = dxh_discover(wanted->broker, wanted->name, wanted->deadline_ns, &told);
	switch (*status) {
	case DXH_OK:
		break;
	case DXH_ELOST:
	case DXH_ECLOSED: /* the broker restarts; our own hub is looked at by the caller */
	case DXH_EOVERLOADED:
	case DXH_EFULL:
		return NOT_YET;
	default:
		return DECIDED;
	}
	if (told.state == DXH_CHANNEL_FOUND)
		return attach(wanted, &told, consumer, status);
	if (told.state == DXH_CHANNEL_PENDING)
		*status =
			dxi_fail(DXH_EDEAD, "channel '%s' is known, its producer is not there: %s",
		                 wanted->name, told.reason);
	else
		*status = dxi_fail(DXH_ENOTFOUND, "the broker knows no channel '%s'", wanted->name);
	return NOT_YET;
}

static void pause_until(int64_t wake_ns)
{
	struct timespec wake = dxi_timespec(wake_ns);

	/* Woken early by a signal it only asks early. */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
}

static dxh_status find(search *wanted, dxh_consumer **consumer)
{
	int64_t pause_ns = PAUSE_MIN_NS, wake_ns;
	dxh_status status;

	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		if (look_once(wanted, consumer, &status) == DECIDED) {
			if (status != DXH_EEXPIRED || wanted->last == DXH_OK)
				return status;
			break; /* the answer to the question before says more */
		}
		wanted->last = status;
		snprintf(wanted->why, sizeof wanted->why, "%s", dxh_last_error());
		status = dxi_hub_check_open(dxi_peer_hub(wanted->broker));
		if (status != DXH_OK)
			return status;
		wake_ns = dxh_in_ns(pause_ns);
		if (wake_ns >= wanted->deadline_ns)
			break;
		pause_until(wake_ns);
		pause_ns = pause_ns * 2 < PAUSE_MAX_NS ? pause_ns * 2 : PAUSE_MAX_NS;
	}
	dxi_fail_as(wanted->why);
	return wanted->last;
}

dxh_status dxh_consume_sized(size_t config_bytes, dxh_peer *broker, const char *name,
                             const dxh_consumer_config *given, int64_t deadline_ns,
                             dxh_consumer **consumer)
{
	search wanted = {.broker = broker, .name = name, .deadline_ns = deadline_ns};
	dxh_status status = check_call(broker, name, consumer);

	if (status == DXH_OK)
		status = dxi_config_read(&wanted.config, sizeof wanted.config, given, config_bytes);
	return status == DXH_OK ? find(&wanted, consumer) : status;
}
