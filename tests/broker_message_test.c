/* SPDX-License-Identifier: MIT */
/* The messages of the broker: what is written is read. */
#include "tests/broker_examples.h"

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
