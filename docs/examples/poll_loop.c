/* SPDX-License-Identifier: MIT */
/* A poll loop that reads a pipe and asks a service for each line; the answers are
 * one more descriptor in the same loop. */
#include <dxh.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(dxh_status status)
{
	if (status != DXH_OK) {
		fprintf(stderr, "%s\n", dxh_last_error());
		exit(1);
	}
}

/* A service on a thread of its own: says how long what it was sent is. */
static void *measure(void *service)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		char answer[32];
		size_t bytes;

		dxh_request_body(request, &bytes);
		snprintf(answer, sizeof answer, "%zu bytes", bytes);
		check(dxh_request_reply(request, answer, strlen(answer)));
	}
	return NULL;
}

int main(void)
{
	const char *lines[] = {"a", "three words long", "end"};
	int input[2];
	struct pollfd ready[2];
	size_t asked = 0, told = 0;
	char endpoint[64], line[80];
	pthread_t thread;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_service *service;
	dxh_group *group;
	dxh_completion done;
	dxh_event event;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-example-poll-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_group_open(&group));
	pthread_create(&thread, NULL, measure, service);
	if (pipe(input) == -1 || write(input[1], lines[0], strlen(lines[0])) == -1)
		return 1;
	ready[0] = (struct pollfd){.fd = input[0], .events = POLLIN};
	ready[1] = (struct pollfd){.fd = dxh_group_fd(group), .events = POLLIN};

	while (told < 3 && poll(ready, 2, -1) > 0) {
		if (ready[0].revents) {
			ssize_t bytes = read(input[0], line, sizeof line);

			if (bytes <= 0)
				break;
			asked++;
			check(dxh_post_to(group, peer, "measure", line, (size_t)bytes,
			                  dxh_in_ms(5000), &done));
		}
		while (ready[1].revents && dxh_group_next(group, &event, DXH_NOW) == DXH_OK) {
			printf("%.*s\n", (int)event.reply.body_bytes,
			       (const char *)event.reply.body);
			dxh_release(event.completion);
			if (++told < 3 && write(input[1], lines[told], strlen(lines[told])) == -1)
				return 1;
		}
	}
	printf("%zu asked, %zu told\n", asked, told);
	check(dxh_group_close(&group));
	check(dxh_service_stop(service));
	pthread_join(thread, NULL);
	check(dxh_hub_close(&hub));
	close(input[0]);
	close(input[1]);
	return 0;
}
