/* SPDX-License-Identifier: MIT */
/* The messages of the broker: what is written is read, each key is wanted, and
 * no bytes whatever do more than be refused. */
#include "runtime/broker/describe_message.h"
#include "runtime/broker/event.h"
#include "runtime/broker/zones.h"

#include "base/hash.h"
#include "base/pack.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char buffer[DXI_DESCRIBE_WIRE_MAX];
static unsigned char schema[1024];
static size_t schema_bytes;

/* {name: "t", zones: [{name: "z", size: i} x count]} is all that the broker looks for. */
static void write_schema(size_t zones)
{
	dxi_writer writer = dxi_writer_of(schema, sizeof schema);

	dxi_write_map(&writer, 2);
	dxi_write_text(&writer, "name");
	dxi_write_text(&writer, "t");
	dxi_write_text(&writer, "zones");
	dxi_write_array(&writer, zones);
	for (size_t i = 0; i < zones; i++) {
		dxi_write_map(&writer, 2);
		dxi_put_text(&writer, "name", "z");
		dxi_put_uint(&writer, "size", i);
	}
	schema_bytes = writer.used;
}

static dxh_channel_info example_info(void)
{
	dxh_channel_info info = {.state = DXH_CHANNEL_PENDING,
	                         .producer_uid = UINT64_MAX - 1,
	                         .producer_pid = 4711,
	                         .epoch = 3,
	                         .slot_bytes = UINT64_C(1) << 33,
	                         .slot_count = 8,
	                         .zone_count = 3,
	                         .checksum_errors = 5,
	                         .consumers = 6};

	snprintf(info.name, sizeof info.name, "camera/front");
	snprintf(info.directory, sizeof info.directory, "/dev/shm");
	snprintf(info.endpoint, sizeof info.endpoint, "ipc://@camera");
	snprintf(info.reason, sizeof info.reason, "no beat");
	memset(info.block_uuid, 0x11, sizeof info.block_uuid);
	memset(info.schema_hash, 0x22, sizeof info.schema_hash);
	return info;
}

static dxi_claim example_claim(void)
{
	dxi_claim claim = {.info = example_info(), .stall_ms = 900};

	write_schema(3);
	claim.schema = schema;
	claim.schema_bytes = schema_bytes;
	dxi_hash(schema, schema_bytes, claim.info.schema_hash);
	cr_assert_eq(dxi_zones_of_schema(schema, schema_bytes, claim.zones, &claim.info.zone_count),
	             DXH_OK);
	claim.start = UINT64_MAX - 2;
	memset(claim.boot, 0x33, sizeof claim.boot);
	return claim;
}

static dxh_channel_consumer example_consumer(uint64_t uid)
{
	dxh_channel_consumer consumer = {.uid = uid,
	                                 .pid = INT32_MAX,
	                                 .start = UINT64_MAX,
	                                 .discipline = DXH_LOSSLESS,
	                                 .silent_ms = UINT32_MAX,
	                                 .next_ticket = UINT64_MAX,
	                                 .read = UINT64_MAX - 1,
	                                 .lost = UINT64_MAX - 2,
	                                 .corrupt = UINT64_MAX - 3,
	                                 .lag = UINT64_MAX - 4};

	memset(consumer.name, 'c', sizeof consumer.name - 1);
	memset(consumer.block_uuid, 0x44, sizeof consumer.block_uuid);
	return consumer;
}

static size_t write_claim(const dxi_claim *claim)
{
	size_t length = dxi_claim_write(claim, buffer, sizeof buffer);

	cr_assert_gt(length, 0);
	return length;
}

/* ---- there and back ---- */

