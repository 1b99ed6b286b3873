/* SPDX-License-Identifier: MIT */
/* Status texts, the last error, deadlines, the log, configs of other ages. */
#include "base/clock.h"
#include "base/discard.h"
#include "base/forked.h"
#include "base/futex.h"
#include "base/hash.h"
#include "base/ratelimit.h"
#include "base/status.h"
#include "base/ticks.h"
#include "tests/support/support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

Test(status, every_one_has_its_own_name_code_and_words, .timeout = 5)
{
	const dxh_status all[] = {
#define CODE(name, code, text, advice) name,
		DXH_STATUS_LIST(CODE)
#undef CODE
	};
	const size_t count = sizeof all / sizeof *all;

	for (size_t i = 0; i < count; i++) {
		cr_expect(strncmp(dxh_status_name(all[i]), "DXH_", 4) == 0);
		cr_expect_gt(strlen(dxh_status_text(all[i])), 5);
		cr_expect_gt(strlen(dxh_status_advice(all[i])), 5);
		for (size_t k = 0; k < i; k++) {
			cr_expect_neq(all[i], all[k]);
			cr_expect_str_neq(dxh_status_text(all[i]), dxh_status_text(all[k]));
		}
	}
	cr_expect_str_eq(dxh_status_name(DXH_OK), "DXH_OK");
}

Test(status, one_of_a_newer_version_is_not_fatal, .timeout = 5)
{
	cr_expect_str_eq(dxh_status_name((dxh_status)9999), "DXH_E?");
	cr_expect(strstr(dxh_status_text((dxh_status)9999), "newer"));
	cr_expect(strstr(dxh_status_advice((dxh_status)9999), "update"));
}

static void *fail_in_another_thread(void *unused)
{
	(void)unused;
	cr_expect_str_eq(dxh_last_error(), "");
	dxi_fail(DXH_EBUSY, "there");
	return NULL;
}

Test(status, the_last_error_is_each_threads_own, .timeout = 5)
{
	pthread_t thread;

	cr_expect_str_eq(dxh_last_error(), "");
	cr_expect_eq(dxi_fail(DXH_EFULL, "%d of %d", 3, 4), DXH_EFULL);
	pthread_create(&thread, NULL, fail_in_another_thread, NULL);
	pthread_join(thread, NULL);
	cr_expect_str_eq(dxh_last_error(), "DXH_EFULL: 3 of 4");
	dxi_fail_as("DXH_EBUSY: there");
	cr_expect_str_eq(dxh_last_error(), "DXH_EBUSY: there");
}

Test(status, a_long_reason_is_cut_not_spilled, .timeout = 5)
{
	char words[2000];

	memset(words, 'w', sizeof words - 1);
	words[sizeof words - 1] = '\0';
	dxi_fail(DXH_EINVAL, "%s", words);
	cr_expect_lt(strlen(dxh_last_error()), 600);
	dxi_fail_errno(ENOENT, "%s", words);
	cr_expect_lt(strlen(dxh_last_error()), 600);
}

Test(status, errno_finds_its_status, .timeout = 5)
{
	const struct {
		int error;
		dxh_status status;
	} pairs[] = {{EACCES, DXH_EACCESS}, {EPERM, DXH_EACCESS}, {ENOENT, DXH_ENOTFOUND},
	             {EEXIST, DXH_EEXIST},  {ENOMEM, DXH_ENOMEM}, {ENOSPC, DXH_ENOSPACE},
	             {EMFILE, DXH_ELIMIT},  {EIO, DXH_ESYSTEM}};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		cr_expect_eq(dxi_fail_errno(pairs[i].error, "x"), pairs[i].status);
		cr_expect(strstr(dxh_last_error(), strerror(pairs[i].error)));
	}
}

static char logged[600];
static dxh_log_level logged_level;

static void keep(void *context, dxh_log_level level, const char *line)
{
	cr_assert_eq(context, (void *)&logged_level);
	snprintf(logged, sizeof logged, "%s", line);
	logged_level = level;
}

static unsigned lines;

static void count_lines(void *context, dxh_log_level level, const char *line)
{
	(void)context, (void)level, (void)line;
	lines++;
}

Test(status, a_flood_of_lines_of_one_kind_is_cut, .timeout = 5)
{
	int64_t second = INT64_C(1000000000);
	static const char kinds[16];
	const char *kind = &kinds[0], *other = &kinds[8];
	uint64_t left_out;
	unsigned passed = 0;

	for (int i = 0; i < 1000; i++)
		passed += dxi_ratelimit_pass(kind, 5 * second + i, &left_out);
	cr_expect_eq(passed, DXI_LINES_PER_S);
	cr_expect(dxi_ratelimit_pass(other, 5 * second, &left_out), "another kind is free");
	cr_expect_eq(left_out, 0);
	cr_expect(dxi_ratelimit_pass(kind, 6 * second, &left_out));
	cr_expect_eq(left_out, 1000 - DXI_LINES_PER_S);
	cr_expect(dxi_ratelimit_pass(kind, 6 * second, &left_out));
	cr_expect_eq(left_out, 0, "told once");
	dxh_log_set(DXH_LOG_INFO, count_lines, NULL);
	for (int i = 0; i < 10000; i++)
		dxi_log(DXH_LOG_INFO, "line %d", i);
	cr_expect_lt(lines, 1000);
	cr_expect_geq(lines, DXI_LINES_PER_S);
}

