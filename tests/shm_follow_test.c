/* SPDX-License-Identifier: MIT */
/* A consumer that follows the name of its block into the next block of that name. */
#include "tests/shm_fixture.h"

#include <poll.h>
#include <pthread.h>

static char name[32];
static dxh_producer *producer;
static dxh_consumer *consumer;
static struct item got;
static dxh_item info;

enum { SOON_MS = 20000, QUIET_MS = 250 };

static dxh_block_config config_of(void)
{
	dxh_block_config config = usual_config();

	config.unlink_on_close = 1;
	return config;
}

static void produce(dxh_block_config config)
{
	producer = open_producer(name, config);
}

static void begin_with(dxh_block_config block, dxh_consumer_config config)
{
	strcpy(name, new_name());
	produce(block);
	config.follow_name = 1;
	consumer = open_consumer(name, config);
}

static void begin(dxh_consumer_config config)
{
	begin_with(config_of(), config);
}

static void remake(void)
{
	must(dxh_producer_close(&producer));
	produce(config_of());
}

static void end(void)
{
	must(dxh_consumer_close(&consumer));
	if (producer)
		must(dxh_producer_close(&producer));
}

static dxh_status read_until(int64_t deadline_ns)
{
	return dxh_read_next(consumer, &got, sizeof got, deadline_ns, &info);
}

static dxh_status read_now(void)
{
	return read_until(DXH_NOW);
}

/* The end is told first. */
static void expect_move(void)
{
	expect_status(read_now(), DXH_EUNLINKED);
	expect_status(read_now(), DXH_EMOVED);
}

static void expect_item(uint64_t ticket)
{
	must(read_now());
	cr_expect_eq(info.ticket, ticket);
	cr_expect(is_item_of(ticket, &got));
}

Test(follow, goes_on_in_the_next_block_once_all_is_read)
{
	begin((dxh_consumer_config){0});
	publish_items(producer, 0, 3);
	remake();
	publish_items(producer, 0, 2);
	for (uint64_t ticket = 0; ticket < 3; ticket++)
		expect_item(ticket);
	expect_move();
	expect_error_says("another block");
	cr_expect_eq(info.lost, 0);
	expect_item(0);
	expect_item(1);
	expect_status(read_now(), DXH_EWAIT);
	end();
}

Test(follow, tells_the_end_first_and_the_next_block_when_it_comes)
{
	begin((dxh_consumer_config){0});
	must(dxh_producer_close(&producer));
	expect_status(read_until(DXH_FOREVER), DXH_EUNLINKED);
	expect_error_says("wait for the next block");
	expect_status(read_until(dxh_in_ms(20)), DXH_EUNLINKED);
	produce(config_of());
	expect_status(read_until(dxh_in_ms(SOON_MS)), DXH_EMOVED);
	expect_status(read_now(), DXH_EWAIT);
	end();
}

Test(follow, without_it_the_name_alone_changes_nothing)
{
	strcpy(name, new_name());
	produce(config_of());
	consumer = open_consumer(name, (dxh_consumer_config){0});
	remake();
	publish_items(producer, 0, 1);
	expect_status(read_now(), DXH_EUNLINKED);
	expect_status(read_until(DXH_FOREVER), DXH_EUNLINKED);
	end();
}

static void *remake_later(void *unused)
{
	(void)unused;
	/* Only so that the reader sleeps; right without it too. */
	usleep(30000);
	produce(config_of());
	publish_items(producer, 0, 1);
	return NULL;
}

Test(follow, a_reader_that_sleeps_finds_it, .timeout = 60)
{
	pthread_t thread;

	begin((dxh_consumer_config){0});
	must(dxh_producer_close(&producer));
	expect_status(read_now(), DXH_EUNLINKED);
	cr_assert_eq(pthread_create(&thread, NULL, remake_later, NULL), 0);
	expect_status(read_until(dxh_in_ms(SOON_MS)), DXH_EMOVED);
	pthread_join(thread, NULL);
	expect_item(0);
	end();
}

