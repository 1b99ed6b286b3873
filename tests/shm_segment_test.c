/* SPDX-License-Identifier: MIT */
/* Creating, attaching, taking over and removing the files of a block, and every
 * reason for which that is refused.
 */
#include "shm/segment.h"

#include "tests/shm_fixture.h"

#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Other tests run beside this one in the same directory: only its own files count. */
static bool is_anything_left(const char *name)
{
	return access(file_of(name, ".dxh"), F_OK) == 0 ||
	       access(file_of(name, ".lock"), F_OK) == 0;
}

Test(segment, a_block_is_two_files_and_leaves_none, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	struct stat found;

	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), 0);
	cr_expect_eq(found.st_mode & 07777, 0640);
	cr_expect_geq(found.st_blocks * 512, found.st_size, "space is not reserved");
	cr_expect_eq(stat(file_of(name, ".lock"), &found), 0);
	cr_expect_eq(found.st_mode & 07777, 0600);
	must(dxh_producer_close(&producer));
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), -1);
	cr_expect_eq(stat(file_of(name, ".lock"), &found), -1);
}

Test(segment, the_mode_is_set_whatever_the_umask, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	struct stat found;

	config.mode = 0664;
	config.unlink_on_close = 1;
	umask(0777);
	producer = open_producer(name, config);
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), 0);
	cr_expect_eq(found.st_mode & 07777, 0664);
	must(dxh_producer_close(&producer));
}

Test(segment, the_group_is_found_by_name, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	struct group *own = getgrgid(getegid());
	dxh_producer *producer;
	struct stat found;

	config.unlink_on_close = 1;
	config.group = "no such group";
	expect_status(dxh_producer_open(name, &config, &producer), DXH_EINVAL);
	expect_error_says("no such group");
	if (!own)
		cr_skip_test("this process's group has no name");
	config.group = own->gr_name;
	producer = open_producer(name, config);
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), 0);
	cr_expect_eq(found.st_gid, getegid());
	must(dxh_producer_close(&producer));
}

Test(segment, a_slash_in_a_name_stays_in_the_directory, .timeout = 5)
{
	char name[64];
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	struct stat found;

	snprintf(name, sizeof name, "a/b/%s", new_name());
	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '+';
	cr_expect_eq(stat(file_of(name, ".dxh"), &found), 0);
	must(dxh_producer_close(&producer));
}

Test(segment, names_that_cannot_be_are_refused, .timeout = 5)
{
	static const char *const bad[] = {
		"",         ".x",
		"/x",       "a b",
		"a+b",      "a\nb",
		"\xc3\xa4", "1234567890123456789012345678901234567890123456789012345678901234"};
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_info info;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		expect_status(dxh_producer_open(bad[i], &config, &producer), DXH_EINVAL);
		expect_status(dxh_consumer_open(bad[i], NULL, &consumer), DXH_EINVAL);
		expect_status(dxh_block_stat(NULL, bad[i], &info), DXH_EINVAL);
		expect_status(dxh_block_unlink(NULL, bad[i]), DXH_EINVAL);
	}
	expect_status(dxh_producer_open(NULL, &config, &producer), DXH_EINVAL);
}

static int nobody; /* an address that no producer has */

#define refuses_config(change, text)                                                               \
	do {                                                                                       \
		config = usual_config();                                                           \
		change;                                                                            \
		expect_status(dxh_producer_open(name, &config, &producer), DXH_EINVAL);            \
		expect_error_says(text);                                                           \
		cr_expect_eq(producer, untouched, "a failed call changes nothing");                \
	} while (0)

