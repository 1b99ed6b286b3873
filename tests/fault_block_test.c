/* SPDX-License-Identifier: MIT */
/* Blocks while the system fails, one call after the other: see tests/fault/fault.h. */
#include "tests/fault/fault.h"
#include "tests/shm_fixture.h"

static char name[64];
static dxh_producer *producer;
static dxh_consumer *consumer;
static dxh_block_config config;
static dxh_consumer_config reading;

static void begin(void)
{
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	snprintf(name, sizeof name, "%s", new_name());
	config = (dxh_block_config){.zones = {DXH_ZONE_RAW("raw", 64)},
	                            .slot = DXH_SLOT_BYTES(64),
	                            .slot_count = 4,
	                            .checksum = DXH_CHECKSUM_XXH3,
	                            .unlink_on_close = 1};
	reading = (dxh_consumer_config){.discipline = DXH_FOLLOW};
}

static dxh_status produce(void)
{
	return dxh_producer_open(name, &config, &producer);
}

static void close_producer(void)
{
	must(dxh_producer_close(&producer));
}

static dxh_status consume(void)
{
	return dxh_consumer_open(name, &reading, &consumer);
}

static void close_consumer(void)
{
	must(dxh_consumer_close(&consumer));
}

Test(fault, a_block_is_created_whole_or_not_at_all, .timeout = 120, .init = begin)
{
	fault_everywhere(&(fault_subject){.name = "creating a block",
	                                  .call = produce,
	                                  .undo = close_producer},
	                 36);
}

Test(fault, a_block_with_rows_is_created_whole_or_not_at_all, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	fault_everywhere(&(fault_subject){.name = "creating a block with rows",
	                                  .call = produce,
	                                  .undo = close_producer},
	                 50);
}

/* ---- taking over ------------------------------------------------------------------------- */

/* A producer that dies with three items published and a fourth begun. */
static void die_producing(void)
{
	pid_t child;
	int how;

	if (access(file_of(name, ".dxh"), F_OK) == 0)
		return; /* the last try failed: the block has to be as it was */
	child = fork();
	if (child == 0) {
		dxh_write_slot slot;

		if (produce() != DXH_OK)
			_exit(1);
		for (uint64_t i = 0; i < 3; i++)
			if (dxh_publish(producer, &i, sizeof i, DXH_NOW) != DXH_OK)
				_exit(2);
		_exit(dxh_write_begin(producer, DXH_NOW, &slot) == DXH_OK ? 0 : 3);
	}
	waitpid(child, &how, 0);
	cr_assert_eq(how, 0);
}

/* Everything that was published is there, and it goes on behind it. */
static void check_and_close(void)
{
	dxh_producer_stats stats;

	must(dxh_producer_stats_get(producer, &stats));
	cr_assert_eq(stats.items, 3, "%llu items", (unsigned long long)stats.items);
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	close_producer();
}

Test(fault, a_block_is_taken_over_or_left_as_it_was, .timeout = 120, .init = begin)
{
	fault_everywhere(&(fault_subject){.name = "taking over a block",
	                                  .prepare = die_producing,
	                                  .call = produce,
	                                  .undo = check_and_close},
	                 30);
}

Test(fault, a_block_with_rows_is_taken_over_or_left_as_it_was, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	fault_everywhere(&(fault_subject){.name = "taking over a block with rows",
	                                  .prepare = die_producing,
	                                  .call = produce,
	                                  .undo = check_and_close},
	                 38);
}

/* ---- reading -------------------------------------------------------------------------------- */

static dxh_status open_and_read(void)
{
	unsigned char copy[64];
	dxh_status status = consume();
	dxh_item item;

	if (status != DXH_OK)
		return status;
	status = dxh_read_next(consumer, copy, sizeof copy, dxh_in_ms(20000), &item);
	if (status != DXH_OK)
		must(dxh_consumer_close(&consumer));
	return status;
}

Test(fault, a_consumer_attaches_and_reads_or_not, .timeout = 120, .init = begin)
{
	must(produce());
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	fault_everywhere(&(fault_subject){.name = "attaching a consumer",
	                                  .call = open_and_read,
	                                  .undo = close_consumer},
	                 14);
	close_producer();
}

Test(fault, a_lossless_consumer_gets_a_row_or_none, .timeout = 120, .init = begin)
{
	config.readers_max = 1; /* one that is not given back is missed at once */
	reading.discipline = DXH_LOSSLESS;
	must(produce());
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	reading.start = DXH_START_OLDEST;
	fault_everywhere(&(fault_subject){.name = "attaching a lossless consumer",
	                                  .call = open_and_read,
	                                  .undo = close_consumer},
	                 30);
	close_producer();
}

static dxh_status open_with_descriptor(void)
{
	dxh_status status = consume();
	int fd;

	if (status != DXH_OK)
		return status;
	status = dxh_consumer_fd(consumer, &fd);
	if (status != DXH_OK)
		must(dxh_consumer_close(&consumer));
	return status;
}

Test(fault, a_consumer_gets_a_descriptor_or_not, .timeout = 120, .init = begin)
{
	must(produce());
	fault_everywhere(&(fault_subject){.name = "the descriptor of a consumer",
	                                  .call = open_with_descriptor,
	                                  .undo = close_consumer},
	                 20);
	close_producer();
}

static void die_before_a_reader(void)
{
	die_producing();
	if (!consumer)
		must(consume());
}

/* The reader, who has read nothing, holds the successor back as well. */
static void be_held_and_close(void)
{
	dxh_status status = DXH_OK;

	for (int i = 0; i < 5 && status == DXH_OK; i++)
		status = dxh_publish(producer, "x", 1, DXH_NOW);
	cr_assert_eq(status, DXH_EWAIT, "the writer went on without its reader: %s",
	             dxh_status_name(status));
	close_consumer();
	close_producer();
}

Test(fault, a_takeover_never_leaves_a_lossless_reader_behind, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	reading.discipline = DXH_LOSSLESS;
	fault_everywhere(&(fault_subject){.name = "taking over a block that is read",
	                                  .prepare = die_before_a_reader,
	                                  .call = produce,
	                                  .undo = be_held_and_close},
	                 37);
}

/* ---- looking and removing ------------------------------------------------------------------- */

static dxh_status remove_block(void)
{
	return dxh_block_unlink(NULL, name);
}

static void nothing(void)
{
}

Test(fault, a_block_is_removed_or_can_be_removed_again, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	fault_everywhere(&(fault_subject){.name = "removing a block",
	                                  .prepare = die_producing,
	                                  .call = remove_block,
	                                  .undo = nothing},
	                 13);
	(void)!dxh_block_unlink(NULL, name);
}

static dxh_status look_at_block(void)
{
	dxh_block_info info;

	return dxh_block_stat(NULL, name, &info);
}

Test(fault, a_block_is_looked_at_or_not, .timeout = 120, .init = begin)
{
	must(produce());
	fault_everywhere(&(fault_subject){.name = "looking at a block",
	                                  .call = look_at_block,
	                                  .undo = nothing},
	                 15);
	close_producer();
}
