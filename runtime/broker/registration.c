/* SPDX-License-Identifier: MIT */
/* Registered or not, asked or not: four states, moved by the tick, by answers
 * (seen at the next tick) and by the connection's coming back.
 *
 * A claim is repeated now and then although nothing happened: whatever the
 * broker lost, it knows again after REFRESH_TICKS.
 */
#include "runtime/broker/registration.h"

#include "base/clock.h"
#include "base/forked.h"
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	BEAT_MS_DEFAULT = 500, /* until the broker tells its own */
	ANSWER_MS = 2000,      /* patience with the answer to one claim, and how late a farewell
	                        * may be */
	RETRY_TICKS = 4,       /* after a refusal */
	REFRESH_TICKS = 20,
	FAREWELL_MS = 250,
	ANSWER_BYTES = 1024 /* room for keys that a newer broker adds */
};

struct dxi_registration {
	dxh_peer *broker;
	uint32_t process;
	bool is_reader;
	dxi_owner owner;      /* of a producer; the channel's name of both */
	dxi_reader_word word; /* of a consumer */
	uint64_t (*progress)(const void *context);
	void (*figures)(const void *context, dxi_reader_word *word);
	const void *context;
	dxi_peer_watch watch;
	dxi_tick tick;

	/* the I/O thread alone, once started */
	bool starting;
	bool registered;
	dxh_completion asked; /* a claim under way */
	uint32_t wait_ticks;  /* before the next claim */
	dxh_status told;      /* the failure that the log knows of */
	uint64_t corrupt;     /* broken items the broker was told of */
	int64_t ticked_ns;    /* the last tick, or claim; 0: none yet */
	int64_t patience_ns;  /* silent for so long, the broker counts us as dead */
	bool orphaned;        /* the peer is gone: nobody to tell */

	size_t claim_bytes;
	unsigned char claim[];
};

/* Would the same claim be refused again at once? Then its caller is told. */
static bool is_final(dxh_status status)
{
	switch (status) {
	case DXH_ECONFLICT:
	case DXH_EINVAL:
	case DXH_ESCHEMA:
	case DXH_EUNKNOWN:
	case DXH_EREJECTED:
	case DXH_ETOOBIG:
	case DXH_EPROTO:
	case DXH_EDRAINING:
	case DXH_EACCESS:
	case DXH_EFORKED:
	case DXH_EDEADLK:
		return true;
	default:
		return false;
	}
}

static const char *subject_of(const dxi_registration *registration)
{
	return registration->is_reader ? DXI_SUBJECT_CONSUMER_REGISTER : DXI_SUBJECT_REGISTER;
}

/* For the log: "channel 'x' is not ..." */
static const char *who(const dxi_registration *registration)
{
	return registration->is_reader ? "a consumer of channel" : "channel";
}

/* ---- the I/O thread ---- */

static void tell_failure(dxi_registration *registration, dxh_status status)
{
	if (registration->told == status)
		return;
	registration->told = status;
	dxi_log(status == DXH_ECONFLICT ? DXH_LOG_ERROR : DXH_LOG_WARNING,
	        "%s '%s' is not registered, trying on: %s", who(registration),
	        registration->owner.channel, dxh_last_error());
}

static void tell_success(dxi_registration *registration)
{
	if (registration->told == DXH_OK)
		return;
	registration->told = DXH_OK;
	dxi_log(DXH_LOG_INFO, "%s '%s' is registered", who(registration),
	        registration->owner.channel);
}

/* Beat so often from now on. */
static void pace(dxi_registration *registration, uint32_t beat_ms)
{
	int64_t interval_ns = (int64_t)beat_ms * DXI_NS_PER_MS;

	if (registration->tick.interval_ns == interval_ns)
		return;
	registration->tick.interval_ns = interval_ns;
	dxi_hub_tick_start(dxi_peer_hub(registration->broker), &registration->tick);
}

static void agreed(dxi_registration *registration, const dxi_terms *terms)
{
	registration->patience_ns = (int64_t)terms->beat_ms * terms->beats_missed * DXI_NS_PER_MS;
	registration->registered = true;
	registration->wait_ticks = REFRESH_TICKS;
}

/* Has the claim under way been answered? Then its answer is taken in. */
static void collect(dxi_registration *registration)
{
	dxi_terms terms;
	dxh_reply reply;
	dxh_status status;

	if (registration->asked == DXH_NO_COMPLETION || dxh_poll(registration->asked) == DXH_EWAIT)
		return;
	status = dxh_result(registration->asked, &reply);
	if (status == DXH_OK)
		status = dxi_terms_read(reply.body, reply.body_bytes, &terms);
	if (status == DXH_OK) {
		agreed(registration, &terms);
		pace(registration, terms.beat_ms);
		tell_success(registration);
	} else {
		registration->registered = false;
		/* Everybody may have come at once to a broker that was started. */
		registration->wait_ticks = status == DXH_EOVERLOADED ? 1 : RETRY_TICKS;
		tell_failure(registration, status);
	}
	(void)dxh_release(registration->asked);
	registration->asked = DXH_NO_COMPLETION;
}

