/* SPDX-License-Identifier: MIT */
/* Blocks without a name: passed over sockets to whom they are meant for, sealed against
 * everybody, gone with their producer.
 */
#include "tests/shm_fixture.h"

#include "shm/consumer.h"
#include "shm/producer.h"

#include <dirent.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SOON_MS = 20000, STRANGER = 65534 };

static int ends[2]; /* of a socket: the producer's, the consumer's */
static dxh_producer *producer;
static dxh_consumer *consumer;
static struct item got;
static dxh_item info;

static dxh_block_config memory_config(void)
{
	dxh_block_config config = usual_config();

	config.memfd = 1;
	config.readers_max = 2;
	return config;
}

static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	producer = open_producer("camera/memory", memory_config());
}

static void teardown(void)
{
	if (consumer)
		must(dxh_consumer_close(&consumer));
	if (producer)
		must(dxh_producer_close(&producer));
	close(ends[0]);
	close(ends[1]);
}

TestSuite(memfd, .init = setup, .fini = teardown, .timeout = 60);

static void send_one(void)
{
	must(dxh_producer_send_fds(producer, ends[0], 0, DXH_NOW));
}

static dxh_status receive(dxh_consumer_config config)
{
	return dxh_consumer_receive_fds(ends[1], dxh_in_ms(SOON_MS), &config, &consumer);
}

static dxh_status read_now(void)
{
	return dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info);
}

static void expect_items(uint64_t first, uint64_t count)
{
	for (uint64_t ticket = first; ticket < first + count; ticket++) {
		must(read_now());
		cr_expect_eq(info.ticket, ticket);
		cr_expect(is_item_of(ticket, &got));
	}
}

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* ---- passing -------------------------------------------------------------------- */

Test(memfd, what_is_received_reads_like_any_block)
{
	struct telemetry *written;
	const struct telemetry *seen;
	struct position *latch, copy;

	send_one();
	must(receive((dxh_consumer_config){.slot = DXH_SLOT(item)}));
	publish_items(producer, 0, 3);
	expect_items(0, 3);
	expect_status(read_now(), DXH_EWAIT);
	must(dxh_zone(producer, telemetry, &written));
	must(dxh_zone_view(consumer, telemetry, &seen));
	atomic_store(&written->frames, 7);
	cr_expect_eq(atomic_load(&seen->frames), 7);
	must(dxh_latch_begin(producer, "position", sizeof *latch, (void **)&latch));
	latch->x = 5;
	must(dxh_latch_commit(producer, "position"));
	must(dxh_latch_read(consumer, "position", &copy, sizeof copy));
	cr_expect_eq(copy.x, 5);
}

