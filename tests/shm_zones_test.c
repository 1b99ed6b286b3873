/* SPDX-License-Identifier: MIT */
/* Zones that consumers may write: in a file of their own, so that their writers reach
 * nothing else.
 */
#include "tests/shm_pair.h"

#include "shm/geometry.h"

#include <errno.h>
#include <sys/socket.h>

enum { STRANGER = 65534 };

static struct telemetry *written, *mine;
static const struct telemetry *seen;
static char name[DXH_BLOCK_NAME_MAX + 1];

static const dxh_consumer_config WRITER = {.write_zones = 1};

static dxh_block_config zones_config(void)
{
	dxh_block_config config = usual_config();

	config.zones_writable = 1;
	config.readers_max = 1;
	config.unlink_on_close = 1;
	return config;
}

static void setup(void)
{
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, zones_config());
	must(dxh_zone(producer, telemetry, &mine));
	consumer = open_consumer(name, WRITER);
}

TestSuite(zones, .init = setup, .fini = close_both, .timeout = 60);

Test(zones, what_one_writes_all_see)
{
	dxh_consumer *reader = open_consumer(name, (dxh_consumer_config){0});

	must(dxh_zone_writable(consumer, telemetry, &written));
	must(dxh_zone_view(reader, telemetry, &seen));
	atomic_store(&written->frames, 1);
	cr_expect_eq(atomic_fetch_add(&mine->frames, 1), 1);
	cr_expect_eq(atomic_load(&seen->frames), 2);
	cr_expect_eq(atomic_load(&written->frames), 2);
	must(dxh_zone_view(consumer, telemetry, &seen));
	cr_expect_eq(atomic_load(&seen->frames), 2);
	must(dxh_consumer_close(&reader));
}

Test(zones, items_and_latches_go_their_own_way)
{
	struct position *begun, copy;

	publish_items(producer, 0, 2);
	expect_item(0);
	expect_item(1);
	must(dxh_latch_begin(producer, "position", sizeof copy, (void **)&begun));
	begun->y = 9;
	must(dxh_latch_commit(producer, "position"));
	must(dxh_latch_read(consumer, "position", &copy, sizeof copy));
	cr_expect_eq(copy.y, 9);
}

Test(zones, they_are_checked_like_any_zone)
{
	void *zone;

	expect_status(dxh_consumer_zone_writable(consumer, "elsewhere", NULL, 8, &zone), DXH_EZONE);
	expect_status(dxh_consumer_zone_writable(consumer, "notes", NULL, 99, &zone), DXH_ESIZE);
	expect_status(dxh_consumer_zone_writable(consumer, "telemetry", DXH_SCHEMA_OF(item),
	                                         sizeof(struct item), &zone),
	              DXH_ESCHEMA);
	expect_status(dxh_consumer_zone_writable(consumer, "notes", NULL, 100, NULL), DXH_EINVAL);
	must(dxh_consumer_zone_writable(consumer, "notes", NULL, 100, &zone));
	memset(zone, 'x', 100);
}

/* ---- who may ---------------------------------------------------------------------- */

Test(zones, latches_stay_the_producers)
{
	struct position *position;

	expect_status(dxh_zone_writable(consumer, position, &position), DXH_ESTATE);
}

Test(zones, who_did_not_ask_only_reads)
{
	dxh_consumer *reader = open_consumer(name, (dxh_consumer_config){0});

	expect_status(dxh_zone_writable(reader, telemetry, &written), DXH_ESTATE);
	expect_error_says("write_zones");
	must(dxh_consumer_close(&reader));
}

static void writes_where_it_only_reads(const char *block)
{
	dxh_consumer *reader;

	if (dxh_consumer_open(block, NULL, &reader) != DXH_OK ||
	    dxh_zone_view(reader, telemetry, &seen) != DXH_OK)
		_exit(1);
	signal(SIGSEGV, SIG_DFL);
	atomic_store((_Atomic uint64_t *)(uintptr_t)&seen->frames, 1);
}

Test(zones, the_kernel_keeps_readers_from_writing)
{
	int status = run_child(writes_where_it_only_reads, name);

#ifdef __SANITIZE_ADDRESS__
	cr_expect_neq(status, 0);
#else
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
#endif
	cr_expect_eq(atomic_load(&mine->frames), 0);
}

