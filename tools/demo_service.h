/* SPDX-License-Identifier: MIT */
/* The service of the demo's producer: "echo", "stats.get", "rate.set", and the
 * notification "event.mark". */
#ifndef DEMO_SERVICE_H
#define DEMO_SERVICE_H

#include "demo.h"

#include <pthread.h>

enum { DEMO_SERVER_THREADS = 2 };

struct demo_server {
	struct demo_facts *facts;
	struct demo_producer *own; /* counted here */
	dxh_service *service;
	_Atomic uint32_t stop;
	unsigned threads;
	pthread_t thread[DEMO_SERVER_THREADS];
};

/* Listen and start to answer. Owner: `server` stays put until stop. */
dxh_status demo_server_start(struct demo_server *server, dxh_hub *hub, struct demo_facts *facts,
                             struct demo_producer *own);

/* Answer all that has come, then stop listening. */
void demo_server_stop(struct demo_server *server);

#endif