Test(memfd, says_who_it_is_and_that_its_producer_lives)
{
	dxh_block_info facts;
	int fd;

	send_one();
	must(receive((dxh_consumer_config){0}));
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_str_eq(facts.name, "camera/memory");
	cr_expect_eq(facts.producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(facts.producer_pid, getpid());
	must(dxh_consumer_fd(consumer, &fd));
}

Test(memfd, is_passed_as_often_as_one_likes_and_leaves_the_rest_of_the_stream_alone)
{
	dxh_consumer *second;
	char text[6];

	cr_assert_eq(write(ends[0], "before", 6), 6);
	send_one();
	cr_assert_eq(write(ends[0], "after!", 6), 6);
	send_one();
	cr_assert_eq(read(ends[1], text, 6), 6);
	cr_expect_arr_eq(text, "before", 6);
	must(receive((dxh_consumer_config){0}));
	cr_assert_eq(read(ends[1], text, 6), 6);
	cr_expect_arr_eq(text, "after!", 6);
	must(dxh_consumer_receive_fds(ends[1], DXH_NOW, NULL, &second));
	must(dxh_consumer_close(&second));
}

Test(memfd, is_passed_in_messages_of_the_users_own)
{
	int fds[DXH_BLOCK_FDS];
	size_t count;

	must(dxh_producer_fds(producer, fds, &count));
	cr_assert_eq(count, 2);
	must(dxh_consumer_open_fds(fds, count, NULL, &consumer));
	publish_items(producer, 0, 1);
	expect_items(0, 1);
}

/* In another process, by each kind of socket. */
static void child_reads(int socket)
{
	dxh_consumer *own;

	if (dxh_consumer_receive_fds(socket, dxh_in_ms(SOON_MS),
	                             &(dxh_consumer_config){.discipline = DXH_LOSSLESS},
	                             &own) != DXH_OK ||
	    write(socket, "", 1) != 1)
		_exit(1);
	for (uint64_t ticket = 0; ticket < 1000; ticket++)
		if (dxh_read_next(own, &got, sizeof got, dxh_in_ms(SOON_MS), &info) != DXH_OK ||
		    info.ticket != ticket || !is_item_of(ticket, &got))
			_exit(2);
	if (dxh_read_next(own, &got, sizeof got, DXH_FOREVER, &info) != DXH_ECLOSED)
		_exit(3);
	_exit(dxh_consumer_close(&own) == DXH_OK ? 0 : 4);
}

static void read_in_a_child(int type)
{
	int pair[2], status;
	pid_t child;
	char byte;

	cr_assert_eq(socketpair(AF_UNIX, type, 0, pair), 0);
	child = fork();
	if (child == 0)
		child_reads(pair[1]);
	must(dxh_producer_send_fds(producer, pair[0], 0, DXH_NOW));
	cr_assert_eq(read(pair[0], &byte, 1), 1);
	for (uint64_t ticket = 0; ticket < 1000; ticket++) {
		struct item item = item_of(ticket);

		must(dxh_publish(producer, &item, sizeof item, dxh_in_ms(SOON_MS)));
	}
	must(dxh_producer_close(&producer));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	close(pair[0]);
	close(pair[1]);
}

Test(memfd, another_process_reads_without_loss_over_a_stream)
{
	read_in_a_child(SOCK_STREAM);
}

Test(memfd, another_process_reads_without_loss_over_packets)
{
	read_in_a_child(SOCK_SEQPACKET);
}

/* ---- seals ---------------------------------------------------------------------- */

/* Whatever the descriptor and whoever tries: this test runs as root where it can. */
static void expect_sealed(int fd, size_t bytes, bool is_data)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (is_data)
		cr_expect_eq(map, MAP_FAILED);
	else
		cr_expect_neq(map, MAP_FAILED);
	if (map != MAP_FAILED)
		munmap(map, bytes);
	if (is_data)
		cr_expect_eq(pwrite(fd, "x", 1, 0), -1);
	cr_expect_eq(ftruncate(fd, 0), -1);
	cr_expect_eq(ftruncate(fd, (off_t)bytes + 4096), -1);
	cr_expect_eq(fallocate(fd, 0, 0, (off_t)bytes + 4096), -1);
	if (is_data)
		cr_expect_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096),
		             -1);
	cr_expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

Test(memfd, nobody_resizes_it_or_writes_its_data)
{
	int fds[DXH_BLOCK_FDS], again;
	char path[64];
	size_t count, bytes = producer->block.bytes;
	void *map;

	publish_items(producer, 0, 1);
	must(dxh_producer_fds(producer, fds, &count));
	expect_sealed(fds[0], bytes, true);
	expect_sealed(fds[1], dxi_control_bytes(2), false);
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fds[0], 0);
	cr_assert_neq(map, MAP_FAILED);
	cr_expect_eq(mprotect(map, bytes, PROT_READ | PROT_WRITE), -1);
	munmap(map, bytes);
	/* The producer's own descriptor, and one that is opened anew if anybody can. */
	expect_sealed(producer->block.fd, bytes, true);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
	again = open(path, O_RDWR);
	if (geteuid() != 0)
		cr_expect_eq(again, -1);
	if (again != -1)
		expect_sealed(again, bytes, true);
	close(again);
	must(dxh_consumer_open_fds(fds, count, NULL, &consumer));
	/* And the producer still writes. */
	publish_items(producer, 1, 1);
	expect_items(0, 2);
}

