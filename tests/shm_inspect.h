/* SPDX-License-Identifier: MIT */
/* What the tests that look at blocks share: ways to die, and what a report says. */
#ifndef SHM_INSPECT_TEST_H
#define SHM_INSPECT_TEST_H

#include "tests/shm_fixture.h"

#include <dxh/inspect.h>

#include "shm/copy.h"
#include "shm/producer.h"

#include <inttypes.h>

/* Everything that can be in a block: rows, checksums, a latch. */
static inline dxh_block_config full_config(void)
{
	dxh_block_config config = usual_config();

	config.readers_max = 3;
	config.checksum = DXH_CHECKSUM_XXH3;
	return config;
}

/* ---- in children: a producer with two items that dies somewhere ---- */

static inline dxh_producer *child_producer(const char *name)
{
	dxh_block_config config = full_config();
	dxh_producer *producer = NULL;

	if (dxh_producer_open(name, &config, &producer) != DXH_OK)
		_exit(51);
	for (uint64_t ticket = 0; ticket < 2; ticket++) {
		struct item item = item_of(ticket);

		if (dxh_publish(producer, &item, sizeof item, DXH_NOW) != DXH_OK)
			_exit(50);
	}
	return producer;
}

static inline void die_idle(const char *name)
{
	child_producer(name);
	die_here();
}

static inline void die_writing(const char *name)
{
	dxh_producer *producer = child_producer(name);
	dxh_write_slot slot;

	if (dxh_write_begin(producer, DXH_NOW, &slot) == DXH_OK)
		memset(slot.data, 0xee, 40);
	die_here();
}

/* Published in its slot, but head was not stored. */
static inline void die_announcing(const char *name)
{
	dxh_producer *producer = child_producer(name);
	struct item item = item_of(2);
	uint64_t sum[DXI_CHECKSUM_WORDS];

	dxi_checksum_of(&producer->block.ring.checksum, 2, &item, sizeof item, sum);
	dxi_copy_item_in(
		dxi_slot_begin(&producer->block.ring, dxi_slot_at(&producer->block.ring, 2), 2),
		&item, sizeof item);
	dxi_slot_commit(&producer->block.ring, dxi_slot_at(&producer->block.ring, 2), 2,
	                sizeof item, 0, dxh_now_ns(), sum);
	die_here();
}

static inline void die_reading(const char *name)
{
	dxh_consumer *consumer = NULL;

	if (dxh_consumer_open(name, &(dxh_consumer_config){.discipline = DXH_LOSSLESS},
	                      &consumer) != DXH_OK)
		_exit(53);
	die_here();
}

static inline void expect_killed(int status)
{
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended with 0x%x", status);
}

/* ---- reports ---- */

static inline dxh_report *check_block(const char *name)
{
	dxh_report *report = NULL;

	must(dxh_block_check(name, NULL, &report));
	return report;
}

static inline const dxh_finding *find_rule(const dxh_report *report, dxh_rule rule)
{
	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].rule == rule)
			return &report->findings[i];
	return NULL;
}

static inline void print_report(const dxh_report *report)
{
	for (size_t i = 0; i < report->finding_count; i++)
		fprintf(stderr, "  %s at %s %" PRIu64 ": %s\n",
		        dxh_rule_name(report->findings[i].rule), report->findings[i].file,
		        report->findings[i].offset, report->findings[i].detail);
}

/* Exactly these rules, each once or more; ends with DXH_RULE_NONE. */
static inline void expect_rules(const char *name, const dxh_rule *rules)
{
	dxh_report *report = check_block(name);
	uint32_t wanted = 0, seen = 0;

	for (const dxh_rule *rule = rules; *rule != DXH_RULE_NONE; rule++) {
		wanted |= 1u << *rule;
		cr_expect(find_rule(report, *rule), "no finding %s", dxh_rule_name(*rule));
	}
	for (size_t i = 0; i < report->finding_count; i++)
		seen |= 1u << report->findings[i].rule;
	cr_expect_eq(seen, wanted);
	if (seen != wanted)
		print_report(report);
	dxh_report_free(&report);
}
#define expect_found(name, ...) expect_rules(name, (const dxh_rule[]){__VA_ARGS__, DXH_RULE_NONE})
#define expect_nothing(name) expect_rules(name, (const dxh_rule[]){DXH_RULE_NONE})

/* ---- all bytes of a block, to see that none changed ---- */

typedef struct snapshot {
	image files[3];
} snapshot;

static inline image load_file(const char *path)
{
	image it = {0};
	struct stat found;
	int fd = open(path, O_RDONLY);

	if (fd == -1)
		return it;
	cr_assert_eq(fstat(fd, &found), 0);
	it.length = (size_t)found.st_size;
	it.bytes = malloc(it.length + 1);
	cr_assert(it.bytes && read(fd, it.bytes, it.length) == found.st_size);
	close(fd);
	return it;
}

static inline snapshot take_snapshot(const char *name)
{
	return (snapshot){{load_file(file_of(name, ".dxh")), load_file(file_of(name, ".ctl")),
	                   load_file(file_of(name, ".lock"))}};
}

/* Frees the snapshot. */
static inline void expect_unchanged(const char *name, snapshot before)
{
	snapshot now = take_snapshot(name);

	for (int i = 0; i < 3; i++) {
		cr_expect_eq(!before.files[i].bytes, !now.files[i].bytes, "file %d came or went",
		             i);
		cr_expect_eq(before.files[i].length, now.files[i].length);
		if (before.files[i].bytes && now.files[i].bytes &&
		    before.files[i].length == now.files[i].length)
			cr_expect(memcmp(before.files[i].bytes, now.files[i].bytes,
			                 now.files[i].length) == 0,
			          "file %d changed", i);
		free(before.files[i].bytes);
		free(now.files[i].bytes);
	}
}

#endif