static void ask(dxi_registration *registration)
{
	dxh_status status;

	if (registration->asked != DXH_NO_COMPLETION)
		return;
	registration->ticked_ns = dxh_now_ns();
	status = dxh_post(registration->broker, subject_of(registration), registration->claim,
	                  registration->claim_bytes, dxh_in_ms(ANSWER_MS), &registration->asked);
	if (status == DXH_OK)
		return;
	registration->asked = DXH_NO_COMPLETION;
	registration->wait_ticks = RETRY_TICKS;
	/* A hub on its way out says this to everybody. */
	if (status != DXH_EDRAINING && status != DXH_ECLOSED)
		tell_failure(registration, status);
}

static bool
notify(const dxi_registration *registration, const char *subject, const void *body, size_t bytes)
{
	if (dxh_notify(registration->broker, subject, body, bytes) == DXH_OK)
		return true;
	/* One lost beat is what the count of misses is for. */
	dxi_log(DXH_LOG_DEBUG, "%s '%s' could not say %s: %s", who(registration),
	        registration->owner.channel, subject, dxh_last_error());
	return false;
}

static void beat_as_producer(dxi_registration *registration)
{
	unsigned char body[DXI_SMALL_WIRE_MAX];

	registration->owner.progress = registration->progress(registration->context);
	(void)notify(registration, DXI_SUBJECT_HEARTBEAT, body,
	             dxi_heartbeat_write(&registration->owner, body, sizeof body));
}

static void beat_as_consumer(dxi_registration *registration)
{
	unsigned char body[DXI_SMALL_WIRE_MAX];
	dxi_reader_word *word = &registration->word;

	registration->figures(registration->context, word);
	(void)notify(registration, DXI_SUBJECT_HEARTBEAT, body,
	             dxi_reader_beat_write(word, body, sizeof body));
	if (word->corrupt == registration->corrupt)
		return;
	if (notify(registration, DXI_SUBJECT_CHECKSUM_ERROR, body,
	           dxi_checksum_error_write(word, body, sizeof body)))
		registration->corrupt = word->corrupt;
}

static void beat(dxi_registration *registration)
{
	if (registration->is_reader)
		beat_as_consumer(registration);
	else
		beat_as_producer(registration);
}

/* Stopped, or starved, for so long that the broker may have forgotten us? Then it is told
 * again now and not at the next refresh. */
static void notice_stall(dxi_registration *registration)
{
	int64_t now_ns = dxh_now_ns(), silent_ns = now_ns - registration->ticked_ns;

	if (registration->ticked_ns > 0 && registration->patience_ns > 0 &&
	    silent_ns >= registration->patience_ns)
		registration->wait_ticks = 0;
	registration->ticked_ns = now_ns;
}

static void on_tick(void *context)
{
	dxi_registration *registration = context;

	collect(registration);
	notice_stall(registration);
	if (dxh_peer_state_get(registration->broker) != DXH_PEER_READY)
		return;
	if (registration->registered)
		beat(registration);
	if (registration->wait_ticks > 0)
		registration->wait_ticks--;
	if (registration->wait_ticks == 0)
		ask(registration);
}

/* A new connection, perhaps to a new broker, which knows nothing. */
static void on_ready(void *context, dxh_peer *broker)
{
	dxi_registration *registration = context;

	(void)broker;
	if (registration->starting && registration->registered)
		return; /* over this connection, a moment ago */
	collect(registration);
	registration->registered = false;
	registration->corrupt = 0; /* nor does it know of these */
	registration->wait_ticks = 0;
	pace(registration, BEAT_MS_DEFAULT);
	ask(registration);
}

/* The peer is closed, or its hub: what was asked ends with it. */
static void on_gone(void *context)
{
	dxi_registration *registration = context;

	dxi_wheel_disarm(&dxi_peer_hub(registration->broker)->ticks, &registration->tick.timer);
	if (registration->asked != DXH_NO_COMPLETION)
		(void)dxh_release(registration->asked);
	registration->asked = DXH_NO_COMPLETION;
	registration->orphaned = true;
}

static dxh_status start(void *context)
{
	dxi_registration *registration = context;

	registration->starting = true;
	dxi_peer_watch_add(registration->broker, &registration->watch);
	dxi_hub_tick_start(dxi_peer_hub(registration->broker), &registration->tick);
	registration->starting = false;
	return DXH_OK;
}

static dxh_status stop(void *context)
{
	dxi_registration *registration = context;

	dxi_hub_tick_stop(dxi_peer_hub(registration->broker), &registration->tick);
	dxi_peer_watch_remove(registration->broker, &registration->watch);
	/* It goes on, and is ahead of the deregistration on the same lane. */
	if (registration->asked != DXH_NO_COMPLETION)
		(void)dxh_release(registration->asked);
	registration->asked = DXH_NO_COMPLETION;
	return DXH_OK;
}

/* ---- the caller's thread ---- */