Test(memfd, nobody_fakes_the_life_of_a_producer_with_what_was_passed)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};
	int fds[DXH_BLOCK_FDS];
	size_t count;

	must(dxh_producer_fds(producer, fds, &count));
	must(dxh_producer_close(&producer));
	cr_expect_eq(fcntl(fds[0], F_OFD_SETLK, &lock), -1);
	must(dxh_consumer_open_fds(fds, count, NULL, &consumer));
	expect_status(read_now(), DXH_ECLOSED);
}

/* ---- its end -------------------------------------------------------------------- */

static void expect_final(dxh_status status)
{
	for (int i = 0; i < 3; i++)
		expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info),
		              status);
}

Test(memfd, a_closed_producer_leaves_its_items_and_nothing_comes_after)
{
	send_one();
	must(receive((dxh_consumer_config){0}));
	publish_items(producer, 0, 2);
	must(dxh_producer_close(&producer));
	expect_items(0, 2);
	expect_final(DXH_ECLOSED);
}

Test(memfd, a_dead_producer_is_dead_for_good)
{
	pid_t child;
	int status;

	must(dxh_producer_close(&producer));
	child = fork();
	if (child == 0) {
		dxh_block_config config = memory_config();

		if (dxh_producer_open("dying", &config, &producer) != DXH_OK ||
		    dxh_producer_send_fds(producer, ends[0], 0, DXH_NOW) != DXH_OK)
			_exit(1);
		publish_items(producer, 0, 2);
		die_here();
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status));
	must(receive((dxh_consumer_config){0}));
	expect_items(0, 2);
	expect_final(DXH_EDEAD);
	expect_error_says("no successor");
	/* One of the same name is another block. */
	producer = open_producer("dying", memory_config());
	publish_items(producer, 0, 5);
	expect_final(DXH_EDEAD);
}

Test(memfd, a_killed_lossless_reader_holds_nobody_back)
{
	int status;
	pid_t child;
	char byte;

	send_one();
	child = fork();
	if (child == 0) {
		if (receive((dxh_consumer_config){.discipline = DXH_LOSSLESS}) != DXH_OK ||
		    write(ends[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	publish_items(producer, 0, 4);
	got = item_of(4);
	expect_status(dxh_publish(producer, &got, sizeof got, DXH_NOW), DXH_EWAIT);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	must(dxh_publish(producer, &got, sizeof got, dxh_in_ms(SOON_MS)));
}

Test(memfd, it_leaves_nothing_over)
{
	int before = open_descriptors();
	dxh_block_info facts;

	for (int i = 0; i < 3; i++) {
		dxh_producer *another = open_producer("another", memory_config());
		dxh_consumer *reader;

		must(dxh_producer_send_fds(another, ends[0], 0, DXH_NOW));
		must(dxh_consumer_receive_fds(ends[1], DXH_NOW,
		                              &(dxh_consumer_config){.discipline = DXH_LOSSLESS},
		                              &reader));
		must(dxh_consumer_close(&reader));
		must(dxh_producer_close(&another));
	}
	cr_expect_eq(open_descriptors(), before);
	expect_status(dxh_block_stat(NULL, "another", &facts), DXH_ENOTFOUND);
}

/* ---- who is there ---------------------------------------------------------------- */

static struct sockaddr_un address_of(socklen_t *bytes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "dxh-memfd-%d",
	                      (int)getpid());

	*bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	return address;
}

/* A stranger connects. `act` is the stranger's part, with its end of the socket. */
static int accept_stranger(void (*act)(int socket), pid_t *child)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), accepted;
	socklen_t bytes;
	struct sockaddr_un address = address_of(&bytes);

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, bytes), 0);
	cr_assert_eq(listen(listener, 1), 0);
	*child = fork();
	if (*child == 0) {
		int own = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0 ||
		    connect(own, (struct sockaddr *)&address, bytes) != 0)
			_exit(50);
		act(own);
		_exit(0);
	}
	accepted = accept(listener, NULL, NULL);
	cr_assert_neq(accepted, -1);
	close(listener);
	return accepted;
}

