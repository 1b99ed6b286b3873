/* SPDX-License-Identifier: MIT */
/* Binding, closing and receiving, as user threads see it. */
#include "runtime/parcel.h"
#include "runtime/repeat.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/probe.h"
#include "base/status.h"
#include "queue/doorbell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	INBOX_DEFAULT = 8192,
	INBOX_MAX = 1 << 20,
	INBOX_BYTES_DEFAULT = 256 << 20,
	CLIENTS_DEFAULT = 256,
	CLIENTS_MAX = 65536,
	WINDOW_DEFAULT = 4096,
	NOTIFY_BYTES_DEFAULT = 512 << 10,
	NOTIFY_BYTES_MIN = 4 * DXI_FRAME_BYTES_MAX, /* so that a quarter is told in time */
	PUBLISH_DEFAULT = 1024,
	PUBLISH_BYTES_DEFAULT = 4 << 20,
	SUBSCRIPTIONS_DEFAULT = 64,
	SUBSCRIPTIONS_MAX = 4096,
	REPLIES_DEFAULT = 16384,
	REPLIES_BYTES_DEFAULT = 16 << 20,
	TAKEN_AT_ONCE = 64,
	BUSY_STEP_NS = 2 * DXI_NS_PER_MS,
	BUSY_WAIT_NS = 250 * DXI_NS_PER_MS
};

static const int64_t ABSENT_NS_DEFAULT = 60 * (int64_t)DXI_NS_PER_S;

/* Room for two of the largest bodies, so that one that wants all of the window need not
 * wait for every other to be gone. */
static void fill_in_bytes(dxh_service_config *config, const dxh_hub *hub)
{
	uint64_t two_bodies = 2 * hub->config.body_bytes_max;

	if (config->inbox_bytes == 0)
		config->inbox_bytes =
			two_bodies > INBOX_BYTES_DEFAULT ? two_bodies : INBOX_BYTES_DEFAULT;
	if (config->client_bytes == 0)
		config->client_bytes =
			two_bodies > config->inbox_bytes / 4 ? two_bodies : config->inbox_bytes / 4;
	if (config->client_bytes > config->inbox_bytes)
		config->client_bytes = config->inbox_bytes;
}

static dxh_status check_config(dxh_service_config *config)
{
	if (config->inbox_max == 0)
		config->inbox_max = INBOX_DEFAULT;
	if (config->clients_max == 0)
		config->clients_max = CLIENTS_DEFAULT;
	if (config->client_window == 0)
		config->client_window = WINDOW_DEFAULT;
	if (config->notify_bytes == 0)
		config->notify_bytes = NOTIFY_BYTES_DEFAULT;
	if (config->notify_bytes < NOTIFY_BYTES_MIN)
		return dxi_fail(DXH_EINVAL,
		                "notify_bytes is at least %d, four of the largest frames",
		                NOTIFY_BYTES_MIN);
	if (config->publish_max == 0)
		config->publish_max = PUBLISH_DEFAULT;
	if (config->publish_bytes == 0)
		config->publish_bytes = PUBLISH_BYTES_DEFAULT;
	if (config->subscriptions_max == 0)
		config->subscriptions_max = SUBSCRIPTIONS_DEFAULT;
	if (config->publish_max > INBOX_MAX || config->subscriptions_max > SUBSCRIPTIONS_MAX)
		return dxi_fail(DXH_EINVAL, "publish_max is at most %d, subscriptions_max %d",
		                INBOX_MAX, SUBSCRIPTIONS_MAX);
	if (config->inbox_max > INBOX_MAX || config->clients_max > CLIENTS_MAX ||
	    config->client_window > INBOX_MAX)
		return dxi_fail(DXH_EINVAL,
		                "inbox_max and client_window are at most %d, clients_max %d",
		                INBOX_MAX, CLIENTS_MAX);
	return DXH_OK;
}

static dxh_status check_repeats(dxh_service_config *config)
{
	if (config->replies_max == 0)
		config->replies_max = REPLIES_DEFAULT;
	if (config->replies_bytes == 0)
		config->replies_bytes = REPLIES_BYTES_DEFAULT;
	if (config->replies_absent_ns == 0)
		config->replies_absent_ns = ABSENT_NS_DEFAULT;
	if ((unsigned)config->repeats > DXH_REPEATS_EXECUTE)
		return dxi_fail(DXH_EINVAL, "repeats is %d, which is no dxh_repeats",
		                (int)config->repeats);
	if (config->replies_max > INBOX_MAX || config->replies_absent_ns < 0)
		return dxi_fail(DXH_EINVAL,
		                "replies_max is at most %d, and replies_absent_ns not negative",
		                INBOX_MAX);
	return DXH_OK;
}

