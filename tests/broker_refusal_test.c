/* SPDX-License-Identifier: MIT */
/* The messages of the broker: each key is wanted, and no bytes whatever do more than be
 * refused. */
#include "tests/broker_examples.h"

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

Test(broker_refusal, a_claim_without_a_key_is_refused_naming_it, .timeout = 30)
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

Test(broker_refusal, a_claim_may_leave_out_endpoint_and_stall_ms, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;
	size_t length = write_claim(&claim);

	rename_key(buffer, length, "endpoint");
	rename_key(buffer, length, "stall_ms");
	cr_expect_eq(dxi_claim_read(buffer, length, &read), DXH_OK, "%s", dxh_last_error());
	cr_expect_str_empty(read.info.endpoint);
	cr_expect_eq(read.stall_ms, 0);
}

Test(broker_refusal, a_value_of_another_type_is_refused_naming_the_key, .timeout = 30)
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

Test(broker_refusal, names_that_are_no_channel_names_are_refused, .timeout = 30)
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

Test(broker_refusal, a_directory_must_be_absolute, .timeout = 30)
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

Test(broker_refusal, paths_that_others_cannot_show_are_refused, .timeout = 30)
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

Test(broker_refusal, a_name_of_a_consumer_is_made_fit_to_be_shown, .timeout = 30)
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

Test(broker_refusal, a_hash_of_other_bytes_is_refused, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	claim.info.schema_hash[31] ^= 1;
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_ESCHEMA);
	cr_expect(strstr(dxh_last_error(), "'schema_hash'"));
}

Test(broker_refusal, a_schema_that_is_none_is_refused_although_its_hash_is_right, .timeout = 30)
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

Test(broker_refusal, more_zones_than_a_block_can_have_are_refused, .timeout = 30)
{
	dxi_claim claim = example_claim(), read;

	write_schema(DXH_ZONES_MAX + 1);
	claim.schema_bytes = schema_bytes;
	dxi_hash(schema, schema_bytes, claim.info.schema_hash);
	cr_expect_eq(dxi_claim_read(buffer, write_claim(&claim), &read), DXH_EINVAL);
	cr_expect(strstr(dxh_last_error(), "more than 16 zones"));
}

Test(broker_refusal, terms_without_an_interval_are_refused, .timeout = 30)
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

Test(broker_refusal, no_bytes_do_more_than_be_refused, .timeout = 60)
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
