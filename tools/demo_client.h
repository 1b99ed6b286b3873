/* SPDX-License-Identifier: MIT */
/* One thread of the client, and the requests it has open. */
#ifndef DEMO_CLIENT_H
#define DEMO_CLIENT_H

#include "demo.h"

#include <pthread.h>

enum {
	DEMO_WINDOW = 32,     /* requests of one thread open at a time, at the most */
	DEMO_BODY_MAX = 1024, /* of an echo */
	DEMO_REQUEST_MS = 5000
};

/* What the answer to a request must be. */
enum demo_expect {
	DEMO_EXPECT_ECHO,
	DEMO_EXPECT_STATS,
	DEMO_EXPECT_ACCEPTED, /* rate.set with a good value */
	DEMO_EXPECT_REJECTED  /* rate.set with a bad one */
};

struct demo_operation {
	dxh_completion done;
	int64_t posted_ns;
	enum demo_expect expect;
	bool hasty; /* with a deadline that cannot be kept */
	bool open;  /* posted, and its end not yet seen */
	size_t body_bytes;
	unsigned char body[DEMO_BODY_MAX];
};

struct demo_worker {
	struct demo_facts *facts;
	struct demo_client *own;
	dxh_peer *peer;
	unsigned number;
	uint64_t sequence; /* of its requests */
	uint64_t marks;    /* of its notifications */
	pthread_t thread;
	struct demo_operation operation[DEMO_WINDOW];
};

/* ---- demo_client_operation.c: one request, from its making to its one end -------- */

/* Fill an operation with the next echo. */
void demo_make_echo(struct demo_worker *worker, struct demo_operation *operation);

const char *demo_subject(const struct demo_operation *operation);

/* Post it, to come home to `group` or to nobody (NULL). False: refused, counted. */
bool demo_post(struct demo_worker *worker, struct demo_operation *operation, dxh_group *group,
               int64_t deadline_ns);

/* The same for the first `count`, all or none. */
bool demo_post_window(struct demo_worker *worker, size_t count, dxh_group *group,
                      int64_t deadline_ns);

/* Await the end, count it, release. */
void demo_settle(struct demo_worker *worker, struct demo_operation *operation);

/* The same for an end that a group handed out. */
void demo_settle_event(struct demo_worker *worker, struct demo_operation *operation,
                       const dxh_event *event);

/* ---- demo_client_style.c: three ways to wait --------------------------------------- */

/* Runs until the client is told to stop. */
void demo_style_one_by_one(struct demo_worker *worker);
void demo_style_all(struct demo_worker *worker);
void demo_style_any(struct demo_worker *worker);

#endif
