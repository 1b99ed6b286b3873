/* SPDX-License-Identifier: MIT */
/* One request at a time by what the system has: a unix socket, and words in shared
 * memory with futexes. What a round trip costs at least. */
#include "bench/peers/peers.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct asker {
	int socket;
	uint64_t next;
	unsigned char payload[256];
} asker;

/* ---- a unix socket ----------------------------------------------------------------- */

static socklen_t address_of(const bench_round *round, struct sockaddr_un *address)
{
	/* Abstract: the name begins with a zero byte. */
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path + 1, round->name, strlen(round->name));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(round->name));
}

static void serve_socket(bench_round *round)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	struct sockaddr_un address;
	socklen_t length = address_of(round, &address);
	unsigned char payload[256];
	ssize_t bytes;

	bench_check(round, bind(listener, (struct sockaddr *)&address, length) == 0, "bind");
	bench_check(round, listen(listener, 1) == 0, "listen");
	bench_ready(round);
	client = accept(listener, NULL, NULL);
	bench_check(round, client != -1, "accept");
	while ((bytes = recv(client, payload, round->load.bytes, MSG_WAITALL)) > 0)
		bench_check(round, send(client, payload, (size_t)bytes, 0) == bytes, "send");
}

static void ask_socket(bench_round *round, void *context)
{
	asker *own = context;
	ssize_t bytes = (ssize_t)round->load.bytes;

	bench_payload_mark(own->payload, round->load.bytes, ++own->next);
	bench_check(round, send(own->socket, own->payload, round->load.bytes, 0) == bytes, "send");
	bench_check(round, recv(own->socket, own->payload, round->load.bytes, MSG_WAITALL) == bytes,
	            "receive");
	bench_check(round, bench_payload_is(own->payload, round->load.bytes, own->next), "reply");
}

void bench_socket_rtt(bench_round *round)
{
	asker own = {.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_un address;
	socklen_t length = address_of(round, &address);

	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, serve_socket);
	bench_check(round, connect(own.socket, (struct sockaddr *)&address, length) == 0,
	            "connect");
	bench_each(round, ask_socket, &own);
	close(own.socket);
}

/* ---- futexes ---------------------------------------------------------------------------- */

/* The two words and the payload lie in the round itself, which both sides have. */
enum { TO_SERVER = 0, TO_CLIENT = 1, PAYLOAD = 2 };

static _Atomic uint32_t *word(bench_round *round, int which)
{
	return (_Atomic uint32_t *)&round->counters[which];
}

static void raise_word(bench_round *round, int which, uint32_t value)
{
	atomic_store(word(round, which), value);
	syscall(SYS_futex, word(round, which), FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_word(bench_round *round, int which, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(word(round, which))) != value)
		syscall(SYS_futex, word(round, which), FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void serve_futex(bench_round *round)
{
	unsigned char payload[64];

	bench_ready(round);
	for (uint32_t turn = 1;; turn++) {
		await_word(round, TO_SERVER, turn);
		memcpy(payload, (void *)&round->counters[PAYLOAD], sizeof payload);
		memcpy((void *)&round->counters[PAYLOAD], payload, sizeof payload);
		raise_word(round, TO_CLIENT, turn);
	}
}

static void ask_futex(bench_round *round, void *context)
{
	asker *own = context;
	void *shared = (void *)&round->counters[PAYLOAD];

	bench_payload_mark(own->payload, 64, ++own->next);
	memcpy(shared, own->payload, 64);
	raise_word(round, TO_SERVER, (uint32_t)own->next);
	await_word(round, TO_CLIENT, (uint32_t)own->next);
	memcpy(own->payload, shared, 64);
	bench_check(round, bench_payload_is(own->payload, 64, own->next), "reply");
}

void bench_futex_rtt(bench_round *round)
{
	asker own = {0};

	bench_payload_init(own.payload, 64);
	bench_server(round, serve_futex);
	bench_each(round, ask_futex, &own);
}
