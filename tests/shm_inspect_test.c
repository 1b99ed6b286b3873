/* SPDX-License-Identifier: MIT */
/* What diagnose, validate and check see: of blocks that live, ended and died, of broken
 * ones and of copies; and that they change nothing.
 */
#include "tests/shm_inspect.h"

#include "shm/consumer.h"
#include "shm/geometry.h"

static char name[32];

static void setup(void)
{
	strcpy(name, new_name());
}

static void teardown(void)
{
	char link[256];

	snprintf(link, sizeof link, "%s", file_of(name, ".copy"));
	unlink(link);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	if (dxh_block_unlink(NULL, name) == DXH_EACCESS) {
		unlink(file_of(name, ".lock"));
		must(dxh_block_unlink(NULL, name));
	}
}

TestSuite(inspect, .init = setup, .fini = teardown, .timeout = 60);

static void make_closed(void)
{
	dxh_producer *producer = open_producer(name, full_config());

	publish_items(producer, 0, 9);
	must(dxh_producer_close(&producer));
}

/* ---- blocks in order ---- */

Test(inspect, a_live_block_is_in_order)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_write_slot slot;
	dxh_report *report;

	publish_items(producer, 0, 3);
	must(dxh_write_begin(producer, DXH_NOW, &slot)); /* odd, and that is no finding */
	report = check_block(name);
	cr_expect_eq(report->finding_count, 0);
	cr_expect_eq(report->readable, 1);
	cr_expect_eq(report->items_verified, 3);
	cr_expect_eq(report->items_unverified, 0);
	cr_expect_eq(report->block.producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(report->block.head, 3);
	cr_expect_str_eq(report->block.name, name);
	dxh_report_free(&report);
	cr_expect_null(report);
	must(dxh_producer_close(&producer));
}

Test(inspect, a_closed_block_is_in_order)
{
	dxh_report *report;
	snapshot before;

	make_closed();
	before = take_snapshot(name);
	report = check_block(name);
	cr_expect_eq(report->finding_count, 0);
	cr_expect_eq(report->items_verified, 6, "two more than are kept");
	cr_expect_eq(report->block.producer, DXH_PRODUCER_CLOSED);
	dxh_report_free(&report);
	expect_unchanged(name, before);
}

Test(inspect, blocks_without_ring_or_checksums_are_in_order)
{
	dxh_block_config zones_only = usual_config(), plain = usual_config();
	dxh_producer *producer;
	dxh_report *report;

	zones_only.slot_count = 0;
	zones_only.slot = (dxh_slot_spec){0};
	producer = open_producer(name, zones_only);
	expect_nothing(name);
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	producer = open_producer(name, plain);
	publish_items(producer, 0, 2);
	report = check_block(name);
	cr_expect_eq(report->finding_count, 0);
	cr_expect_eq(report->items_verified, 0);
	cr_expect_eq(report->items_unverified, 2);
	dxh_report_free(&report);
	must(dxh_producer_close(&producer));
}

static void publish_for_ever(const char *block)
{
	dxh_producer *producer = child_producer(block);

	for (uint64_t ticket = 2;; ticket++) {
		struct item item = item_of(ticket);

		if (dxh_publish(producer, &item, sizeof item, DXH_NOW) != DXH_OK)
			_exit(50);
	}
}

static pid_t start(void (*act)(const char *block))
{
	pid_t child = fork();
	dxh_block_info facts;

	cr_assert_neq(child, -1);
	if (child == 0)
		act(name);
	while (dxh_block_stat(NULL, name, &facts) != DXH_OK || facts.head < 20)
		;
	return child;
}

static void stop(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	expect_killed(status);
}

Test(inspect, a_busy_block_is_in_order_whenever_it_is_looked_at)
{
	pid_t child = start(publish_for_ever);

	for (int turn = 0; turn < 500; turn++) {
		dxh_report *report = check_block(name);

		cr_assert_eq(report->finding_count, 0, "%s", report->findings[0].detail);
		dxh_report_free(&report);
	}
	stop(child);
}

/* ---- the dead ---- */