Test(follow, what_the_next_block_overwrote_before_counts_as_lost)
{
	dxh_consumer_stats stats;

	begin((dxh_consumer_config){0});
	publish_items(producer, 0, 2);
	remake();
	publish_items(producer, 0, 10);
	expect_item(0);
	expect_item(1);
	expect_move();
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost_first, 0);
	cr_expect_eq(info.lost, info.lost_last + 1);
	expect_item(info.lost_last + 1);
	while (read_now() == DXH_OK)
		;
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.read + stats.lost, 2 + 10);
	cr_expect_eq(stats.next_ticket, 10);
	end();
}

Test(follow, the_latest_of_the_next_block_is_next_for_who_wants_that)
{
	begin((dxh_consumer_config){.discipline = DXH_LATEST});
	publish_items(producer, 0, 2);
	expect_item(1);
	remake();
	publish_items(producer, 0, 7);
	expect_move();
	expect_item(6);
	end();
}

Test(follow, goes_through_many_blocks)
{
	begin((dxh_consumer_config){0});
	for (int i = 0; i < 20; i++) {
		remake();
		publish_items(producer, 0, 1);
		expect_move();
		expect_item(0);
	}
	end();
}

/* ---- zones ---- */

Test(follow, pointers_to_zones_that_were_left_stay_good)
{
	const struct telemetry *before, *behind;
	const void *notes;
	struct telemetry *zone;

	begin((dxh_consumer_config){0});
	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 1.5;
	must(dxh_zone_view(consumer, telemetry, &before));
	must(dxh_consumer_zone(consumer, "notes", NULL, 100, &notes));
	remake();
	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 2.5;
	expect_move();
	must(dxh_zone_view(consumer, telemetry, &behind));
	cr_expect_neq(before, behind);
	cr_expect_eq(before->gain, 1.5);
	cr_expect_eq(behind->gain, 2.5);
	cr_expect_eq(*(const char *)notes, 0);
	end();
}

Test(follow, what_is_left_takes_no_memory_of_the_block_before)
{
	char link[64], target[256];
	ssize_t length;

	begin((dxh_consumer_config){0});
	remake();
	expect_move();
	for (int fd = 3; fd < 64; fd++) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		length = readlink(link, target, sizeof target - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		cr_expect(!strstr(target, name) || !strstr(target, "(deleted)"), "%s", target);
	}
	end();
}

/* Is a file of this inode mapped by this process? */
static int maps(ino_t inode)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long long found = 0;
	char line[512];

	while (found != inode && fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %*s %*s %*s %llu", &found) != 1)
			found = 0;
	fclose(file);
	return found == inode;
}

Test(follow, the_file_that_was_left_is_not_mapped_any_more)
{
	struct stat left;

	begin((dxh_consumer_config){0});
	cr_assert_eq(stat(file_of(name, ".dxh"), &left), 0);
	must(dxh_producer_close(&producer));
	cr_expect(maps(left.st_ino), "the block that the consumer still has");
	produce(config_of());
	expect_move();
	cr_expect_not(maps(left.st_ino));
	end();
}

Test(follow, memory_that_is_kept_has_the_zones_that_were_left)
{
	const struct telemetry *before;
	struct telemetry *zone;
	dxh_memory *memory;

	begin((dxh_consumer_config){0});
	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 1.5;
	must(dxh_zone_view(consumer, telemetry, &before));
	remake();
	expect_move();
	must(dxh_consumer_close_keeping(&consumer, &memory));
	cr_expect_eq(before->gain, 1.5);
	dxh_memory_free(&memory);
	must(dxh_producer_close(&producer));
}

