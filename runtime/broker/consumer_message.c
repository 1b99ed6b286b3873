/* SPDX-License-Identifier: MIT */
/* Writer and reader of each message side by side. Keys are written in byte order. */
#include "runtime/broker/consumer_message.h"

#include "base/status.h"

#include <string.h>

static void take_uid(dxi_fields *fields, uint64_t *uid)
{
	dxi_fields_u64(fields, "consumer", UINT64_MAX, uid);
	if (fields->status == DXH_OK && *uid == 0)
		dxi_fields_refuse(fields, "consumer", "is 0, which is no consumer");
}

static void take_discipline(dxi_fields *fields, dxh_discipline *discipline)
{
	uint64_t number = 0;

	dxi_fields_u64(fields, "discipline", DXH_LOSSLESS, &number);
	*discipline = (dxh_discipline)number;
}

/* ---- consumer.register ---- */

size_t dxi_reader_claim_write(const dxi_reader_claim *claim, void *bytes, size_t capacity)
{
	const dxh_channel_consumer *info = &claim->info;
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 8);
	dxi_put_text(&writer, "channel", claim->channel);
	dxi_put_uint(&writer, "consumer", info->uid);
	dxi_put_uint(&writer, "discipline", info->discipline);
	dxi_put_text(&writer, "name", info->name);
	dxi_put_uint(&writer, "pid", (uint64_t)info->pid);
	dxi_put_bin(&writer, "schema_hash", claim->schema_hash, sizeof claim->schema_hash);
	dxi_put_uint(&writer, "start", info->start);
	dxi_put_bin(&writer, "uuid", info->block_uuid, sizeof info->block_uuid);
	return dxi_written(&writer);
}

dxh_status dxi_reader_claim_read(const void *bytes, size_t length, dxi_reader_claim *claim)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_CONSUMER_REGISTER, DXH_EINVAL);
	dxh_channel_consumer *info = &claim->info;

	*claim = (dxi_reader_claim){.info = {.uid = 0}};
	dxi_take_channel_name(&fields, "channel", claim->channel);
	take_uid(&fields, &info->uid);
	take_discipline(&fields, &info->discipline);
	if (dxi_fields_has(&fields, "name"))
		dxi_take_name(&fields, "name", info->name, sizeof info->name);
	dxi_take_pid(&fields, &info->pid);
	dxi_fields_bytes(&fields, "schema_hash", claim->schema_hash, sizeof claim->schema_hash);
	dxi_take_optional(&fields, "start", UINT64_MAX, &info->start);
	dxi_fields_bytes(&fields, "uuid", info->block_uuid, sizeof info->block_uuid);
	return fields.status;
}

/* ---- consumer.deregister ---- */

/* What each word begins with. */
static dxi_fields
take_word(const void *bytes, size_t length, const char *subject, dxi_reader_word *word)
{
	dxi_fields fields =
		dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX, subject, DXH_EINVAL);

	*word = (dxi_reader_word){.consumer = 0};
	dxi_take_channel_name(&fields, "channel", word->channel);
	take_uid(&fields, &word->consumer);
	return fields;
}

size_t dxi_reader_leave_write(const dxi_reader_word *word, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_put_text(&writer, "channel", word->channel);
	dxi_put_uint(&writer, "consumer", word->consumer);
	dxi_put_uint(&writer, "pid", (uint64_t)word->pid);
	return dxi_written(&writer);
}

dxh_status dxi_reader_leave_read(const void *bytes, size_t length, dxi_reader_word *word)
{
	dxi_fields fields = take_word(bytes, length, DXI_SUBJECT_CONSUMER_DEREGISTER, word);

	dxi_take_pid(&fields, &word->pid);
	return fields.status;
}

/* ---- presence.heartbeat ---- */

bool dxi_beat_is_of_reader(const void *bytes, size_t length)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_HEARTBEAT, DXH_EINVAL);

	return dxi_fields_has(&fields, "consumer");
}