static void stranger_reads(int socket)
{
	dxh_consumer *own;

	if (dxh_consumer_receive_fds(socket, dxh_in_ms(SOON_MS),
	                             &(dxh_consumer_config){.discipline = DXH_LOSSLESS},
	                             &own) != DXH_OK ||
	    write(socket, "", 1) != 1 ||
	    dxh_read_next(own, &got, sizeof got, dxh_in_ms(SOON_MS), &info) != DXH_OK)
		_exit(51);
	if (open("/proc/self/fd/0", O_RDONLY) == -1 && errno == EMFILE)
		_exit(52);
}

Test(memfd, another_user_gets_it_only_if_told)
{
	pid_t child;
	int socket, status;
	char byte;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	socket = accept_stranger(stranger_reads, &child);
	expect_status(dxh_producer_send_fds(producer, socket, 0, DXH_NOW), DXH_EACCESS);
	expect_status(dxh_producer_send_fds(producer, socket, STRANGER + 2, DXH_NOW), DXH_EACCESS);
	must(dxh_producer_send_fds(producer, socket, STRANGER + 1, DXH_NOW));
	cr_expect_eq(read(socket, &byte, 1), 1);
	publish_items(producer, 0, 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	close(socket);
}

static void stranger_sends(int socket)
{
	dxh_block_config config = memory_config();
	dxh_producer *own;

	for (int i = 0; i < 2; i++)
		if (dxh_producer_open("strange", &config, &own) != DXH_OK ||
		    dxh_producer_send_fds(own, socket, 0, DXH_NOW) != DXH_OK)
			_exit(53);
}

Test(memfd, from_another_user_it_is_taken_only_if_told)
{
	int socket, status;
	pid_t child;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	socket = accept_stranger(stranger_sends, &child);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	expect_status(dxh_consumer_receive_fds(socket, DXH_NOW, NULL, &consumer), DXH_EACCESS);
	must(dxh_consumer_receive_fds(socket, DXH_NOW,
	                              &(dxh_consumer_config){.owner_uid_plus1 = STRANGER + 1},
	                              &consumer));
	close(socket);
}

/* Passed on by somebody else than its maker: the maker counts. */
Test(memfd, memory_of_a_stranger_is_refused_whoever_passes_it)
{
	char bytes[8], ancillary[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec io = {bytes, sizeof bytes};
	struct msghdr header = {.msg_iov = &io,
	                        .msg_iovlen = 1,
	                        .msg_control = ancillary,
	                        .msg_controllen = sizeof ancillary};
	int socket, status, fds[2];
	pid_t child;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	socket = accept_stranger(stranger_sends, &child);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(recvmsg(socket, &header, 0), 8);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fds);
	expect_status(dxh_consumer_open_fds(fds, 2, NULL, &consumer), DXH_EACCESS);
	cr_expect_eq(fcntl(fds[0], F_GETFD), -1);
	cr_expect_eq(fcntl(fds[1], F_GETFD), -1);
	close(socket);
}

/* ---- what is no block ------------------------------------------------------------ */

static int memory_like(int seals)
{
	int fd = memfd_create("forged", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	unsigned char *bytes = malloc(producer->block.bytes);

	memcpy(bytes, producer->block.base, producer->block.bytes);
	cr_assert_eq(write(fd, bytes, producer->block.bytes), (ssize_t)producer->block.bytes);
	free(bytes);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

Test(memfd, what_is_not_sealed_is_refused)
{
	static const int seals[] = {0, F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
	                            F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE,
	                            F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL};
	int fd, before = open_descriptors();

	for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
		fd = memory_like(seals[i]);
		expect_status(dxh_consumer_open_fds(&fd, 1, NULL, &consumer), DXH_EACCESS);
		expect_error_says("sealed");
	}
	fd = open("/dev/null", O_RDONLY);
	expect_status(dxh_consumer_open_fds(&fd, 1, NULL, &consumer), DXH_EACCESS);
	fd = -1;
	expect_status(dxh_consumer_open_fds(&fd, 1, NULL, &consumer), DXH_EACCESS);
	cr_expect_eq(open_descriptors(), before);
}

Test(memfd, sealed_nonsense_is_corrupt)
{
	int fd = memfd_create("forged", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, 8192), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS,
	                   F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE),
	             0);
	expect_status(dxh_consumer_open_fds(&fd, 1, NULL, &consumer), DXH_ECORRUPT);
}

