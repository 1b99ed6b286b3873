/* SPDX-License-Identifier: MIT */
/* The broker as a service: one thread that takes messages and asks the registry, and that
 * is awake when somebody dies. Nothing is kept over a restart.
 */
#include "runtime/broker/broker.h"

#include "base/clock.h"
#include "base/forked.h"
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/service.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHANNELS_DEFAULT = 10000,
	CHANNELS_MAX = 1 << 20,
	CONSUMERS_DEFAULT = 20000,
	CONSUMERS_MAX = 1 << 20,
	BEAT_MS_DEFAULT = 500,
	BEAT_MS_MAX = 3600 * 1000,
	BEATS_DEFAULT = 10,
	BEATS_MAX = 1000000,
	BEATS_MISSED_MAX = 1000,
	CLIENTS_DEFAULT = 512, /* connected hubs: producers and consumers alike */
	/* One client has at most this part of all there is; but so many in any case. */
	CLIENT_PART = 8,
	CLIENT_MIN = 64,
	/* Messages of one client in a second: more than twice what a hub with a thousand
	 * channels sends. */
	FLOOD = 5000,
	/* Requests of one client that are open, or answered and not read: each answer may hold a
	 * schema of 256 KiB, so this is what one that asks and never reads makes us keep. */
	CLIENT_WINDOW = 128,
	INBOX_MIN = 8192,
	INBOX_MAX = 1 << 20,
	SUBSCRIBER_NOTES = 8192 /* a burst of deaths, that a watcher need not list again */
};

static const uint64_t SCHEMA_BYTES_MAX = 64 << 20;

/* ---- the thread ---- */

/* The words of the last failure behind its name: the client's side says that
 * name itself. */
static const char *reason(void)
{
	const char *colon = strstr(dxh_last_error(), ": ");

	return colon ? colon + 2 : dxh_last_error();
}

/* What an honest client may run into is said more quietly. */
static dxh_log_level loudness_of(dxh_status status)
{
	switch (status) {
	case DXH_ECONFLICT:
	case DXH_ENOTFOUND:
	case DXH_EUNKNOWN:
		return DXH_LOG_DEBUG;
	default:
		return DXH_LOG_WARNING;
	}
}

/* Who did it, for the log. */
static void tell(const dxh_broker *broker, dxh_log_level level, const char *what)
{
	const dxh_client_info *client = &broker->client;

	dxi_log(level, "broker: client '%s'%s%s%s%s (%016" PRIx64 "): %s", client->name,
	        client->address[0] ? " at " : "", client->address, client->key[0] ? ", key " : "",
	        client->key, client->incarnation, what);
}

static void take_notification(dxh_broker *broker, dxh_request *notification)
{
	/* Quietly: a beat that crosses with the end of what it is for is nothing wrong. */
	if (dxi_broker_take(broker, notification) != DXH_OK)
		tell(broker, DXH_LOG_DEBUG, reason());
	dxh_request_release(notification);
}

static void take_request(dxh_broker *broker, dxh_request *request)
{
	size_t length = 0;
	dxh_status status = dxi_broker_answer(broker, request, &length);

	/* A client that is gone by now needs no answer: nothing to do about it. */
	if (status == DXH_OK) {
		(void)dxh_request_reply(request, broker->answer, length);
	} else {
		broker->stats.refused++;
		tell(broker, loudness_of(status), reason());
		(void)dxh_request_reject(request, status, reason());
	}
}

static void take(dxh_broker *broker, dxh_request *request)
{
	(void)dxh_request_client(request, &broker->client);
	if (dxi_floods_count(&broker->floods, broker->client.incarnation, FLOOD, DXI_NS_PER_S,
	                     broker->now_ns))
		tell(broker, DXH_LOG_WARNING, "floods: more than 5000 messages in a second");
	if (dxh_request_is_notification(request))
		take_notification(broker, request);
	else
		take_request(broker, request);
}

static int64_t next_ns(const dxh_broker *broker)
{
	int64_t channel_ns = dxi_registry_next_ns(&broker->registry);
	int64_t consumer_ns = dxi_consumers_next_ns(&broker->consumers);

	return channel_ns < consumer_ns ? channel_ns : consumer_ns;
}