Test(zones, blocks_made_without_keep_them_to_their_producer)
{
	dxh_block_config config = usual_config();
	dxh_producer *plain;
	dxh_consumer *writer;

	config.unlink_on_close = 1;
	plain = open_producer(new_name(), config);
	expect_status(dxh_consumer_open(plain->block.paths.name, &WRITER, &writer), DXH_ESTATE);
	writer = open_consumer(plain->block.paths.name, (dxh_consumer_config){0});
	expect_status(dxh_zone_writable(writer, telemetry, &written), DXH_ESTATE);
	expect_error_says("zones_writable");
	must(dxh_consumer_close(&writer));
	must(dxh_producer_close(&plain));
}

static mode_t mode_of(const char *suffix)
{
	struct stat found;

	cr_assert_eq(stat(file_of(name, suffix), &found), 0);
	return found.st_mode & 0777;
}

Test(zones, who_may_read_the_block_may_write_its_zones_and_no_more)
{
	cr_expect_eq(mode_of(".dxh"), 0640);
	cr_expect_eq(mode_of(".zones"), 0660);
}

static void stranger_writes(const char *block)
{
	dxh_consumer *writer;

	if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0)
		_exit(1);
	if (dxh_consumer_open(block,
	                      &(dxh_consumer_config){.directory = "/dev/shm", .write_zones = 1},
	                      &writer) != DXH_OK)
		_exit(dxh_consumer_open(block, &(dxh_consumer_config){.directory = "/dev/shm"},
		                        &writer) == DXH_OK
		              ? 2
		              : 3);
	if (dxh_zone_writable(writer, telemetry, &written) != DXH_OK)
		_exit(4);
	atomic_store(&written->frames, 77);
	if (open(writer->block.paths.data, O_RDWR) != -1 || errno != EACCES)
		_exit(5);
}

Test(zones, another_user_writes_them_where_the_mode_allows_it)
{
	dxh_block_config config = zones_config();
	char other[DXH_BLOCK_NAME_MAX + 1], path[600];
	dxh_producer *open_to_all;
	int status;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	config.directory = "/dev/shm";
	config.mode = 0644;
	snprintf(other, sizeof other, "%s", new_name());
	open_to_all = open_producer(other, config);
	must(dxh_zone(open_to_all, telemetry, &mine));
	status = run_child(stranger_writes, other);
	cr_expect_eq(status, 0, "%d", WEXITSTATUS(status));
	cr_expect_eq(atomic_load(&mine->frames), 77);
	/* And not where it does not: reading goes on. */
	snprintf(path, sizeof path, "/dev/shm/%s.zones", other);
	cr_assert_eq(chmod(path, 0644), 0);
	status = run_child(stranger_writes, other);
	cr_expect_eq(WEXITSTATUS(status), 2);
	must(dxh_producer_close(&open_to_all));
}

/* ---- from producer to producer ---------------------------------------------------- */

Test(zones, a_successor_finds_them_as_they_were)
{
	dxh_block_config config = zones_config();

	must(dxh_zone_writable(consumer, telemetry, &written));
	atomic_store(&written->frames, 5);
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	atomic_store(&written->frames, 6);
	config.zones_writable = 0;
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ESCHEMA);
	expect_error_says("zones_writable");
	producer = open_producer(name, zones_config());
	must(dxh_zone(producer, telemetry, &mine));
	cr_expect_eq(atomic_load(&mine->frames), 6);
	atomic_store(&mine->frames, 7);
	cr_expect_eq(atomic_load(&written->frames), 7);
}

Test(zones, without_their_file_the_block_is_corrupt)
{
	dxh_consumer *late;

	cr_assert_eq(unlink(file_of(name, ".zones")), 0);
	expect_status(dxh_consumer_open(name, NULL, &late), DXH_ECORRUPT);
	expect_error_says(".zones");
}

static void expect_refused(const void *bytes, size_t length, off_t at)
{
	unsigned char before[64];
	dxh_consumer *late;
	int fd = open(file_of(name, ".zones"), O_RDWR);

	cr_assert(fd != -1 && length <= sizeof before);
	cr_assert_eq(pread(fd, before, length, at), (ssize_t)length);
	cr_assert_eq(pwrite(fd, bytes, length, at), (ssize_t)length);
	expect_status(dxh_consumer_open(name, NULL, &late), DXH_ECORRUPT);
	cr_assert_eq(pwrite(fd, before, length, at), (ssize_t)length);
	close(fd);
}

