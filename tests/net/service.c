/* SPDX-License-Identifier: MIT */
/* The service of `make net`: it notes in the ledger what it executes, and answers
 * with what it got. */
#include "tests/net/net.h"

#include <pthread.h>

enum { WORKERS = 2, LAST_MS = 60 };

static dxh_hub *hub;
static dxh_service *service;

static void execute(dxh_request *request)
{
	uint64_t serial = SERIALS_MAX;
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	if (bytes >= sizeof serial)
		memcpy(&serial, body, sizeof serial);
	if (serial < SERIALS_MAX)
		atomic_fetch_add(&book->lines[serial].executed,
		                 serial % 100 == 77 && strcmp(planted, "twice") == 0 ? 2 : 1);
	if (dxh_request_is_notification(request))
		dxh_request_release(request);
	else
		(void)dxh_request_reply(request, body, bytes);
}

static void *work(void *unused)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		execute(request);
	return unused;
}

static void bind_it(const char *endpoint)
{
	int64_t patience_ns = dxh_in_ms(10000);

	net_must(dxh_hub_open(NULL, &hub));
	/* What was killed a moment ago may still be about to leave its address. */
	while (dxh_service_bind(hub, endpoint, &(dxh_service_config){.insecure = 1}, &service) !=
	       DXH_OK)
		if (dxh_now_ns() > patience_ns)
			net_fail("bind %s: %s", endpoint, dxh_last_error());
}

_Noreturn void run_service(int fd, const char *endpoint)
{
	pthread_t workers[WORKERS];

	bind_it(endpoint);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, work, NULL);
	say(fd, 'r');
	if (hear(fd) != 'q')
		net_fail("the service heard a strange word");
	net_must(dxh_service_stop(service));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	net_must(dxh_hub_close(&hub));
	_exit(0);
}

/* ---- leaving while the client is in no state to notice --------------------------------- */

/* One request is held, many answers and notes are on their way. */
static void answer_all_but_one(void)
{
	static char note[4096];
	dxh_request *request, *held = NULL;

	while (dxh_service_receive(service, dxh_in_ms(LAST_MS), &request) == DXH_OK) {
		if (held)
			(void)dxh_request_reply(held, "late", 4);
		held = request;
		net_must(dxh_service_publish(service, "note", note, sizeof note));
	}
}

_Noreturn void run_leaver(int fd, const char *endpoint)
{
	int64_t before_ns, drained_ns;

	bind_it(endpoint);
	say(fd, 'r');
	(void)hear(fd);
	answer_all_but_one();
	before_ns = dxh_now_ns();
	(void)dxh_hub_drain(hub, dxh_in_ms(DRAIN_MS), NULL);
	drained_ns = dxh_now_ns();
	net_must(dxh_hub_close(&hub));
	keep_max(&book->drain_max_ns, (uint64_t)(drained_ns - before_ns));
	keep_min(&book->drain_min_ns, (uint64_t)(drained_ns - before_ns));
	keep_max(&book->close_max_ns, (uint64_t)(dxh_now_ns() - drained_ns));
	keep_min(&book->close_min_ns, (uint64_t)(dxh_now_ns() - drained_ns));
	_exit(0);
}

/* A client with many requests open and a subscription, that then only waits. */
_Noreturn void run_sitter(int fd, const char *endpoint)
{
	enum { OPEN = 500 };
	static char body[4096];
	dxh_subscription *notes;
	dxh_completion done;
	dxh_hub *asking;
	dxh_peer *peer;

	net_must(dxh_hub_open(NULL, &asking));
	net_must(dxh_peer_connect(asking, endpoint, NULL, &peer));
	net_must(dxh_subscribe(peer, "note", NULL, &notes));
	net_must(dxh_subscription_await(notes, dxh_in_ms(20000)));
	for (int i = 0; i < OPEN; i++) {
		net_must(dxh_post(peer, "ask", body, sizeof body, DXH_FOREVER, &done));
		net_must(dxh_release(done));
	}
	net_must(dxh_flush(peer, DXH_FLUSH_SENT, dxh_in_ms(20000)));
	say(fd, 'r');
	for (;;)
		pause();
}