Test(broker_message, a_claim_is_read_as_it_was_written, .timeout = 30)
{
	dxi_claim in = example_claim(), out;

	cr_assert_eq(dxi_claim_read(buffer, write_claim(&in), &out), DXH_OK, "%s",
	             dxh_last_error());
	in.info.state = DXH_CHANNEL_NOT_FOUND; /* these do not travel */
	in.info.consumers = 0;
	in.info.checksum_errors = 0;
	memset(in.info.reason, 0, sizeof in.info.reason);
	cr_expect_eq(memcmp(&in.info, &out.info, sizeof in.info), 0);
	cr_expect_eq(out.stall_ms, 900);
	cr_expect_eq(out.start, in.start);
	cr_expect_eq(memcmp(out.boot, in.boot, sizeof in.boot), 0);
	cr_expect_eq(memcmp(out.zones, in.zones, sizeof in.zones), 0);
	cr_expect_eq(out.schema_bytes, schema_bytes);
	cr_expect_eq(memcmp(out.schema, schema, schema_bytes), 0);
}

Test(broker_message, a_channel_is_read_as_it_was_written, .timeout = 30)
{
	dxh_channel_info in = example_info(), out;
	size_t length = dxi_channel_write(&in, buffer, sizeof buffer);

	cr_assert_eq(dxi_channel_read(buffer, length, &out), DXH_OK, "%s", dxh_last_error());
	cr_expect_eq(memcmp(&in, &out, sizeof in), 0);
}

Test(broker_message, of_a_channel_not_found_only_its_name_is_told, .timeout = 30)
{
	dxh_channel_info in = example_info(), out;
	size_t length;

	in.state = DXH_CHANNEL_NOT_FOUND;
	length = dxi_channel_write(&in, buffer, sizeof buffer);
	cr_assert_eq(dxi_channel_read(buffer, length, &out), DXH_OK);
	cr_expect_eq(out.state, DXH_CHANNEL_NOT_FOUND);
	cr_expect_str_eq(out.name, "camera/front");
	cr_expect_str_empty(out.directory);
}

Test(broker_message, the_small_ones_are_read_as_they_were_written, .timeout = 30)
{
	dxi_owner owner = {.channel = "a", .producer = 5, .pid = 6}, owner_read;
	dxi_owner beat = {.channel = "a", .producer = 5, .progress = UINT64_MAX}, beat_read;
	dxi_terms terms = {.beat_ms = 500, .beats_missed = 10, .beats_kept = 7}, terms_read;
	dxi_list_request list = {.after = "m", .max = 7}, list_read;
	char channel[DXH_CHANNEL_NAME_MAX + 1];

	cr_assert_eq(dxi_deregister_read(buffer,
	                                 dxi_deregister_write(&owner, buffer, sizeof buffer),
	                                 &owner_read),
	             DXH_OK);
	cr_expect_eq(memcmp(&owner, &owner_read, sizeof owner), 0);
	cr_assert_eq(dxi_heartbeat_read(buffer, dxi_heartbeat_write(&beat, buffer, sizeof buffer),
	                                &beat_read),
	             DXH_OK);
	cr_expect_eq(memcmp(&beat, &beat_read, sizeof beat), 0);
	cr_assert_eq(
		dxi_terms_read(buffer, dxi_terms_write(&terms, buffer, sizeof buffer), &terms_read),
		DXH_OK);
	cr_expect_eq(memcmp(&terms, &terms_read, sizeof terms), 0);
	cr_assert_eq(dxi_list_request_read(buffer,
	                                   dxi_list_request_write(&list, buffer, sizeof buffer),
	                                   &list_read),
	             DXH_OK);
	cr_expect_eq(memcmp(&list, &list_read, sizeof list), 0);
	cr_assert_eq(dxi_discover_read(buffer, dxi_discover_write("b/c", buffer, sizeof buffer),
	                               channel),
	             DXH_OK);
	cr_expect_str_eq(channel, "b/c");
}

