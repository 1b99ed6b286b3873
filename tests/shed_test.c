/* SPDX-License-Identifier: MIT */
/* Strangers that connect and say nothing: they are turned away before descriptors run out,
 * where libzmq would abort the process. */
#include "tests/support/support.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT = 1200, STEP = 50 };

/* A process that connects STEP times at each order, until it is refused. */
typedef struct stranger {
	pid_t process;
	int orders, told;
} stranger;

typedef struct crowded {
	stranger stranger;
	char endpoint[128];
	char hidden[160]; /* where its file is while nobody is to find it; "": nowhere */
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;
} crowded;

static struct sockaddr_un address_of(const char *endpoint, socklen_t *bytes)
{
	const char *path = endpoint + strlen("ipc://");
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	cr_assert_lt(strlen(path), sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	*bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	return address;
}

/* Ends with 0 when it was refused; its connections end with it, when no more orders come. */
static void connect_without_end(const char *endpoint, int orders, int told)
{
	socklen_t bytes;
	struct sockaddr_un address = address_of(endpoint, &bytes);
	char order, refused = 0;

	while (read(orders, &order, 1) == 1) {
		for (int i = 0; i < STEP && !refused; i++) {
			int fd = socket(AF_UNIX, SOCK_STREAM, 0);

			refused = fd == -1 ||
			          connect(fd, (const struct sockaddr *)&address, bytes) == -1;
		}
		if (write(told, &refused, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

/* Before there are threads, and with descriptors enough. */
static void bring_stranger(crowded *world)
{
	int orders[2], told[2];

	cr_assert(pipe(orders) == 0 && pipe(told) == 0);
	world->stranger = (stranger){.process = fork(), .orders = orders[1], .told = told[0]};
	if (world->stranger.process == 0) {
		close(orders[1]);
		close(told[0]);
		connect_without_end(world->endpoint, orders[0], told[1]);
	}
	close(orders[0]);
	close(told[1]);
}

static void stranger_leaves(crowded *world)
{
	int status;

	close(world->stranger.orders);
	close(world->stranger.told);
	cr_assert(waitpid(world->stranger.process, &status, 0) == world->stranger.process &&
	          WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void begin(crowded *world, bool with_path)
{
	static int worlds;
	const char *temporary = getenv("TMPDIR");

	*world = (crowded){.hidden = ""};
	snprintf(world->endpoint, sizeof world->endpoint, "ipc://%s%sdxh-shed-%d-%d",
	         !with_path  ? "@"
	         : temporary ? temporary
	                     : "/tmp",
	         with_path ? "/" : "", (int)getpid(), ++worlds);
	if (with_path)
		snprintf(world->hidden, sizeof world->hidden, "%s.full", world->endpoint + 6);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	bring_stranger(world);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT}), 0);
	test_echo_open(&world->echo, world->endpoint, &(dxh_service_config){.clients_max = 16});
	must(dxh_hub_open(NULL, &world->hub));
	must(dxh_peer_connect(world->hub, world->endpoint, NULL, &world->peer));
}

static void end(crowded *world)
{
	struct stat found;

	test_echo_close(&world->echo);
	must(dxh_hub_close(&world->hub));
	if (world->hidden[0] == '\0')
		return;
	cr_expect(stat(world->endpoint + 6, &found) == -1 && errno == ENOENT);
	cr_expect(stat(world->hidden, &found) == -1 && errno == ENOENT);
}

static dxh_status ask(dxh_peer *peer, int64_t deadline_ns)
{
	char answer[4];

	return dxh_request_sync(peer, "echo", "abc", 4, deadline_ns, answer, sizeof answer, NULL);
}

/* Until the stranger is refused. Between the steps a client asks: what was accepted before is
 * known then, so that no load of the machine lets strangers run ahead. */
static void crowd(crowded *world)
{
	char refused = 0;

	for (int step = 0; !refused && step < 2 * LIMIT / STEP; step++) {
		cr_assert(write(world->stranger.orders, "", 1) == 1 &&
		          read(world->stranger.told, &refused, 1) == 1);
		if (!refused)
			(void)ask(world->peer, SOON);
	}
	cr_assert(refused, "strangers are never turned away");
}

/* The last connection has to be lost before it is found anew: that may take requests. */
static void must_answer(dxh_peer *peer)
{
	dxh_status status = DXH_ELOST;
	int64_t deadline_ns = SOON;

	while (status != DXH_OK && dxh_now_ns() < deadline_ns)
		status = ask(peer, dxh_in_ms(1000));
	cr_assert_eq(status, DXH_OK, "%s", dxh_last_error());
}

static void must_take_newcomers(crowded *world)
{
	dxh_peer *newcomer;

	must(dxh_peer_connect(world->hub, world->endpoint, NULL, &newcomer));
	must_answer(newcomer);
	must(dxh_peer_close(&newcomer));
}

Test(shed, strangers_are_turned_away_and_clients_stay, .timeout = 120)
{
	crowded world;
	struct stat found;

	begin(&world, true);
	must(ask(world.peer, SOON));
	crowd(&world);
	cr_expect_eq(stat(world.hidden, &found), 0);
	must(ask(world.peer, SOON));
	cr_expect_eq(test_stats(world.hub).reconnects, 0, "the client was hung up on");
	stranger_leaves(&world);
	must_take_newcomers(&world);
	cr_expect_eq(stat(world.hidden, &found), -1);
	end(&world);
}

Test(shed, of_an_abstract_name_clients_come_again, .timeout = 120)
{
	crowded world;

	begin(&world, false);
	must(ask(world.peer, SOON));
	crowd(&world);
	must_answer(world.peer);
	stranger_leaves(&world);
	must_take_newcomers(&world);
	end(&world);
}

Test(shed, a_service_that_is_closed_meanwhile_leaves_no_file, .timeout = 120)
{
	crowded world;

	begin(&world, true);
	must(ask(world.peer, SOON));
	crowd(&world);
	end(&world);
	stranger_leaves(&world);
}

Test(shed, what_took_the_place_meanwhile_stays, .timeout = 120)
{
	crowded world;
	struct stat put, found;
	FILE *file;

	begin(&world, true);
	must(ask(world.peer, SOON));
	crowd(&world);
	file = fopen(world.endpoint + 6, "wx");
	cr_assert(file && fstat(fileno(file), &put) == 0 && fclose(file) == 0);
	stranger_leaves(&world);
	must(ask(world.peer, SOON));
	test_echo_close(&world.echo);
	cr_expect(stat(world.endpoint + 6, &found) == 0 && found.st_ino == put.st_ino);
	cr_expect_eq(stat(world.hidden, &found), -1);
	unlink(world.endpoint + 6);
	must(dxh_hub_close(&world.hub));
}
