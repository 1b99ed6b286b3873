/* SPDX-License-Identifier: MIT */
/* A service that never rests: its workers answer in every way there is, at once, later or
 * when it is closed already, and after some thousand requests it goes away and comes back.
 * What it executes it writes into the ledger.
 */
#ifndef RESTLESS_H
#define RESTLESS_H

#include "tests/support/ledger.h"

#include <pthread.h>

enum {
	RESTLESS_WORKERS = 2,
	RESTLESS_HELD = 16,   /* by each of these */
	RESTLESS_AFTER = 4000 /* requests */
};

static _Atomic uint64_t restless_answered, restless_restarts;

typedef struct restless_server restless_server;

typedef struct restless_worker {
	restless_server *of;
	uint64_t number;
	dxh_request *late[RESTLESS_HELD]; /* to be answered when the service is closed */
	size_t late_count;
	pthread_t thread;
} restless_worker;

/* Where a service comes and goes. */
struct restless_server {
	dxh_hub *hub;
	char endpoint[64];
	dxh_service *service; /* while there are workers */
	_Atomic uint64_t received;
	_Atomic int stop;
	pthread_t thread;
};

static inline void restless_answer(dxh_request *request, uint64_t *random)
{
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);
	uint64_t wrong = 0;

	if (atomic_fetch_add(&restless_answered, 1) % 1000 == 777 && stress_planted("answer"))
		body = &wrong, bytes = sizeof wrong;
	switch (stress_random(random) % 8) {
	case 0:
		dxh_request_release(request);
		break;
	case 1:
		(void)dxh_request_reject(request, DXH_EREJECTED, "no");
		break;
	default:
		(void)dxh_request_reply(request, body, bytes);
		break;
	}
}

static inline void restless_execute(const dxh_request *request)
{
	uint64_t serial;
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	memcpy(&serial, body, sizeof serial);
	ledger_execute(serial);
	if (serial > 1000 && stress_planted("again"))
		ledger_execute(serial);
}

/* One was received: answer it, or keep it for later. */
static inline void restless_take_up(restless_worker *self, dxh_request *request, dxh_request **held,
                                    size_t *held_count, uint64_t *random)
{
	if (dxh_request_is_notification(request)) {
		dxh_request_release(request);
		return;
	}
	restless_execute(request);
	if (*held_count < RESTLESS_HELD && stress_random(random) % 4 == 0)
		held[(*held_count)++] = request;
	else
		restless_answer(request, random);
	if (atomic_fetch_add(&self->of->received, 1) % RESTLESS_AFTER == RESTLESS_AFTER - 1)
		stress_must(dxh_service_stop(self->of->service));
}

static inline void *restless_serve(void *context)
{
	restless_worker *self = context;
	uint64_t random = stress_state(200 + self->number + 16 * restless_restarts);
	dxh_request *held[RESTLESS_HELD];
	size_t held_count = 0;
	dxh_request *request;
	dxh_status status;

	do {
		/* Who waits for what is held here would wait as long. */
		status = dxh_service_receive(self->of->service,
		                             held_count > 0 ? DXH_NOW : dxh_in_ms(5), &request);
		if (status == DXH_OK)
			restless_take_up(self, request, held, &held_count, &random);
		if (held_count > 0 && (status != DXH_OK || stress_random(&random) % 4 == 0))
			restless_answer(held[--held_count], &random);
	} while (status == DXH_OK || (status == DXH_EWAIT && !self->of->stop));
	while (held_count > 0)
		if (stress_random(&random) % 2)
			restless_answer(held[--held_count], &random);
		else
			self->late[self->late_count++] = held[--held_count];
	return NULL;
}

/* Serve, until a worker has stopped the service. Returns whether it could be bound. */
static inline bool restless_serve_once(restless_server *self)
{
	restless_worker workers[RESTLESS_WORKERS] = {{0}};
	dxh_status status = dxh_service_bind(self->hub, self->endpoint, NULL, &self->service);
	uint64_t random = stress_state(300 + restless_restarts);

	if (status == DXH_EDRAINING || status == DXH_ECLOSED)
		return false; /* its own hub goes */
	stress_must(status);
	for (uint64_t i = 0; i < RESTLESS_WORKERS; i++) {
		workers[i].of = self;
		workers[i].number = i;
		pthread_create(&workers[i].thread, NULL, restless_serve, &workers[i]);
	}
	for (int i = 0; i < RESTLESS_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	stress_must(dxh_service_close(&self->service));
	for (int i = 0; i < RESTLESS_WORKERS; i++)
		while (workers[i].late_count > 0)
			restless_answer(workers[i].late[--workers[i].late_count], &random);
	restless_restarts++;
	return true;
}

static inline void *restless_run(void *context)
{
	restless_server *self = context;

	while (!self->stop && restless_serve_once(self))
		;
	return NULL;
}

static inline void restless_start(restless_server *self)
{
	self->stop = 0;
	pthread_create(&self->thread, NULL, restless_run, self);
}

static inline void restless_stop(restless_server *self)
{
	dxh_hub_stats stats;

	self->stop = 1;
	pthread_join(self->thread, NULL);
	stress_must(dxh_hub_stats_get(self->hub, &stats));
	stress_equal(stats.requests_received, stats.replies_sent + stats.replies_dropped);
}

#endif