Test(broker_message, the_longest_of_each_fits_its_bound_and_is_canonical, .timeout = 30)
{
	static dxh_channel_info channels[DXI_LIST_PAGE_MAX];
	dxi_list_page page = {.count = DXI_LIST_PAGE_MAX, .total = UINT64_MAX, .more = true}, read;
	dxi_scan_limits canonical = {.elements_max = 4096, .canonical = true};
	dxh_channel_info *first = &channels[0];
	dxi_claim claim = {.schema = "", .schema_bytes = 0, .stall_ms = UINT32_MAX};
	size_t length;

	memset(channels, 0xff, sizeof channels);
	memset(first->name, 'n', sizeof first->name - 1);
	memset(first->directory, '/', sizeof first->directory - 1);
	memset(first->endpoint, 'e', sizeof first->endpoint - 1);
	memset(first->reason, 'r', sizeof first->reason - 1);
	first->name[sizeof first->name - 1] = first->directory[sizeof first->directory - 1] = 0;
	first->endpoint[sizeof first->endpoint - 1] = first->reason[sizeof first->reason - 1] = 0;
	first->state = DXH_CHANNEL_PENDING;
	first->producer_pid = INT32_MAX;
	for (size_t i = 1; i < DXI_LIST_PAGE_MAX; i++)
		channels[i] = *first;
	first->reserved = 0;
	claim.info = *first;
	claim.info.zone_count = DXH_ZONES_MAX;
	for (size_t i = 0; i < DXH_ZONES_MAX; i++) {
		memset(claim.zones[i].name, 'z', sizeof claim.zones[i].name - 1);
		claim.zones[i].bytes = UINT64_MAX;
	}
	claim.start = UINT64_MAX;

	length = dxi_channel_write(first, buffer, DXI_CHANNEL_WIRE_MAX);
	cr_assert_gt(length, 0);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	length = dxi_claim_write(&claim, buffer, DXI_CLAIM_WIRE_MAX);
	cr_assert_gt(length, 0);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	length = dxi_list_write(&page, channels, buffer, DXI_LIST_WIRE_MAX);
	cr_assert_gt(length, 0);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	memset(channels, 0, sizeof channels);
	cr_expect_eq(dxi_list_read(buffer, length, &read, channels, DXI_LIST_PAGE_MAX), DXH_OK);
	cr_expect_eq(read.count, DXI_LIST_PAGE_MAX);
	cr_expect_eq(channels[63].producer_pid, INT32_MAX);
}

Test(broker_message, a_longer_page_than_there_is_room_for_is_cut_and_says_more, .timeout = 30)
{
	dxh_channel_info in[3] = {example_info(), example_info(), example_info()}, out[2];
	dxi_list_page page = {.count = 3, .total = 3}, read;
	size_t length = dxi_list_write(&page, in, buffer, sizeof buffer);

	cr_assert_eq(dxi_list_read(buffer, length, &read, out, 2), DXH_OK);
	cr_expect_eq(read.count, 2);
	cr_expect(read.more);
	cr_expect_eq(read.total, 3);
}

/* ---- consumers, descriptions, figures, events ---- */

Test(broker_message, what_a_consumer_says_is_read_as_it_was_written, .timeout = 30)
{
	dxi_reader_claim claim = {.channel = "camera/front", .info = example_consumer(9)},
			 claim_read;
	dxi_reader_word word = {.channel = "a", .consumer = 7, .pid = 8}, word_read;
	dxi_scan_limits canonical = {.elements_max = 64, .canonical = true};
	size_t length;

	memset(claim.schema_hash, 0x55, sizeof claim.schema_hash);
	length = dxi_reader_claim_write(&claim, buffer, DXI_CONSUMER_WIRE_MAX);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	cr_assert_eq(dxi_reader_claim_read(buffer, length, &claim_read), DXH_OK);
	cr_expect_str_eq(claim_read.channel, claim.channel);
	cr_expect_eq(memcmp(claim_read.schema_hash, claim.schema_hash, 32), 0);
	cr_expect_eq(claim_read.info.uid, 9);
	cr_expect_str_eq(claim_read.info.name, claim.info.name);
	cr_expect_eq(claim_read.info.start, claim.info.start);
	cr_expect_eq(claim_read.info.read, 0, "a claim has no figures");

	length = dxi_reader_leave_write(&word, buffer, DXI_SMALL_WIRE_MAX);
	cr_assert_eq(dxi_reader_leave_read(buffer, length, &word_read), DXH_OK);
	cr_expect_eq(memcmp(&word, &word_read, sizeof word), 0);
	word = (dxi_reader_word){.channel = "a",
	                         .consumer = 7,
	                         .progress = 1,
	                         .next_ticket = 2,
	                         .read = 3,
	                         .lost = 4,
	                         .lag = UINT64_MAX,
	                         .tells_block = 1,
	                         .block_uuid = {1, 2, 3}};
	length = dxi_reader_beat_write(&word, buffer, DXI_SMALL_WIRE_MAX);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	cr_expect(dxi_beat_is_of_reader(buffer, length));
	cr_assert_eq(dxi_reader_beat_read(buffer, length, &word_read), DXH_OK);
	cr_expect_eq(memcmp(&word, &word_read, sizeof word), 0);
	word = (dxi_reader_word){.channel = "a", .consumer = 7, .corrupt = 9};
	length = dxi_checksum_error_write(&word, buffer, DXI_SMALL_WIRE_MAX);
	cr_assert_eq(dxi_checksum_error_read(buffer, length, &word_read), DXH_OK);
	cr_expect_eq(memcmp(&word, &word_read, sizeof word), 0);
}