static dxh_status make_service(dxh_hub *hub, const dxh_service_config *config, dxh_service **made)
{
	dxh_service *service = calloc(1, sizeof *service);
	dxh_status status;

	if (!service)
		return dxi_fail(DXH_ENOMEM, "no memory for a service");
	service->hub = hub;
	atomic_init(&service->fd, -1);
	service->config = *config;
	dxi_credit_init(&service->publications, (dxi_amount){.things = config->publish_max});
	service->refill.kind = DXI_TASK_REFILL;
	atomic_init(&service->ahead, DXI_AHEAD_MIN);
	service->bucket_count = 16;
	while (service->bucket_count < config->clients_max)
		service->bucket_count *= 2;
	service->inbox = dxi_inbox_open(DXI_AHEAD_MAX);
	service->buckets = calloc(service->bucket_count, sizeof(dxi_client *));
	service->allow_file = config->allow_file ? strdup(config->allow_file) : NULL;
	service->config.key_file = service->config.allow_file = NULL; /* the caller's */
	status = dxi_curve_of_service(config, &service->curve);
	if (status == DXH_OK)
		status = dxi_repeats_init(service);
	if (status == DXH_OK &&
	    (!service->inbox || !service->buckets || (config->allow_file && !service->allow_file)))
		status = dxi_fail(DXH_ENOMEM, "no memory for a service of %u clients",
		                  config->clients_max);
	if (status == DXH_OK)
		*made = service;
	else
		dxi_service_destroy(service);
	return status;
}

void dxi_service_destroy(dxh_service *service)
{
	int fd = atomic_load_explicit(&service->fd, memory_order_relaxed);

	if (fd != -1)
		close(fd);
	dxi_reply_cache_fini(&service->cache);
	dxi_inbox_free(service->inbox);
	dxi_curve_wipe(&service->curve);
	dxi_handlers_free(&service->handlers);
	free(service->allow_file);
	free(service->buckets);
	free(service);
}

struct listen_call {
	dxh_service *service;
	const char *endpoint;
};

static dxh_status listen_on_io_thread(void *context)
{
	struct listen_call *call = context;
	dxh_service *service = call->service;
	dxh_status status = dxi_service_listen(service, call->endpoint);

	if (status != DXH_OK)
		return status;
	service->next = service->hub->services;
	service->hub->services = service;
	return DXH_OK;
}

static dxh_status listen_if_free(dxh_service *service, const char *endpoint)
{
	struct listen_call call = {service, endpoint};
	dxh_status status = dxi_endpoint_check_free(endpoint);

	if (status == DXH_OK)
		status = dxi_hub_call(service->hub, listen_on_io_thread, &call);
	return status;
}

/* An address that was just given up, by this process or another, may be taken for
 * a moment longer: libzmq closes its listeners on a thread of its own. */
static dxh_status listen_once_free(dxh_service *service, const char *endpoint)
{
	struct timespec pause = dxi_timespec(BUSY_STEP_NS);
	int64_t deadline_ns = dxh_in_ns(BUSY_WAIT_NS);
	dxh_status status = listen_if_free(service, endpoint);

	while (status == DXH_EBUSY && dxh_now_ns() < deadline_ns) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		status = listen_if_free(service, endpoint);
	}
	return status;
}

dxh_status dxi_service_bind(dxh_hub *hub, const char *endpoint, const dxh_service_config *given,
                            const dxi_topic_gate *gate, dxh_service **service)
{
	dxh_service_config config = *given;
	dxh_service *made = NULL;
	dxh_status status = check_config(&config);

	if (status == DXH_OK)
		status = check_repeats(&config);
	if (status == DXH_OK && (!hub || !service))
		status = dxi_fail(DXH_EINVAL,
		                  "dxh_service_bind needs a hub and room for the service");
	if (status == DXH_OK)
		status = dxi_endpoint_check_bind(endpoint, config.insecure || config.key_file);
	if (status == DXH_OK)
		status = dxi_hub_check_open(hub);
	if (status != DXH_OK)
		return status;
	fill_in_bytes(&config, hub);
	status = make_service(hub, &config, &made);
	if (status != DXH_OK)
		return status;
	if (gate)
		made->gate = *gate;
	status = listen_once_free(made, endpoint);
	if (status == DXH_OK) {
		*service = made;
	} else {
		dxi_service_destroy(made);
	}
	return status;
}