Test(segment, configs_that_cannot_be_are_refused_with_the_member, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *const untouched = (dxh_producer *)(void *)&nobody, *producer = untouched;
	dxh_block_config config;
	dxh_schema schema = *DXH_SCHEMA_OF(telemetry);
	dxh_field fields[3];

	memcpy(fields, schema.fields, sizeof fields);
	schema.fields = fields;
	refuses_config((config.slot_count = 3), "slot_count 3");
	refuses_config((config.slot_count = 65537), "slot_count 65537");
	refuses_config((config.slot_count = 0), "slot_count is 0");
	refuses_config((config.slot.schema = NULL, config.slot.bytes = 0), "slot.bytes 0");
	refuses_config((config.mode = 0440), "mode 0440");
	refuses_config((config.mode = 01777), "mode");
	refuses_config((config.owner_wait_ns = -1), "owner_wait_ns");
	refuses_config((config.zones[0].name = "a b"), "zone 0");
	refuses_config((config.zones[2].name = "telemetry"), "two zones");
	refuses_config((config.zones[2].bytes = 0), "\"notes\"");
	refuses_config((config.zones[2].align = 3), "alignment 3");
	refuses_config((config.zones[2].align = 128), "alignment 128");
	refuses_config((config.zones[0].bytes = 8), "not 8");
	refuses_config((config.slot = (dxh_slot_spec){0}, config.slot_count = 0,
	                memset(config.zones, 0, sizeof config.zones)),
	               "neither zones nor slots");
	refuses_config((config.zones[0].schema = &schema, fields[1].bytes = 7), "gain");
	fields[1].bytes = 8;
	refuses_config((config.zones[0].schema = &schema, fields[1].offset_bytes = 4), "overlaps");
	fields[1].offset_bytes = 8;
	refuses_config((config.zones[0].schema = &schema, fields[1].doc = "two\nlines"), "doc");
	fields[1].doc = NULL;
	refuses_config(
		(config.zones[0].schema = &schema, fields[2].count = 17, fields[2].bytes = 17),
		"ends behind");
	cr_expect_not(is_anything_left(name), "something was left");
}

Test(segment, null_is_refused, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer = NULL;
	dxh_consumer *consumer = NULL;

	expect_status(dxh_producer_open("x", NULL, &producer), DXH_EINVAL);
	expect_status(dxh_producer_open("x", &config, NULL), DXH_EINVAL);
	expect_status(dxh_consumer_open("x", NULL, NULL), DXH_EINVAL);
	expect_status(dxh_producer_close(&producer), DXH_EINVAL);
	expect_status(dxh_consumer_close(&consumer), DXH_EINVAL);
	expect_status(dxh_block_stat(NULL, "x", NULL), DXH_EINVAL);
	expect_status(dxh_producer_stats_get(NULL, NULL), DXH_EINVAL);
	cr_expect_null(dxh_consumer_schema(NULL, NULL));
}

/* Root may write there, and still: no file can be made without a name. */
Test(segment, a_directory_without_unnamed_files_is_told, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	if (geteuid() != 0)
		return;
	config.directory = "/proc";
	expect_status(dxh_producer_open("x", &config, &producer), DXH_EUNSUPPORTED);
	expect_error_says("use a tmpfs");
}

Test(segment, a_config_of_a_newer_header_is_refused, .timeout = 5)
{
	struct {
		dxh_block_config config;
		uint64_t news;
	} newer = {.config = usual_config(), .news = 1};
	const char *name = new_name();
	dxh_producer *producer;

	expect_status(dxh_producer_open_sized(sizeof newer, name, &newer.config, &producer),
	              DXH_EVERSION);
	newer.news = 0;
	newer.config.unlink_on_close = 1;
	must(dxh_producer_open_sized(sizeof newer, name, &newer.config, &producer));
	must(dxh_producer_close(&producer));
}

Test(segment, what_is_not_there_is_not_found, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_info info;

	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_ENOTFOUND);
	expect_error_says(name);
	expect_status(dxh_block_stat(NULL, name, &info), DXH_ENOTFOUND);
	expect_status(dxh_block_unlink(NULL, name), DXH_ENOTFOUND);
	expect_status(dxh_block_stat("/no/such/directory", name, &info), DXH_ENOTFOUND);
	config.directory = "/no/such/directory";
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ENOTFOUND);
}