Test(broker_message, a_beat_of_a_producer_is_none_of_a_consumer, .timeout = 30)
{
	dxi_owner beat = {.channel = "a", .producer = 5, .progress = 6};

	cr_expect_not(
		dxi_beat_is_of_reader(buffer, dxi_heartbeat_write(&beat, buffer, sizeof buffer)));
	cr_expect_not(dxi_beat_is_of_reader("\xc1", 1));
}

Test(broker_message, consumer_0_and_no_discipline_are_refused, .timeout = 30)
{
	dxi_reader_claim claim = {.channel = "a", .info = example_consumer(0)}, read;
	size_t length = dxi_reader_claim_write(&claim, buffer, sizeof buffer);

	cr_expect_eq(dxi_reader_claim_read(buffer, length, &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "key 'consumer' is 0"));
	claim.info = example_consumer(1);
	claim.info.discipline = (dxh_discipline)3;
	length = dxi_reader_claim_write(&claim, buffer, sizeof buffer);
	cr_expect_eq(dxi_reader_claim_read(buffer, length, &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "key 'discipline'"));
}

static dxh_channel_consumer page_of_consumers[DXI_CONSUMERS_PAGE_MAX];

/* The longest description there is but for its schema. */
static dxh_channel_facts example_facts(void)
{
	dxi_claim claim = example_claim();
	dxh_channel_facts facts = {.channel = example_info(),
	                           .schema = claim.schema,
	                           .schema_bytes = claim.schema_bytes,
	                           .consumers = page_of_consumers,
	                           .consumer_count = DXI_CONSUMERS_PAGE_MAX,
	                           .producer_start = 11,
	                           .progress = 12,
	                           .silent_ms = 13};

	memcpy(facts.channel.schema_hash, claim.info.schema_hash, 32);
	memcpy(facts.zones, claim.zones, sizeof facts.zones);
	memset(facts.boot_id, 0x66, sizeof facts.boot_id);
	for (size_t i = 0; i < DXI_CONSUMERS_PAGE_MAX; i++)
		page_of_consumers[i] = example_consumer(UINT64_MAX - DXI_CONSUMERS_PAGE_MAX + i);
	return facts;
}

Test(broker_message, a_description_is_read_as_it_was_written, .timeout = 30)
{
	static dxh_channel_consumer consumers[DXI_CONSUMERS_PAGE_MAX];
	dxi_scan_limits canonical = {.elements_max = 8192, .canonical = true};
	dxh_channel_facts in = example_facts(), out;
	size_t length =
		dxi_describe_write(&in, true, buffer, DXI_DESCRIBE_WIRE_MAX - DXI_SCHEMA_WIRE_MAX);
	bool more = false;

	cr_assert_gt(length, 0);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK, "%s", dxh_last_error());
	cr_assert_eq(dxi_describe_read(buffer, length, &out, consumers, &more), DXH_OK, "%s",
	             dxh_last_error());
	cr_expect(more);
	cr_expect_eq(memcmp(&in.channel, &out.channel, sizeof in.channel), 0);
	cr_expect_eq(memcmp(in.zones, out.zones, sizeof in.zones), 0);
	cr_expect_eq(out.schema_bytes, in.schema_bytes);
	cr_expect_eq(memcmp(out.schema, in.schema, in.schema_bytes), 0);
	cr_expect_eq(out.consumer_count, DXI_CONSUMERS_PAGE_MAX);
	cr_expect_eq(memcmp(consumers, page_of_consumers, sizeof consumers), 0);
	cr_expect_eq(out.producer_start, 11);
	cr_expect_eq(out.progress, 12);
	cr_expect_eq(out.silent_ms, 13);
	cr_expect_eq(memcmp(out.boot_id, in.boot_id, sizeof in.boot_id), 0);
}