static void *serve(void *context)
{
	dxh_broker *broker = context;
	dxh_request *request;
	dxh_status status;

	pthread_setname_np(pthread_self(), "dxh-broker");
	/* Ends with DXH_ECLOSED, by dxh_broker_stop(). Sleeps until somebody may have died;
	 * for ever, when nobody is there. */
	do {
		status = dxh_service_receive(broker->service, next_ns(broker), &request);
		broker->now_ns = dxh_now_ns();
		dxi_registry_expire(&broker->registry, broker->now_ns);
		dxi_consumers_expire(&broker->consumers, broker->now_ns);
		if (status == DXH_OK)
			take(broker, request);
	} while (status == DXH_OK || status == DXH_EWAIT);
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

static uint32_t part_of(uint32_t all)
{
	uint32_t part = all / CLIENT_PART > CLIENT_MIN ? all / CLIENT_PART : CLIENT_MIN;

	return part < all ? part : all;
}

static dxh_status check_config(dxh_broker_config *config)
{
	struct {
		const char *name;
		uint32_t *number;
		uint32_t preset, most;
	} numbers[] = {
		{"channels_max", &config->channels_max, CHANNELS_DEFAULT, CHANNELS_MAX},
		{"consumers_max", &config->consumers_max, CONSUMERS_DEFAULT, CONSUMERS_MAX},
		{"beat_ms", &config->beat_ms, BEAT_MS_DEFAULT, BEAT_MS_MAX},
		{"beats_missed", &config->beats_missed, BEATS_DEFAULT, BEATS_MISSED_MAX},
		{"beats_kept", &config->beats_kept, BEATS_DEFAULT, BEATS_MAX},
		{"clients_max", &config->clients_max, CLIENTS_DEFAULT, UINT32_MAX},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		dxh_status status = check_number(numbers[i].name, numbers[i].number,
		                                 numbers[i].preset, numbers[i].most);

		if (status != DXH_OK)
			return status;
	}
	if (config->client_channels == 0)
		config->client_channels = part_of(config->channels_max);
	if (config->client_consumers == 0)
		config->client_consumers = part_of(config->consumers_max);
	if (config->rights_file && !config->key_file)
		return dxi_fail(DXH_EINVAL, "rights are known by keys: with rights_file, set "
		                            "key_file too");
	return DXH_OK;
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

/* I/O thread: to watch channels one must have the right to consume them. */
static dxh_status
admit_watcher(void *context, const dxh_client_info *client, const char *prefix, size_t prefix_bytes)
{
	dxh_broker *broker = context;
	char channels[DXH_CHANNEL_NAME_MAX + 1] = "";
	size_t head = sizeof DXI_TOPIC - 1;
	dxh_status status;

	/* A shorter one is about all channels, a longer one about none there can be. */
	if (prefix_bytes > head)
		memcpy(channels, prefix + head,
		       prefix_bytes - head < sizeof channels ? prefix_bytes - head
		                                             : sizeof channels - 1);
	status = dxi_rights_check(broker->rights, client->key, DXI_MAY_CONSUME, channels);
	if (status != DXH_OK)
		dxi_log(DXH_LOG_WARNING, "broker: client '%s': not to watch: %s", client->name,
		        dxh_last_error());
	return status;
}

static dxh_status open_books(dxh_broker *broker, const dxh_broker_config *config)
{
	dxi_presence_rules rules = {.beat_ms = config->beat_ms,
	                            .beats_missed = config->beats_missed,
	                            .beats_kept = config->beats_kept};
	dxh_status status = dxi_registry_init(&broker->registry, config->channels_max, rules);

	if (status == DXH_OK)
		status = dxi_consumers_init(&broker->consumers, config->consumers_max, rules);
	if (status != DXH_OK)
		return status;
	dxi_holdings_init(&broker->holdings,
	                  (dxi_holding){.channels = config->client_channels,
	                                .consumers = config->client_consumers,
	                                .schema_bytes = SCHEMA_BYTES_MAX / CLIENT_PART});
	broker->registry.schema_bytes_max = SCHEMA_BYTES_MAX;
	broker->registry.holdings = broker->consumers.holdings = &broker->holdings;
	broker->registry.listener = broker->consumers.listener =
		(dxi_listener){.tell = dxi_announce, .context = &broker->announcer};
	return DXH_OK;
}

static void close_books(dxh_broker *broker)
{
	dxi_consumers_fini(&broker->consumers);
	dxi_registry_fini(&broker->registry);
	dxi_holdings_fini(&broker->holdings);
	dxi_rights_close(broker->rights);
}

/* After a restart all that it may know can come at once. */
static uint32_t inbox_for(const dxh_broker_config *config)
{
	uint32_t all = config->channels_max + config->consumers_max;

	return all < INBOX_MIN ? INBOX_MIN : all < INBOX_MAX ? all : INBOX_MAX;
}

static dxh_status
listen_on(dxh_broker *broker, dxh_hub *hub, const char *endpoint, const dxh_broker_config *config)
{
	dxh_service_config service = {.clients_max = config->clients_max,
	                              .inbox_max = inbox_for(config),
	                              .client_window = CLIENT_WINDOW,
	                              .insecure = config->insecure,
	                              .publish_max = SUBSCRIBER_NOTES,
	                              .key_file = config->key_file,
	                              .allow_file = config->allow_file,
	                              .allow_any = config->allow_any};
	dxi_topic_gate gate = {.admit = admit_watcher, .context = broker};

	return dxi_service_bind(hub, endpoint, &service, broker->rights ? &gate : NULL,
	                        &broker->service);
}

static dxh_status
open_broker(dxh_broker *broker, dxh_hub *hub, const char *endpoint, const dxh_broker_config *config)
{
	dxh_status status = open_books(broker, config);

	if (status == DXH_OK && config->rights_file)
		status = dxi_rights_open(config->rights_file, &broker->rights);
	if (status == DXH_OK)
		status = listen_on(broker, hub, endpoint, config);
	if (status != DXH_OK)
		goto close_books;
	broker->started_ns = dxh_now_ns();
	status = dxi_announcer_init(&broker->announcer, broker->service);
	if (status == DXH_OK)
		status = start_thread(broker);
	if (status == DXH_OK)
		return DXH_OK;
	dxh_service_close(&broker->service);
close_books:
	close_books(broker);
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
	broker->terms = (dxi_terms){.beat_ms = config.beat_ms,
	                            .beats_missed = config.beats_missed,
	                            .beats_kept = config.beats_kept};
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
	close_books(stopping);
	free(stopping);
	return DXH_OK;
}

const char *dxh_broker_endpoint(const dxh_broker *broker)
{
	return broker ? dxh_service_endpoint(broker->service) : "";
}