Test(inspect, a_producer_that_died_is_a_note)
{
	dxh_report *report;

	expect_killed(run_child(die_idle, name));
	report = check_block(name);
	cr_expect_eq(report->errors + report->warnings, 0);
	cr_expect_eq(report->notes, 1);
	cr_assert(find_rule(report, DXH_RULE_PRODUCER_DEAD));
	cr_expect_eq(report->block.producer, DXH_PRODUCER_DEAD);
	dxh_report_free(&report);
}

Test(inspect, a_write_that_died_is_named_by_ticket_and_place)
{
	const dxh_finding *finding;
	dxh_report *report;
	snapshot before;
	image it;

	expect_killed(run_child(die_writing, name));
	before = take_snapshot(name);
	it = load_image(name);
	report = check_block(name);
	finding = find_rule(report, DXH_RULE_SLOT_UNFINISHED);
	cr_assert(finding);
	cr_expect(strstr(finding->detail, "ticket 2 "), "%s", finding->detail);
	cr_expect_eq(finding->offset, (uint64_t)((unsigned char *)slot_of(it, 2) - it.bytes));
	cr_expect_str_eq(finding->file, "data");
	cr_expect_eq(report->errors + report->warnings, 0, "nothing was lost");
	cr_expect_eq(report->items_verified, 2);
	dxh_report_free(&report);
	free(it.bytes);
	expect_unchanged(name, before);
}

Test(inspect, an_item_that_was_not_announced_is_a_warning)
{
	const dxh_finding *finding;
	dxh_report *report;

	expect_killed(run_child(die_announcing, name));
	report = check_block(name);
	finding = find_rule(report, DXH_RULE_HEAD_LAGS);
	cr_assert(finding);
	cr_expect_eq(finding->offset, offsetof(struct dxi_layout_header, head));
	cr_expect_eq(finding->severity, DXH_WARNING);
	cr_expect_eq(finding->repair, DXH_REPAIR_RECOVER);
	cr_expect_eq(report->errors, 0);
	dxh_report_free(&report);
}

Test(inspect, readers_that_died_or_were_evicted_are_seen_in_their_rows)
{
	dxh_block_config config = full_config();
	dxh_consumer *consumer;
	dxh_producer *producer;

	config.evict = 1;
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	producer = open_producer(name, config);
	expect_killed(run_child(die_reading, name));
	expect_found(name, DXH_RULE_ROW_STALE);
	consumer = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	expect_nothing(name); /* the row is taken again */
	publish_items(producer, 0, 5);
	expect_found(name, DXH_RULE_READER_EVICTED);
	must(dxh_consumer_close(&consumer));
	expect_nothing(name);
	must(dxh_producer_close(&producer));
}

/* ---- what lies beside ---- */

Test(inspect, a_control_file_that_is_gone_or_another_is_told)
{
	char control[256];

	make_closed();
	snprintf(control, sizeof control, "%s", file_of(name, ".ctl"));
	cr_assert_eq(truncate(control, 100), 0);
	expect_found(name, DXH_RULE_CONTROL_BROKEN);
	cr_assert_eq(unlink(control), 0);
	expect_found(name, DXH_RULE_CONTROL_MISSING);
	cr_assert_eq(symlink("/dev/null", control), 0);
	expect_found(name, DXH_RULE_CONTROL_BROKEN);
}

Test(inspect, a_missing_lock_file_is_an_error_only_while_a_producer_lives)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_report *report;

	cr_assert_eq(unlink(file_of(name, ".lock")), 0);
	report = check_block(name);
	cr_expect_eq(report->errors, 1);
	cr_expect_eq(find_rule(report, DXH_RULE_LOCK_MISSING)->repair, DXH_REPAIR_NONE);
	dxh_report_free(&report);
	must(dxh_producer_close(&producer));
	report = check_block(name);
	cr_expect_eq(report->errors, 0);
	cr_expect_eq(find_rule(report, DXH_RULE_LOCK_MISSING)->repair, DXH_REPAIR_RECOVER);
	dxh_report_free(&report);
}

Test(inspect, a_lock_that_is_no_file_of_the_owner_is_told)
{
	char lock[256];

	make_closed();
	snprintf(lock, sizeof lock, "%s", file_of(name, ".lock"));
	cr_assert_eq(unlink(lock), 0);
	cr_assert_eq(symlink("/dev/null", lock), 0);
	expect_found(name, DXH_RULE_LOCK_FOREIGN);
	cr_assert_eq(unlink(lock), 0);
	if (geteuid() != 0)
		return;
	close(open(lock, O_CREAT | O_RDWR, 0600));
	cr_assert_eq(chown(lock, 12345, (gid_t)-1), 0);
	expect_found(name, DXH_RULE_LOCK_FOREIGN);
}