Test(broker_message, a_description_with_a_hash_of_something_else_is_not_believed, .timeout = 30)
{
	static dxh_channel_consumer consumers[DXI_CONSUMERS_PAGE_MAX];
	dxh_channel_facts facts = example_facts(), read;
	bool more;
	size_t length;

	facts.channel.schema_hash[0] ^= 1;
	length = dxi_describe_write(&facts, false, buffer, sizeof buffer);
	cr_expect_eq(dxi_describe_read(buffer, length, &read, consumers, &more), DXH_ESCHEMA);
	facts = example_facts();
	facts.zones[2].hash[0] ^= 1;
	length = dxi_describe_write(&facts, false, buffer, sizeof buffer);
	cr_expect_eq(dxi_describe_read(buffer, length, &read, consumers, &more), DXH_ESCHEMA);
	cr_expect(strstr(dxh_last_error(), "zone 'z'"), "%s", dxh_last_error());
}

Test(broker_message, a_claim_must_tell_the_zones_of_its_schema, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	claim.zones[1].hash[31] ^= 1;
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_ESCHEMA);
	cr_expect(strstr(dxh_last_error(), "zone 'z'"));
	claim = example_claim();
	claim.zones[1].bytes++;
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "key 'zones' does not list"));
	claim = example_claim();
	claim.info.zone_count--;
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "key 'zones' does not list"));
}

Test(broker_message, figures_are_read_as_they_were_written, .timeout = 30)
{
	dxi_scan_limits canonical = {.elements_max = 128, .canonical = true};
	dxh_broker_stats in, out;
	uint64_t *numbers = (uint64_t *)&in;
	size_t length;

	/* Each another one, and large: a figure that is forgotten or mixed up shows. */
	for (size_t i = 0; i < sizeof in / sizeof *numbers; i++)
		numbers[i] = UINT64_MAX - i;
	length = dxi_broker_stats_write(&in, buffer, DXI_METRICS_WIRE_MAX);
	cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
	cr_assert_eq(dxi_broker_stats_read(buffer, length, &out), DXH_OK);
	cr_expect_eq(memcmp(&in, &out, sizeof in), 0);
	cr_expect_eq(dxi_broker_stats_read("\x80", 1, &out), DXH_OK);
	cr_expect_eq(out.beats, 0);
}

Test(broker_message, events_are_read_as_they_were_written, .timeout = 30)
{
	dxi_scan_limits canonical = {.elements_max = 64, .canonical = true};

	for (int kind = DXH_WATCH_OPENED; kind <= DXH_WATCH_CONSUMER_DIED; kind++) {
		dxh_watch_event in = {.kind = (dxh_watch_kind)kind,
		                      .producer = UINT64_MAX,
		                      .pid = INT32_MAX,
		                      .epoch = UINT64_MAX,
		                      .consumer = UINT64_MAX,
		                      .checksum_errors = UINT64_MAX,
		                      .broker = UINT64_MAX,
		                      .number = UINT64_MAX},
				out;
		size_t length;

		memset(in.channel, 'n', sizeof in.channel - 1);
		memset(in.reason, 'r', sizeof in.reason - 1);
		length = dxi_event_write(&in, buffer, DXI_EVENT_WIRE_MAX);
		cr_expect_eq(dxi_scan(buffer, length, canonical), DXH_OK);
		cr_assert_eq(dxi_event_read(buffer, length, &out), DXH_OK);
		cr_expect_eq(memcmp(&in, &out, sizeof in), 0);
	}
	cr_expect_eq(
		dxi_event_write(&(dxh_watch_event){.kind = DXH_WATCH_GAP}, buffer, sizeof buffer),
		0, "a gap does not travel");
}

