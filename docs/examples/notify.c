/* SPDX-License-Identifier: MIT */
/* Notifications: nobody answers. They travel packed by themselves, a lone one at
 * once; a flush waits for them where somebody must know. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EDGES = 1000 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

/* The logger: in order, until the last one. */
static void *record(void *service)
{
	dxh_request *request;
	size_t bytes;
	int expected = 0;
	int edge;

	while (expected < EDGES && dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		memcpy(&edge, dxh_request_body(request, &bytes), sizeof edge);
		if (edge != expected)
			printf("edge %d came instead of %d\n", edge, expected);
		expected = edge + 1;
		dxh_request_release(request);
	}
	return NULL;
}

int main(void)
{
	char endpoint[64];
	pthread_t thread;
	dxh_hub *hub;
	dxh_service *service;
	dxh_peer *logger;
	dxh_hub_stats stats;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-notify-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	pthread_create(&thread, NULL, record, service);

	check(dxh_peer_connect(hub, endpoint, NULL, &logger));
	for (int edge = 0; edge < EDGES; edge++)
		check(dxh_notify(logger, "event.edge", &edge, sizeof edge));
	check(dxh_flush(logger, DXH_FLUSH_REPLIED, dxh_in_ms(5000)));

	pthread_join(thread, NULL);
	check(dxh_hub_stats_get(hub, &stats));
	printf("%d edges logged in order; %s than one to a frame\n", EDGES,
	       stats.records_sent > stats.frames_sent ? "more" : "not more");
	check(dxh_hub_close(&hub));
	return 0;
}