dxh_status dxh_service_bind_sized(size_t config_bytes, dxh_hub *hub, const char *endpoint,
                                  const dxh_service_config *given, dxh_service **service)
{
	dxh_service_config config;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);

	if (status == DXH_OK && dxi_may_not_wait)
		status = dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for an address that is "
		                               "in use: bind on another thread");
	return status == DXH_OK ? dxi_service_bind(hub, endpoint, &config, NULL, service) : status;
}

static dxh_status detach(void *context)
{
	dxh_service *service = context;

	for (dxh_service **at = &service->hub->services; *at; at = &(*at)->next)
		if (*at == service) {
			*at = service->next;
			break;
		}
	/* The last answers may leave for so long. */
	dxi_service_free(service, 200);
	return DXH_OK;
}

static dxh_status say_farewell(void *service)
{
	dxi_service_say_farewell(service);
	return DXH_OK;
}

void dxi_service_begin_leave(dxh_service *service)
{
	/* Threads that wait in receive() leave first. */
	dxi_inbox_close(service->inbox);
	(void)dxi_hub_call(service->hub, say_farewell, service);
}

void dxi_service_await_leave(dxh_service *service, int64_t deadline_ns)
{
	bool in_time = true;

	/* acquire: pairs with the release in dxi_service_tell_if_deserted(). */
	while (in_time && !atomic_load_explicit(&service->deserted, memory_order_acquire))
		in_time = dxi_futex_wait(&service->deserted, 0, deadline_ns, DXI_FUTEX_PRIVATE);
}

dxh_status dxh_service_close(dxh_service **service)
{
	dxh_service *closing;
	dxh_status status;

	if (!service || !*service)
		return dxi_fail(DXH_EINVAL, "the service is closed already, or was never bound");
	closing = *service;
	status = dxi_hub_check_process(closing->hub);
	if (status != DXH_OK)
		return status;
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for worker threads");
	dxi_service_begin_leave(closing);
	dxi_service_await_leave(closing, dxh_in_ns(DXI_FAREWELL_NS));
	*service = NULL;
	return dxi_hub_call(closing->hub, detach, closing);
}

static dxh_status do_nothing(void *unused)
{
	(void)unused;
	return DXH_OK;
}

dxh_status dxh_service_stop(dxh_service *service)
{
	dxh_status status;

	if (!service)
		return dxi_fail(DXH_EINVAL, "the service is NULL");
	status = dxi_hub_check_process(service->hub);
	if (status == DXH_OK) {
		dxi_inbox_stop(service->inbox);
		dxi_service_ring(service);
	}
	/* Behind the I/O thread's answer no handler runs there. */
	if (status == DXH_OK &&
	    atomic_load_explicit(&service->handlers.inlines, memory_order_acquire))
		status = dxi_hub_call(service->hub, do_nothing, NULL);
	return status;
}

void dxi_service_ring(dxh_service *service)
{
	/* acquire: pairs with the release in dxh_service_fd(). */
	int fd = atomic_load_explicit(&service->fd, memory_order_acquire);

	if (fd != -1)
		dxi_doorbell_ring(fd);
}

int dxh_service_fd(dxh_service *service)
{
	int fd, none = -1;

	if (!service || dxi_hub_check_process(service->hub) != DXH_OK)
		return -1;
	fd = atomic_load_explicit(&service->fd, memory_order_acquire);
	if (fd != -1 || dxi_doorbell_open(&fd) != DXH_OK)
		return fd;
	/* acq_rel: pairs with the acquire in dxi_service_ring(). Two threads may ask at
	 * once. */
	if (!atomic_compare_exchange_strong_explicit(&service->fd, &none, fd, memory_order_acq_rel,
	                                             memory_order_acquire)) {
		close(fd);
		return none;
	}
	dxi_doorbell_ring(fd); /* something may wait already */
	return fd;
}

const char *dxh_service_endpoint(const dxh_service *service)
{
	return service ? service->endpoint : "";
}

/* ---- received --------------------------------------------------------------------- */

/* The I/O thread adds to the inbox before it is empty, if it is told in time; once
 * for half of it, without a system call while that thread is awake. */