Test(broker_message, an_event_of_a_newer_broker_is_told_apart_from_nonsense, .timeout = 30)
{
	dxh_watch_event event = {.kind = DXH_WATCH_OPENED, .channel = "a"}, read;
	size_t length = dxi_event_write(&event, buffer, sizeof buffer);
	unsigned char *name = memmem(buffer, length, "channel.opened", 14);

	name[13] = 'x';
	cr_expect_eq(dxi_event_read(buffer, length, &read), DXH_EUNKNOWN);
	name[-1] = 0xc0;
	cr_expect_eq(dxi_event_read(buffer, length, &read), DXH_EPROTO);
}

/* ---- refusals ---- */

/* Damage one value of a written map, found by its key: the type byte behind the
 * key becomes nil's, which no key may hold. */
static void spoil(unsigned char *bytes, size_t length, const char *key)
{
	unsigned char *at = memmem(bytes, length, key, strlen(key));

	while (at[-1] != (0xa0 | strlen(key))) /* the whole key, not its end */
		at = memmem(at + 1, (size_t)(bytes + length - at - 1), key, strlen(key));
	at[strlen(key)] = 0xc0;
}

static void rename_key(unsigned char *bytes, size_t length, const char *key)
{
	unsigned char *at = memmem(bytes, length, key, strlen(key));

	while (at[-1] != (0xa0 | strlen(key)))
		at = memmem(at + 1, (size_t)(bytes + length - at - 1), key, strlen(key));
	at[0] ^= 0x20;
}

Test(broker_message, a_claim_without_a_key_is_refused_naming_it, .timeout = 30)
{
	static const char *const keys[] = {"channel",    "directory", "epoch",       "pid",
	                                   "producer",   "schema",    "schema_hash", "slot_bytes",
	                                   "slot_count", "uuid"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		dxi_claim claim = example_claim(), read;
		size_t length = write_claim(&claim);
		char says[64];

		rename_key(buffer, length, keys[i]);
		snprintf(says, sizeof says, "channel.register: key '%s' is missing", keys[i]);
		cr_expect_eq(dxi_claim_read(buffer, length, &read), DXH_EINVAL);
		cr_expect(strstr(dxh_last_error(), says), "%s", dxh_last_error());
	}
}

Test(broker_message, a_claim_may_leave_out_endpoint_and_stall_ms, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;
	size_t length = write_claim(&claim);

	rename_key(buffer, length, "endpoint");
	rename_key(buffer, length, "stall_ms");
	cr_expect_eq(dxi_claim_read(buffer, length, &read), DXH_OK, "%s", dxh_last_error());
	cr_expect_str_empty(read.info.endpoint);
	cr_expect_eq(read.stall_ms, 0);
}

Test(broker_message, a_value_of_another_type_is_refused_naming_the_key, .timeout = 30)
{
	dxi_owner owner = {.channel = "a", .producer = 5, .pid = 6}, read;
	size_t length = dxi_deregister_write(&owner, buffer, sizeof buffer);

	/* 5 and 6 are one byte each, so nil in their place keeps the map whole. */
	spoil(buffer, length, "producer");
	cr_expect_eq(dxi_deregister_read(buffer, length, &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "channel.deregister: key 'producer' is no unsigned"));
	length = dxi_deregister_write(&owner, buffer, sizeof buffer);
	spoil(buffer, length, "pid");
	cr_expect_eq(dxi_deregister_read(buffer, length, &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "channel.deregister: key 'pid' is no unsigned"));
}

