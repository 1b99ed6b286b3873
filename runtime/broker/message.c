/* SPDX-License-Identifier: MIT */
/* Writer and reader of each message side by side, so that no key is known to one
 * alone. Keys are written in byte order.
 */
#include "runtime/broker/message.h"

#include "base/hash.h"
#include "base/status.h"
#include "runtime/broker/parts.h"
#include "runtime/broker/zones.h"

#include <string.h>

enum {
	LIST_ELEMENTS_MAX = DXI_MESSAGE_ELEMENTS_MAX * (DXI_LIST_PAGE_MAX + 1),
	CLAIM_ELEMENTS_MAX = DXI_MESSAGE_ELEMENTS_MAX + 16 * DXH_ZONES_MAX
};

static const uint64_t PID_MAX = INT32_MAX;

bool dxi_channel_name_ok(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-/";
	size_t length = strlen(name);

	return length >= 1 && length <= DXH_CHANNEL_NAME_MAX && name[0] != '.' && name[0] != '/' &&
	       strspn(name, allowed) == length;
}

dxh_status dxi_channel_name_check(const char *name)
{
	if (dxi_channel_name_ok(name))
		return DXH_OK;
	return dxi_fail(DXH_EINVAL,
	                "'%.80s' is no channel name: 1..63 of A-Z a-z 0-9 . _ - /, beginning with "
	                "neither . nor /",
	                name);
}

void dxi_take_channel_name(dxi_fields *fields, const char *key, char *name)
{
	dxi_fields_text(fields, key, name, DXH_CHANNEL_NAME_MAX + 1);
	if (fields->status == DXH_OK && !dxi_channel_name_ok(name))
		dxi_fields_refuse(fields, key,
		                  "is no channel name: 1..63 of A-Z a-z 0-9 . _ - /, beginning "
		                  "with neither . nor /");
}

void dxi_take_pid(dxi_fields *fields, int64_t *pid)
{
	uint64_t number = 0;

	dxi_fields_u64(fields, "pid", PID_MAX, &number);
	*pid = (int64_t)number;
}

void dxi_take_optional(dxi_fields *fields, const char *key, uint64_t most, uint64_t *number)
{
	if (dxi_fields_has(fields, key))
		dxi_fields_u64(fields, key, most, number);
}

dxi_fields dxi_take_element(dxi_fields *fields, dxi_reader *reader)
{
	const unsigned char *begin = reader->at;

	(void)dxi_skip(reader); /* the scan has seen that it is there */
	return dxi_fields_inside(fields, begin, (size_t)(reader->at - begin));
}

/* ---- channel.register ---- */

size_t dxi_claim_write(const dxi_claim *claim, void *bytes, size_t capacity)
{
	const dxh_channel_info *info = &claim->info;
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 15);
	dxi_put_bin(&writer, "boot", claim->boot, sizeof claim->boot);
	dxi_put_text(&writer, "channel", info->name);
	dxi_put_text(&writer, "directory", info->directory);
	dxi_put_text(&writer, "endpoint", info->endpoint);
	dxi_put_uint(&writer, "epoch", info->epoch);
	dxi_put_uint(&writer, "pid", (uint64_t)info->producer_pid);
	dxi_put_uint(&writer, "producer", info->producer_uid);
	dxi_put_bin(&writer, "schema", claim->schema, claim->schema_bytes);
	dxi_put_bin(&writer, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	dxi_put_uint(&writer, "slot_bytes", info->slot_bytes);
	dxi_put_uint(&writer, "slot_count", info->slot_count);
	dxi_put_uint(&writer, "stall_ms", claim->stall_ms);
	dxi_put_uint(&writer, "start", claim->start);
	dxi_put_bin(&writer, "uuid", info->block_uuid, sizeof info->block_uuid);
	dxi_write_text(&writer, "zones");
	dxi_zones_write(claim->zones, info->zone_count, &writer);
	return dxi_written(&writer);
}

static dxh_status check_schema(dxi_claim *claim)
{
	unsigned char hash[DXI_HASH_BYTES];

	if (claim->schema_bytes > DXI_SCHEMA_WIRE_MAX)
		return dxi_fail(DXH_EINVAL,
		                "channel.register: key 'schema' has %zu bytes, more than %d",
		                claim->schema_bytes, DXI_SCHEMA_WIRE_MAX);
	dxi_hash(claim->schema, claim->schema_bytes, hash);
	if (memcmp(hash, claim->info.schema_hash, sizeof hash) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "channel.register: key 'schema_hash' is not the BLAKE2b-256 of key "
		                "'schema'");
	return dxi_zones_of_schema(claim->schema, claim->schema_bytes, claim->zones,
	                           &claim->info.zone_count);
}

