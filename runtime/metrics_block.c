/* SPDX-License-Identifier: MIT */
/* The counters of a hub lie in zones of a block instead of in the hub: so what others see
 * is what is counted, nothing has to be copied for them, and what a killed hub had counted
 * is still there. Knows blocks as every program does, by include/dxh/block.h.
 */
#include "runtime/metrics_block.h"

#include "base/clock.h"
#include "base/status.h"
#include "runtime/wire.h"

#include <dxh/metrics.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TELL_NS = 100 * DXI_NS_PER_MS, READ_TRIES_MAX = 8 };

/* ---- the zones --------------------------------------------------------------------- */

/* Zone "hub", a latch: whose metrics these are. */
struct hub_identity {
	char name[DXH_METRICS_NAME_BYTES];
	char version[DXH_METRICS_VERSION_BYTES];
	int64_t pid;
	int64_t opened_ns;
};
DXH_SCHEMA(hub_identity, DXH_FIELD(name, "of the hub"), DXH_FIELD(version, "of its library"),
           DXH_FIELD(pid, "of its process"),
           DXH_FIELD(opened_ns, "time of day; 0: being opened just now", "ns"));

/* Zone "latency": dxh_stage by name. */
struct latency {
	struct dxi_histogram queue, lane, service, wake;
};
DXH_SCHEMA(dxi_histogram, DXH_FIELD(count, "timed requests, when last told"),
           DXH_FIELD(p50_ns, "of these", "ns"), DXH_FIELD(p90_ns, "of these", "ns"),
           DXH_FIELD(p99_ns, "of these", "ns"), DXH_FIELD(p999_ns, "of these", "ns"),
           DXH_FIELD(max_ns, "of all", "ns"),
           DXH_FIELD(buckets, "of all: eight steps a power of two"));
DXH_SCHEMA(latency, DXH_NESTED(queue, dxi_histogram, "until the I/O thread has taken it"),
           DXH_NESTED(lane, dxi_histogram, "then until it is handed to the network"),
           DXH_NESTED(service, dxi_histogram, "then until its answer is here"),
           DXH_NESTED(wake, dxi_histogram, "then until its waiter is woken"));
static_assert(sizeof(struct latency) == DXI_STAGES * sizeof(dxi_histogram), "an array of stages");

/* Zone "counters" is a dxi_metrics, described by the lists that it is made of. */
#define NAME(counter) #counter,
static const char *const request_names[] = {DXI_REQUEST_COUNTERS(NAME)};
static const char *const notification_names[] = {DXI_NOTIFICATION_COUNTERS(NAME)};
static const char *const service_names[] = {DXI_SERVICE_COUNTERS(NAME)};
static const char *const note_names[] = {DXI_NOTE_COUNTERS(NAME)};
static const char *const network_names[] = {DXI_NETWORK_COUNTERS(NAME)};
static const char *const thread_names[] = {DXI_THREAD_COUNTERS(NAME)};
static const char *const pool_names[] = {"slots_now", "slots_bytes"};
static const char *const shared_names[] = {DXI_SHARED_COUNTERS(NAME)};
#undef NAME

#define GROUP(name, names, first, doc)                                                             \
	{                                                                                          \
		name, doc, names, sizeof names / sizeof *names, offsetof(dxi_metrics, first)       \
	}
static const struct group {
	const char *name, *doc;
	const char *const *counters;
	uint32_t count;
	uint32_t offset_bytes;
} groups[] = {
	GROUP("requests", request_names, posted, "posted = done + .. + flushed + open_now"),
	GROUP("notifications", notification_names, notifications_posted, "posted and received"),
	GROUP("services", service_names, requests_received, "requests received and their answers"),
	GROUP("notes", note_names, notes_published, "of subscriptions"),
	GROUP("network", network_names, frames_sent, "frames, records, connections"),
	GROUP("thread", thread_names, wakeups, "the I/O thread"),
	GROUP("completions", pool_names, slots_now, "not released, when last told"),
	GROUP("shared", shared_names, doorbells, "counted by user threads"),
};
#undef GROUP
enum { GROUPS = sizeof groups / sizeof *groups };

/* Room for a schema of which each member points into another one. */
typedef struct description {
	dxh_field counters[GROUPS][DXH_FIELDS_MAX];
	dxh_schema schemas[GROUPS];
	dxh_field fields[GROUPS];
	dxh_schema whole;
} description;