size_t dxi_reader_beat_write(const dxi_reader_word *word, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 7 + (word->tells_block != 0));
	dxi_put_text(&writer, "channel", word->channel);
	dxi_put_uint(&writer, "consumer", word->consumer);
	dxi_put_uint(&writer, "lag", word->lag);
	dxi_put_uint(&writer, "lost", word->lost);
	dxi_put_uint(&writer, "next_ticket", word->next_ticket);
	dxi_put_uint(&writer, "progress", word->progress);
	dxi_put_uint(&writer, "read", word->read);
	if (word->tells_block)
		dxi_put_bin(&writer, "uuid", word->block_uuid, sizeof word->block_uuid);
	return dxi_written(&writer);
}

dxh_status dxi_reader_beat_read(const void *bytes, size_t length, dxi_reader_word *word)
{
	dxi_fields fields = take_word(bytes, length, DXI_SUBJECT_HEARTBEAT, word);

	dxi_take_optional(&fields, "lag", UINT64_MAX, &word->lag);
	dxi_take_optional(&fields, "lost", UINT64_MAX, &word->lost);
	dxi_take_optional(&fields, "next_ticket", UINT64_MAX, &word->next_ticket);
	dxi_fields_u64(&fields, "progress", UINT64_MAX, &word->progress);
	dxi_take_optional(&fields, "read", UINT64_MAX, &word->read);
	word->tells_block = dxi_fields_has(&fields, "uuid");
	if (word->tells_block)
		dxi_fields_bytes(&fields, "uuid", word->block_uuid, sizeof word->block_uuid);
	return fields.status;
}

/* ---- channel.checksum_error ---- */

size_t dxi_checksum_error_write(const dxi_reader_word *word, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 3);
	dxi_put_text(&writer, "channel", word->channel);
	dxi_put_uint(&writer, "consumer", word->consumer);
	dxi_put_uint(&writer, "corrupt", word->corrupt);
	return dxi_written(&writer);
}

dxh_status dxi_checksum_error_read(const void *bytes, size_t length, dxi_reader_word *word)
{
	dxi_fields fields = take_word(bytes, length, DXI_SUBJECT_CHECKSUM_ERROR, word);

	dxi_fields_u64(&fields, "corrupt", UINT64_MAX, &word->corrupt);
	return fields.status;
}

/* ---- in channel.describe ---- */

void dxi_consumer_put(dxi_writer *writer, const dxh_channel_consumer *consumer)
{
	dxi_write_map(writer, 12);
	dxi_put_uint(writer, "consumer", consumer->uid);
	dxi_put_uint(writer, "corrupt", consumer->corrupt);
	dxi_put_uint(writer, "discipline", consumer->discipline);
	dxi_put_uint(writer, "lag", consumer->lag);
	dxi_put_uint(writer, "lost", consumer->lost);
	dxi_put_text(writer, "name", consumer->name);
	dxi_put_uint(writer, "next_ticket", consumer->next_ticket);
	dxi_put_uint(writer, "pid", (uint64_t)consumer->pid);
	dxi_put_uint(writer, "read", consumer->read);
	dxi_put_uint(writer, "silent_ms", consumer->silent_ms);
	dxi_put_uint(writer, "start", consumer->start);
	dxi_put_bin(writer, "uuid", consumer->block_uuid, sizeof consumer->block_uuid);
}

void dxi_consumer_take(dxi_fields *fields, dxh_channel_consumer *consumer)
{
	*consumer = (dxh_channel_consumer){.uid = 0};
	take_uid(fields, &consumer->uid);
	dxi_fields_u64(fields, "corrupt", UINT64_MAX, &consumer->corrupt);
	take_discipline(fields, &consumer->discipline);
	dxi_fields_u64(fields, "lag", UINT64_MAX, &consumer->lag);
	dxi_fields_u64(fields, "lost", UINT64_MAX, &consumer->lost);
	dxi_fields_text(fields, "name", consumer->name, sizeof consumer->name);
	dxi_fields_u64(fields, "next_ticket", UINT64_MAX, &consumer->next_ticket);
	dxi_take_pid(fields, &consumer->pid);
	dxi_fields_u64(fields, "read", UINT64_MAX, &consumer->read);
	dxi_fields_u32(fields, "silent_ms", &consumer->silent_ms);
	dxi_fields_u64(fields, "start", UINT64_MAX, &consumer->start);
	dxi_fields_bytes(fields, "uuid", consumer->block_uuid, sizeof consumer->block_uuid);
}