Test(broker_message, names_that_are_no_channel_names_are_refused, .timeout = 30)
{
	static const char *const bad[] = {
		"",
		".",
		"/",
		".a",
		"/a",
		"a b",
		"a\n",
		"ä",
		"a:b",

		"01234567890123456789012345678901234567890123456789012345678901234"};
	static const char *const good[] = {
		"a",
		"a/b",
		"A-Z_0.9",
		"a.",
		"a/",

		"012345678901234567890123456789012345678901234567890123456789012"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char channel[DXH_CHANNEL_NAME_MAX + 1];
		size_t length = dxi_discover_write(bad[i], buffer, sizeof buffer);

		cr_expect_not(dxi_channel_name_ok(bad[i]));
		cr_expect_eq(dxi_discover_read(buffer, length, channel), DXH_EINVAL, "'%s'",
		             bad[i]);
		cr_expect(strstr(dxh_last_error(), "key 'channel'"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_expect(dxi_channel_name_ok(good[i]), "'%s'", good[i]);
}

Test(broker_message, a_directory_must_be_absolute, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	snprintf(claim.info.directory, sizeof claim.info.directory, "shm");
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "key 'directory' is no absolute path"));
}

/* What a decoder or a terminal of another client would stumble over, and what it bears. */
static const char *const odd[] = {"\x1b[2J",
                                  "\n",
                                  "\x7f",
                                  "\xc2\x9bK",
                                  "\xff",
                                  "\xc3",
                                  "\xc0\xaf",
                                  "\xed\xa0\x80",
                                  "\x80",
                                  "\xe2\x82",
                                  "\xf4\x90\x80\x80",
                                  "\xf0\x80\x80\x80"};
static const char good_text[] = "/\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80~";

Test(broker_message, paths_that_others_cannot_show_are_refused, .timeout = 30)
{
	dxi_claim claim, read;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		claim = example_claim();
		snprintf(claim.info.directory, sizeof claim.info.directory, "/%s", odd[i]);
		cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
		cr_expect(strstr(dxh_last_error(), "key 'directory' is no UTF-8"), "%zu", i);
		claim = example_claim();
		snprintf(claim.info.endpoint, sizeof claim.info.endpoint, "ipc://%s", odd[i]);
		cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
		cr_expect(strstr(dxh_last_error(), "key 'endpoint' is no UTF-8"), "%zu", i);
	}
	claim = example_claim();
	snprintf(claim.info.directory, sizeof claim.info.directory, "%s", good_text);
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_OK);
	cr_expect_str_eq(read.info.directory, good_text);
}

Test(broker_message, a_name_of_a_consumer_is_made_fit_to_be_shown, .timeout = 30)
{
	static const char *const expected[] = {"?[2J?", "???"};
	static const char *const given[] = {"\x1b[2J\n", "\xe2\x82\x07"};
	dxi_reader_claim claim = {.channel = "a", .info = {.uid = 1}}, read;

	for (int i = 0; i < 2; i++) {
		strcpy(claim.info.name, given[i]);
		cr_assert_eq(dxi_reader_claim_read(
				     buffer, dxi_reader_claim_write(&claim, buffer, sizeof buffer),
				     &read),
		             DXH_OK);
		cr_expect_str_eq(read.info.name, expected[i]);
	}
}

Test(broker_message, a_hash_of_other_bytes_is_refused, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	claim.info.schema_hash[31] ^= 1;
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_ESCHEMA);
	cr_expect(strstr(dxh_last_error(), "'schema_hash'"));
}

Test(broker_message, a_schema_that_is_none_is_refused_although_its_hash_is_right, .timeout = 30)
{
	static const char *const bad[] = {"", "\xc0", "\x80", "\xdf\xff\xff\xff\xff",
	                                  "\x81\xa5zones\xc0"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		dxi_claim claim = example_claim(), read;

		claim.schema = bad[i];
		claim.schema_bytes = strlen(bad[i]);
		dxi_hash(claim.schema, claim.schema_bytes, claim.info.schema_hash);
		cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
		cr_expect(strstr(dxh_last_error(), "schema"), "%s", dxh_last_error());
	}
}