Test(inspect, a_squatter_on_the_beacon_is_told)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd;

	make_closed();
	fd = open(file_of(name, ".dxh"), O_RDONLY | O_CLOEXEC);
	cr_assert(fd != -1 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
	expect_found(name, DXH_RULE_BEACON_SQUATTED);
	close(fd);
	expect_nothing(name);
}

static void change_header(uint32_t state, uint32_t held)
{
	image it = load_image(name);

	atomic_store(&header_of(it)->producer.state, state);
	atomic_store(&header_of(it)->held, held);
	store_image(name, it.bytes, it.length);
	free(it.bytes);
}

Test(inspect, what_the_dead_left_in_the_header_is_told)
{
	make_closed();
	change_header(DXI_STATE_UNLIT, 0);
	expect_found(name, DXH_RULE_BEACON_STALE);
	change_header(DXI_STATE_CLOSED, 1);
	expect_found(name, DXH_RULE_WAIT_STALE);
}

/* ---- broken bytes ---- */

static void seal(image it)
{
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};

	memcpy(zones, it.bytes + header_of(it)->zones_offset,
	       header_of(it)->zone_count * sizeof *zones);
	dxi_geometry_seal(header_of(it), zones, it.bytes + header_of(it)->schema_offset);
}

Test(inspect, what_cannot_be_attached_to_is_told_by_rule_and_place)
{
	image it;

	make_closed();
	it = load_image(name);
	store_image(name, it.bytes, it.length - 64);
	expect_found(name, DXH_RULE_FILE_SIZE);
	store_image(name, it.bytes, 100);
	expect_found(name, DXH_RULE_FILE_SIZE);
	store_image(name, it.bytes, 0);
	expect_found(name, DXH_RULE_FILE_SIZE);
	it.bytes[header_of(it)->schema_offset + 20] ^= 1;
	store_image(name, it.bytes, it.length);
	expect_found(name, DXH_RULE_TABLES);
	header_of(it)->features_required = 2;
	seal(it);
	store_image(name, it.bytes, it.length);
	expect_found(name, DXH_RULE_VERSION);
	header_of(it)->features_required = 0;
	header_of(it)->slot_bytes += 64;
	seal(it);
	store_image(name, it.bytes, it.length);
	expect_found(name, DXH_RULE_HEADER);
	atomic_store(&header_of(it)->magic, 0x46464952);
	store_image(name, it.bytes, it.length);
	expect_found(name, DXH_RULE_NO_BLOCK);
	free(it.bytes);
}

/* One number was changed: the checksum says that, and the rules say which. */
Test(inspect, each_number_of_the_header_that_changed_is_found)
{
	static const size_t numbers[] = {
		offsetof(struct dxi_layout_header, header_bytes),
		offsetof(struct dxi_layout_header, features_required),
		offsetof(struct dxi_layout_header, line_bytes),
		offsetof(struct dxi_layout_header, zones_offset),
		offsetof(struct dxi_layout_header, zone_count),
		offsetof(struct dxi_layout_header, zone_entry_bytes),
		offsetof(struct dxi_layout_header, slots_offset),
		offsetof(struct dxi_layout_header, slot_stride_bytes),
		offsetof(struct dxi_layout_header, slot_bytes),
		offsetof(struct dxi_layout_header, slot_count),
		offsetof(struct dxi_layout_header, slot_physical),
		offsetof(struct dxi_layout_header, schema_offset),
		offsetof(struct dxi_layout_header, schema_bytes),
		offsetof(struct dxi_layout_header, slot_header_bytes),
		offsetof(struct dxi_layout_header, marks_offset),
		offsetof(struct dxi_layout_header, row_count),
	};
	dxh_report *report;
	image it;

	make_closed();
	it = load_image(name);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint32_t before, forged = UINT32_MAX;

		memcpy(&before, it.bytes + numbers[i], sizeof before);
		memcpy(it.bytes + numbers[i], &forged, sizeof forged);
		store_image(name, it.bytes, it.length);
		memcpy(it.bytes + numbers[i], &before, sizeof before);
		report = check_block(name);
		cr_expect_eq(report->readable, 0);
		cr_assert_eq(report->finding_count, 2, "offset %zu", numbers[i]);
		cr_expect_eq(report->findings[0].rule, DXH_RULE_HEADER_CHECKSUM);
		cr_expect(report->findings[1].offset == numbers[i] ||
		                  report->findings[1].rule == DXH_RULE_VERSION,
		          "%zu was changed, %" PRIu64 " is told: %s", numbers[i],
		          report->findings[1].offset, report->findings[1].detail);
		dxh_report_free(&report);
	}
	free(it.bytes);
}