Test(memfd, without_the_rows_a_reader_cannot_hold_the_writer)
{
	int fds[DXH_BLOCK_FDS];
	size_t count;

	must(dxh_producer_fds(producer, fds, &count));
	close(fds[1]);
	expect_status(dxh_consumer_open_fds(fds, 1,
	                                    &(dxh_consumer_config){.discipline = DXH_LOSSLESS},
	                                    &consumer),
	              DXH_EACCESS);
	must(dxh_producer_fds(producer, fds, &count));
	close(fds[1]);
	must(dxh_consumer_open_fds(fds, 1, NULL, &consumer));
}

Test(memfd, rows_of_another_block_or_without_seals_are_refused)
{
	dxh_producer *another = open_producer("another", memory_config());
	int fds[DXH_BLOCK_FDS], foreign[DXH_BLOCK_FDS];
	dxh_consumer_config lossless = {.discipline = DXH_LOSSLESS};
	size_t count;

	must(dxh_producer_fds(producer, fds, &count));
	must(dxh_producer_fds(another, foreign, &count));
	close(fds[1]);
	fds[1] = foreign[1];
	close(foreign[0]);
	expect_status(dxh_consumer_open_fds(fds, 2, &lossless, &consumer), DXH_ECORRUPT);
	must(dxh_producer_fds(producer, fds, &count));
	close(fds[1]);
	fds[1] = memory_like(F_SEAL_GROW);
	expect_status(dxh_consumer_open_fds(fds, 2, &lossless, &consumer), DXH_EACCESS);
	must(dxh_producer_close(&another));
}

/* ---- what is no message ---------------------------------------------------------- */

static void send_raw(const void *bytes, size_t length, int fd_count)
{
	char ancillary[CMSG_SPACE(8 * sizeof(int))] = {0};
	struct iovec io = {(void *)(uintptr_t)bytes, length};
	struct msghdr header = {.msg_iov = &io, .msg_iovlen = 1};
	struct cmsghdr *rights;

	if (fd_count > 0) {
		header.msg_control = ancillary;
		header.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
		for (int i = 0; i < fd_count; i++)
			memcpy(CMSG_DATA(rights) + (size_t)i * sizeof(int), &ends[0], sizeof(int));
	}
	cr_assert_eq(sendmsg(ends[0], &header, 0), (ssize_t)length);
}

Test(memfd, other_messages_are_told_and_leave_no_descriptor)
{
	static const struct {
		const char *bytes;
		size_t length;
		int fd_count;
		dxh_status status;
	} each[] = {
		{"hello", 5, 0, DXH_EPROTO},
		{"DXHM\1\0\1\0", 8, 0, DXH_EPROTO},   /* no descriptor */
		{"DXHM\1\0\1\0", 8, 2, DXH_EPROTO},   /* one too many */
		{"DXHM\1\0\2\0", 8, 1, DXH_EPROTO},   /* one too few */
		{"DXHM\1\0\10\0", 8, 8, DXH_EPROTO},  /* more than there are */
		{"DXHM\1\0\2\0", 8, 8, DXH_EPROTO},   /* more than it says */
		{"DXHM\2\0\1\0", 8, 1, DXH_EVERSION}, /* of another time */
		{"dxhm\1\0\1\0", 8, 1, DXH_EPROTO},   /* of something else */
		{"DXHM\1\0\1\0", 8, 1, DXH_EACCESS},  /* a socket, no memory */
	};
	int before = open_descriptors();

	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		send_raw(each[i].bytes, each[i].length, each[i].fd_count);
		expect_status(receive((dxh_consumer_config){0}), each[i].status);
		cr_expect_eq(open_descriptors(), before, "message %zu", i);
	}
}

