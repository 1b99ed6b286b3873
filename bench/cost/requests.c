/* SPDX-License-Identifier: MIT */
/* So many requests of 64 bytes, 64 at a time, to a service of the same process: work to
 * count instructions of, see metrics.sh.
 *
 *	requests COUNT SAMPLE_ONE_IN [BLOCK]
 */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { AT_A_TIME = 64 };

#define must(call)                                                                                 \
	do {                                                                                       \
		if ((call) != DXH_OK) {                                                            \
			fprintf(stderr, "%s: %s\n", #call, dxh_last_error());                      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* In place of libc's: valgrind does not know this call. */
int epoll_pwait2(int epoll, struct epoll_event *events, int max, const struct timespec *left,
                 const sigset_t *mask)
{
	int ms = left ? (int)(left->tv_sec * 1000 + (left->tv_nsec + 999999) / 1000000) : -1;

	return epoll_pwait(epoll, events, max, ms, mask);
}

/* Under valgrind all takes some fifty times as long, and what is done ten times a second
 * would count for fifty times as much: so time goes as slowly. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	enum { SLOWER = 50 };
	int64_t ns;

	if (syscall(SYS_clock_gettime, clock, now) == -1)
		return -1;
	ns = ((int64_t)now->tv_sec * 1000000000 + now->tv_nsec) / SLOWER;
	now->tv_sec = ns / 1000000000;
	now->tv_nsec = ns % 1000000000;
	return 0;
}

static dxh_service *service;

static void *serve(void *unused)
{
	dxh_request *request;
	size_t bytes;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		const void *body = dxh_request_body(request, &bytes);

		must(dxh_request_reply(request, body, bytes));
	}
	return unused;
}

static void ask(dxh_peer *peer)
{
	static const char body[64];
	dxh_completion done[AT_A_TIME];

	for (int i = 0; i < AT_A_TIME; i++)
		must(dxh_post(peer, "echo", body, sizeof body, DXH_FOREVER, &done[i]));
	for (int i = 0; i < AT_A_TIME; i++) {
		must(dxh_await(done[i], DXH_FOREVER, NULL));
		must(dxh_release(done[i]));
	}
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	dxh_hub_config config = {.sample_one_in = argc > 2 ? atoi(argv[2]) : 0,
	                         .metrics_block = argc > 3 ? argv[3] : NULL};
	char endpoint[64];
	pthread_t worker;
	dxh_peer *peer;
	dxh_hub *hub;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-cost-%d", (int)getpid());
	must(dxh_hub_open(&config, &hub));
	must(dxh_service_bind(hub, endpoint, NULL, &service));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	pthread_create(&worker, NULL, serve, NULL);
	for (long i = 0; i < count; i += AT_A_TIME)
		ask(peer);
	must(dxh_service_stop(service));
	pthread_join(worker, NULL);
	must(dxh_hub_close(&hub));
	return 0;
}
