/* SPDX-License-Identifier: MIT */
/* A hub with connected peers, and the hub of their service, while nothing is asked.
 *
 *	idle SECONDS [plant]     "plant" asks once in the middle, which must be noticed
 */
#include <dxh.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A peer that was asked looks once more, a beat later, whether anything is owed. */
enum { PEERS = 64, SETTLE_S = 3 };

#define must(call)                                                                                 \
	do {                                                                                       \
		if ((call) != DXH_OK) {                                                            \
			fprintf(stderr, "%s: %s\n", #call, dxh_last_error());                      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static dxh_service *service;

static void *serve(void *unused)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		must(dxh_request_reply(request, NULL, 0));
	return unused;
}

static uint64_t wakeups(const dxh_hub *hub)
{
	dxh_hub_stats stats;

	must(dxh_hub_stats_get(hub, &stats));
	return stats.wakeups;
}

/* Of all threads, those of libzmq too. */
static uint64_t switches(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (uint64_t)used.ru_nvcsw;
}

int main(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
	int plant = argc > 2 && strcmp(argv[2], "plant") == 0;
	uint64_t asking_before, serving_before, switches_before;
	dxh_hub *asking, *serving;
	dxh_peer *peers[PEERS];
	char endpoint[64];
	pthread_t worker;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-idle-%d", (int)getpid());
	must(dxh_hub_open(NULL, &serving));
	must(dxh_service_bind(serving, endpoint, NULL, &service));
	pthread_create(&worker, NULL, serve, NULL);
	must(dxh_hub_open(NULL, &asking));
	for (int i = 0; i < PEERS; i++)
		must(dxh_peer_connect(asking, endpoint, NULL, &peers[i]));
	for (int i = 0; i < PEERS; i++)
		must(dxh_request_sync(peers[i], "echo", NULL, 0, dxh_in_ms(20000), NULL, 0, NULL));
	sleep(SETTLE_S);
	asking_before = wakeups(asking);
	serving_before = wakeups(serving);
	switches_before = switches();
	sleep(seconds / 2);
	if (plant)
		must(dxh_request_sync(peers[0], "echo", NULL, 0, dxh_in_ms(20000), NULL, 0, NULL));
	sleep(seconds - seconds / 2);
	asking_before = wakeups(asking) - asking_before;
	serving_before = wakeups(serving) - serving_before;
	printf("idle: %u s, %d peers: %" PRIu64 " and %" PRIu64 " wake-ups, %" PRIu64
	       " switches of all threads\n",
	       seconds, PEERS, asking_before, serving_before, switches() - switches_before);
	must(dxh_service_stop(service));
	pthread_join(worker, NULL);
	must(dxh_hub_close(&asking));
	must(dxh_hub_close(&serving));
	return asking_before + serving_before > 0;
}