Test(inspect, tickets_that_cannot_be_are_told_each)
{
	dxh_report *report;
	image it;

	make_closed(); /* tickets 0 .. 8 in 6 slots */
	it = load_image(name);
	atomic_store(&slot_of(it, 0)->seq, 2 * 13 + 2);
	atomic_store(&slot_of(it, 1)->seq, UINT64_MAX);
	atomic_store(&slot_of(it, 3)->seq, 0);
	atomic_store(&slot_of(it, 4)->seq, 2 * 4 + 1);
	store_image(name, it.bytes, it.length);
	report = check_block(name);
	cr_expect_eq(report->errors, 4);
	cr_expect_eq(report->finding_count, 4);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(report->findings[i].rule, DXH_RULE_SLOT_SEQ);
	dxh_report_free(&report);
	free(it.bytes);
}

Test(inspect, a_head_beyond_the_slots_is_told)
{
	image it;

	make_closed();
	it = load_image(name);
	atomic_store(&header_of(it)->head, 12);
	store_image(name, it.bytes, it.length);
	expect_found(name, DXH_RULE_HEAD_AHEAD);
	free(it.bytes);
}

Test(inspect, a_live_block_whose_slots_and_head_disagree_is_told)
{
	dxh_producer *producer = open_producer(name, full_config());

	publish_items(producer, 0, 9);
	atomic_store(&dxi_slot_at(&producer->block.ring, 7)->seq, 2);
	expect_found(name, DXH_RULE_SLOT_SEQ);
	atomic_store(&dxi_slot_at(&producer->block.ring, 7)->seq, 2 * 7 + 2);
	expect_nothing(name);
	atomic_store(&dxi_block_header(&producer->block)->head, UINT64_MAX);
	expect_found(name, DXH_RULE_HEADER);
	atomic_store(&dxi_block_header(&producer->block)->head, 9);
	must(dxh_producer_close(&producer));
}

static dxh_report *validate(const dxh_inspect_config *config)
{
	dxh_report *report = NULL;

	must(dxh_block_validate(name, config, &report));
	return report;
}

Test(inspect, one_changed_bit_of_a_payload_is_found_by_validate_alone)
{
	dxh_report *report;
	image it;

	make_closed();
	it = load_image(name);
	((unsigned char *)(slot_of(it, 2) + 1))[17] ^= 4;
	store_image(name, it.bytes, it.length);
	must(dxh_block_diagnose(name, NULL, &report));
	cr_expect_eq(report->finding_count, 0);
	dxh_report_free(&report);
	report = validate(NULL);
	cr_assert_eq(report->finding_count, 1);
	cr_expect_eq(report->findings[0].rule, DXH_RULE_ITEM_CHECKSUM);
	cr_expect_eq(report->findings[0].offset,
	             (uint64_t)((unsigned char *)slot_of(it, 2) - it.bytes));
	cr_expect(strstr(report->findings[0].detail, "ticket 8,"));
	cr_expect_eq(report->items_verified, 5);
	dxh_report_free(&report);
	free(it.bytes);
}

Test(inspect, lengths_and_flags_that_cannot_be_are_told)
{
	dxh_report *report;
	image it;

	make_closed();
	it = load_image(name);
	atomic_store(&slot_of(it, 0)->length, UINT64_MAX);
	atomic_store(&slot_of(it, 1)->flags, 0x80);
	atomic_store(&slot_of(it, 2)->flags, 0); /* and sums are enforced */
	store_image(name, it.bytes, it.length);
	report = validate(NULL);
	cr_expect_eq(report->errors, 3);
	for (size_t i = 0; i < report->finding_count; i++)
		cr_expect_eq(report->findings[i].rule, DXH_RULE_SLOT_CONTENT);
	cr_expect_eq(report->items_verified, 3);
	dxh_report_free(&report);
	free(it.bytes);
}

