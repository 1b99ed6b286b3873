/* SPDX-License-Identifier: MIT */
/* NATS: requests and publications over its server, by its C client. There is no ipc: all
 * goes over loopback. */
#include "bench/peers/notes.h"
#include "bench/peers/peers.h"

#include <nats/nats.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pid_t daemon_pid;
static char url[64];

static void must(bench_round *round, natsStatus status, const char *what)
{
	if (status != NATS_OK)
		bench_fail(round, "nats %s: %s", what, natsStatus_GetText(status));
}

/* ---- the server ------------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons(port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof address;
	int probe = socket(AF_INET, SOCK_STREAM, 0);

	if (probe == -1 || bind(probe, (struct sockaddr *)&address, length) == -1 ||
	    getsockname(probe, (struct sockaddr *)&address, &length) == -1)
		address.sin_port = 0;
	close(probe);
	return ntohs(address.sin_port);
}

static bool listens(uint16_t port)
{
	struct timespec pause = {.tv_nsec = 20000000};
	struct sockaddr_in address = loopback(port);

	for (int tries = 0; tries < 250; tries++) {
		int probe = socket(AF_INET, SOCK_STREAM, 0);
		int result = connect(probe, (struct sockaddr *)&address, sizeof address);

		close(probe);
		if (result == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static const char *begin(void)
{
	static char program[] = "nats-server", option_a[] = "-a", host[] = "127.0.0.1",
		    option_p[] = "-p", port_text[8];
	char *arguments[] = {program, option_a, host, option_p, port_text, NULL};
	uint16_t port = free_port();

	snprintf(port_text, sizeof port_text, "%u", port);
	snprintf(url, sizeof url, "nats://127.0.0.1:%u", port);
	if (port == 0 || (daemon_pid = bench_daemon_start(arguments)) == -1)
		return "nats-server could not be started";
	return listens(port) ? NULL : "nats-server does not listen (is nats-server installed?)";
}

static void end(void)
{
	bench_daemon_end(daemon_pid);
}

/* ---- clients ------------------------------------------------------------------------------ */

static natsConnection *connect_to(bench_round *round, bool send_asap)
{
	natsConnection *connection;
	natsOptions *options;

	must(round, natsOptions_Create(&options), "options");
	must(round, natsOptions_SetURL(options, url), "url");
	must(round, natsOptions_SetSendAsap(options, send_asap), "options");
	must(round, natsConnection_Connect(&connection, options), "connect");
	natsOptions_Destroy(options);
	return connection;
}

static void serve(bench_round *round)
{
	natsConnection *connection = connect_to(round, true);
	natsSubscription *subscription;

	must(round, natsConnection_SubscribeSync(&subscription, connection, round->name),
	     "subscribe");
	must(round, natsConnection_Flush(connection), "flush");
	bench_ready(round);
	for (;;) {
		natsMsg *message;

		if (natsSubscription_NextMsg(&message, subscription, 60000) != NATS_OK)
			continue;
		must(round,
		     natsConnection_Publish(connection, natsMsg_GetReply(message),
		                            natsMsg_GetData(message),
		                            natsMsg_GetDataLength(message)),
		     "publish");
		natsMsg_Destroy(message);
	}
}

typedef struct asker {
	natsConnection *connection;
	uint64_t next;
	unsigned char payload[256];
} asker;

static void ask(bench_round *round, void *context)
{
	size_t bytes = round->load.bytes;
	asker *own = context;
	natsMsg *reply;

	bench_payload_mark(own->payload, bytes, ++own->next);
	must(round,
	     natsConnection_Request(&reply, own->connection, round->name, own->payload, (int)bytes,
	                            10000),
	     "request");
	bench_check(round,
	            (size_t)natsMsg_GetDataLength(reply) == bytes &&
	                    bench_payload_is(natsMsg_GetData(reply), bytes, own->next),
	            "reply");
	natsMsg_Destroy(reply);
}

static void rtt(bench_round *round)
{
	asker own = {0};

	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, serve);
	own.connection = connect_to(round, true);
	bench_each(round, ask, &own);
	natsConnection_Destroy(own.connection);
}

/* ---- publications ----------------------------------------------------------------------------- */

static void count_note(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                       void *context)
{
	static bench_order order;
	bench_round *round = context;

	(void)connection, (void)subscription;
	bench_check(round, (size_t)natsMsg_GetDataLength(message) == round->load.bytes, "size");
	bench_note_arrived(round, &order, natsMsg_GetData(message));
	natsMsg_Destroy(message);
}

static void serve_notes(bench_round *round)
{
	natsConnection *connection = connect_to(round, false);
	natsSubscription *subscription;

	must(round,
	     natsConnection_Subscribe(&subscription, connection, round->name, count_note, round),
	     "subscribe");
	/* What it does not take would be dropped. */
	must(round, natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
	must(round, natsConnection_Flush(connection), "flush");
	bench_ready(round);
	for (;;)
		nats_Sleep(1000);
}

static void prepare_note(bench_thread *thread)
{
	thread->own = malloc(thread->round->load.bytes);
	bench_check(thread->round, thread->own != NULL, "memory");
	bench_payload_init(thread->own, thread->round->load.bytes);
}

static void publish_notes(bench_thread *thread)
{
	int bytes = (int)thread->round->load.bytes;

	while ((thread->operations & 63) != 0 || bench_goes_on(thread->round, thread->operations)) {
		bench_payload_mark(thread->own, (size_t)bytes,
		                   bench_note_id(thread->index, thread->operations++));
		must(thread->round,
		     natsConnection_Publish(thread->shared, thread->round->name, thread->own,
		                            bytes),
		     "publish");
	}
}

static void flush_notes(bench_round *round, void *shared, uint64_t sent)
{
	must(round, natsConnection_Flush(shared), "flush");
	bench_wait_arrived(round, sent);
}

static void finish_note(bench_thread *thread)
{
	free(thread->own);
}

static void notify(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare_note,
	                                  .run = publish_notes,
	                                  .settle = flush_notes,
	                                  .finish = finish_note};
	natsConnection *connection;

	bench_server(round, serve_notes);
	connection = connect_to(round, false);
	bench_threads(round, &crowd, connection);
	natsConnection_Destroy(connection);
}

static const bench_peer_job jobs[] = {
	{"request, tcp", rtt}, {"publish, tcp", notify}, {NULL, NULL}};

const bench_peer bench_peer_module = {
	.version = NATS_VERSION_STRING, .begin = begin, .end = end, .jobs = jobs};
