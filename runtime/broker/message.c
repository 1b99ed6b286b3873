/* SPDX-License-Identifier: MIT */
/* Writer and reader of each message side by side, so that no key is known to one
 * alone. Keys are written in byte order.
 */
#include "runtime/broker/message.h"

#include "base/hash.h"
#include "base/pack.h"
#include "base/status.h"
#include "runtime/fields.h"

#include <string.h>

enum {
	SMALL_ELEMENTS_MAX = 64, /* values in a message; room for keys of newer minors */
	LIST_ELEMENTS_MAX = 64 * (DXI_LIST_PAGE_MAX + 1),
	SCHEMA_ELEMENTS_MAX = 32 * 1024,
	ZONES_ELEMENTS = DXH_ZONES_MAX
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

static void read_channel_name(dxi_fields *fields, const char *key, char *name)
{
	dxi_fields_text(fields, key, name, DXH_CHANNEL_NAME_MAX + 1);
	if (fields->status == DXH_OK && !dxi_channel_name_ok(name))
		dxi_fields_refuse(fields, key,
		                  "is no channel name: 1..63 of A-Z a-z 0-9 . _ - /, beginning "
		                  "with neither . nor /");
}

static void read_pid(dxi_fields *fields, int64_t *pid)
{
	uint64_t number = 0;

	dxi_fields_u64(fields, "pid", PID_MAX, &number);
	*pid = (int64_t)number;
}

static size_t written(const dxi_writer *writer)
{
	return writer->overflow ? 0 : writer->used;
}

static void write_text(dxi_writer *writer, const char *key, const char *text)
{
	dxi_write_text(writer, key);
	dxi_write_text(writer, text);
}

static void write_uint(dxi_writer *writer, const char *key, uint64_t number)
{
	dxi_write_text(writer, key);
	dxi_write_uint(writer, number);
}

static void write_bin(dxi_writer *writer, const char *key, const void *data, size_t bytes)
{
	dxi_write_text(writer, key);
	dxi_write_bin(writer, data, bytes);
}

/* ---- channel.register ---- */

size_t dxi_claim_write(const dxi_claim *claim, void *bytes, size_t capacity)
{
	const dxh_channel_info *info = &claim->info;
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 12);
	write_text(&writer, "channel", info->name);
	write_text(&writer, "directory", info->directory);
	write_text(&writer, "endpoint", info->endpoint);
	write_uint(&writer, "epoch", info->epoch);
	write_uint(&writer, "pid", (uint64_t)info->producer_pid);
	write_uint(&writer, "producer", info->producer_uid);
	write_bin(&writer, "schema", claim->schema, claim->schema_bytes);
	write_bin(&writer, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	write_uint(&writer, "slot_bytes", info->slot_bytes);
	write_uint(&writer, "slot_count", info->slot_count);
	write_uint(&writer, "stall_ms", claim->stall_ms);
	write_bin(&writer, "uuid", info->block_uuid, sizeof info->block_uuid);
	return written(&writer);
}

/* The zones that a schema declares. */
static dxh_status count_zones(const dxi_claim *claim, uint32_t *zone_count)
{
	dxi_fields schema = dxi_fields_of(claim->schema, claim->schema_bytes, SCHEMA_ELEMENTS_MAX,
	                                  "channel.register: schema", DXH_EINVAL);
	size_t count = 0, length = 0;
	const void *first = NULL;

	dxi_fields_array(&schema, "zones", &count, &first, &length);
	if (count > ZONES_ELEMENTS)
		dxi_fields_refuse(&schema, "zones", "holds more than 16 zones");
	*zone_count = (uint32_t)count;
	return schema.status;
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
	return count_zones(claim, &claim->info.zone_count);
}

dxh_status dxi_claim_read(const void *bytes, size_t length, dxi_claim *claim)
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX, DXI_SUBJECT_REGISTER, DXH_EINVAL);
	dxh_channel_info *info = &claim->info;

	*claim = (dxi_claim){0};
	read_channel_name(&fields, "channel", info->name);
	dxi_fields_text(&fields, "directory", info->directory, sizeof info->directory);
	if (fields.status == DXH_OK && info->directory[0] != '/')
		dxi_fields_refuse(&fields, "directory", "is no absolute path");
	if (dxi_fields_has(&fields, "endpoint"))
		dxi_fields_text(&fields, "endpoint", info->endpoint, sizeof info->endpoint);
	dxi_fields_u64(&fields, "epoch", UINT64_MAX, &info->epoch);
	read_pid(&fields, &info->producer_pid);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &info->producer_uid);
	dxi_fields_bin(&fields, "schema", &claim->schema, &claim->schema_bytes);
	dxi_fields_bytes(&fields, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	dxi_fields_u64(&fields, "slot_bytes", UINT64_MAX, &info->slot_bytes);
	dxi_fields_u32(&fields, "slot_count", &info->slot_count);
	if (dxi_fields_has(&fields, "stall_ms"))
		dxi_fields_u64(&fields, "stall_ms", UINT32_MAX, &claim->stall_ms);
	dxi_fields_bytes(&fields, "uuid", info->block_uuid, sizeof info->block_uuid);
	return fields.status != DXH_OK ? fields.status : check_schema(claim);
}