Test(zones, a_file_that_is_not_theirs_is_refused)
{
	dxh_consumer *late;

	expect_refused("DXHC", 4, 0);
	expect_refused("\7", 1, 4);
	expect_refused("\7", 1, 9);
	expect_refused("another block...", 16, 16);
	cr_assert_eq(truncate(file_of(name, ".zones"), 4096 * 3), 0);
	expect_status(dxh_consumer_open(name, NULL, &late), DXH_ECORRUPT);
}

Test(zones, a_successor_makes_their_head_right_again)
{
	static const unsigned char noise[32] = "who may write the zones can this";
	dxh_consumer *late = NULL;
	int fd = open(file_of(name, ".zones"), O_RDWR);

	must(dxh_zone_writable(consumer, telemetry, &written));
	atomic_store(&written->frames, 5);
	cr_assert_eq(pwrite(fd, noise, sizeof noise, 0), (ssize_t)sizeof noise);
	expect_status(dxh_consumer_open(name, NULL, &late), DXH_ECORRUPT);
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	producer = open_producer(name, zones_config());
	must(dxh_zone(producer, telemetry, &mine));
	cr_expect_eq(atomic_load(&mine->frames), 5);
	must(dxh_consumer_open(name, NULL, &late));
	must(dxh_consumer_close(&late));
	close(fd);
}

Test(zones, a_successor_fills_their_holes)
{
	dxh_consumer *late = NULL;
	int fd = open(file_of(name, ".zones"), O_RDWR);
	struct stat found;

	cr_assert_eq(fstat(fd, &found), 0);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, found.st_size) == -1)
		cr_skip("no holes here");
	expect_status(dxh_consumer_open(name, NULL, &late), DXH_ECORRUPT);
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	producer = open_producer(name, zones_config());
	must(dxh_consumer_open(name, NULL, &late));
	must(dxh_consumer_close(&late));
	close(fd);
}

Test(zones, of_another_size_they_stay_refused)
{
	dxh_block_config config = zones_config();

	cr_assert_eq(truncate(file_of(name, ".zones"), 10), 0);
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	expect_status(dxh_producer_open(name, &config, &producer), DXH_ECORRUPT);
	must(dxh_block_unlink(NULL, name));
	producer = open_producer(name, config);
}

Test(zones, removing_the_block_removes_them)
{
	must(dxh_producer_close(&producer));
	cr_expect_eq(access(file_of(name, ".zones"), F_OK), -1);
	cr_expect_eq(access(file_of(name, ".ctl"), F_OK), -1);
	cr_expect_eq(access(file_of(name, ".lock"), F_OK), -1);
	producer = open_producer(name, zones_config());
}

/* A maker that died before the block had its name. */
Test(zones, what_a_dead_maker_left_is_in_nobodys_way)
{
	int fd;

	must(dxh_producer_close(&producer));
	fd = open(file_of(name, ".zones"), O_CREAT | O_RDWR, 0600);
	cr_assert_neq(fd, -1);
	close(fd);
	producer = open_producer(name, zones_config());
	must(dxh_zone(producer, telemetry, &mine));
}

Test(zones, a_copy_of_the_data_file_has_items_and_no_zones)
{
	dxh_consumer *copy;
	char path[600], own[512];

	publish_items(producer, 0, 1);
	snprintf(own, sizeof own, "%s", file_of(name, ".dxh"));
	snprintf(path, sizeof path, "%s.copy", own);
	cr_assert_eq(link(own, path), 0);
	must(dxh_consumer_open(NULL, &(dxh_consumer_config){.file = path}, &copy));
	must(dxh_read_next(copy, &got, sizeof got, DXH_NOW, &info));
	expect_status(dxh_zone_view(copy, telemetry, &seen), DXH_EUNSUPPORTED);
	must(dxh_consumer_close(&copy));
	cr_assert_eq(unlink(path), 0);
	expect_item(0);
}

/* ---- without a name --------------------------------------------------------------- */

static dxh_producer *memory;

static size_t pass(int fds[DXH_BLOCK_FDS])
{
	dxh_block_config config = zones_config();
	size_t count;

	config.unlink_on_close = 0;
	config.memfd = 1;
	if (!memory)
		memory = open_producer("memory", config);
	must(dxh_producer_fds(memory, fds, &count));
	return count;
}

Test(zones, of_memory_they_are_passed_and_sealed)
{
	int fds[DXH_BLOCK_FDS];
	dxh_consumer *writer;
	size_t count = pass(fds);

	cr_assert_eq(count, 3);
	cr_expect_eq(ftruncate(fds[2], 0), -1);
	must(dxh_consumer_open_fds(fds, count, &WRITER, &writer));
	must(dxh_zone_writable(writer, telemetry, &written));
	must(dxh_zone(memory, telemetry, &mine));
	atomic_store(&written->frames, 3);
	cr_expect_eq(atomic_load(&mine->frames), 3);
	must(dxh_consumer_close(&writer));
	must(dxh_producer_close(&memory));
}