Test(follow, a_block_without_slots_is_followed_by_looking)
{
	dxh_block_config config = {.zones = {DXH_ZONE(telemetry)}, .unlink_on_close = 1};
	const struct telemetry *view;
	struct telemetry *zone;

	begin_with(config, (dxh_consumer_config){0});
	must(dxh_consumer_check(consumer));
	must(dxh_producer_close(&producer));
	expect_status(dxh_consumer_check(consumer), DXH_EUNLINKED);
	expect_status(dxh_consumer_check(consumer), DXH_EUNLINKED);
	produce(config);
	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 4;
	expect_status(dxh_consumer_check(consumer), DXH_EMOVED);
	must(dxh_consumer_check(consumer));
	must(dxh_zone_view(consumer, telemetry, &view));
	cr_expect_eq(view->gain, 4);
	end();
}

Test(follow, looking_leaves_no_item_behind)
{
	dxh_peek peek;

	begin((dxh_consumer_config){0});
	publish_items(producer, 0, 1);
	remake();
	must(dxh_consumer_check(consumer));
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	expect_status(dxh_consumer_check(consumer), DXH_ESTATE);
	must(dxh_peek_end(&peek));
	expect_status(dxh_consumer_check(consumer), DXH_EUNLINKED);
	expect_status(dxh_consumer_check(consumer), DXH_EMOVED);
	expect_status(dxh_consumer_check(NULL), DXH_EINVAL);
	end();
}

static void die_producing(const char *block)
{
	dxh_block_config config = config_of();
	dxh_producer *child;

	if (dxh_producer_open(block, &config, &child) == DXH_OK)
		die_here();
}

static void look_in_a_child(const char *unused)
{
	(void)unused;
	_exit(dxh_consumer_check(consumer) != DXH_EFORKED);
}

Test(follow, looking_tells_how_a_producer_ended)
{
	dxh_block_config config = config_of();
	dxh_consumer *closed;

	config.unlink_on_close = 0;
	begin_with(config, (dxh_consumer_config){0});
	must(dxh_producer_close(&producer));
	expect_status(dxh_consumer_check(consumer), DXH_ECLOSED);
	cr_expect(WIFSIGNALED(run_child(die_producing, name)));
	expect_status(dxh_consumer_check(consumer), DXH_EDEAD);
	cr_expect_eq(run_child(look_in_a_child, name), 0);
	must(dxh_block_unlink(NULL, name));
	produce(config_of());
	expect_status(dxh_consumer_check(consumer), DXH_EUNLINKED);
	expect_status(dxh_consumer_check(consumer), DXH_EMOVED);
	closed = consumer;
	must(dxh_consumer_close(&consumer));
	expect_status(dxh_consumer_check(closed), DXH_ESTALE);
	must(dxh_producer_close(&producer));
}

/* ---- what the next block must be ---- */

Test(follow, another_schema_is_refused_until_there_is_a_better_block)
{
	dxh_block_config other = {.zones = {DXH_ZONE(position)},
	                          .slot = DXH_SLOT(position),
	                          .slot_count = 4,
	                          .unlink_on_close = 1};

	begin((dxh_consumer_config){.slot = DXH_SLOT(item)});
	must(dxh_producer_close(&producer));
	produce(other);
	expect_status(read_until(DXH_FOREVER), DXH_EUNLINKED);
	/* Once at once, then at each deadline. */
	expect_status(read_until(DXH_FOREVER), DXH_ESCHEMA);
	expect_error_says("the slot");
	expect_status(read_until(dxh_in_ms(20)), DXH_ESCHEMA);
	expect_error_says("the slot");
	remake();
	expect_status(read_until(dxh_in_ms(SOON_MS)), DXH_EMOVED);
	end();
}

