/* SPDX-License-Identifier: MIT */
/* A program that lives in an epoll loop: answers come home to a group, and the
 * group is one descriptor among others. */
#include <dxh.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TICKS = 5 };

static void check(dxh_status status)
{
	if (status != DXH_OK) {
		fprintf(stderr, "%s\n", dxh_last_error());
		exit(1);
	}
}

static unsigned answers;

/* Runs where the group is dispatched: here, in the loop. */
static void answered(void *context, const dxh_event *event)
{
	(void)context;
	check(event->reply.status);
	answers++;
	dxh_release(event->completion);
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* The scope, so that the example is whole: it usually is another program. */
static void answer_one(dxh_service *scope)
{
	dxh_request *request;

	check(dxh_service_receive(scope, dxh_in_ms(5000), &request));
	check(dxh_request_reply(request, "1.5 V", 5));
}

int main(void)
{
	struct itimerspec each_ms = {{0, 1000000}, {0, 1000000}};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready;
	unsigned ticks = 0;
	uint64_t expired;
	char endpoint[64];
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_service *scope;
	dxh_group *group;
	dxh_completion done;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-example-epoll-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &scope));
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_group_open(&group));
	timerfd_settime(timer, 0, &each_ms, NULL);
	watch(epoll, timer);
	watch(epoll, dxh_group_fd(group));

	while (answers < TICKS) {
		epoll_wait(epoll, &ready, 1, -1);
		if (ready.data.fd != timer) {
			/* Until it says that nothing waits: then the descriptor tells. */
			while (dxh_group_dispatch(group, answered, NULL, 16, DXH_NOW, NULL) ==
			       DXH_OK)
				;
		} else if (read(timer, &expired, sizeof expired) > 0 && ticks < TICKS) {
			ticks++;
			check(dxh_post_to(group, peer, "sample", NULL, 0, dxh_in_ms(5000), &done));
			answer_one(scope);
		}
	}
	printf("%u ticks, %u answers\n", ticks, answers);
	check(dxh_group_close(&group));
	check(dxh_hub_close(&hub));
	close(epoll);
	close(timer);
	return 0;
}