Test(status, the_log_goes_where_it_is_sent_up_to_its_level, .timeout = 5)
{
	dxh_log_set(DXH_LOG_INFO, keep, &logged_level);
	dxi_log(DXH_LOG_INFO, "%d lines", 1);
	cr_expect_str_eq(logged, "1 lines");
	cr_expect_eq(logged_level, DXH_LOG_INFO);
	dxi_log(DXH_LOG_DEBUG, "no");
	cr_expect_str_eq(logged, "1 lines");
	dxh_log_set(DXH_LOG_DEBUG, NULL, NULL);
	dxi_log(DXH_LOG_ERROR, "nobody hears");
}

/* One line is one line, whatever a stranger says. */
Test(status, a_line_of_the_log_has_no_control_characters, .timeout = 5)
{
	dxh_log_set(DXH_LOG_DEBUG, keep, &logged_level);
	dxi_log(DXH_LOG_DEBUG, "a\n%s\r", "b\033[2J\x7f");
	cr_expect_str_eq(logged, "a?b?[2J??");
	cr_expect_eq(logged_level, DXH_LOG_DEBUG);
}

static void keep_longest(void *context, dxh_log_level level, const char *line)
{
	(void)level;
	if (strlen(line) > *(size_t *)context) {
		*(size_t *)context = strlen(line);
		snprintf(logged, sizeof logged, "%s", line);
	}
}

/* However many come, each is told or counted in the next that is. */
Test(status, the_line_after_a_flood_tells_how_many_were_left_out, .timeout = 10)
{
	int64_t deadline_ns = dxh_in_ms(8000);
	unsigned long long left_out = 0;
	size_t longest = 0;

	dxh_log_set(DXH_LOG_INFO, keep_longest, &longest);
	while (left_out == 0 && dxh_now_ns() < deadline_ns) {
		dxi_log(DXH_LOG_INFO, "again");
		sscanf(logged, "again (%llu more such lines left out)", &left_out);
	}
	cr_expect_gt(left_out, 0);
}

/* What goes to standard error when nobody has asked for lines. */
Test(status, errors_and_warnings_go_to_standard_error_by_default, .timeout = 10)
{
	char heard[200] = "";
	size_t count = 0;
	ssize_t more;
	int ends[2];
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		dxi_log(DXH_LOG_ERROR, "one");
		dxi_log(DXH_LOG_WARNING, "two");
		dxi_log(DXH_LOG_INFO, "three");
		dxi_log(DXH_LOG_DEBUG, "four");
		_exit(0);
	}
	close(ends[1]);
	while ((more = read(ends[0], heard + count, sizeof heard - 1 - count)) > 0)
		count += (size_t)more;
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_expect_str_eq(heard, "dxh: error: one\ndxh: two\n");
	close(ends[0]);
}

Test(clock, deadlines_neither_overflow_nor_lie_in_the_past, .timeout = 5)
{
	int64_t now_ns = dxh_now_ns();

	cr_expect_geq(dxh_in_ns(0), now_ns);
	cr_expect_geq(dxh_in_ms(-5), now_ns);
	cr_expect_geq(dxh_in_us(7) - now_ns, 7000);
	cr_expect_geq(dxh_in_ms(3) - now_ns, 3000000);
	cr_expect_eq(dxh_in_ms(INT64_MAX), DXH_FOREVER);
	cr_expect_eq(dxh_in_ns(INT64_MAX), DXH_FOREVER);
	cr_expect_eq(dxi_timespec(2500000001).tv_sec, 2);
	cr_expect_eq(dxi_timespec(2500000001).tv_nsec, 500000001);
}

static _Atomic uint32_t word;

static void *change_and_wake(void *unused)
{
	(void)unused;
	word = 1;
	dxi_futex_wake(&word, 1, DXI_FUTEX_PRIVATE);
	return NULL;
}

Test(futex, ends_by_value_by_wake_and_by_deadline, .timeout = 10)
{
	pthread_t thread;

	cr_expect(dxi_futex_wait(&word, 7, DXH_FOREVER, DXI_FUTEX_PRIVATE), "another value");
	cr_expect_not(dxi_futex_wait(&word, 0, dxh_in_us(50), DXI_FUTEX_PRIVATE));
	cr_expect_not(dxi_futex_wait(&word, 0, DXH_NOW, DXI_FUTEX_SHARED));
	pthread_create(&thread, NULL, change_and_wake, NULL);
	while (word == 0)
		dxi_futex_wait(&word, 0, DXH_FOREVER, DXI_FUTEX_PRIVATE);
	pthread_join(thread, NULL);
	cr_expect_eq(dxi_futex_wake(&word, 1, DXI_FUTEX_SHARED), 0);
}

