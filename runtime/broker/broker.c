/* SPDX-License-Identifier: MIT */
/* The broker as a service: one thread that takes messages and asks the registry.
 * Nothing is kept but the registry, and that only in memory.
 */
#include "base/clock.h"
#include "base/forked.h"
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/broker/registry.h"

#include <dxh/broker.h>
#include <dxh/message.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHANNELS_DEFAULT = 10000,
	CHANNELS_MAX = 1 << 20,
	BEAT_MS_DEFAULT = 500,
	BEAT_MS_MAX = 3600 * 1000,
	BEATS_MISSED_DEFAULT = 10,
	BEATS_MISSED_MAX = 1000,
	CLIENTS_DEFAULT = 512, /* connected hubs: producers and consumers alike */
};

struct dxh_broker {
	dxh_service *service;
	pthread_t thread;
	uint32_t process;
	dxi_terms terms;

	/* the broker's own thread alone */
	dxi_registry registry;
	dxh_channel_info page[DXI_LIST_PAGE_MAX];
	unsigned char answer[DXI_LIST_WIRE_MAX];
};

/* ---- one function per request: *length bytes of broker->answer are the reply ---- */

static dxh_status on_register(dxh_broker *broker, const void *body, size_t bytes, size_t *length)
{
	dxi_claim claim;
	dxh_status status = dxi_claim_read(body, bytes, &claim);

	if (status == DXH_OK)
		status = dxi_registry_register(&broker->registry, &claim, dxh_now_ns());
	*length = dxi_terms_write(&broker->terms, broker->answer, sizeof broker->answer);
	return status;
}

static dxh_status on_deregister(dxh_broker *broker, const void *body, size_t bytes, size_t *length)
{
	dxi_owner owner;
	dxh_status status = dxi_deregister_read(body, bytes, &owner);

	if (status == DXH_OK)
		status = dxi_registry_deregister(&broker->registry, &owner);
	*length = dxi_done_write(broker->answer, sizeof broker->answer);
	return status;
}

