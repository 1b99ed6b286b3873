/* SPDX-License-Identifier: MIT */
/* A hundred requests at once, and their answers as they come: a group is the one
 * place where they come home. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS = 100 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

/* Answers each number with its square. */
static void *serve(void *service)
{
	dxh_request *request;
	size_t bytes;
	int number;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		memcpy(&number, dxh_request_body(request, &bytes), sizeof number);
		number *= number;
		dxh_request_reply(request, &number, sizeof number);
	}
	return NULL;
}

int main(void)
{
	char endpoint[64];
	pthread_t thread;
	dxh_hub *hub;
	dxh_service *service;
	dxh_peer *peer;
	dxh_group *group;
	dxh_completion done;
	dxh_event events[32];
	size_t count;
	long sum = 0;
	int answers = 0;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-group-any-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	pthread_create(&thread, NULL, serve, service);
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));

	check(dxh_group_open(&group));
	for (int i = 0; i < REQUESTS; i++)
		check(dxh_post_to(group, peer, "square", &i, sizeof i, dxh_in_ms(5000), &done));
	/* At least one at a time, as many as there are; ends with DXH_EEMPTY when all
	 * have come home. */
	while (dxh_group_wait(group, 1, events, 32, dxh_in_ms(6000), &count) == DXH_OK) {
		for (size_t k = 0; k < count; k++) {
			int square = 0;

			if (events[k].reply.status == DXH_OK) {
				memcpy(&square, events[k].reply.body, sizeof square);
				answers++;
			}
			sum += square;
			dxh_release(events[k].completion);
		}
	}
	printf("%d answers, the squares of 0..99 sum up to %ld\n", answers, sum);

	check(dxh_group_close(&group));
	dxh_service_stop(service);
	pthread_join(thread, NULL);
	check(dxh_hub_close(&hub));
	return 0;
}
