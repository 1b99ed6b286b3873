/* SPDX-License-Identifier: MIT */
/* Where a block lies: reserved and present from the start, locked and in huge pages if the
 * system grants it, and said when its name is taken away.
 */
#include "tests/shm_pair.h"
#include "tests/support/asan.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { HUGE_BYTES = 2 << 20 };

static char last_line[512];
static int lines;

static void keep_line(void *context, dxh_log_level level, const char *line)
{
	(void)context;
	(void)level;
	snprintf(last_line, sizeof last_line, "%s", line);
	lines++;
}

static void setup(void)
{
	dxh_log_set(DXH_LOG_WARNING, keep_line, NULL);
	lines = 0;
	last_line[0] = '\0';
}

TestSuite(residence, .init = setup, .timeout = 60);

static dxh_block_config large_config(void)
{
	return (dxh_block_config){.slot = DXH_SLOT_BYTES(HUGE_BYTES), .slot_count = 4};
}

static void close_again(void)
{
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

/* Every page is there before the first write, in the file and in the mapping. */
Test(residence, all_of_a_new_block_is_reserved_and_present)
{
	size_t pages, present = 0, page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *each;
	struct stat found;

	open_both(large_config(), (dxh_consumer_config){0});
	cr_assert_eq(fstat(producer->block.fd, &found), 0);
	cr_expect_geq((uint64_t)found.st_blocks * 512, producer->block.bytes);
	pages = (producer->block.bytes + page - 1) / page;
	each = calloc(1, pages);
	cr_assert_eq(mincore(producer->block.base, producer->block.bytes, each), 0);
	for (size_t i = 0; i < pages; i++)
		present += each[i] & 1;
	cr_expect_eq(present, pages);
	free(each);
	close_again();
}

Test(residence, a_large_block_begins_where_a_huge_page_may)
{
	open_both(large_config(), (dxh_consumer_config){0});
	cr_expect_eq((uintptr_t)producer->block.base % HUGE_BYTES, 0);
	cr_expect_eq((uintptr_t)consumer->block.base % HUGE_BYTES, 0);
	close_again();
}

/* What is reported is what the kernel counts; what is not granted is logged. */
static void expect_reported(uint64_t granted, uint64_t wanted)
{
	cr_expect_leq(granted, wanted);
	if (granted < wanted / HUGE_BYTES * HUGE_BYTES)
		cr_expect_gt(lines, 0);
}

Test(residence, huge_pages_are_asked_for_and_reported)
{
	dxh_block_config config = large_config();
	dxh_producer_stats stats;
	unsigned char *copy = malloc(HUGE_BYTES);

	config.huge_pages = 1;
	open_both(config, (dxh_consumer_config){0});
	must(dxh_producer_stats_get(producer, &stats));
	expect_reported(stats.huge_bytes, stats.block_bytes);
	cr_expect_eq(stats.huge_bytes % HUGE_BYTES, 0);
	/* And it is the same memory as before. */
	memset(copy, 7, HUGE_BYTES);
	must(dxh_publish(producer, copy, HUGE_BYTES, DXH_NOW));
	memset(copy, 0, HUGE_BYTES);
	must(dxh_read_next(consumer, copy, HUGE_BYTES, DXH_NOW, &info));
	cr_expect_eq(copy[0], 7);
	cr_expect_eq(copy[HUGE_BYTES - 1], 7);
	free(copy);
	close_again();
}

Test(residence, a_block_smaller_than_a_huge_page_has_none_and_says_so)
{
	dxh_block_config config = usual_config();
	dxh_producer_stats stats;

	config.huge_pages = 1;
	open_both(config, (dxh_consumer_config){0});
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.huge_bytes, 0);
	cr_expect(strstr(last_line, "huge pages"), "%s", last_line);
	close_again();
}

Test(residence, unasked_nothing_is_locked_or_huge_or_logged)
{
	dxh_producer_stats stats;

	open_both(large_config(), (dxh_consumer_config){0});
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.locked_bytes, 0);
	cr_expect_eq(stats.huge_bytes, 0);
	cr_expect_eq(lines, 0, "%s", last_line);
	close_again();
}