static dxh_status on_discover(dxh_broker *broker, const void *body, size_t bytes, size_t *length)
{
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	dxh_channel_info *info = &broker->page[0];
	dxh_status status = dxi_discover_read(body, bytes, channel);

	if (status != DXH_OK)
		return status;
	dxi_registry_discover(&broker->registry, channel, dxh_now_ns(), info);
	*length = dxi_channel_write(info, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static dxh_status on_list(dxh_broker *broker, const void *body, size_t bytes, size_t *length)
{
	dxi_list_request request;
	dxi_list_page page;
	dxh_status status = dxi_list_request_read(body, bytes, &request);

	if (status != DXH_OK)
		return status;
	page = dxi_registry_list(&broker->registry, request.after, dxh_now_ns(), broker->page,
	                         request.max < DXI_LIST_PAGE_MAX ? request.max : DXI_LIST_PAGE_MAX);
	*length = dxi_list_write(&page, broker->page, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static const struct {
	const char *subject;
	dxh_status (*answer)(dxh_broker *, const void *body, size_t bytes, size_t *length);
} requests[] = {
	{DXI_SUBJECT_REGISTER, on_register},
	{DXI_SUBJECT_DEREGISTER, on_deregister},
	{DXI_SUBJECT_DISCOVER, on_discover},
	{DXI_SUBJECT_LIST, on_list},
};

/* ---- the thread ---- */

static dxh_status decide(dxh_broker *broker, const dxh_request *request, size_t *length)
{
	const char *subject = dxh_request_subject(request);
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		if (strcmp(subject, requests[i].subject) == 0)
			return requests[i].answer(broker, body, bytes, length);
	return dxi_fail(DXH_EUNKNOWN,
	                "the broker answers channel.register, .deregister, .discover and .list, "
	                "not '%.64s'",
	                subject);
}

/* The words of the last failure behind its name: the client's side says that
 * name itself. */
static const char *reason(void)
{
	const char *colon = strstr(dxh_last_error(), ": ");

	return colon ? colon + 2 : dxh_last_error();
}

static void take_notification(dxh_broker *broker, dxh_request *notification)
{
	dxi_owner owner;
	size_t bytes;
	const void *body = dxh_request_body(notification, &bytes);

	if (strcmp(dxh_request_subject(notification), DXI_SUBJECT_HEARTBEAT) != 0)
		dxi_log(DXH_LOG_DEBUG, "broker: dropped the notification '%s'",
		        dxh_request_subject(notification));
	else if (dxi_heartbeat_read(body, bytes, &owner) != DXH_OK)
		dxi_log(DXH_LOG_DEBUG, "broker: dropped a beat: %s", reason());
	else if (!dxi_registry_beat(&broker->registry, &owner, dxh_now_ns()))
		dxi_log(DXH_LOG_DEBUG, "broker: a beat for channel '%s' of a stranger, %016" PRIx64,
		        owner.channel, owner.producer);
	dxh_request_release(notification);
}

static void take_request(dxh_broker *broker, dxh_request *request)
{
	size_t length = 0;
	dxh_status status = decide(broker, request, &length);

	/* A client that is gone by now needs no answer: nothing to do about it. */
	if (status == DXH_OK) {
		(void)dxh_request_reply(request, broker->answer, length);
	} else {
		dxi_log(DXH_LOG_DEBUG, "broker: refused: %s", dxh_last_error());
		(void)dxh_request_reject(request, status, reason());
	}
}

static void *serve(void *context)
{
	dxh_broker *broker = context;
	dxh_request *request;

	pthread_setname_np(pthread_self(), "dxh-broker");
	/* Ends with DXH_ECLOSED, by dxh_broker_stop(). */
	while (dxh_service_receive(broker->service, DXH_FOREVER, &request) == DXH_OK) {
		if (dxh_request_is_notification(request))
			take_notification(broker, request);
		else
			take_request(broker, request);
	}
	return NULL;
}

/* ---- start and stop ---- */

static dxh_status check_number(const char *name, uint32_t *number, uint32_t preset, uint32_t most)
{
	if (*number == 0)
		*number = preset;
	if (*number > most)
		return dxi_fail(DXH_EINVAL, "%s is at most %" PRIu32 ", not %" PRIu32, name, most,
		                *number);
	return DXH_OK;
}

static dxh_status check_config(dxh_broker_config *config)
{
	dxh_status status =
		check_number("channels_max", &config->channels_max, CHANNELS_DEFAULT, CHANNELS_MAX);

	if (status == DXH_OK)
		status = check_number("beat_ms", &config->beat_ms, BEAT_MS_DEFAULT, BEAT_MS_MAX);
	if (status == DXH_OK)
		status = check_number("beats_missed", &config->beats_missed, BEATS_MISSED_DEFAULT,
		                      BEATS_MISSED_MAX);
	return status;
}

/* Signals are for the program's own threads. */
static dxh_status start_thread(dxh_broker *broker)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&broker->thread, NULL, serve, broker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error ? dxi_fail_errno(error, "cannot start the broker's thread") : DXH_OK;
}

static dxh_status
open_broker(dxh_broker *broker, dxh_hub *hub, const char *endpoint, const dxh_broker_config *config)
{
	dxi_presence_rules rules = {.beat_ms = config->beat_ms,
	                            .beats_missed = config->beats_missed};
	dxh_service_config service = {.clients_max = config->clients_max > 0 ? config->clients_max
	                                                                     : CLIENTS_DEFAULT,
	                              .insecure = config->insecure,
	                              .key_file = config->key_file,
	                              .allow_file = config->allow_file,
	                              .allow_any = config->allow_any};
	dxh_status status = dxi_registry_init(&broker->registry, config->channels_max, rules);

	if (status != DXH_OK)
		return status;
	status = dxh_service_bind(hub, endpoint, &service, &broker->service);
	if (status != DXH_OK)
		goto fini_registry;
	status = start_thread(broker);
	if (status == DXH_OK)
		return DXH_OK;
	dxh_service_close(&broker->service);
fini_registry:
	dxi_registry_fini(&broker->registry);
	return status;
}

dxh_status dxh_broker_start_sized(size_t config_bytes, dxh_hub *hub, const char *endpoint,
                                  const dxh_broker_config *given, dxh_broker **started)
{
	dxh_broker_config config;
	dxh_broker *broker;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);

	if (status == DXH_OK)
		status = check_config(&config);
	if (status != DXH_OK)
		return status;
	if (!hub || !started)
		return dxi_fail(DXH_EINVAL, "dxh_broker_start needs a hub and room for the broker");
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "a broker is not started on the I/O thread");
	broker = calloc(1, sizeof *broker);
	if (!broker)
		return dxi_fail(DXH_ENOMEM, "no memory for a broker");
	broker->process = dxi_process_id();
	broker->terms = (dxi_terms){.beat_ms = config.beat_ms, .beats_missed = config.beats_missed};
	status = open_broker(broker, hub, endpoint, &config);
	if (status == DXH_OK)
		*started = broker;
	else
		free(broker);
	return status;
}

dxh_status dxh_broker_stop(dxh_broker **broker)
{
	dxh_broker *stopping;

	if (!broker || !*broker)
		return dxi_fail(DXH_EINVAL, "the broker is stopped already, or was never started");
	stopping = *broker;
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "a broker is not stopped on the I/O thread");
	*broker = NULL;
	if (stopping->process != dxi_process_id())
		return DXH_OK; /* thread and service are the parent's */
	/* The thread leaves before the service goes from under it. */
	dxh_service_stop(stopping->service);
	pthread_join(stopping->thread, NULL);
	dxh_service_close(&stopping->service);
	dxi_registry_fini(&stopping->registry);
	free(stopping);
	return DXH_OK;
}

const char *dxh_broker_endpoint(const dxh_broker *broker)
{
	return broker ? dxh_service_endpoint(broker->service) : "";
}
