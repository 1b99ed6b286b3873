/* SPDX-License-Identifier: MIT */
/* Blocks while the system fails, one call after the other: see tests/fault/fault.h. */
#include "tests/fault/fault.h"
#include "tests/shm_fixture.h"

#include <dxh/inspect.h>

#include <sys/socket.h>

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

/* ---- inspecting and putting in order ---------------------------------------------------------- */

static dxh_status check_block(void)
{
	dxh_report *report = NULL;
	dxh_status status = dxh_block_check(name, NULL, &report);

	dxh_report_free(&report);
	return status;
}

static dxh_status diagnose_block(void)
{
	dxh_report *report = NULL;
	dxh_status status = dxh_block_diagnose(name, NULL, &report);

	dxh_report_free(&report);
	return status;
}

static dxh_status validate_block(void)
{
	dxh_report *report = NULL;
	dxh_status status = dxh_block_validate(name, NULL, &report);

	dxh_report_free(&report);
	return status;
}

static dxh_status tell_block(void)
{
	dxh_facts *facts = NULL;
	dxh_status status = dxh_block_facts(name, NULL, &facts);

	dxh_facts_free(&facts);
	return status;
}

static dxh_status size_block(void)
{
	dxh_block_sizes sizes;

	return dxh_block_size(name, &config, &sizes);
}

Test(fault, a_block_is_inspected_or_not, .timeout = 120, .init = begin)
{
	static const struct {
		const char *name;
		dxh_status (*call)(void);
		unsigned floor;
	} each[] = {
		{"checking a block", check_block, 30},  {"diagnosing it", diagnose_block, 30},
		{"validating it", validate_block, 20},  {"telling its facts", tell_block, 25},
		{"asking for its size", size_block, 2},
	};

	config.readers_max = 4;
	reading.discipline = DXH_LOSSLESS;
	must(produce());
	must(consume());
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		fault_everywhere(&(fault_subject){.name = each[i].name,
		                                  .call = each[i].call,
		                                  .undo = nothing},
		                 each[i].floor);
	close_consumer();
	close_producer();
}

/* A control file that has to be made again, and a lock file. */
static void leave_to_repair(void)
{
	int fd;

	die_producing();
	fd = open(file_of(name, ".ctl"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd != -1 && ftruncate(fd, 10) == 0);
	close(fd);
	unlink(file_of(name, ".lock")); /* it may be missing still */
}

static dxh_status recover_block(void)
{
	dxh_report *report = NULL;
	dxh_status status = dxh_block_recover(name, &(dxh_recover_config){.apply = 1}, &report);

	dxh_report_free(&report);
	return status;
}

Test(fault, a_block_is_recovered_or_can_be_recovered_again, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	fault_everywhere(&(fault_subject){.name = "recovering a block",
	                                  .prepare = leave_to_repair,
	                                  .call = recover_block,
	                                  .undo = nothing},
	                 60);
	must(dxh_block_unlink(NULL, name));
}

static char garbage[256];

static void leave_garbage(void)
{
	dxh_producer *gone = NULL;

	config.directory = garbage;
	config.unlink_on_close = 0;
	must(dxh_producer_open("garbage", &config, &gone));
	must(dxh_producer_close(&gone));
}

static dxh_status collect(void)
{
	dxh_gc_report *report = NULL;
	dxh_gc_config all = {.directory = garbage, .apply = 1};
	dxh_status status = dxh_block_gc(&all, &report);

	dxh_gc_report_free(&report);
	return status;
}

Test(fault, garbage_is_collected_or_can_be_collected_again, .timeout = 120, .init = begin)
{
	config.readers_max = 4;
	snprintf(garbage, sizeof garbage, "%s", file_of(name, "-garbage"));
	cr_assert_eq(mkdir(garbage, 0700), 0);
	fault_everywhere(&(fault_subject){.name = "collecting garbage",
	                                  .prepare = leave_garbage,
	                                  .call = collect,
	                                  .undo = nothing},
	                 30);
	must(collect());
	cr_expect_eq(rmdir(garbage), 0, "something was left");
}

/* ---- closing, with the memory kept ------------------------------------------------------------ */

static dxh_memory *memory;

/* What was not closed for want of memory is there still. */
static void open_again(void)
{
	if (!producer)
		must(produce());
	if (!consumer)
		must(consume());
}

static dxh_status close_producer_keeping(void)
{
	return dxh_producer_close_keeping(&producer, &memory);
}

static dxh_status close_consumer_keeping(void)
{
	return dxh_consumer_close_keeping(&consumer, &memory);
}

static void free_memory(void)
{
	dxh_memory_free(&memory);
}

Test(fault, what_is_closed_is_kept_or_stays_open, .timeout = 120, .init = begin)
{
	fault_everywhere(&(fault_subject){.name = "closing a consumer, its memory kept",
	                                  .prepare = open_again,
	                                  .call = close_consumer_keeping,
	                                  .undo = free_memory},
	                 1);
	open_again();
	close_producer();
	close_consumer();
	config.unlink_on_close = 0; /* removing has tests of its own */
	fault_everywhere(&(fault_subject){.name = "closing a producer, its memory kept",
	                                  .prepare = open_again,
	                                  .call = close_producer_keeping,
	                                  .undo = free_memory},
	                 1);
	open_again();
	close_producer();
	close_consumer();
	must(dxh_block_unlink(NULL, name));
}

/* ---- passing ---------------------------------------------------------------------------------- */

static int ends[2];

static dxh_status pass(void)
{
	dxh_status status = dxh_producer_send_fds(producer, ends[0], 0, DXH_NOW);

	if (status != DXH_OK)
		return status;
	return dxh_consumer_receive_fds(ends[1], DXH_NOW, NULL, &consumer);
}

/* What was sent and not taken would be the next one's. */
static void empty_the_socket(void)
{
	if (ends[0] > 0) {
		close(ends[0]);
		close(ends[1]);
	}
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

Test(fault, a_block_is_passed_or_not, .timeout = 120, .init = begin)
{
	config.memfd = 1;
	config.unlink_on_close = 0;
	config.readers_max = 4;
	must(produce());
	fault_everywhere(&(fault_subject){.name = "passing a block",
	                                  .prepare = empty_the_socket,
	                                  .call = pass,
	                                  .undo = close_consumer,
	                                  /* seals that cannot be read are none */
	                                  .also_right = {DXH_EACCESS}},
	                 20);
	close(ends[0]);
	close(ends[1]);
	close_producer();
}