static void describe_group(const struct group *group, dxh_field *fields, dxh_schema *schema)
{
	const uint32_t bytes = sizeof(uint64_t);

	for (uint32_t i = 0; i < group->count; i++)
		fields[i] = (dxh_field){.name = group->counters[i],
		                        .offset_bytes = i * bytes,
		                        .count = 1,
		                        .bytes = bytes,
		                        .type = DXH_TYPE_U64,
		                        .atomic = 1};
	*schema = (dxh_schema){group->name, group->count * bytes, bytes, fields, group->count};
}

static const dxh_schema *describe_counters(description *room)
{
	for (uint32_t i = 0; i < GROUPS; i++) {
		describe_group(&groups[i], room->counters[i], &room->schemas[i]);
		room->fields[i] = (dxh_field){.name = groups[i].name,
		                              .doc = groups[i].doc,
		                              .offset_bytes = groups[i].offset_bytes,
		                              .count = 1,
		                              .bytes = room->schemas[i].bytes,
		                              .type = DXH_TYPE_STRUCT,
		                              .nested = &room->schemas[i]};
	}
	room->whole = (dxh_schema){"counters", sizeof(dxi_metrics), alignof(dxi_metrics),
	                           room->fields, GROUPS};
	return &room->whole;
}

/* ---- the hub's side ------------------------------------------------------------------ */

/* What a hub of another version has left: no other block has these zones and no slots. */
static bool is_metrics_block(const char *name)
{
	dxh_block_info info;
	dxh_consumer *consumer;
	const void *zone;
	bool is_one;

	if (dxh_consumer_open(name, NULL, &consumer) != DXH_OK)
		return false;
	is_one = dxh_consumer_info(consumer, &info) == DXH_OK && info.zone_count == 3 &&
	         info.slot_count == 0 &&
	         dxh_consumer_zone(consumer, "hub", NULL, 0, &zone) == DXH_ESTATE &&
	         dxh_consumer_zone(consumer, "counters", NULL, 0, &zone) == DXH_ESIZE &&
	         dxh_consumer_zone(consumer, "latency", NULL, 0, &zone) == DXH_ESIZE;
	dxh_consumer_close(&consumer);
	return is_one;
}

static dxh_status open_block(const char *name, dxh_producer **block)
{
	description room;
	const dxh_block_config config = {
		.zones = {DXH_LATCH(hub_identity),
	                  {"counters", describe_counters(&room), sizeof(dxi_metrics),
	                   alignof(dxi_metrics), 0, 0},
	                  DXH_ZONE(latency)},
		.unlink_on_close = 1};
	dxh_block_config named = config;
	dxh_status status;
	char why[256];

	named.zones[0].name = "hub";
	status = dxh_producer_open(name, &named, block);
	if (status != DXH_ESCHEMA && status != DXH_ESIZE)
		return status;
	snprintf(why, sizeof why, "%s", dxh_last_error());
	if (is_metrics_block(name) && dxh_block_unlink(NULL, name) == DXH_OK)
		return dxh_producer_open(name, &named, block);
	dxi_fail_as(why);
	return status;
}

static int64_t time_of_day_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * DXI_NS_PER_S + now.tv_nsec;
}

static dxh_status tell_identity(dxh_hub *hub, int64_t opened_ns)
{
	struct hub_identity *identity;
	void *room;
	dxh_status status = dxh_latch_begin(hub->metrics_block, "hub", sizeof *identity, &room);

	if (status != DXH_OK)
		return status;
	identity = room;
	memset(identity, 0, sizeof *identity);
	snprintf(identity->name, sizeof identity->name, "%s", hub->name);
	snprintf(identity->version, sizeof identity->version, "%s", dxh_version());
	identity->pid = getpid();
	identity->opened_ns = opened_ns;
	return dxh_latch_commit(hub->metrics_block, "hub");
}

/* Readers of the hub before may look at it right now. */
static void set_to_zero(void *zone, size_t bytes)
{
	_Atomic uint64_t *words = zone;

	for (size_t i = 0; i < bytes / sizeof *words; i++)
		dxi_count_set(&words[i], 0);
}

dxh_status dxi_metrics_block_open(dxh_hub *hub, const char *name)
{
	void *counters, *latency;
	dxh_status status = open_block(name, &hub->metrics_block);

	if (status == DXH_OK)
		status = dxh_producer_zone(hub->metrics_block, "counters", NULL,
		                           sizeof(dxi_metrics), &counters);
	if (status == DXH_OK)
		status = dxh_producer_zone(hub->metrics_block, "latency", NULL,
		                           sizeof(struct latency), &latency);
	if (status == DXH_OK)
		status = tell_identity(hub, 0);
	if (status != DXH_OK)
		return status;
	/* Pairs with the acquire fence in copy_whole(). */
	atomic_thread_fence(memory_order_release);
	set_to_zero(counters, sizeof(dxi_metrics));
	set_to_zero(latency, sizeof(struct latency));
	hub->metrics = counters;
	hub->latency = latency;
	return tell_identity(hub, time_of_day_ns());
}