Test(zones, of_memory_they_come_over_a_socket_too)
{
	dxh_consumer *writer;
	int ends[2], fds[DXH_BLOCK_FDS];

	for (size_t i = pass(fds); i > 0; i--)
		close(fds[i - 1]);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	must(dxh_producer_send_fds(memory, ends[0], 0, DXH_NOW));
	must(dxh_consumer_receive_fds(
		ends[1], DXH_NOW,
		&(dxh_consumer_config){.discipline = DXH_LOSSLESS, .write_zones = 1}, &writer));
	must(dxh_consumer_close(&writer));
	must(dxh_producer_close(&memory));
	close(ends[0]);
	close(ends[1]);
}

Test(zones, of_memory_that_were_not_passed_there_is_no_block)
{
	int fds[DXH_BLOCK_FDS], other[DXH_BLOCK_FDS];
	dxh_consumer *reader;

	pass(fds);
	close(fds[2]);
	expect_status(dxh_consumer_open_fds(fds, 2, NULL, &reader), DXH_EACCESS);
	/* In another order they are told apart; one too many of a kind is closed. */
	pass(fds);
	must(dxh_consumer_open_fds((int[]){fds[0], fds[2], fds[1]}, 3, &WRITER, &reader));
	must(dxh_consumer_close(&reader));
	pass(fds);
	pass(other);
	close(fds[2]);
	close(other[0]);
	close(other[2]);
	expect_status(dxh_consumer_open_fds((int[]){fds[0], fds[1], other[1]}, 3, NULL, &reader),
	              DXH_EACCESS);
	cr_expect_eq(fcntl(other[1], F_GETFD), -1);
	must(dxh_producer_close(&memory));
}

/* ---- configs and headers ----------------------------------------------------------- */

Test(zones, without_a_zone_to_write_the_config_makes_no_sense)
{
	dxh_block_config config = {.zones = {DXH_LATCH(position)}, .zones_writable = 1};
	dxh_producer *another;

	expect_status(dxh_producer_open(new_name(), &config, &another), DXH_EINVAL);
	config = (dxh_block_config){.slot = DXH_SLOT(item), .slot_count = 4, .zones_writable = 1};
	expect_status(dxh_producer_open(new_name(), &config, &another), DXH_EINVAL);
}

/* The image under its own name, with the sums that fit it. */
static dxh_status open_changed(image it)
{
	struct dxi_layout_header *header = header_of(it);
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};
	dxh_consumer *reader;
	dxh_status status;

	memcpy(zones, it.bytes + header->zones_offset, header->zone_count * sizeof *zones);
	dxi_geometry_seal(header, zones, it.bytes + header->schema_offset);
	store_image(name, it.bytes, it.length);
	status = dxh_consumer_open(name, NULL, &reader);
	if (status == DXH_OK)
		must(dxh_consumer_close(&reader));
	return status;
}

static struct dxi_layout_zone *zone_of(image it, size_t index)
{
	return (struct dxi_layout_zone *)(it.bytes + header_of(it)->zones_offset) + index;
}

/* Of the usual zones the first and the last lie in the file, the second is a latch. */
Test(zones, places_that_cannot_be_are_refused)
{
	image it = load_image(name), as_it_was = load_image(name);

	cr_expect_eq(open_changed(it), DXH_OK);
	header_of(it)->features_required = 0;
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	header_of(it)->features_required = 3;
	cr_expect_eq(open_changed(it), DXH_EVERSION);
	header_of(it)->features_required = 1;
	zone_of(it, 0)->offset = 64; /* in the head of the file */
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	zone_of(it, 0)->offset = UINT64_MAX - 63;
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	zone_of(it, 0)->offset = UINT64_C(1) << 50; /* then the second is before the first */
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	*zone_of(it, 0) = *zone_of(as_it_was, 0);
	zone_of(it, 2)->offset = UINT64_C(1) << 50; /* a larger file than there is */
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	*zone_of(it, 2) = *zone_of(as_it_was, 2);
	zone_of(it, 0)->kind = 3;
	cr_expect_eq(open_changed(it), DXH_ECORRUPT);
	store_image(name, as_it_was.bytes, as_it_was.length);
	free(it.bytes);
	free(as_it_was.bytes);
}
