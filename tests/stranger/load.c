/* SPDX-License-Identifier: MIT */
/* Threads that ask a service as fast as they can: load ENDPOINT THREADS REQUESTS. Each
 * keeps some requests open, and checks that each answer is that of its request. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN = 32 };

static dxh_peer *peer;
static unsigned long requests;

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "load: %s\n", dxh_last_error());
	exit(1);
}

static void answer_is(dxh_completion done, unsigned long number)
{
	char wanted[32];
	dxh_reply reply;

	check(dxh_await(done, DXH_FOREVER, &reply));
	snprintf(wanted, sizeof wanted, "%lu", number * number);
	if (reply.body_bytes != strlen(wanted) || memcmp(reply.body, wanted, reply.body_bytes)) {
		fprintf(stderr, "load: %lu squared is no %.*s\n", number, (int)reply.body_bytes,
		        (const char *)reply.body);
		exit(1);
	}
	check(dxh_release(done));
}

static void *ask(void *unused)
{
	dxh_completion open[OPEN];
	char body[32];

	(void)unused;
	for (unsigned long i = 0; i < requests + OPEN; i++) {
		if (i >= OPEN)
			answer_is(open[i % OPEN], i - OPEN);
		if (i >= requests)
			continue;
		check(dxh_post(peer, "square", body, (size_t)snprintf(body, sizeof body, "%lu", i),
		               dxh_in_ms(30000), &open[i % OPEN]));
	}
	return NULL;
}

int main(int count, char **arguments)
{
	int threads = atoi(arguments[2]);
	pthread_t thread[64];
	dxh_hub *hub;

	(void)count;
	requests = strtoul(arguments[3], NULL, 10);
	check(dxh_hub_open(NULL, &hub));
	check(dxh_peer_connect(hub, arguments[1], NULL, &peer));
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, ask, NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	check(dxh_hub_close(&hub));
	printf("%lu answers, all right\n", threads * requests);
	return 0;
}
