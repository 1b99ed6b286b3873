/* SPDX-License-Identifier: MIT */
/* A data file read as a file: a copy of a block, and the file of a live one. */
#include "tests/shm_fixture.h"

static char name[32], copy[256];

static void setup(void)
{
	strcpy(name, new_name());
	strcpy(copy, file_of(name, ".copy"));
}

static void teardown(void)
{
	unlink(copy);
	if (access(file_of(name, ".dxh"), F_OK) == 0)
		must(dxh_block_unlink(NULL, name));
}

TestSuite(image, .init = setup, .fini = teardown, .timeout = 30);

static void copy_block(void)
{
	image it = load_image(name);
	int fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert(fd != -1 && write(fd, it.bytes, it.length) == (ssize_t)it.length);
	close(fd);
	free(it.bytes);
}

static dxh_consumer *open_file(const char *file)
{
	dxh_consumer *consumer = NULL;

	must(dxh_consumer_open(NULL, &(dxh_consumer_config){.file = file}, &consumer));
	return consumer;
}

static void expect_items(dxh_consumer *consumer, uint64_t first, uint64_t count)
{
	struct item got;
	dxh_item item;

	for (uint64_t ticket = first; ticket < first + count; ticket++) {
		must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
		cr_expect_eq(item.ticket, ticket);
		cr_expect(is_item_of(ticket, &got));
	}
}

Test(image, a_copy_of_a_live_block_is_read_to_its_end)
{
	dxh_producer *producer = open_producer(name, usual_config());
	dxh_consumer *consumer;
	dxh_block_info facts;
	struct item got;
	dxh_item item;

	publish_items(producer, 0, 3);
	copy_block();
	publish_items(producer, 3, 3);
	consumer = open_file(copy);
	expect_items(consumer, 0, 3);
	/* At once, whatever the deadline: nobody will ever write there. */
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &item), DXH_ECLOSED);
	expect_error_says("nobody writes to ");
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_str_eq(facts.name, name);
	cr_expect_eq(facts.producer, DXH_PRODUCER_UNKNOWN);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

Test(image, a_copy_of_a_closed_block_says_so)
{
	dxh_producer *producer = open_producer(name, usual_config());
	dxh_consumer *consumer;
	dxh_block_info facts;

	must(dxh_producer_close(&producer));
	copy_block();
	must(dxh_block_unlink(NULL, name));
	consumer = open_file(copy);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_CLOSED);
	must(dxh_consumer_close(&consumer));
}

Test(image, the_file_of_a_live_block_tells_that_its_producer_lives)
{
	dxh_producer *producer = open_producer(name, usual_config());
	dxh_consumer *consumer = open_file(file_of(name, ".dxh"));
	dxh_block_info facts;
	struct item got;
	dxh_item item;

	publish_items(producer, 0, 2);
	expect_items(consumer, 0, 2);
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item), DXH_EWAIT);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_ALIVE);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

static void
expect_refused(const char *block, dxh_consumer_config config, dxh_status wanted, const char *why)
{
	dxh_consumer *consumer = NULL;

	expect_status(dxh_consumer_open(block, &config, &consumer), wanted);
	expect_error_says(why);
	cr_expect_null(consumer);
}

Test(image, a_file_stands_alone)
{
	expect_refused(name, (dxh_consumer_config){.file = copy}, DXH_EINVAL, "must be NULL");
	expect_refused(NULL, (dxh_consumer_config){.file = copy, .directory = "/tmp"}, DXH_EINVAL,
	               "must be NULL");
	expect_refused(NULL, (dxh_consumer_config){.file = copy, .discipline = DXH_LOSSLESS},
	               DXH_EINVAL, "no control file");
	expect_refused(NULL, (dxh_consumer_config){.file = ""}, DXH_EINVAL, "a path of 1 to");
	expect_refused(NULL, (dxh_consumer_config){.file = copy}, DXH_ENOTFOUND,
	               "there is no file");
}

Test(image, what_is_no_block_is_refused)
{
	int fd = open(copy, O_WRONLY | O_CREAT, 0600);
	char link[300];

	cr_assert(fd != -1);
	expect_refused(NULL, (dxh_consumer_config){.file = copy}, DXH_ECORRUPT, "offset 0");
	cr_assert_eq(ftruncate(fd, 5000), 0);
	close(fd);
	expect_refused(NULL, (dxh_consumer_config){.file = copy}, DXH_ECORRUPT, "magic number");
	expect_refused(NULL, (dxh_consumer_config){.file = shm_directory()}, DXH_EACCESS,
	               "no regular file");
	snprintf(link, sizeof link, "%s.link", copy);
	cr_assert_eq(symlink(copy, link), 0);
	expect_refused(NULL, (dxh_consumer_config){.file = link}, DXH_EACCESS, "symbolic link");
	unlink(link);
}