static void ask_for_more(dxh_service *service)
{
	/* Whoever takes the one that leaves half sees that, or fewer: what it took itself
	 * it counts, and what was put since makes more of it only for the next taker. */
	if (dxi_inbox_count(service->inbox) >
	    atomic_load_explicit(&service->ahead, memory_order_relaxed) / 2)
		return;
	/* Behind the taking, seq_cst: see more_waits. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&service->more_waits))
		return;
	if (!atomic_load(&service->poked) && !atomic_exchange(&service->poked, true))
		dxi_hub_push(service->hub, &service->refill, &service->refill);
}

static dxh_status refill_on_io_thread(void *service)
{
	dxi_service_refill(service);
	return DXH_OK;
}

/* Take one that is in the inbox; the descriptor is cleared when there is none: what comes
 * behind that rings again. */
static dxh_status take_from_inbox(dxh_service *service, int64_t deadline_ns, void **item)
{
	int fd = atomic_load_explicit(&service->fd, memory_order_acquire);
	dxh_status status;

	if (fd == -1)
		return dxi_inbox_take(service->inbox, deadline_ns, item);
	status = dxi_inbox_take(service->inbox, DXH_NOW, item);
	if (status != DXH_EWAIT)
		return status;
	dxi_doorbell_clear(fd);
	return dxi_inbox_take(service->inbox, deadline_ns, item);
}

/* Take one. What waits behind the inbox has come as well: a worker that does not
 * want to wait any longer waits for the I/O thread to hand it on, and for nothing
 * else. */
static dxh_status take(dxh_service *service, int64_t deadline_ns, dxh_request **taken)
{
	void *item;
	bool more = true;
	dxh_status status = take_from_inbox(service, deadline_ns, &item);

	while (status == DXH_EWAIT && more) {
		more = atomic_load(&service->more_waits) &&
		       dxi_hub_call(service->hub, refill_on_io_thread, service) == DXH_OK;
		/* Also without more: it may have been handed on since the inbox was empty. */
		status = dxi_inbox_take(service->inbox, DXH_NOW, &item);
	}
	if (status == DXH_OK) {
		*taken = item;
		ask_for_more(service);
	}
	return status;
}

/* false: nobody waits for it any more, and it was told so. */
static bool is_in_time(dxh_service *service, dxh_request *received)
{
	/* Most have no deadline, notifications never: no clock is read for them. */
	if (dxi_note_of(received) || received->deadline_ns == DXH_FOREVER ||
	    received->deadline_ns > dxh_now_ns()) {
		DXI_PROBE(receive, received, service->endpoint, dxi_request_body_bytes(received));
		return true;
	}
	/* relaxed: a figure for people. */
	atomic_fetch_add_explicit(&service->hub->metrics->requests_expired, 1,
	                          memory_order_relaxed);
	dxh_request_reject(received, DXH_EEXPIRED, "expired before it was served");
	return false;
}

dxh_status dxh_service_receive(dxh_service *service, int64_t deadline_ns, dxh_request **request)
{
	dxh_request *received;
	dxh_status status;

	if (!service || !request)
		return dxi_fail(DXH_EINVAL, "dxh_service_receive needs a service and room for the "
		                            "request");
	status = dxi_hub_check_process(service->hub);
	if (status != DXH_OK)
		return status;
	if (dxi_may_not_wait && deadline_ns != DXH_NOW)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for requests");
	do {
		status = take(service, deadline_ns, &received);
		if (status == DXH_ECLOSED)
			return dxi_fail(DXH_ECLOSED, "the service is closing");
		if (status != DXH_OK)
			return dxi_fail(status, "no request came: wait again");
	} while (!is_in_time(service, received));
	*request = received;
	return DXH_OK;
}

dxh_status dxh_service_receive_many(dxh_service *service, int64_t deadline_ns,
                                    dxh_request **requests, size_t max, size_t *count)
{
	void *more[TAKEN_AT_ONCE];
	uint32_t taken;
	dxh_status status;

	if (!requests || max == 0 || !count)
		return dxi_fail(DXH_EINVAL, "dxh_service_receive_many needs room for one request "
		                            "or more, and for their number");
	*count = 0;
	status = dxh_service_receive(service, deadline_ns, &requests[0]);
	if (status != DXH_OK)
		return status;
	*count = 1;
	do {
		size_t room = max - *count;

		taken = dxi_inbox_take_more(service->inbox, more,
		                            room < TAKEN_AT_ONCE ? (uint32_t)room : TAKEN_AT_ONCE);
		for (uint32_t i = 0; i < taken; i++)
			if (is_in_time(service, more[i]))
				requests[(*count)++] = more[i];
	} while (taken == TAKEN_AT_ONCE && *count < max);
	if (*count > 1)
		ask_for_more(service);
	return DXH_OK;
}