static uint64_t locked_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	uint64_t kib = 0;
	char line[256];

	while (fgets(line, sizeof line, status) && sscanf(line, "VmLck: %" SCNu64, &kib) != 1)
		;
	fclose(status);
	return kib;
}

Test(residence, a_lock_is_reported_as_the_kernel_counts_it)
{
	dxh_block_config config = usual_config();
	dxh_producer_stats stats;

#ifdef TEST_ASAN
	cr_skip("AddressSanitizer makes mlock() do nothing");
#endif
	config.lock_memory = 1;
	open_both(config, (dxh_consumer_config){0});
	must(dxh_producer_stats_get(producer, &stats));
	if (stats.locked_bytes > 0) {
		cr_expect_eq(stats.locked_bytes, stats.block_bytes);
		cr_expect_geq(locked_kib() * 1024, stats.block_bytes);
	} else {
		cr_expect_gt(lines, 0);
	}
	close_again();
}

/* Nobody special, with no memory to lock. */
static void lock_as_nobody(const char *unused)
{
	struct rlimit none = {0, 0};
	dxh_block_config config = {
		.slot = DXH_SLOT(item), .slot_count = 4, .memfd = 1, .lock_memory = 1};
	dxh_producer_stats stats;
	dxh_producer *own;

	(void)unused;
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 ||
	    (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)))
		_exit(1);
	if (dxh_producer_open("unlocked", &config, &own) != DXH_OK ||
	    dxh_producer_stats_get(own, &stats) != DXH_OK)
		_exit(2);
	if (stats.locked_bytes != 0 || !strstr(last_line, "RLIMIT_MEMLOCK"))
		_exit(3);
}

Test(residence, a_lock_that_is_not_granted_is_told_and_no_failure)
{
#ifdef TEST_ASAN
	cr_skip("AddressSanitizer makes mlock() do nothing");
#endif
	cr_expect_eq(run_child(lock_as_nobody, ""), 0);
}

/* ---- space ----------------------------------------------------------------------- */

Test(residence, no_space_says_need_have_and_limit)
{
	dxh_block_config config = {.slot = DXH_SLOT_BYTES((size_t)1 << 38), .slot_count = 8};
	uint64_t need = 0, have = 0, limit = 0;

	expect_status(dxh_producer_open(new_name(), &config, &producer), DXH_ENOSPACE);
	cr_expect_eq(sscanf(strstr(dxh_last_error(), "needs"),
	                    "needs %" SCNu64 " bytes, %*s has %" SCNu64 " free of %" SCNu64, &need,
	                    &have, &limit),
	             3, "%s", dxh_last_error());
	cr_expect_gt(need, UINT64_C(10) << 38);
	cr_expect_leq(have, limit);
	cr_expect_lt(have, need);
}

/* ---- the name -------------------------------------------------------------------- */

Test(residence, a_name_taken_away_is_told_to_reader_and_writer)
{
	dxh_block_info facts;
	struct item item = item_of(0);

	open_usual();
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.unlinked, 0);
	cr_assert_eq(unlink(producer->block.paths.data), 0);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_neq(facts.unlinked, 0);
	must(dxh_producer_info(producer, &facts));
	cr_expect_neq(facts.unlinked, 0);
	/* The writer looks when it refreshes its clock, once a second; twice here. */
	for (int i = 0; i < 2; i++) {
		producer->refreshed_ns = 0;
		must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	}
	cr_expect_eq(lines, 1);
	cr_expect(strstr(last_line, "unlinked while in use"), "%s", last_line);
	must(read_now());
	must(read_now());
	unlink(producer->block.paths.lock);
	must(dxh_consumer_close(&consumer));
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
}

Test(residence, memory_without_a_name_has_lost_none)
{
	dxh_block_config config = usual_config();
	dxh_block_info facts;

	config.memfd = 1;
	producer = open_producer("nameless", config);
	must(dxh_producer_info(producer, &facts));
	cr_expect_eq(facts.unlinked, 0);
	must(dxh_producer_close(&producer));
}
