/* SPDX-License-Identifier: MIT */
/* Serve requests: take them on one thread, answer later from another, refuse what
 * cannot be done in the time that is left. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const int64_t needed_ns = 20000000; /* what one measurement takes */

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

/* A worker: owns the request until it answers. */
static void *measure(void *request)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)needed_ns}, NULL);
	dxh_request_reply(request, "42.0 V", 6);
	return NULL;
}

static void *serve(void *service)
{
	dxh_request *request;
	pthread_t worker;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		if (dxh_request_budget_ns(request) < needed_ns)
			dxh_request_reject(request, DXH_EOVERLOADED, "busy for 20 ms");
		else if (pthread_create(&worker, NULL, measure, request) == 0)
			pthread_detach(worker);
		else
			dxh_request_reject(request, DXH_ENOMEM, "no worker");
	}
	return NULL;
}

static void ask(dxh_peer *peer, int64_t budget_ms)
{
	char answer[64];
	size_t bytes;
	dxh_status status = dxh_request_sync(peer, "voltage", NULL, 0, dxh_in_ms(budget_ms), answer,
	                                     sizeof answer, &bytes);

	if (status == DXH_OK)
		printf("with %lld ms: %.*s\n", (long long)budget_ms, (int)bytes, answer);
	else
		printf("with %lld ms: no\n", (long long)budget_ms);
}

int main(void)
{
	char endpoint[64];
	pthread_t thread;
	dxh_hub *hub;
	dxh_service *service;
	dxh_peer *peer;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-serve-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	pthread_create(&thread, NULL, serve, service);

	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	ask(peer, 5000);
	ask(peer, 10); /* less than a measurement takes */

	dxh_service_stop(service);
	pthread_join(thread, NULL);
	check(dxh_hub_close(&hub));
	return 0;
}