Test(inspect, keyed_items_are_verified_with_the_key_only)
{
	static const unsigned char key[DXH_CHECKSUM_KEY_BYTES] = {7, 7, 7}, other[32] = {8};
	dxh_block_config config = full_config();
	dxh_inspect_config with = {.checksum_key = key}, wrong = {.checksum_key = other};
	dxh_producer *producer;
	dxh_report *report;

	config.checksum = DXH_CHECKSUM_BLAKE2B;
	config.checksum_key = key;
	producer = open_producer(name, config);
	publish_items(producer, 0, 3);
	report = validate(NULL);
	cr_expect_eq(report->finding_count, 0);
	cr_expect_eq(report->items_unverified, 3);
	dxh_report_free(&report);
	report = validate(&with);
	cr_expect_eq(report->finding_count, 0);
	cr_expect_eq(report->items_verified, 3);
	dxh_report_free(&report);
	expect_status(dxh_block_validate(name, &wrong, &report), DXH_EACCESS);
	cr_expect_null(report);
	must(dxh_producer_close(&producer));
}

/* Whatever a byte becomes, looking ends with a report, and with the same one when no
 * rule looks at it. */
Test(inspect, no_byte_harms_who_looks)
{
	unsigned found = 0, tried = 0;
	dxh_report *report;
	image it;

	make_closed();
	it = load_image(name);
	for (size_t at = 0; at < it.length; at += at < 1024 ? 1 : 7)
		for (int turn = 0; turn < 2; turn++) {
			unsigned char before = it.bytes[at];
			int fd = open(file_of(name, ".dxh"), O_WRONLY);

			it.bytes[at] = turn ? (unsigned char)~before : 0xff;
			cr_assert_eq(pwrite(fd, it.bytes + at, 1, (off_t)at), 1);
			report = check_block(name);
			found += report->finding_count > 0;
			tried++;
			dxh_report_free(&report);
			it.bytes[at] = before;
			cr_assert_eq(pwrite(fd, it.bytes + at, 1, (off_t)at), 1);
			close(fd);
		}
	expect_nothing(name);
	fprintf(stderr, "inspect: %u of %u changes found\n", found, tried);
	cr_expect_gt(tried, 2000);
	cr_expect_gt(found, tried / 3);
	free(it.bytes);
}

Test(inspect, a_ring_of_nonsense_has_a_thousand_findings_and_a_count)
{
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(64), .slot_count = 1200};
	dxh_producer *producer = open_producer(name, config);
	dxh_report *report;
	image it;

	must(dxh_producer_close(&producer));
	it = load_image(name);
	for (uint64_t i = 0; i < 1202; i++)
		atomic_store(&slot_of(it, i)->seq, UINT64_MAX);
	store_image(name, it.bytes, it.length);
	report = check_block(name);
	cr_expect_eq(report->errors, 1202);
	cr_expect_eq(report->finding_count, 1000);
	dxh_report_free(&report);
	free(it.bytes);
}

/* ---- copies ---- */

static void copy_to(const char *path)
{
	image it = load_image(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert(fd != -1 && write(fd, it.bytes, it.length) == (ssize_t)it.length);
	close(fd);
	free(it.bytes);
}

Test(inspect, copies_made_while_it_is_written_are_never_called_broken_tickets)
{
	char copy[256];
	dxh_inspect_config config = {.file = copy};
	pid_t child = start(publish_for_ever);

	snprintf(copy, sizeof copy, "%s", file_of(name, ".copy"));
	for (int turn = 0; turn < 200; turn++) {
		dxh_report *report;

		copy_to(copy);
		must(dxh_block_diagnose(NULL, &config, &report));
		cr_assert_eq(report->errors, 0, "%s", report->findings[0].detail);
		cr_assert_eq(report->block.producer, DXH_PRODUCER_UNKNOWN);
		cr_assert_str_eq(report->block.name, name);
		dxh_report_free(&report);
	}
	stop(child);
}

Test(inspect, a_copy_of_different_moments_says_so)
{
	char copy[256];
	dxh_inspect_config config = {.file = copy};
	dxh_report *report;
	image it;

	snprintf(copy, sizeof copy, "%s", file_of(name, ".copy"));
	expect_killed(run_child(die_idle, name));
	it = load_image(name);
	atomic_store(&header_of(it)->head, 1);
	store_image(name, it.bytes, it.length);
	copy_to(copy);
	must(dxh_block_check(NULL, &config, &report));
	cr_assert_eq(report->finding_count, 1);
	cr_expect_eq(report->findings[0].rule, DXH_RULE_COPY_MOVED);
	dxh_report_free(&report);
	free(it.bytes);
}

/* ---- the zones file ---- */

static void make_with_zones_file(void)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	config.zones[1] = (dxh_zone_spec)DXH_ZONE(position);
	config.zones_writable = 1;
	producer = open_producer(name, config);
	must(dxh_producer_close(&producer));
}