/* What is expected need not outlive the open. */
Test(follow, expectations_are_kept)
{
	dxh_zone_spec *zones = calloc(2, sizeof *zones);
	dxh_schema *schema = malloc(sizeof *schema);

	*schema = *DXH_SCHEMA_OF(telemetry);
	zones[0] = (dxh_zone_spec)DXH_ZONE(telemetry);
	zones[0].name = strdup(zones[0].name);
	zones[0].schema = schema;
	begin_with((dxh_block_config){.zones = {DXH_ZONE(telemetry)}, .unlink_on_close = 1},
	           (dxh_consumer_config){.zones = zones});
	free((char *)(uintptr_t)zones[0].name);
	memset(schema, 0xff, sizeof *schema);
	free(schema);
	free(zones);
	must(dxh_producer_close(&producer));
	produce((dxh_block_config){.zones = {DXH_ZONE(position)}, .unlink_on_close = 1});
	expect_status(dxh_consumer_check(consumer), DXH_EUNLINKED);
	expect_status(dxh_consumer_check(consumer), DXH_ESCHEMA);
	must(dxh_producer_close(&producer));
	produce((dxh_block_config){.zones = {DXH_ZONE(telemetry)}, .unlink_on_close = 1});
	expect_status(dxh_consumer_check(consumer), DXH_EMOVED);
	end();
}

Test(follow, a_lossless_reader_has_a_row_in_the_next_block_or_is_told)
{
	dxh_block_config config = config_of();
	dxh_consumer *squatter;

	config.readers_max = 1;
	begin_with(config, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	must(dxh_producer_close(&producer));
	produce(config_of());
	expect_status(read_now(), DXH_EUNLINKED);
	expect_status(read_now(), DXH_ESTATE);
	expect_error_says("readers_max");
	must(dxh_producer_close(&producer));
	produce(config);
	squatter = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	expect_status(read_now(), DXH_ELIMIT);
	must(dxh_consumer_close(&squatter));
	expect_status(read_now(), DXH_EMOVED);
	publish_items(producer, 0, 4);
	expect_status(dxh_publish(producer, &got, sizeof got, DXH_NOW), DXH_EWAIT);
	for (uint64_t ticket = 0; ticket < 4; ticket++)
		expect_item(ticket);
	end();
}

Test(follow, what_has_no_name_cannot_be_followed)
{
	dxh_block_config config = config_of();
	int fds[DXH_BLOCK_FDS];
	size_t count;

	strcpy(name, new_name());
	produce(config);
	expect_status(dxh_consumer_open(NULL,
	                                &(dxh_consumer_config){.file = file_of(name, ".dxh"),
	                                                       .follow_name = 1},
	                                &consumer),
	              DXH_EINVAL);
	expect_error_says("follow_name");
	must(dxh_producer_close(&producer));
	config.memfd = 1;
	produce(config);
	must(dxh_producer_fds(producer, fds, &count));
	expect_status(dxh_consumer_open_fds(fds, count, &(dxh_consumer_config){.follow_name = 1},
	                                    &consumer),
	              DXH_EINVAL);
	must(dxh_producer_close(&producer));
}

/* ---- in event loops ---- */

static int is_readable(int fd, int timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, timeout_ms) == 1;
}

Test(follow, a_descriptor_tells_of_the_next_block_and_goes_on_there, .timeout = 60)
{
	int fd, again;

	begin((dxh_consumer_config){0});
	must(dxh_consumer_fd(consumer, &fd));
	must(dxh_producer_close(&producer));
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EUNLINKED);
	cr_expect_not(is_readable(fd, QUIET_MS));
	produce(config_of());
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EMOVED);
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, QUIET_MS));
	publish_items(producer, 0, 1);
	cr_expect(is_readable(fd, SOON_MS));
	expect_item(0);
	must(dxh_consumer_fd(consumer, &again));
	cr_expect_eq(fd, again);
	end();
}

Test(follow, a_descriptor_is_quiet_about_a_block_that_was_refused, .timeout = 60)
{
	dxh_block_config other = config_of();
	int fd;

	other.slot = (dxh_slot_spec)DXH_SLOT(position);
	begin((dxh_consumer_config){.slot = DXH_SLOT(item)});
	must(dxh_consumer_fd(consumer, &fd));
	must(dxh_producer_close(&producer));
	produce(other);
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EUNLINKED);
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_ESCHEMA);
	cr_expect_not(is_readable(fd, QUIET_MS));
	must(dxh_producer_close(&producer));
	other = config_of();
	other.no_wait = 1;
	produce(other);
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_ESTATE);
	expect_error_says("no_wait");
	end();
}