Test(broker_message, more_zones_than_a_block_can_have_are_refused, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	write_schema(DXH_ZONES_MAX + 1);
	claim.schema_bytes = schema_bytes;
	dxi_hash(schema, schema_bytes, claim.info.schema_hash);
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "more than 16 zones"));
}

Test(broker_message, terms_without_an_interval_are_refused, .timeout = 30)
{
	dxi_terms terms = {0}, read;
	size_t length = dxi_terms_write(&terms, buffer, sizeof buffer);

	cr_expect_eq(dxi_terms_read(buffer, length, &read), DXH_EPROTO);
	cr_expect(strstr(dxh_last_error(), "'beat_ms'"));
}

/* ---- any bytes ---- */

/* splitmix64: the same numbers in every run. */
static uint64_t random_state;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Each reader at the same bytes: whatever they are, each refuses or reads. */
static void read_as_anything(const unsigned char *bytes, size_t length)
{
	dxh_channel_info channels[2];
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	dxi_list_request request;
	dxi_list_page page;
	dxi_claim claim;
	dxi_terms terms;
	dxi_owner owner;
	dxi_reader_claim reader;
	dxi_reader_word word;
	dxi_describe_request description;
	dxh_channel_facts facts;
	dxh_broker_stats stats;
	dxh_watch_event event;
	bool more;

	(void)dxi_claim_read(bytes, length, &claim);
	(void)dxi_reader_claim_read(bytes, length, &reader);
	(void)dxi_reader_leave_read(bytes, length, &word);
	(void)dxi_reader_beat_read(bytes, length, &word);
	(void)dxi_checksum_error_read(bytes, length, &word);
	(void)dxi_describe_request_read(bytes, length, &description);
	if (dxi_describe_read(bytes, length, &facts, page_of_consumers, &more) == DXH_OK)
		cr_assert_leq(facts.consumer_count, DXI_CONSUMERS_PAGE_MAX);
	(void)dxi_broker_stats_read(bytes, length, &stats);
	(void)dxi_event_read(bytes, length, &event);
	(void)dxi_terms_read(bytes, length, &terms);
	(void)dxi_deregister_read(bytes, length, &owner);
	(void)dxi_heartbeat_read(bytes, length, &owner);
	(void)dxi_discover_read(bytes, length, channel);
	(void)dxi_channel_read(bytes, length, channels);
	(void)dxi_list_request_read(bytes, length, &request);
	if (dxi_list_read(bytes, length, &page, channels, 2) == DXH_OK)
		cr_assert_leq(page.count, 2);
}

static size_t write_any(unsigned which)
{
	dxh_channel_info channels[2] = {example_info(), example_info()};
	dxi_list_page page = {.count = 2, .total = 2};
	dxi_claim claim = example_claim();
	dxi_reader_claim reader = {.channel = "a", .info = example_consumer(1)};
	dxh_channel_facts facts = example_facts();
	dxh_watch_event event = {.kind = DXH_WATCH_ERROR, .channel = "a"};

	switch (which) {
	case 3:
		return dxi_reader_claim_write(&reader, buffer, sizeof buffer);
	case 4:
		facts.consumer_count = 2;
		return dxi_describe_write(&facts, false, buffer, sizeof buffer);
	case 5:
		return dxi_event_write(&event, buffer, sizeof buffer);
	case 0:
		return dxi_claim_write(&claim, buffer, sizeof buffer);
	case 1:
		return dxi_channel_write(channels, buffer, sizeof buffer);
	default:
		return dxi_list_write(&page, channels, buffer, sizeof buffer);
	}
}

Test(broker_message, no_bytes_do_more_than_be_refused, .timeout = 60)
{
	random_state = 5;
	for (unsigned round = 0; round < 30000; round++) {
		size_t length = write_any(round % 6);
		size_t cut = random_u64() % 4 ? length : random_u64() % length;
		unsigned char *exact = malloc(cut + 1);

		memcpy(exact, buffer, cut);
		for (uint64_t hits = random_u64() % 4; hits > 0 && cut > 0; hits--)
			exact[random_u64() % cut] = (unsigned char)random_u64();
		read_as_anything(exact, cut);
		free(exact);
	}
}