void dxi_metrics_block_close(dxh_hub *hub)
{
	if (!hub->metrics_block)
		return;
	hub->metrics = &hub->own_metrics;
	hub->latency = hub->own_latency;
	dxh_producer_close(&hub->metrics_block);
}

static void tell_slots(dxh_hub *hub)
{
	dxi_count_set(&hub->metrics->slots_now, dxi_pool_out(hub->pool));
	dxi_count_set(&hub->metrics->slots_bytes,
	              dxi_pool_bytes(hub->pool) + DXI_MESSAGE_BYTES_MAX);
}

void dxi_metrics_block_tell(dxh_hub *hub)
{
	if (hub->now_ns - hub->told_ns < TELL_NS)
		return;
	hub->told_ns = hub->now_ns;
	tell_slots(hub);
	if (!hub->latency_untold)
		return;
	hub->latency_untold = false;
	for (int stage = 0; stage < DXI_STAGES; stage++)
		dxi_histogram_tell(&hub->latency[stage]);
}

void dxi_metrics_block_tell_before_sleep(dxh_hub *hub)
{
	tell_slots(hub);
}

/* ---- the reader's side --------------------------------------------------------------- */

typedef struct view {
	dxh_consumer *consumer;
	const dxi_metrics *counters;
	const dxi_histogram *latency;
} view;

static dxh_status look(dxh_consumer *consumer, view *zones)
{
	description room;
	const void *counters, *latency;
	dxh_status status = dxh_consumer_zone(consumer, "counters", describe_counters(&room),
	                                      sizeof(dxi_metrics), &counters);

	if (status == DXH_OK)
		status = dxh_consumer_zone(consumer, "latency", DXH_SCHEMA_OF(latency),
		                           sizeof(struct latency), &latency);
	if (status == DXH_OK)
		*zones = (view){consumer, counters, latency};
	return status;
}

static void copy(const view *zones, const struct hub_identity *hub, dxh_metrics *metrics)
{
	memcpy(metrics->hub, hub->name, sizeof metrics->hub);
	memcpy(metrics->version, hub->version, sizeof metrics->version);
	metrics->hub[sizeof metrics->hub - 1] = metrics->version[sizeof metrics->version - 1] = 0;
	metrics->pid = hub->pid;
	metrics->opened_ns = hub->opened_ns;
	for (int stage = 0; stage < DXI_STAGES; stage++)
		metrics->latency[stage] = dxi_histogram_read(&zones->latency[stage]);
	metrics->stats = dxi_metrics_read(zones->counters);
	metrics->stats.slots_now = dxi_count_get(&zones->counters->slots_now);
	metrics->stats.memory_bytes += dxi_count_get(&zones->counters->slots_bytes);
}

/* All of one hub: none has taken the block over in between. */
static dxh_status copy_whole(const view *zones, dxh_metrics *metrics)
{
	struct hub_identity before, after;
	dxh_status status;

	for (int i = 0; i < READ_TRIES_MAX; i++) {
		status = dxh_latch_read(zones->consumer, "hub", &before, sizeof before);
		if (status != DXH_OK)
			return status;
		copy(zones, &before, metrics);
		/* A successor tells that it opens, then sets them to zero. Pairs with the
		 * release fence in dxi_metrics_block_open(). */
		atomic_thread_fence(memory_order_acquire);
		status = dxh_latch_read(zones->consumer, "hub", &after, sizeof after);
		if (status != DXH_OK)
			return status;
		if (before.opened_ns != 0 && memcmp(&before, &after, sizeof before) == 0)
			return DXH_OK;
	}
	return dxi_fail(DXH_EBUSY, "a hub is taking the metrics block over: read it again");
}

dxh_status
dxh_metrics_read_sized(size_t metrics_bytes, dxh_consumer *consumer, dxh_metrics *metrics)
{
	dxh_metrics now;
	view zones;
	dxh_status status;

	if (!consumer || !metrics)
		return dxi_fail(DXH_EINVAL,
		                "dxh_metrics_read needs a consumer of a metrics block, and room");
	memset(&now, 0, sizeof now);
	status = look(consumer, &zones);
	if (status == DXH_OK)
		status = copy_whole(&zones, &now);
	if (status != DXH_OK)
		return status;
	memset(metrics, 0, metrics_bytes);
	memcpy(metrics, &now, metrics_bytes < sizeof now ? metrics_bytes : sizeof now);
	return DXH_OK;
}
