/* SPDX-License-Identifier: MIT */
/* Post a request, do something else, await the answer. Many threads may do this on
 * one hub. So that the program runs alone, it serves the request itself. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

static void *serve(void *service)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		dxh_request_reply(request, "armed", 5);
	return NULL;
}

int main(void)
{
	char endpoint[64];
	pthread_t thread;
	dxh_hub *hub;
	dxh_service *service;
	dxh_peer *scope;
	dxh_completion done;
	dxh_reply reply;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-post-await-%d", (int)getpid());
	check(dxh_hub_open(&(dxh_hub_config){0}, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	pthread_create(&thread, NULL, serve, service);

	check(dxh_peer_connect(hub, endpoint, NULL, &scope));
	check(dxh_post(scope, "trigger.arm", "channel 1", 9, dxh_in_ms(5000), &done));
	printf("posted; preparing the next frame meanwhile\n");
	switch (dxh_await(done, dxh_in_ms(6000), &reply)) {
	case DXH_OK:
		printf("the scope says: %.*s\n", (int)reply.body_bytes, (const char *)reply.body);
		break;
	case DXH_EEXPIRED:
		printf("no answer in 5 s; %s\n", dxh_certainty_text(reply.certainty));
		break;
	default:
		printf("%s\n", dxh_last_error());
	}
	dxh_release(done); /* always allowed, also before the answer */

	dxh_service_stop(service); /* lets the thread go */
	pthread_join(thread, NULL);
	check(dxh_hub_close(&hub));
	return 0;
}
