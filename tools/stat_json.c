/* SPDX-License-Identifier: MIT */
/* The facts of a block, for programs. */
#include "stat.h"

#include "json.h"

#include <stdio.h>

static void hex(const unsigned char *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void tell_zones(struct json *json, const dxh_facts *facts)
{
	json_array(json, "zones");
	for (uint32_t i = 0; i < facts->block.zone_count; i++) {
		const dxh_zone_info *zone = &facts->zones[i];

		json_object(json, NULL);
		json_text(json, "name", zone->name);
		json_text(json, "struct", zone->schema);
		json_text(json, "kind", stat_zone_kind(zone));
		json_number(json, "bytes", zone->bytes);
		json_number(json, "align", zone->align);
		json_number(json, "offset", zone->offset);
		json_end_object(json);
	}
	json_end_array(json);
}

static void tell_ring(struct json *json, const dxh_facts *facts)
{
	json_object(json, "ring");
	json_text(json, "policy", stat_policy(facts->policy));
	json_text(json, "struct", facts->slot_schema);
	json_number(json, "slot_bytes", facts->block.slot_bytes);
	json_number(json, "slot_count", facts->block.slot_count);
	json_number(json, "slots_physical", facts->slots_physical);
	json_text(json, "checksum", stat_checksum(facts));
	json_bool(json, "checksum_manual", facts->checksum_manual != 0);
	json_bool(json, "no_wait", facts->no_wait != 0);
	json_bool(json, "no_timestamps", facts->no_timestamps != 0);
	json_number(json, "head", facts->block.head);
	json_number(json, "oldest", facts->oldest);
	json_integer(json, "oldest_age_ns", stat_age_ns(facts, facts->oldest_ns));
	json_integer(json, "newest_age_ns", stat_age_ns(facts, facts->newest_ns));
	json_integer(json, "oldest_realtime_ns", stat_realtime_ns(facts, facts->oldest_ns));
	json_integer(json, "newest_realtime_ns", stat_realtime_ns(facts, facts->newest_ns));
	json_end_object(json);
}

static void tell_counters(struct json *json, const dxh_facts *facts)
{
	json_object(json, "counters");
	json_number(json, "items", facts->items);
	json_number(json, "bytes", facts->bytes);
	json_number(json, "aborted", facts->aborted);
	json_number(json, "wakes", facts->wakes);
	json_number(json, "held", facts->held);
	json_number(json, "evicted", facts->evicted);
	json_number(json, "write_max_ns", facts->write_max_ns);
	json_number(json, "recoveries", facts->recoveries);
	json_integer(json, "recovered_realtime_ns", facts->recovered_ns);
	json_number(json, "recovered_by", facts->recovered_by);
	json_number(json, "locked_bytes", facts->locked_bytes);
	json_number(json, "huge_bytes", facts->huge_bytes);
	json_end_object(json);
}

static void tell_readers(struct json *json, const dxh_facts *facts)
{
	json_number(json, "readers_max", facts->readers_max);
	json_text(json, "readers_status", dxh_status_name(facts->readers_status));
	json_array(json, "readers");
	for (size_t i = 0; i < facts->reader_count; i++) {
		const dxh_reader_info *reader = &facts->readers[i].reader;

		json_object(json, NULL);
		json_number(json, "row", reader->row);
		json_number(json, "pid", reader->pid);
		json_number(json, "uid", reader->uid);
		json_text(json, "state", stat_reader_state(facts->readers[i].state));
		json_number(json, "next_ticket", reader->next_ticket);
		json_number(json, "read", reader->read);
		json_number(json, "lost", reader->lost);
		json_number(json, "retries", reader->retries);
		json_number(json, "lag", reader->lag);
		json_integer(json, "lag_ns", reader->lag_ns);
		json_end_object(json);
	}
	json_end_array(json);
}

static void tell_channel(struct json *json, const dxh_channel_facts *facts)
{
	json_object(json, "channel");
	json_text(json, "state", channel_state_text(facts->channel.state));
	json_text(json, "reason", facts->channel.reason);
	json_text(json, "endpoint", facts->channel.endpoint);
	channel_tell_consumers(json, "consumers", facts->consumers, facts->consumer_count);
	json_end_object(json);
}

static void tell_followers(struct json *json, const struct stat_facts *facts)
{
	const struct users *users = &facts->users;

	json_array(json, "followers");
	for (size_t i = 0; i < users->count; i++) {
		unsigned count = stat_followers(facts, &users->list[i]);

		if (count == 0)
			continue;
		json_object(json, NULL);
		json_integer(json, "pid", users->list[i].pid);
		json_text(json, "command", users->list[i].command);
		json_number(json, "unobserved", count);
		json_end_object(json);
	}
	json_end_array(json);
	json_number(json, "processes_hidden", users->hidden);
	json_bool(json, "processes_complete", users->complete);
}

void stat_tell(const struct stat_facts *given)
{
	const dxh_facts *facts = given->block;
	char uuid[2 * sizeof facts->block.uuid + 1], hash[2 * sizeof facts->block.schema_hash + 1];
	struct json json = {.out = stdout};

	hex(facts->block.uuid, sizeof facts->block.uuid, uuid);
	hex(facts->block.schema_hash, sizeof facts->block.schema_hash, hash);
	json_object(&json, NULL);
	json_text(&json, "name", facts->block.name);
	json_text(&json, "path", facts->path);
	json_text(&json, "uuid", uuid);
	json_number(&json, "bytes", facts->block.block_bytes);
	json_number(&json, "uid", facts->uid);
	json_number(&json, "gid", facts->gid);
	json_number(&json, "mode", facts->mode);
	json_bool(&json, "unlinked", facts->block.unlinked != 0);
	json_number(&json, "epoch", facts->block.epoch);
	json_text(&json, "schema_hash", hash);
	json_object(&json, "producer");
	json_text(&json, "state", block_liveness(facts->block.producer));
	json_integer(&json, "pid", facts->block.producer_pid);
	json_integer(&json, "started_realtime_ns", stat_producer_started_ns(facts));
	json_text(&json, "boot_id", facts->producer_boot_id);
	json_bool(&json, "same_boot", facts->same_boot != 0);
	json_end_object(&json);
	tell_zones(&json, facts);
	tell_ring(&json, facts);
	tell_counters(&json, facts);
	tell_readers(&json, facts);
	if (given->channel != NULL)
		tell_channel(&json, given->channel);
	tell_followers(&json, given);
	json_end_object(&json);
	json_finish(&json);
}