dxh_status dxi_claim_read(const void *bytes, size_t length, dxi_claim *claim)
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, CLAIM_ELEMENTS_MAX, DXI_SUBJECT_REGISTER, DXH_EINVAL);
	dxh_channel_info *info = &claim->info;

	*claim = (dxi_claim){0};
	dxi_take_channel_name(&fields, "channel", info->name);
	dxi_take_shown(&fields, "directory", info->directory, sizeof info->directory);
	if (fields.status == DXH_OK && info->directory[0] != '/')
		dxi_fields_refuse(&fields, "directory", "is no absolute path");
	if (dxi_fields_has(&fields, "endpoint"))
		dxi_take_shown(&fields, "endpoint", info->endpoint, sizeof info->endpoint);
	dxi_fields_u64(&fields, "epoch", UINT64_MAX, &info->epoch);
	dxi_take_pid(&fields, &info->producer_pid);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &info->producer_uid);
	dxi_fields_bin(&fields, "schema", &claim->schema, &claim->schema_bytes);
	dxi_fields_bytes(&fields, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	dxi_fields_u64(&fields, "slot_bytes", UINT64_MAX, &info->slot_bytes);
	dxi_fields_u32(&fields, "slot_count", &info->slot_count);
	dxi_take_optional(&fields, "stall_ms", UINT32_MAX, &claim->stall_ms);
	dxi_take_optional(&fields, "start", UINT64_MAX, &claim->start);
	if (dxi_fields_has(&fields, "boot"))
		dxi_fields_bytes(&fields, "boot", claim->boot, sizeof claim->boot);
	dxi_fields_bytes(&fields, "uuid", info->block_uuid, sizeof info->block_uuid);
	if (fields.status == DXH_OK)
		fields.status = check_schema(claim);
	if (dxi_fields_has(&fields, "zones"))
		dxi_zones_compare(&fields, claim->zones, info->zone_count);
	return fields.status;
}

size_t dxi_terms_write(const dxi_terms *terms, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_put_uint(&writer, "beat_ms", terms->beat_ms);
	dxi_put_uint(&writer, "beats_kept", terms->beats_kept);
	dxi_put_uint(&writer, "beats_missed", terms->beats_missed);
	return dxi_written(&writer);
}

dxh_status dxi_terms_read(const void *bytes, size_t length, dxi_terms *terms)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  "answer to a registration", DXH_EPROTO);
	uint64_t kept = 0;

	dxi_take_optional(&fields, "beats_kept", UINT32_MAX, &kept);
	terms->beats_kept = (uint32_t)kept;
	dxi_fields_u32(&fields, "beat_ms", &terms->beat_ms);
	dxi_fields_u32(&fields, "beats_missed", &terms->beats_missed);
	if (fields.status == DXH_OK && terms->beat_ms == 0)
		dxi_fields_refuse(&fields, "beat_ms", "is 0");
	return fields.status;
}

/* ---- channel.deregister, presence.heartbeat ---- */

size_t dxi_deregister_write(const dxi_owner *owner, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_put_text(&writer, "channel", owner->channel);
	dxi_put_uint(&writer, "pid", (uint64_t)owner->pid);
	dxi_put_uint(&writer, "producer", owner->producer);
	return dxi_written(&writer);
}

dxh_status dxi_deregister_read(const void *bytes, size_t length, dxi_owner *owner)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_DEREGISTER, DXH_EINVAL);

	*owner = (dxi_owner){0};
	dxi_take_channel_name(&fields, "channel", owner->channel);
	dxi_take_pid(&fields, &owner->pid);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &owner->producer);
	return fields.status;
}

size_t dxi_done_write(void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 0);
	return dxi_written(&writer);
}

size_t dxi_heartbeat_write(const dxi_owner *owner, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_put_text(&writer, "channel", owner->channel);
	dxi_put_uint(&writer, "producer", owner->producer);
	dxi_put_uint(&writer, "progress", owner->progress);
	return dxi_written(&writer);
}

dxh_status dxi_heartbeat_read(const void *bytes, size_t length, dxi_owner *owner)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_HEARTBEAT, DXH_EINVAL);

	*owner = (dxi_owner){0};
	dxi_take_channel_name(&fields, "channel", owner->channel);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &owner->producer);
	dxi_fields_u64(&fields, "progress", UINT64_MAX, &owner->progress);
	return fields.status;
}

/* ---- channel.discover ---- */

size_t dxi_discover_write(const char *channel, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 1);
	dxi_put_text(&writer, "channel", channel);
	return dxi_written(&writer);
}

dxh_status
dxi_discover_read(const void *bytes, size_t length, char channel[DXH_CHANNEL_NAME_MAX + 1])
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_DISCOVER, DXH_EINVAL);

	dxi_take_channel_name(&fields, "channel", channel);
	return fields.status;
}

