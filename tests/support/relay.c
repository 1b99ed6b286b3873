/* SPDX-License-Identifier: MIT */
/* One thread with poll(); each order is answered when it is in effect. */
#include "tests/support/relay.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, BUFFER = 65536 };

typedef struct pair {
	int client, service;
} pair;

typedef struct order {
	char what; /* a: aim, u, d: stall, c: cut, q: quit */
	int port;
} order;

static pair pairs[PAIRS_MAX];
static int pair_count;
static int listener, target_port;
static int orders[2]; /* ours, the thread's */
static bool stalled_up, stalled_down;
static pthread_t thread;

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons((uint16_t)port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_pair(int index)
{
	close(pairs[index].client);
	close(pairs[index].service);
	pairs[index] = pairs[--pair_count];
}

static void accept_one(void)
{
	struct sockaddr_in to = loopback(target_port);
	int one = 1, client = accept(listener, NULL, NULL), service;

	if (client == -1)
		return;
	service = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (target_port == 0 || pair_count == PAIRS_MAX ||
	    connect(service, (struct sockaddr *)&to, sizeof to) == -1) {
		close(client);
		close(service);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(service, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	pairs[pair_count++] = (pair){client, service};
}

/* false: one of the two has ended. */
static bool carry(int from, int to)
{
	static char bytes[BUFFER];
	ssize_t got = read(from, bytes, sizeof bytes), put;

	for (ssize_t at = 0; at < got; at += put) {
		put = send(to, bytes + at, (size_t)(got - at), MSG_NOSIGNAL);
		if (put <= 0)
			return false;
	}
	return got > 0;
}

/* false: to quit. */
static bool obey(void)
{
	order given;

	if (read(orders[1], &given, sizeof given) != sizeof given)
		return false;
	if (given.what == 'a')
		target_port = given.port;
	stalled_up = given.what == 'u' || (stalled_up && given.what != 'c');
	stalled_down = given.what == 'd' || (stalled_down && given.what != 'c');
	while (given.what == 'c' && pair_count > 0)
		close_pair(0);
	if (write(orders[1], &given, sizeof given) != sizeof given)
		return false;
	return given.what != 'q';
}

static void *run(void *unused)
{
	struct pollfd polled[2 + 2 * PAIRS_MAX];
	bool open = true;

	(void)unused;
	while (open) {
		int count = pair_count;

		polled[0] = (struct pollfd){.fd = orders[1], .events = POLLIN};
		polled[1] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < count; i++) {
			polled[2 + 2 * i] = (struct pollfd){.fd = stalled_up ? -1 : pairs[i].client,
			                                    .events = POLLIN};
			polled[3 + 2 * i] = (struct pollfd){
				.fd = stalled_down ? -1 : pairs[i].service, .events = POLLIN};
		}
		poll(polled, (nfds_t)(2 + 2 * count), -1);
		/* From the last on: closing one moves the last into its place. */
		for (int i = count - 1; i >= 0; i--)
			if ((polled[2 + 2 * i].revents &&
			     !carry(pairs[i].client, pairs[i].service)) ||
			    (polled[3 + 2 * i].revents &&
			     !carry(pairs[i].service, pairs[i].client)))
				close_pair(i);
		if (polled[1].revents)
			accept_one();
		if (polled[0].revents)
			open = obey();
	}
	while (pair_count > 0)
		close_pair(0);
	return NULL;
}

static void give(char what, int port)
{
	order given = {what, port};

	cr_assert_eq(write(orders[0], &given, sizeof given), (ssize_t)sizeof given);
	cr_assert_eq(read(orders[0], &given, sizeof given), (ssize_t)sizeof given);
}

const char *test_relay_open(void)
{
	static char endpoint[64];
	struct sockaddr_in place = loopback(0);
	socklen_t bytes = sizeof place;

	stalled_up = stalled_down = false;
	target_port = pair_count = 0;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, orders), 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&place, sizeof place), 0);
	cr_assert_eq(listen(listener, 64), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&place, &bytes), 0);
	snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ntohs(place.sin_port));
	cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
	return endpoint;
}

void test_relay_close(void)
{
	give('q', 0);
	pthread_join(thread, NULL);
	close(listener);
	close(orders[0]);
	close(orders[1]);
}

void test_relay_aim(const char *endpoint)
{
	give('a', endpoint ? atoi(strrchr(endpoint, ':') + 1) : 0);
}

void test_relay_stall_up(void)
{
	give('u', 0);
}

void test_relay_stall_down(void)
{
	give('d', 0);
}

void test_relay_cut(void)
{
	give('c', 0);
}
