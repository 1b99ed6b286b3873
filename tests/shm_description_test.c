/* SPDX-License-Identifier: MIT */
/* shm/description: what a block says of itself makes the same block again; what says
 * nothing of the kind is refused. */
#include "tests/shm_pair.h"

#include <dxh/description.h>

#include <dirent.h>

static dxh_description *description;

/* Its blocks leave lock files. */
static void remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while ((entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	cr_expect_eq(rmdir(path), 0);
}

/* A block made from the description of `config`'s describes itself byte by byte the same. */
static void make_again(dxh_block_config config)
{
	dxh_block_config again = {.slot_count = config.slot_count, .unlink_on_close = 1};
	const void *first, *second;
	size_t first_bytes, second_bytes;
	dxh_producer *other;
	char elsewhere[256];

	config.unlink_on_close = 1;
	producer = open_producer(new_name(), config);
	first = dxh_producer_schema(producer, &first_bytes);
	must(dxh_description_read(first, first_bytes, &description));
	must(dxh_description_apply(description, &again));
	snprintf(elsewhere, sizeof elsewhere, "%s/again-%d", shm_directory(), (int)getpid());
	cr_assert_eq(mkdir(elsewhere, 0700), 0);
	again.directory = elsewhere; /* the name is part of the description */
	other = open_producer(description->name, again);
	second = dxh_producer_schema(other, &second_bytes);
	cr_expect_eq(first_bytes, second_bytes);
	cr_expect_eq(memcmp(first, second, first_bytes), 0);
	must(dxh_producer_close(&other));
	remove_folder(elsewhere);
	dxh_description_free(&description);
	cr_expect_null(description);
	must(dxh_producer_close(&producer));
}

Test(description, makes_the_same_block_again)
{
	dxh_block_config config = {.slot_count = 4, .slot = DXH_SLOT(item)};

	make_again(config);
	config.zones[0] = (dxh_zone_spec)DXH_ZONE(telemetry);
	config.zones[1] = (dxh_zone_spec)DXH_LATCH(position);
	config.zones[2] = (dxh_zone_spec)DXH_ZONE_RAW("raw", 100);
	make_again(config);
	config.slot = (dxh_slot_spec)DXH_SLOT_BYTES(100);
	make_again(config);
	config.slot = (dxh_slot_spec){0};
	config.slot_count = 0;
	make_again(config);
}

Test(description, tells_zones_and_slot)
{
	dxh_block_config config = usual_config();
	const void *bytes;
	size_t count;

	config.zones[0] = (dxh_zone_spec)DXH_LATCH(position);
	config.zones[1] = (dxh_zone_spec){0};
	open_both(config, (dxh_consumer_config){0});
	bytes = dxh_consumer_schema(consumer, &count);
	must(dxh_description_read(bytes, count, &description));
	cr_expect_eq(description->zone_count, 1);
	cr_expect_str_eq(description->zones[0].name, "position");
	cr_expect_str_eq(description->zones[0].schema->fields[2].name, "stamps");
	cr_expect(description->zones[0].latch && description->has_slot);
	dxh_description_free(&description);
	close_both();
}

Test(description, of_anything_else_is_refused_with_its_place)
{
	const void *bytes;
	size_t count;

	open_usual();
	bytes = dxh_consumer_schema(consumer, &count);
	for (size_t cut = 0; cut < count; cut++) {
		expect_status(dxh_description_read(bytes, cut, &description), DXH_ECORRUPT);
		cr_expect(strstr(dxh_last_error(), "offset"), "%s", dxh_last_error());
	}
	expect_status(dxh_description_read(NULL, 1, &description), DXH_EINVAL);
	expect_status(dxh_description_read(bytes, count, NULL), DXH_EINVAL);
	expect_status(dxh_description_read(bytes, (size_t)1 << 40, &description), DXH_ECORRUPT);
	expect_status(dxh_description_apply(NULL, NULL), DXH_EINVAL);
	dxh_description_free(NULL);
	dxh_description_free(&description);
	close_both();
}