Test(forked, a_child_has_another_number_and_so_has_its_child, .timeout = 10)
{
	uint32_t here = dxi_process_id();
	int status;
	pid_t child;

	cr_expect_neq(here, 0);
	cr_expect_eq(dxi_process_id(), here);
	child = fork();
	if (child == 0) {
		uint32_t there = dxi_process_id();

		child = fork();
		if (child == 0)
			_exit(dxi_process_id() == there || dxi_process_id() == here);
		waitpid(child, &status, 0);
		_exit(there == here || status != 0);
	}
	waitpid(child, &status, 0);
	cr_expect_eq(status, 0);
	cr_expect_eq(dxi_process_id(), here);
}

Test(hash, is_blake2b_256, .timeout = 5)
{
	/* Of "abc", as b2sum -l 256 prints it. */
	const unsigned char expected[DXI_HASH_BYTES] = {
		0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef,
		0x3f, 0xee, 0x98, 0x57, 0x9b, 0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb,
		0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
	unsigned char hash[DXI_HASH_BYTES];

	dxi_hash("abc", 3, hash);
	cr_expect_eq(memcmp(hash, expected, sizeof hash), 0);
}

Test(config, of_an_older_header_reads_as_zeros_behind, .timeout = 5)
{
	uint64_t own[4] = {1, 1, 1, 1}, given[4] = {7, 8, 9, 10};

	must(dxi_config_read(own, sizeof own, given, 2 * sizeof *given));
	cr_expect(own[0] == 7 && own[1] == 8 && own[2] == 0 && own[3] == 0);
	must(dxi_config_read(own, sizeof own, NULL, 0));
	cr_expect(own[0] == 0 && own[3] == 0);
}

Test(version, is_what_the_header_says, .timeout = 5)
{
	char expected[32];

	snprintf(expected, sizeof expected, "%d.%d.%d", DXH_VERSION_MAJOR, DXH_VERSION_MINOR,
	         DXH_VERSION_PATCH);
	cr_expect_str_eq(dxh_version(), expected);
}

/* ---- discard ---- */

static int64_t own_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static bool is_mapped(const void *address)
{
	unsigned char here;
	uintptr_t page = (uintptr_t)address & ~(uintptr_t)4095;

	return mincore((void *)page, 1, &here) == 0;
}

/* glibc gives memory of this size a mapping of its own, which goes when it is freed. */
Test(discard, what_is_large_is_freed_and_takes_no_time_of_its_owner, .timeout = 30)
{
	enum { LARGE = 256 << 20 };
	unsigned char *large = malloc(LARGE), *middle = large + LARGE / 2;
	int64_t freeing_ns, begun_ns;

#ifdef TEST_ASAN
	cr_skip_test("memory that is free stays mapped, to find who uses it");
#endif
	cr_assert_not_null(large);
	memset(large, 1, LARGE);
	begun_ns = own_cpu_ns();
	dxi_discard(large, LARGE);
	freeing_ns = own_cpu_ns() - begun_ns;
	while (is_mapped(middle))
		sched_yield();
	large = malloc(LARGE);
	cr_assert_not_null(large);
	memset(large, 1, LARGE);
	begun_ns = own_cpu_ns();
	free(large);
	cr_expect_lt(freeing_ns, (own_cpu_ns() - begun_ns) / 4);
}

Test(discard, what_is_small_is_freed_at_once, .timeout = 30)
{
	dxi_discard(NULL, 0);
	dxi_discard(malloc(100), 100);
}

/* ---- the counter ---- */

Test(ticks, never_show_that_a_time_has_not_come_when_it_has, .timeout = 20)
{
	dxi_ticks_base base = dxi_ticks_begin();
	int64_t young_ns = dxh_in_us(50), when_ns, now_ns = base.ns;
	uint64_t until = dxi_ticks_at(&base, young_ns), seen = 0;

	if (dxh_now_ns() - base.ns < DXI_NS_PER_MS)
		cr_expect_eq(until, 0, "a speed was told too soon");
	while (now_ns - base.ns < 2 * DXI_NS_PER_MS)
		now_ns = dxh_now_ns();
	if (base.ticks == 0)
		cr_skip_test("this kernel's clock is another");
	for (int i = 0; i < 100; i++) {
		when_ns = dxh_in_us(50);
		until = dxi_ticks_at(&base, when_ns);
		cr_assert_neq(until, 0);
		for (;;) {
			now_ns = dxh_now_ns();
			if (dxi_ticks_now() >= until)
				break;
			cr_assert_lt(now_ns, when_ns);
			seen++;
		}
	}
	cr_expect_gt(seen, 100, "nor that it has not come when it has not");
}
