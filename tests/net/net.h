/* SPDX-License-Identifier: MIT */
/* What the processes of `make net` share: a director without threads, which forks
 * all others and brings the faults; a service; a client that posts and keeps the
 * books; a proxy between the two; and one ledger, in which every request has a line.
 */
#ifndef NET_H
#define NET_H

#include <dxh.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	SERIALS_MAX = 1 << 24,
	WARM = 300,        /* requests answered before a fault is brought */
	HUBS_DRAINED = 3,  /* in each state */
	DRAIN_MS = 100,    /* the deadline of a drain, from its begin */
	PROMISED_MS = 50,  /* "at the latest 50 ms after the deadline" */
	FAREWELL_MS = 200, /* a closing service gives its clients so long */
	SLACK_MS = 2000,   /* what a loaded machine may add to any one of them */
	HEALED_MS = 30000, /* a hub is well again within */
	GROWTH_MAX_KIB = 24 * 1024
};

/* One request or notification, in all processes. */
typedef struct entry {
	_Atomic uint8_t posted;   /* 1: request, 2: idempotent request, 3: notification */
	_Atomic uint8_t ended;    /* how many times */
	_Atomic uint8_t outcome;  /* how, an outcome */
	_Atomic uint8_t executed; /* how many times a service saw it */
} entry;

typedef enum outcome { UNKNOWN, ANSWERED, NOT_SENT, MAYBE } outcome;

typedef struct ledger {
	_Atomic uint64_t serials;
	_Atomic uint64_t answered; /* by a service, as seen by the client */
	_Atomic uint64_t late_max_ns, drain_min_ns, drain_max_ns, close_min_ns, close_max_ns;
	_Atomic uint64_t growth_kib;
	entry lines[SERIALS_MAX];
} ledger;

extern ledger *book;

/* Planted: "twice" has the service execute some requests twice, "lost" has the client
 * forget an end. */
extern const char *planted;

#define net_fail(...)                                                                              \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		fflush(NULL);                                                                      \
		_exit(1);                                                                          \
	} while (0)

#define net_must(call)                                                                             \
	do {                                                                                       \
		if ((call) != DXH_OK)                                                              \
			net_fail("%s: %s", #call, dxh_last_error());                               \
	} while (0)

/* A process of the director's, and the pipe to it. */
typedef struct actor {
	pid_t pid;
	int fd;
} actor;

/* One word is one byte; hear() fails when the other side is gone. */
void say(int fd, char word);
char hear(int fd);

void keep_max(_Atomic uint64_t *kept, uint64_t value);
void keep_min(_Atomic uint64_t *kept, uint64_t value);

/* What a process holds: anonymous memory, open descriptors. */
uint64_t memory_kib(pid_t of);
uint64_t descriptors(pid_t of);
void expect_descriptors(pid_t of, uint64_t most);

/* Processes; they never return.
 *
 * The service says 'r' when it listens and leaves at 'q'.
 * The client says what play_scene() in net.c expects.
 * The proxy is told its mode, see proxy.c, and answers each with 'k'. */
_Noreturn void run_service(int fd, const char *endpoint);
_Noreturn void run_client(int fd, const char *endpoint, bool never_there);
_Noreturn void run_proxy(int fd, int listener, uint16_t service_port);

/* Counts what comes back when every request has time enough. */
_Noreturn void run_counter(int fd, const char *endpoint);

/* A service that drains and closes at 'q', while its client does not read. */
_Noreturn void run_leaver(int fd, const char *endpoint);
_Noreturn void run_sitter(int fd, const char *endpoint);

#endif
