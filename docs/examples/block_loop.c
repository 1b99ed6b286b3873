/* SPDX-License-Identifier: MIT */
/* One epoll loop over shared memory and messages: samples come from a block that
 * another process writes, each is asked about, and answers come home to a group. */
#include <dxh.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLES = 10, RING = 16 };

static unsigned samples, answers;
static int over; /* the producer has closed */

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

/* The other process. It has published all before it tells that it is there. */
static void produce(const char *name, int ready)
{
	dxh_producer *producer;

	check(dxh_producer_open(
		name, &(dxh_block_config){.slot = DXH_SLOT_BYTES(sizeof(int)), .slot_count = RING},
		&producer));
	for (int i = 0; i < SAMPLES; i++)
		check(dxh_publish(producer, &i, sizeof i, DXH_NOW));
	close(ready);
	check(dxh_producer_close(&producer));
	_exit(0);
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
		exit(1);
}

/* The service, so that the example is whole: it usually is another program. */
static void answer_one(dxh_service *service)
{
	dxh_request *request;

	check(dxh_service_receive(service, dxh_in_ms(5000), &request));
	check(dxh_request_reply(request, "good", 4));
}

static void answered(void *context, const dxh_event *event)
{
	(void)context;
	check(event->reply.status);
	answers++;
	dxh_release(event->completion);
}

/* Read until nothing is there: then the descriptor tells of what comes next. */
static void
take_samples(dxh_consumer *consumer, dxh_group *group, dxh_peer *peer, dxh_service *service)
{
	dxh_completion done;
	dxh_status status;
	dxh_item item;
	int value;

	while ((status = dxh_read_next(consumer, &value, sizeof value, DXH_NOW, &item)) == DXH_OK) {
		samples++;
		check(dxh_post_to(group, peer, "check", &value, sizeof value, dxh_in_ms(5000),
		                  &done));
		answer_one(service);
	}
	over = status == DXH_ECLOSED;
	if (status != DXH_EWAIT && status != DXH_ECLOSED)
		check(status);
}

int main(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char name[64], endpoint[64], byte;
	struct epoll_event ready;
	int fd, there[2];
	dxh_consumer *consumer;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_service *service;
	dxh_group *group;

	snprintf(name, sizeof name, "scale/front-%d", (int)getpid());
	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-block-loop-%d", (int)getpid());
	if (pipe(there) == -1)
		return 1;
	if (fork() == 0)
		produce(name, there[1]);
	close(there[1]);
	if (read(there[0], &byte, 1) == -1) /* until the other one closes its end */
		return 1;

	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_group_open(&group));
	check(dxh_consumer_open(name, NULL, &consumer));
	check(dxh_consumer_fd(consumer, &fd));
	watch(epoll, fd);
	watch(epoll, dxh_group_fd(group));

	while (!over || answers < samples) {
		if (epoll_wait(epoll, &ready, 1, 10000) != 1)
			return 1;
		if (ready.data.fd == fd)
			take_samples(consumer, group, peer, service);
		else
			while (dxh_group_dispatch(group, answered, NULL, 16, DXH_NOW, NULL) ==
			       DXH_OK)
				;
	}
	printf("%u samples, %u answers\n", samples, answers);

	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); /* it is closed with the consumer */
	check(dxh_consumer_close(&consumer));
	wait(NULL);
	check(dxh_block_unlink(NULL, name));
	check(dxh_group_close(&group));
	check(dxh_hub_close(&hub));
	close(epoll);
	return 0;
}
