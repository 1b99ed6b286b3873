/* SPDX-License-Identifier: MIT */
/* Who repairs may be killed too, and is then run again: as if it had not been. */
#include "tests/kill/repairs.h"
#include "tests/kill/scenarios.h"
#include "tests/kill/witness.h"

#include <dxh/inspect.h>

#include "shm/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static dxh_consumer *reader;
static uint64_t repairs; /* that there are to make */

static const char *path_of(const char *suffix)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s%s", getenv("DXH_SHM_DIR"), BLOCK, suffix);
	return path;
}

/* ---- what a crash leaves ---- */

static void set_word(size_t offset, uint32_t value)
{
	int fd = open(path_of(".dxh"), O_RDWR | O_CLOEXEC);

	expect(fd != -1 && pwrite(fd, &value, sizeof value, (off_t)offset) == sizeof value,
	       "the block cannot be prepared");
	close(fd);
}

static void die_with_row(void)
{
	open_reader(DXH_LOSSLESS, DXH_START_NEXT);
}

/* Head is behind, a ticket half written, a row of a reader that is gone, a producer that
 * could not show that it lives and waited. */
void before_left_in_block(void)
{
	predecessor(die_in_bulk);
	predecessor(die_with_row);
	set_word(offsetof(struct dxi_layout_header, producer.state), DXI_STATE_UNLIT);
	set_word(offsetof(struct dxi_layout_header, held), 1);
	repairs = 4;
}

/* Head is behind here too. */
void before_left_in_files(void)
{
	predecessor(die_in_bulk);
	expect(unlink(path_of(".lock")) == 0 && unlink(path_of(".ctl")) == 0,
	       "the block cannot be prepared");
	repairs = 3;
}

/* ---- recover ---- */

static dxh_report *recover(int apply)
{
	dxh_report *report = NULL;

	must(dxh_block_recover(BLOCK, &(dxh_recover_config){.apply = apply}, &report));
	return report;
}

void victim_recover(void)
{
	dxh_report *report;

	scenario_begin();
	report = recover(1);
	scenario_end();
	dxh_report_free(&report);
}

typedef struct bytes {
	unsigned char data[16384];
	ssize_t length;
} bytes;

static void load(const char *suffix, bytes *to)
{
	int fd = open(path_of(suffix), O_RDONLY | O_CLOEXEC);

	to->length = fd == -1 ? -1 : read(fd, to->data, sizeof to->data);
	expect(to->length > 0 && to->length < (ssize_t)sizeof to->data, "%s cannot be read",
	       suffix);
	close(fd);
}

static void expect_same(const char *suffix, const bytes *before)
{
	static bytes now;

	load(suffix, &now);
	expect(now.length == before->length &&
	               memcmp(now.data, before->data, (size_t)now.length) == 0,
	       "what is in order was changed in %s", suffix);
}

static void expect_nothing_to_repair(void)
{
	dxh_report *report = recover(0);

	for (size_t i = 0; i < report->finding_count; i++)
		expect(report->findings[i].repair == DXH_REPAIR_NONE, "still to be repaired: %s",
		       dxh_rule_name(report->findings[i].rule));
	dxh_report_free(&report);
}

/* The one that was killed may have made a repair and not counted it yet. */
static void expect_counted(const dxh_report *report)
{
	expect(report->recoveries + 1 >= repairs && report->recoveries <= repairs,
	       "%" PRIu64 " repairs were made, %" PRIu64 " counted", repairs, report->recoveries);
}

static void expect_in_order(void)
{
	dxh_report *report = NULL;

	must(dxh_block_check(BLOCK, NULL, &report));
	expect(report->errors == 0 && report->warnings == 0, "not in order: %s, %s",
	       dxh_rule_name(report->findings[0].rule), report->findings[0].detail);
	expect_counted(report);
	dxh_report_free(&report);
}

void check_recovered(void)
{
	static bytes data, control, lock;
	dxh_report *report = recover(1);

	dxh_report_free(&report);
	expect_nothing_to_repair();
	expect_in_order();
	load(".dxh", &data);
	load(".ctl", &control);
	load(".lock", &lock);
	report = recover(1);
	dxh_report_free(&report);
	expect_same(".dxh", &data);
	expect_same(".ctl", &control);
	expect_same(".lock", &lock);
	check_succeeded();
}

void check_succeeded(void)
{
	reader = open_reader(DXH_FOLLOW, DXH_START_NEXT);
	drain(reader, false);
	succession(reader, 1, 1, BULK);
}

/* ---- gc ---- */

static void collect(int apply, uint32_t kept)
{
	dxh_gc_report *report = NULL;

	must(dxh_block_gc(&(dxh_gc_config){.apply = apply}, &report));
	expect(report->kept == kept, "%" PRIu32 " are kept: %s", report->kept,
	       report->entry_count > 0 ? report->entries[0].reason : "none");
	dxh_gc_report_free(&report);
}

void before_left_over(void)
{
	predecessor(close_in_order);
	expect(unlink(path_of(".dxh")) == 0, "the block cannot be prepared");
}

void attend_with_user(void)
{
	reader = open_reader(DXH_FOLLOW, DXH_START_OLDEST);
}

void victim_gc(void)
{
	dxh_gc_report *report = NULL;

	scenario_begin();
	must(dxh_block_gc(&(dxh_gc_config){.apply = 1}, &report));
	scenario_end();
	dxh_gc_report_free(&report);
}

void check_collected(void)
{
	collect(1, 0);
	expect_nothing_left();
	collect(1, 0);
}

void check_created_instead(void)
{
	dxh_producer *producer = open_producer(usual_config());
	uint64_t next = next_of(producer);
	dxh_producer_stats stats;

	expect(next == 0 || next == FIRST, "it begins at ticket %" PRIu64, next);
	must(dxh_producer_stats_get(producer, &stats));
	reader = open_reader(DXH_LOSSLESS, DXH_START_OLDEST);
	drain(reader, true);
	must(dxh_producer_close(&producer));
	succession(reader, stats.epoch + 1, stats.epoch + 1, 0);
}

/* Who has it open has it still, and by its name. */
void check_still_used(void)
{
	struct stat found;

	expect(stat(path_of(".dxh"), &found) == 0, "a block in use was removed");
	collect(1, 1);
	succession(reader, 1, 1, 0);
}