Test(memfd, without_a_descriptor_to_be_had_it_is_a_limit)
{
	struct rlimit limit, none;
	int fds[DXH_BLOCK_FDS];
	size_t count;

	send_one();
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)ends[1] + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	expect_status(receive((dxh_consumer_config){0}), DXH_ELIMIT);
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	expect_status(dxh_producer_fds(producer, fds, &count), DXH_ELIMIT);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(memfd, sockets_that_are_silent_closed_or_none)
{
	int other[2];

	expect_status(dxh_consumer_receive_fds(ends[1], dxh_in_ms(20), NULL, &consumer), DXH_EWAIT);
	cr_assert_eq(pipe(other), 0);
	expect_status(dxh_consumer_receive_fds(other[0], DXH_NOW, NULL, &consumer), DXH_EINVAL);
	expect_status(dxh_producer_send_fds(producer, other[1], 0, DXH_NOW), DXH_EINVAL);
	expect_status(dxh_producer_send_fds(producer, -1, 0, DXH_NOW), DXH_EINVAL);
	close(other[0]);
	close(other[1]);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	close(other[0]);
	expect_status(dxh_consumer_receive_fds(other[1], DXH_NOW, NULL, &consumer), DXH_ECLOSED);
	expect_status(dxh_producer_send_fds(producer, other[1], 0, DXH_NOW), DXH_ECLOSED);
	close(other[1]);
}

Test(memfd, a_socket_that_is_full_is_waited_for_until_the_deadline)
{
	int least = 1; /* a few messages: fewer than there may be descriptors on their way */
	int sent = 0;

	cr_assert_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
	while (sent < 1000 && dxh_producer_send_fds(producer, ends[0], 0, DXH_NOW) == DXH_OK)
		sent++;
	cr_expect_lt(sent, 1000);
	expect_status(dxh_producer_send_fds(producer, ends[0], 0, DXH_NOW), DXH_EWAIT);
}

/* ---- misuse ---------------------------------------------------------------------- */

Test(memfd, what_means_nothing_without_a_name_is_refused)
{
	dxh_block_config config = memory_config();
	dxh_producer *another;

	config.directory = "/dev/shm";
	expect_status(dxh_producer_open("x", &config, &another), DXH_EINVAL);
	config = memory_config();
	config.mode = 0644;
	expect_status(dxh_producer_open("x", &config, &another), DXH_EINVAL);
	config = memory_config();
	config.group = "root";
	expect_status(dxh_producer_open("x", &config, &another), DXH_EINVAL);
	config = memory_config();
	config.owner_wait_ns = 1;
	expect_status(dxh_producer_open("x", &config, &another), DXH_EINVAL);
	config = memory_config();
	expect_status(dxh_producer_open("no spaces", &config, &another), DXH_EINVAL);
}

Test(memfd, consumers_of_passed_memory_name_no_place)
{
	int fds[DXH_BLOCK_FDS];
	size_t count;

	must(dxh_producer_fds(producer, fds, &count));
	expect_status(dxh_consumer_open_fds(fds, count, &(dxh_consumer_config){.directory = "/tmp"},
	                                    &consumer),
	              DXH_EINVAL);
	expect_status(dxh_consumer_open_fds(NULL, 1, NULL, &consumer), DXH_EINVAL);
	expect_status(dxh_consumer_open_fds(fds, 0, NULL, &consumer), DXH_EINVAL);
	expect_status(dxh_producer_fds(producer, NULL, &count), DXH_EINVAL);
	expect_status(dxh_producer_fds(NULL, fds, &count), DXH_EINVAL);
}

Test(memfd, a_block_with_a_name_is_not_passed)
{
	dxh_block_config config = usual_config();
	dxh_producer *named;
	int fds[DXH_BLOCK_FDS];
	size_t count;

	config.unlink_on_close = 1;
	named = open_producer(new_name(), config);
	expect_status(dxh_producer_fds(named, fds, &count), DXH_ESTATE);
	expect_status(dxh_producer_send_fds(named, ends[0], 0, DXH_NOW), DXH_ESTATE);
	must(dxh_producer_close(&named));
}

Test(memfd, more_than_memory_holds_is_refused_before_it_is_tried)
{
	dxh_block_config config = {
		.slot = DXH_SLOT_BYTES((size_t)1 << 38), .slot_count = 8, .memfd = 1};
	dxh_producer *huge;

	expect_status(dxh_producer_open("huge", &config, &huge), DXH_ENOSPACE);
	expect_error_says("needs");
}