Test(inspect, a_zones_file_that_is_not_right_is_found)
{
	char zones[256], kept[256];
	dxh_consumer *consumer = NULL;

	make_with_zones_file();
	expect_nothing(name);
	snprintf(zones, sizeof zones, "%s", file_of(name, ".zones"));
	snprintf(kept, sizeof kept, "%s", file_of(name, ".kept"));
	cr_assert_eq(rename(zones, kept), 0);
	expect_found(name, DXH_RULE_ZONES_MISSING);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_ECORRUPT);
	cr_assert_eq(symlink(kept, zones), 0);
	expect_found(name, DXH_RULE_ZONES_BROKEN);
	cr_assert(unlink(zones) == 0 && rename(kept, zones) == 0);
	expect_nothing(name);
	cr_assert_eq(truncate(zones, 10), 0);
	expect_found(name, DXH_RULE_ZONES_BROKEN);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_ECORRUPT);
}

/* ---- each status ---- */

Test(inspect, what_cannot_be_looked_at_is_a_status)
{
	dxh_inspect_config both = {.file = "/x", .directory = "/tmp"};
	unsigned char key[32] = {1};
	dxh_inspect_config keyed = {.checksum_key = key};
	dxh_report *report = NULL;

	expect_status(dxh_block_check(name, NULL, &report), DXH_ENOTFOUND);
	expect_status(dxh_block_diagnose(name, NULL, &report), DXH_ENOTFOUND);
	expect_status(dxh_block_validate(name, NULL, &report), DXH_ENOTFOUND);
	expect_status(dxh_block_check(NULL, NULL, &report), DXH_EINVAL);
	expect_status(dxh_block_check(NULL, &both, &report), DXH_EINVAL);
	expect_status(dxh_block_check(name, &both, &report), DXH_EINVAL);
	make_closed();
	expect_status(dxh_block_diagnose(name, NULL, NULL), DXH_EINVAL);
	expect_status(dxh_block_validate(name, NULL, NULL), DXH_EINVAL);
	expect_status(dxh_block_diagnose(name, &keyed, &report), DXH_EINVAL);
	cr_expect_null(report);
	if (geteuid() == 0) {
		dxh_inspect_config owner = {.owner_uid_plus1 = 12346};

		cr_assert_eq(chown(file_of(name, ".dxh"), 12345, (gid_t)-1), 0);
		expect_status(dxh_block_check(name, NULL, &report), DXH_EACCESS);
		expect_error_says("belongs to user 12345");
		expect_status(dxh_block_diagnose(name, NULL, &report), DXH_EACCESS);
		cr_expect_null(report);
		must(dxh_block_check(name, &owner, &report));
		dxh_report_free(&report);
	}
	dxh_report_free(&report);
}

Test(inspect, each_rule_has_words)
{
#define EXPECT_WORDS(rule, text, severity, meaning, advice)                                        \
	cr_expect_str_eq(dxh_rule_name(rule), text);                                               \
	cr_expect_gt(strlen(dxh_rule_meaning(rule)), 10);                                          \
	cr_expect_gt(strlen(dxh_rule_advice(rule)), 5);
	DXH_RULE_LIST(EXPECT_WORDS)
	cr_expect_str_eq(dxh_rule_name(DXH_RULE_NONE), "?");
	cr_expect_str_eq(dxh_rule_name((dxh_rule)999), "?");
	cr_expect_str_eq(dxh_rule_advice((dxh_rule)-1), "");
}