Test(segment, a_file_as_directory_is_a_system_error, .timeout = 5)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	config.directory = "/dev/null";
	expect_status(dxh_producer_open(new_name(), &config, &producer), DXH_ESYSTEM);
	expect_error_says("Not a directory");
}

Test(segment, a_second_producer_hears_who_is_the_first, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *first, *second;
	char pid[32];

	config.unlink_on_close = 1;
	first = open_producer(name, config);
	snprintf(pid, sizeof pid, "pid %d,", (int)getpid());
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_error_says(pid);
	config.owner_wait_ns = 20000000;
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_status(dxh_block_unlink(NULL, name), DXH_EBUSY);
	expect_error_says(pid);
	must(dxh_producer_close(&first));
}

Test(segment, an_old_block_goes_on_only_with_the_same_tables, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config(), other;
	dxh_producer *producer = open_producer(name, config);
	dxh_producer_stats stats;

	publish_items(producer, 0, 3);
	must(dxh_producer_close(&producer));
	other = config, other.slot_count = 8;
	expect_status(dxh_producer_open(name, &other, &producer), DXH_ESIZE);
	expect_error_says("slot_count: here 8, in the block 4");
	other = config, other.zones[2].bytes = 200;
	expect_status(dxh_producer_open(name, &other, &producer), DXH_ESIZE);
	other = config, other.zones[1].name = "elsewhere";
	expect_status(dxh_producer_open(name, &other, &producer), DXH_ESCHEMA);
	expect_error_says("elsewhere");
	other = config, other.no_wait = 1;
	expect_status(dxh_producer_open(name, &other, &producer), DXH_ESCHEMA);
	expect_error_says("no_wait");
	other = config, other.no_timestamps = 1;
	expect_status(dxh_producer_open(name, &other, &producer), DXH_ESCHEMA);
	expect_error_says("no_timestamps: here set, in the block not set");

	producer = open_producer(name, config);
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.next_ticket, 3);
	cr_expect_eq(stats.epoch, 1, "a refused takeover counted");
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

Test(segment, raw_slots_of_another_capacity_are_a_size, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(100), .slot_count = 4};
	dxh_consumer_config wanted = {.slot = DXH_SLOT_BYTES(128)};
	dxh_producer *producer = open_producer(name, config);
	dxh_consumer *consumer;

	consumer = open_consumer(name, wanted); /* 100 is rounded up to 128 */
	must(dxh_consumer_close(&consumer));
	wanted.slot.bytes = 129;
	expect_status(dxh_consumer_open(name, &wanted, &consumer), DXH_ESIZE);
	wanted.slot = (dxh_slot_spec)DXH_SLOT(item);
	expect_status(dxh_consumer_open(name, &wanted, &consumer), DXH_ESCHEMA);
	must(dxh_producer_close(&producer));
	config.slot.bytes = 192;
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ESIZE);
	must(dxh_block_unlink(NULL, name));
}

/* ---- space and limits ---- */

Test(segment, too_large_says_need_and_have, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(1 << 30), .slot_count = 65536};
	dxh_producer *producer;

	expect_status(dxh_producer_open(name, &config, &producer), DXH_ENOSPACE);
	expect_error_says("needs 7037089");
	expect_error_says("free");
	cr_expect_not(is_anything_left(name), "something was left");
}

static void create_with_small_files_only(const char *name)
{
	struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(4096), .slot_count = 8};
	dxh_producer *producer;

	setrlimit(RLIMIT_FSIZE, &limit);
	_exit(dxh_producer_open(name, &config, &producer) == DXH_ENOSPACE &&
	                      strstr(dxh_last_error(), "RLIMIT_FSIZE")
	              ? 0
	              : 1);
}

Test(segment, the_limit_of_file_sizes_is_an_error_and_no_signal, .timeout = 5)
{
	cr_expect_eq(run_child(create_with_small_files_only, new_name()), 0);
}