size_t dxi_terms_write(const dxi_terms *terms, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 2);
	write_uint(&writer, "beat_ms", terms->beat_ms);
	write_uint(&writer, "beats_missed", terms->beats_missed);
	return written(&writer);
}

dxh_status dxi_terms_read(const void *bytes, size_t length, dxi_terms *terms)
{
	dxi_fields fields = dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX,
	                                  "answer to channel.register", DXH_EPROTO);

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
	write_text(&writer, "channel", owner->channel);
	write_uint(&writer, "pid", (uint64_t)owner->pid);
	write_uint(&writer, "producer", owner->producer);
	return written(&writer);
}

dxh_status dxi_deregister_read(const void *bytes, size_t length, dxi_owner *owner)
{
	dxi_fields fields = dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX, DXI_SUBJECT_DEREGISTER,
	                                  DXH_EINVAL);

	*owner = (dxi_owner){0};
	read_channel_name(&fields, "channel", owner->channel);
	read_pid(&fields, &owner->pid);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &owner->producer);
	return fields.status;
}

size_t dxi_done_write(void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 0);
	return written(&writer);
}

size_t dxi_heartbeat_write(const dxi_owner *owner, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	write_text(&writer, "channel", owner->channel);
	write_uint(&writer, "producer", owner->producer);
	write_uint(&writer, "progress", owner->progress);
	return written(&writer);
}

dxh_status dxi_heartbeat_read(const void *bytes, size_t length, dxi_owner *owner)
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX, DXI_SUBJECT_HEARTBEAT, DXH_EINVAL);

	*owner = (dxi_owner){0};
	read_channel_name(&fields, "channel", owner->channel);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &owner->producer);
	dxi_fields_u64(&fields, "progress", UINT64_MAX, &owner->progress);
	return fields.status;
}

/* ---- channel.discover ---- */

size_t dxi_discover_write(const char *channel, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 1);
	write_text(&writer, "channel", channel);
	return written(&writer);
}

dxh_status
dxi_discover_read(const void *bytes, size_t length, char channel[DXH_CHANNEL_NAME_MAX + 1])
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX, DXI_SUBJECT_DISCOVER, DXH_EINVAL);

	read_channel_name(&fields, "channel", channel);
	return fields.status;
}

static void write_channel(dxi_writer *writer, const dxh_channel_info *info)
{
	if (info->state == DXH_CHANNEL_NOT_FOUND) {
		dxi_write_map(writer, 2);
		write_text(writer, "channel", info->name);
		write_uint(writer, "state", info->state);
		return;
	}
	dxi_write_map(writer, 13);
	write_text(writer, "channel", info->name);
	write_text(writer, "directory", info->directory);
	write_text(writer, "endpoint", info->endpoint);
	write_uint(writer, "epoch", info->epoch);
	write_uint(writer, "pid", (uint64_t)info->producer_pid);
	write_uint(writer, "producer", info->producer_uid);
	write_text(writer, "reason", info->reason);
	write_bin(writer, "schema_hash", info->schema_hash, sizeof info->schema_hash);
	write_uint(writer, "slot_bytes", info->slot_bytes);
	write_uint(writer, "slot_count", info->slot_count);
	write_uint(writer, "state", info->state);
	write_bin(writer, "uuid", info->block_uuid, sizeof info->block_uuid);
	write_uint(writer, "zone_count", info->zone_count);
}

static void read_channel(dxi_fields *fields, dxh_channel_info *info)
{
	uint64_t state = DXH_CHANNEL_NOT_FOUND;

	*info = (dxh_channel_info){0};
	read_channel_name(fields, "channel", info->name);
	dxi_fields_u64(fields, "state", DXH_CHANNEL_FOUND, &state);
	info->state = (dxh_channel_state)state;
	if (info->state == DXH_CHANNEL_NOT_FOUND)
		return;
	dxi_fields_text(fields, "directory", info->directory, sizeof info->directory);
	dxi_fields_text(fields, "endpoint", info->endpoint, sizeof info->endpoint);
	dxi_fields_u64(fields, "epoch", UINT64_MAX, &info->epoch);
	read_pid(fields, &info->producer_pid);
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

	write_channel(&writer, info);
	return written(&writer);
}

dxh_status dxi_channel_read(const void *bytes, size_t length, dxh_channel_info *info)
{
	dxi_fields fields = dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX,
	                                  "answer to channel.discover", DXH_EPROTO);

	read_channel(&fields, info);
	return fields.status;
}

/* ---- channel.list ---- */

size_t dxi_list_request_write(const dxi_list_request *request, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 2);
	write_text(&writer, "after", request->after);
	write_uint(&writer, "max", request->max);
	return written(&writer);
}

dxh_status dxi_list_request_read(const void *bytes, size_t length, dxi_list_request *request)
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, SMALL_ELEMENTS_MAX, DXI_SUBJECT_LIST, DXH_EINVAL);

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
		write_channel(&writer, &channels[i]);
	dxi_write_text(&writer, "more");
	dxi_write_bool(&writer, page->more);
	write_uint(&writer, "total", page->total);
	return written(&writer);
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
		const unsigned char *begin = reader.at;
		dxi_fields one;

		(void)dxi_skip(&reader); /* the scan has seen that it is there */
		one = dxi_fields_inside(&fields, begin, (size_t)(reader.at - begin));
		read_channel(&one, &channels[i]);
		fields.status = one.status;
	}
	page->count = count;
	return fields.status;
}
