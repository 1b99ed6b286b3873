/* SPDX-License-Identifier: MIT */
/* The size that is told beforehand is the size that the files then have. */
#include "tests/shm_fixture.h"

static uint64_t bytes_of(const char *name, const char *suffix)
{
	struct stat found;

	return stat(file_of(name, suffix), &found) == 0 ? (uint64_t)found.st_size : 0;
}

static unsigned tried;

static void expect_size(const char *name, const dxh_block_config *config)
{
	dxh_producer *producer = open_producer(name, *config);
	dxh_producer_stats stats;
	dxh_block_sizes sizes;
	dxh_block_info facts;

	must(dxh_block_size(name, config, &sizes));
	must(dxh_producer_stats_get(producer, &stats));
	must(dxh_producer_info(producer, &facts));
	cr_assert_eq(sizes.data_bytes, bytes_of(name, ".dxh"), "%s", name);
	cr_assert_eq(sizes.data_bytes, stats.block_bytes);
	cr_assert_eq(sizes.schema_bytes, facts.schema_bytes);
	cr_assert_eq(sizes.control_bytes, bytes_of(name, ".ctl"));
	cr_assert_eq(sizes.zones_bytes, bytes_of(name, ".zones"));
	cr_assert_eq(sizes.lock_bytes, bytes_of(name, ".lock"));
	cr_assert_eq(sizes.total_bytes,
	             sizes.data_bytes + sizes.control_bytes + sizes.zones_bytes + sizes.lock_bytes);
	cr_assert_eq(sizes.data_bytes,
	             sizes.slots_in_all > 0
	                     ? sizes.slots_offset + sizes.slots_in_all * sizes.slot_stride_bytes
	                     : sizes.data_bytes);
	must(dxh_producer_close(&producer));
	tried++;
}

/* A fixed sequence: what fails once fails always. */
static uint32_t draw(uint32_t below)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % below;
}

static void draw_zones(dxh_block_config *config, uint32_t count)
{
	static const dxh_zone_spec typed[] = {DXH_ZONE(telemetry), DXH_LATCH(position),
	                                      DXH_ZONE(item), DXH_LATCH(telemetry)};
	static char names[DXH_ZONES_MAX][16];

	for (uint32_t i = 0; i < count; i++) {
		dxh_zone_spec zone = DXH_ZONE_RAW("raw", 1 + draw(3000));

		if (draw(2) == 0)
			zone = typed[draw(4)];
		else
			zone.align = draw(2) * (size_t)(1 << draw(7));
		if (draw(4) == 0)
			zone.latch = !zone.latch;
		zone.digest = draw(2) * draw(DXH_CHECKSUM_BLAKE2B + 1);
		cr_assert_lt(
			snprintf(names[i], sizeof names[i], "%.*s%u", (int)draw(8), "zzzzzzzz", i),
			(int)sizeof names[i]);
		zone.name = names[i];
		config->zones[i] = zone;
	}
}

static bool has_plain_zone(const dxh_block_config *config)
{
	for (int i = 0; i < DXH_ZONES_MAX && config->zones[i].name; i++)
		if (!config->zones[i].latch)
			return true;
	return false;
}

static dxh_block_config draw_config(void)
{
	static const uint32_t counts[] = {0, 1, 2, 4, 5, 7, 64, 300};
	dxh_block_config config = {.unlink_on_close = 1, .no_wait = (int)draw(2)};

	draw_zones(&config, draw(DXH_ZONES_MAX + 1));
	config.slot_count = counts[draw(config.zones[0].name ? 8 : 7) + !config.zones[0].name];
	config.zones_writable = has_plain_zone(&config) && draw(2);
	if (config.slot_count == 0)
		return config;
	config.slot = (dxh_slot_spec)DXH_SLOT_BYTES(1 + draw(2000));
	if (draw(3) == 0)
		config.slot = (dxh_slot_spec)DXH_SLOT(item);
	config.readers_max = draw(2) * draw(DXH_READERS_MAX + 1);
	config.checksum = draw(DXH_CHECKSUM_BLAKE2B + 1);
	return config;
}

Test(size, what_is_told_is_what_is_made, .timeout = 60)
{
	enum { CONFIGS = 400 };
	char name[DXH_BLOCK_NAME_MAX + 1];

	for (int i = 0; i < CONFIGS; i++) {
		dxh_block_config config = draw_config();

		cr_assert_lt(snprintf(name, sizeof name, "%s-%.*s", new_name(), (int)draw(30),
		                      "a-long-name-takes-more-schema-bytes"),
		             (int)sizeof name);
		expect_size(name, &config);
	}
	cr_expect_eq(tried, CONFIGS);
}

Test(size, without_a_name_there_is_no_lock, .timeout = 10)
{
	dxh_block_config config = usual_config();
	dxh_block_sizes named, memory;

	must(dxh_block_size("b", &config, &named));
	config.memfd = 1;
	must(dxh_block_size("b", &config, &memory));
	cr_expect_eq(memory.data_bytes, named.data_bytes);
	cr_expect_eq(memory.lock_bytes, 0);
	cr_expect_eq(named.lock_bytes, 16);
}

/* Far beyond any machine, and nothing is made. */
Test(size, of_what_could_never_be_made, .timeout = 10)
{
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(UINT64_C(1) << 40), .slot_count = 65536};
	dxh_block_sizes sizes;

	must(dxh_block_size("b", &config, &sizes));
	cr_expect_eq(sizes.data_bytes,
	             sizes.slots_offset + UINT64_C(65538) * ((UINT64_C(1) << 40) + 64));
}

Test(size, what_cannot_be_a_block_is_refused, .timeout = 10)
{
	dxh_block_config config = usual_config();
	dxh_block_sizes sizes;

	expect_status(dxh_block_size("b", NULL, &sizes), DXH_EINVAL);
	expect_status(dxh_block_size("b", &config, NULL), DXH_EINVAL);
	expect_status(dxh_block_size(NULL, &config, &sizes), DXH_EINVAL);
	expect_status(dxh_block_size("b b", &config, &sizes), DXH_EINVAL);
	expect_status(dxh_block_size("b", &(dxh_block_config){0}, &sizes), DXH_EINVAL);
	expect_error_says("neither zones nor slots");
	config.slot_count = 3;
	expect_status(dxh_block_size("b", &config, &sizes), DXH_EINVAL);
}

Test(size, a_config_of_a_newer_header_is_refused, .timeout = 10)
{
	struct {
		dxh_block_config config;
		uint64_t news;
	} newer = {.config = usual_config(), .news = 1};
	dxh_block_sizes sizes;

	expect_status(dxh_block_size_sized(sizeof newer, "b", &newer.config, &sizes), DXH_EVERSION);
}