void dxi_channel_put(dxi_writer *writer, const dxh_channel_info *info)
{
	if (info->state == DXH_CHANNEL_NOT_FOUND) {
		dxi_write_map(writer, 2);
		dxi_put_text(writer, "channel", info->name);
		dxi_put_uint(writer, "state", info->state);
		return;
	}
	dxi_write_map(writer, 15);
	dxi_put_text(writer, "channel", info->name);
	dxi_put_uint(writer, "checksum_errors", info->checksum_errors);
	dxi_put_uint(writer, "consumers", info->consumers);
	dxi_put_text(writer, "directory", info->directory);
	dxi_put_text(writer, "endpoint", info->endpoint);
	dxi_put_uint(writer, "epoch", info->epoch);
	dxi_put_uint(writer, "pid", (uint64_t)info->producer_pid);
	dxi_put_uint(writer, "producer", info->producer_uid);
	dxi_put_text(writer, "reason", info->reason);
	dxi_put_bin(writer, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	dxi_put_uint(writer, "slot_bytes", info->slot_bytes);
	dxi_put_uint(writer, "slot_count", info->slot_count);
	dxi_put_uint(writer, "state", info->state);
	dxi_put_bin(writer, "uuid", info->block_uuid, sizeof info->block_uuid);
	dxi_put_uint(writer, "zone_count", info->zone_count);
}

void dxi_channel_take(dxi_fields *fields, dxh_channel_info *info)
{
	uint64_t state = DXH_CHANNEL_NOT_FOUND, consumers = 0;

	*info = (dxh_channel_info){0};
	dxi_take_channel_name(fields, "channel", info->name);
	dxi_fields_u64(fields, "state", DXH_CHANNEL_FOUND, &state);
	info->state = (dxh_channel_state)state;
	if (info->state == DXH_CHANNEL_NOT_FOUND)
		return;
	dxi_take_optional(fields, "checksum_errors", UINT64_MAX, &info->checksum_errors);
	dxi_take_optional(fields, "consumers", UINT32_MAX, &consumers);
	info->consumers = (uint32_t)consumers;
	dxi_fields_text(fields, "directory", info->directory, sizeof info->directory);
	dxi_fields_text(fields, "endpoint", info->endpoint, sizeof info->endpoint);
	dxi_fields_u64(fields, "epoch", UINT64_MAX, &info->epoch);
	dxi_take_pid(fields, &info->producer_pid);
	dxi_fields_u64(fields, "producer", UINT64_MAX, &info->producer_uid);
	dxi_fields_text(fields, "reason", info->reason, sizeof info->reason);
	dxi_fields_bytes(fields, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	dxi_fields_u64(fields, "slot_bytes", UINT64_MAX, &info->slot_bytes);
	dxi_fields_u32(fields, "slot_count", &info->slot_count);
	dxi_fields_bytes(fields, "uuid", info->block_uuid, sizeof info->block_uuid);
	dxi_fields_u32(fields, "zone_count", &info->zone_count);
}

size_t dxi_channel_write(const dxh_channel_info *info, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_channel_put(&writer, info);
	return dxi_written(&writer);
}

dxh_status dxi_channel_read(const void *bytes, size_t length, dxh_channel_info *info)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  "answer to channel.discover", DXH_EPROTO);

	dxi_channel_take(&fields, info);
	return fields.status;
}

/* ---- channel.list ---- */

size_t dxi_list_request_write(const dxi_list_request *request, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 2);
	dxi_put_text(&writer, "after", request->after);
	dxi_put_uint(&writer, "max", request->max);
	return dxi_written(&writer);
}

dxh_status dxi_list_request_read(const void *bytes, size_t length, dxi_list_request *request)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX, DXI_SUBJECT_LIST,
	                                  DXH_EINVAL);

	*request = (dxi_list_request){0};
	/* A place in the order of names, so it need not be a name itself. */
	dxi_fields_text(&fields, "after", request->after, sizeof request->after);
	dxi_fields_u32(&fields, "max", &request->max);
	return fields.status;
}

size_t dxi_list_write(const dxi_list_page *page, const dxh_channel_info *channels, void *bytes,
                      size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_write_text(&writer, "channels");
	dxi_write_array(&writer, page->count);
	for (size_t i = 0; i < page->count; i++)
		dxi_channel_put(&writer, &channels[i]);
	dxi_write_text(&writer, "more");
	dxi_write_bool(&writer, page->more);
	dxi_put_uint(&writer, "total", page->total);
	return dxi_written(&writer);
}

dxh_status dxi_list_read(const void *bytes, size_t length, dxi_list_page *page,
                         dxh_channel_info *channels, size_t max)
{
	dxi_fields fields = dxi_fields_of(bytes, length, LIST_ELEMENTS_MAX,
	                                  "answer to channel.list", DXH_EPROTO);
	const void *first = NULL;
	size_t count = 0, left = 0;
	dxi_reader reader;

	*page = (dxi_list_page){0};
	dxi_fields_bool(&fields, "more", &page->more);
	dxi_fields_u64(&fields, "total", UINT64_MAX, &page->total);
	dxi_fields_array(&fields, "channels", &count, &first, &left);
	if (count > max) {
		count = max;
		page->more = true;
	}
	reader = dxi_reader_of(first, left);
	for (size_t i = 0; i < count && fields.status == DXH_OK; i++) {
		dxi_fields one = dxi_take_element(&fields, &reader);

		dxi_channel_take(&one, &channels[i]);
		fields.status = one.status;
	}
	page->count = count;
	return fields.status;
}