static void open_without_descriptors(const char *name)
{
	struct rlimit limit = {.rlim_cur = 3, .rlim_max = 3};
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *consumer;

	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	setrlimit(RLIMIT_NOFILE, &limit);
	_exit(dxh_producer_open(name, &config, &producer) == DXH_ELIMIT &&
	                      dxh_consumer_open(name, NULL, &consumer) == DXH_ELIMIT
	              ? 0
	              : 1);
}

Test(segment, no_descriptor_left_is_a_limit, .timeout = 5)
{
	cr_expect_eq(run_child(open_without_descriptors, new_name()), 0);
}

/* ---- who may ---- */

Test(segment, a_symbolic_link_is_not_followed, .timeout = 5)
{
	char name[32], link_name[32], target[256];
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_config config = usual_config();

	strcpy(name, new_name());
	strcpy(link_name, new_name());
	producer = open_producer(name, config);
	strcpy(target, file_of(name, ".dxh"));
	cr_assert_eq(symlink(target, file_of(link_name, ".dxh")), 0);
	expect_status(dxh_consumer_open(link_name, NULL, &consumer), DXH_EACCESS);
	expect_error_says("symbolic link");
	unlink(file_of(link_name, ".dxh"));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

Test(segment, a_pipe_or_directory_is_refused_without_waiting, .timeout = 5)
{
	const char *name = new_name();
	dxh_consumer *consumer;

	cr_assert_eq(mkfifo(file_of(name, ".dxh"), 0600), 0);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_EACCESS);
	expect_error_says("no regular file");
	unlink(file_of(name, ".dxh"));
	cr_assert_eq(mkdir(file_of(name, ".dxh"), 0700), 0);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_EACCESS);
	rmdir(file_of(name, ".dxh"));
}

Test(segment, a_stranger_owning_the_name_is_refused_unless_configured, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_consumer_config config = {.owner_uid_plus1 = 12345 + 1};

	if (geteuid() != 0)
		cr_skip_test("only root can give files away");
	producer = open_producer(name, usual_config());
	must(dxh_producer_close(&producer));
	cr_assert_eq(chown(file_of(name, ".dxh"), 12345, 12345), 0);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_EACCESS);
	expect_error_says("user 12345");
	consumer = open_consumer(name, config);
	must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
}

/* ---- half-made, taken, gone ---- */

Test(segment, nobody_sees_a_block_before_it_is_linked, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_consumer *consumer;
	dxi_paths paths;
	dxi_block block;

	must(dxi_paths_of(NULL, name, &paths));
	must(dxi_segment_create(&paths, &config, &block));
	cr_expect_eq(dxi_block_header(&block)->magic, 0);
	expect_status(dxh_consumer_open(name, NULL, &consumer), DXH_ENOTFOUND);
	must(dxi_segment_link(&block));
	must(dxh_consumer_open(name, NULL, &consumer));
	/* The name is taken now. */
	expect_status(dxi_segment_link(&block), DXH_EEXIST);
	must(dxh_consumer_close(&consumer));
	dxi_segment_detach(&block);
	must(dxh_block_unlink(NULL, name));
}

Test(segment, two_tables_each_may_be_absent, .timeout = 5)
{
	char zones_only[32], ring_only[32];
	dxh_block_config config = {.zones = {DXH_ZONE(telemetry)}, .unlink_on_close = 1};
	dxh_producer *producer;
	dxh_consumer *consumer;
	struct telemetry *zone;
	dxh_write_slot slot;
	dxh_item item;

	strcpy(zones_only, new_name());
	strcpy(ring_only, new_name());
	producer = open_producer(zones_only, config);
	consumer = open_consumer(zones_only, (dxh_consumer_config){0});
	expect_status(dxh_publish(producer, "x", 1, DXH_NOW), DXH_ESTATE);
	expect_status(dxh_write_begin(producer, DXH_NOW, &slot), DXH_ESTATE);
	expect_status(dxh_read_next(consumer, NULL, 0, DXH_NOW, &item), DXH_ESTATE);
	must(dxh_zone(producer, telemetry, &zone));
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));

	config = (dxh_block_config){
		.slot = DXH_SLOT_BYTES(1), .slot_count = 4, .unlink_on_close = 1};
	producer = open_producer(ring_only, config);
	expect_status(dxh_zone(producer, telemetry, &zone), DXH_EZONE);
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	must(dxh_producer_close(&producer));
}