static void take_claim(dxi_registration *registration, const dxi_claim *claim, size_t capacity)
{
	memcpy(registration->owner.channel, claim->info.name, sizeof claim->info.name);
	registration->owner.producer = claim->info.producer_uid;
	registration->owner.pid = claim->info.producer_pid;
	registration->claim_bytes = dxi_claim_write(claim, registration->claim, capacity);
}

static void
take_reader(dxi_registration *registration, const dxi_reader_claim *reader, size_t capacity)
{
	registration->is_reader = true;
	memcpy(registration->owner.channel, reader->channel, sizeof reader->channel);
	memcpy(registration->word.channel, reader->channel, sizeof reader->channel);
	registration->word.consumer = reader->info.uid;
	registration->word.pid = reader->info.pid;
	registration->claim_bytes = dxi_reader_claim_write(reader, registration->claim, capacity);
}

static dxh_status make(const dxi_registration_config *config, dxi_registration **made)
{
	size_t capacity = config->claim ? DXI_CLAIM_WIRE_MAX + config->claim->schema_bytes
	                                : DXI_CONSUMER_WIRE_MAX;
	dxi_registration *registration = calloc(1, sizeof *registration + capacity);

	if (!registration)
		return dxi_fail(DXH_ENOMEM, "no memory to register at the broker");
	registration->broker = config->broker;
	registration->process = dxi_process_id();
	registration->progress = config->progress;
	registration->figures = config->figures;
	registration->context = config->context;
	registration->watch =
		(dxi_peer_watch){.ready = on_ready, .gone = on_gone, .context = registration};
	registration->tick = (dxi_tick){.interval_ns = (int64_t)BEAT_MS_DEFAULT * DXI_NS_PER_MS,
	                                .fn = on_tick,
	                                .context = registration};
	if (config->claim)
		take_claim(registration, config->claim, capacity);
	else
		take_reader(registration, config->reader, capacity);
	*made = registration;
	return DXH_OK;
}

/* The first claim, which the caller waits for. */
static dxh_status ask_and_wait(dxi_registration *registration, int64_t deadline_ns)
{
	unsigned char answer[ANSWER_BYTES];
	dxi_terms terms;
	size_t bytes;
	dxh_status status = dxh_request_sync(registration->broker, subject_of(registration),
	                                     registration->claim, registration->claim_bytes,
	                                     deadline_ns, answer, sizeof answer, &bytes);

	if (status == DXH_OK)
		status = dxi_terms_read(answer, bytes, &terms);
	if (status == DXH_OK) {
		agreed(registration, &terms);
		registration->tick.interval_ns = (int64_t)terms.beat_ms * DXI_NS_PER_MS;
	}
	return status;
}

dxh_status dxi_registration_open(const dxi_registration_config *config, int64_t deadline_ns,
                                 dxi_registration **opened)
{
	dxi_registration *registration = NULL;
	dxh_status status = make(config, &registration);

	if (status != DXH_OK)
		return status;
	/* A deadline that has passed means: do not wait, it follows by itself. */
	if (deadline_ns > dxh_now_ns())
		status = ask_and_wait(registration, deadline_ns);
	if (is_final(status)) {
		free(registration);
		return status;
	}
	if (status != DXH_OK)
		tell_failure(registration, status);
	(void)dxi_hub_call(dxi_peer_hub(registration->broker), start, registration);
	*opened = registration;
	return DXH_OK;
}

static size_t write_farewell(const dxi_registration *registration, void *body, size_t capacity)
{
	return registration->is_reader ? dxi_reader_leave_write(&registration->word, body, capacity)
	                               : dxi_deregister_write(&registration->owner, body, capacity);
}

/* Waited for only for a moment, and never on the I/O thread; but what is late is done late:
 * whoever claims the name next does so behind it. */
static void deregister(dxi_registration *registration)
{
	const char *subject =
		registration->is_reader ? DXI_SUBJECT_CONSUMER_DEREGISTER : DXI_SUBJECT_DEREGISTER;
	unsigned char body[DXI_SMALL_WIRE_MAX];
	size_t bytes = write_farewell(registration, body, sizeof body);
	dxh_completion done;
	dxh_status status;

	/* A broker that is away learns it by the silence. */
	if (dxh_peer_state_get(registration->broker) != DXH_PEER_READY)
		return;
	status = dxh_post(registration->broker, subject, body, bytes, dxh_in_ms(ANSWER_MS), &done);
	if (status == DXH_OK) {
		if (!dxi_may_not_wait)
			status = dxh_await(done, dxh_in_ms(FAREWELL_MS), NULL);
		(void)dxh_release(done);
	}
	if (status != DXH_OK)
		dxi_log(DXH_LOG_DEBUG, "%s '%s' was not deregistered: %s", who(registration),
		        registration->owner.channel, dxh_last_error());
}

void dxi_registration_close(dxi_registration *registration)
{
	/* A child of fork() has no I/O thread, and the channel is its parent's. */
	if (registration->process == dxi_process_id() && !registration->orphaned) {
		(void)dxi_hub_call(dxi_peer_hub(registration->broker), stop, registration);
		deregister(registration);
	}
	free(registration);
}