Test(segment, the_user_s_own_example_is_one_block, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = {
		.zones = {DXH_ZONE_RAW("telemetry", 256), DXH_ZONE_RAW("metadata", 1024),
	                  DXH_ZONE_RAW("coordination", 512)},
		.slot = DXH_SLOT_BYTES(4096),
		.slot_count = 8,
		.unlink_on_close = 1,
	};
	dxh_producer *producer = open_producer(name, config);
	dxh_block_info info;

	must(dxh_block_stat(NULL, name, &info));
	cr_expect_str_eq(info.name, name);
	cr_expect_eq(info.zone_count, 3);
	cr_expect_eq(info.slot_count, 8);
	cr_expect_eq(info.slot_bytes, 4096);
	cr_expect_eq(info.producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(info.producer_pid, getpid());
	cr_expect_eq(info.epoch, 0);
	must(dxh_producer_close(&producer));
}

Test(segment, all_sides_see_the_same_facts_and_schema, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer = open_producer(name, usual_config());
	dxh_consumer *consumer = open_consumer(name, (dxh_consumer_config){0});
	dxh_block_info a, b, c;
	size_t a_bytes, b_bytes;
	const void *a_schema = dxh_producer_schema(producer, &a_bytes);
	const void *b_schema = dxh_consumer_schema(consumer, &b_bytes);

	must(dxh_producer_info(producer, &a));
	must(dxh_consumer_info(consumer, &b));
	must(dxh_block_stat(NULL, name, &c));
	cr_expect_eq(memcmp(&a, &b, sizeof a), 0);
	cr_expect_eq(memcmp(&b, &c, sizeof b), 0);
	cr_assert_eq(a_bytes, b_bytes);
	cr_expect_eq(memcmp(a_schema, b_schema, a_bytes), 0);
	cr_expect_eq(a.schema_bytes, a_bytes);
	must(dxh_producer_close(&producer));
	must(dxh_consumer_info(consumer, &b));
	cr_expect_eq(b.producer, DXH_PRODUCER_CLOSED);
	must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
}

static unsigned closings;

static void count_closing(void *context)
{
	closings += *(unsigned *)context;
}

#include "shm/consumer.h"
#include "shm/producer.h"

Test(segment, the_owner_s_hook_runs_once_at_close, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	unsigned one = 1, hundred = 100;

	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){0});
	dxi_producer_attach_owner(producer, count_closing, &one);
	dxi_consumer_attach_owner(consumer, count_closing, &hundred);
	must(dxh_consumer_close(&consumer));
	cr_expect_eq(closings, 100);
	must(dxh_producer_close(&producer));
	cr_expect_eq(closings, 101);
}

Test(segment, a_field_of_a_newer_header_is_refused_only_when_set, .timeout = 20)
{
	dxh_block_config config = {.zones = {DXH_ZONE_RAW("z", 64)}, .unlink_on_close = 1};
	char name[DXH_BLOCK_NAME_MAX + 1];
	dxh_producer *producer;

	snprintf(name, sizeof name, "newer-%d", (int)getpid());
	config.reserved[1] = 1;
	cr_expect_eq(dxh_producer_open(name, &config, &producer), DXH_EVERSION);
	config.reserved[1] = 0;
	cr_assert_eq(dxh_producer_open(name, &config, &producer), DXH_OK);
	cr_expect_eq(dxh_producer_close(&producer), DXH_OK);
}
