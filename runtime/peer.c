/* SPDX-License-Identifier: MIT */
/* Connecting, posting notifications and closing, as user threads see a peer. */
#include "runtime/peer.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/status.h"
#include "runtime/descriptors.h"
#include "runtime/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	REQUESTS_DEFAULT = 8192,
	BATCHES_DEFAULT = 64,
	BATCHES_MAX = 32768,
	LINGER_US_MAX = 60000000,
	/* Each try frees a frame, unless all that are full stand in an append, or on the
	 * queue. */
	DROP_TRIES_MAX = 64,
	RETRIES_DEFAULT = 3,
	RETRIES_MAX = 100,
	RETRY_PERCENT_DEFAULT = 10,
	RETRY_PERCENT_MAX = 100
};
static const uint64_t REQUESTS_BYTES_DEFAULT = (uint64_t)256 << 20;
static const int64_t RETRY_MIN_DEFAULT_NS = 10 * DXI_NS_PER_MS;
static const int64_t RETRY_MAX_DEFAULT_NS = DXI_NS_PER_S;
static const int64_t BEAT_DEFAULT_NS = DXI_NS_PER_S;
static const int64_t SILENCE_DEFAULT_NS = (int64_t)15 * DXI_NS_PER_S;

dxh_hub *dxi_peer_hub(dxh_peer *peer)
{
	return peer->hub;
}

dxh_peer_state dxh_peer_state_get(const dxh_peer *peer)
{
	/* relaxed: a snapshot; whoever acts on it posts, and the post is checked. */
	return (dxh_peer_state)atomic_load_explicit(&peer->state, memory_order_relaxed);
}

static dxh_status attach(void *context)
{
	dxh_peer *peer = context;
	dxh_status status = dxi_connection_start(peer);

	if (status != DXH_OK)
		return status;
	peer->next = peer->hub->peers;
	peer->hub->peers = peer;
	peer->hub->lingering += peer->config.linger_us > 0;
	return DXH_OK;
}

static uint64_t next_id(void)
{
	static _Atomic uint64_t last;

	/* relaxed: only has to be unique. */
	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static dxh_status check_config(dxh_peer_config *config)
{
	if (config->requests_max == 0)
		config->requests_max = REQUESTS_DEFAULT;
	if (config->notify_frames == 0)
		config->notify_frames = BATCHES_DEFAULT;
	if (config->retries_max == 0)
		config->retries_max = RETRIES_DEFAULT;
	if (config->retry_percent == 0)
		config->retry_percent = RETRY_PERCENT_DEFAULT;
	if (config->retry_min_ns == 0)
		config->retry_min_ns = RETRY_MIN_DEFAULT_NS;
	if (config->retry_max_ns == 0)
		config->retry_max_ns = RETRY_MAX_DEFAULT_NS > config->retry_min_ns
		                               ? RETRY_MAX_DEFAULT_NS
		                               : config->retry_min_ns;
	if (config->beat_ns == 0)
		config->beat_ns = BEAT_DEFAULT_NS;
	if (config->silence_ns == 0)
		config->silence_ns = SILENCE_DEFAULT_NS;
	if (config->notify_frames > BATCHES_MAX || config->full_wait_ns < 0)
		return dxi_fail(DXH_EINVAL,
		                "notify_frames is at most %d, full_wait_ns not negative",
		                BATCHES_MAX);
	if (config->linger_us > LINGER_US_MAX || (config->notify_full != DXH_NOTIFY_REFUSE &&
	                                          config->notify_full != DXH_NOTIFY_DROP_OLDEST))
		return dxi_fail(DXH_EINVAL,
		                "linger_us is at most %d, notify_full DXH_NOTIFY_REFUSE or "
		                "DXH_NOTIFY_DROP_OLDEST",
		                LINGER_US_MAX);
	if (config->retries_max > RETRIES_MAX || config->retry_percent > RETRY_PERCENT_MAX ||
	    config->retry_min_ns < 0 || config->retry_max_ns < config->retry_min_ns)
		return dxi_fail(DXH_EINVAL,
		                "retries_max is at most %d, retry_percent %d, and retry_min_ns <= "
		                "retry_max_ns are not negative",
		                RETRIES_MAX, RETRY_PERCENT_MAX);
	if (config->silence_ns < config->beat_ns)
		return dxi_fail(DXH_EINVAL, "silence_ns is less than beat_ns: a service would have "
		                            "no time to answer a beat");
	return DXH_OK;
}

/* By default at least one body of the largest size. */
static uint64_t requests_bytes(const dxh_peer_config *config, const dxh_hub *hub)
{
	uint64_t largest = hub->config.body_bytes_max + DXH_SUBJECT_MAX;

	if (config->requests_bytes > 0)
		return config->requests_bytes;
	return largest > REQUESTS_BYTES_DEFAULT ? largest : REQUESTS_BYTES_DEFAULT;
}

static dxh_status init_batches(dxh_peer *peer)
{
	const dxh_peer_config *config = &peer->config;
	uint32_t frame_bytes = peer->hub->config.frame_bytes;
	dxh_status status =
		dxi_batches_init(&peer->batches, peer, config->notify_frames, frame_bytes);

	if (config->batch_bytes > 0 && config->batch_bytes < frame_bytes)
		peer->batches.close_bytes = config->batch_bytes;
	if (config->batch_records > 0 && config->batch_records < peer->batches.close_records)
		peer->batches.close_records = config->batch_records;
	peer->batches.linger = config->linger_us > 0;
	peer->notes.task.kind = DXI_TASK_RIPE;
	peer->notes.due_ns = DXH_FOREVER;
	return status;
}

static dxh_status
make_peer(dxh_hub *hub, const char *endpoint, const dxh_peer_config *config, dxh_peer **made)
{
	dxh_peer *peer = aligned_alloc(alignof(dxh_peer), sizeof *peer);
	dxh_status status;

	if (!peer)
		return dxi_fail(DXH_ENOMEM, "no memory for a peer");
	memset(peer, 0, sizeof *peer);
	peer->hub = hub;
	peer->id = next_id();
	if (getrandom(&peer->incarnation, sizeof peer->incarnation, 0) == -1) {
		free(peer);
		return dxi_fail_errno(errno, "the system gives no random numbers");
	}
	peer->config = *config;
	peer->config.server_key = peer->config.key_file = NULL; /* the caller's */
	/* Lengths are checked, see dxi_endpoint_check_connect(). */
	strcpy(peer->endpoint, endpoint);
	strcpy(peer->target, endpoint);
	dxi_credit_init(&peer->requests, (dxi_amount){peer->config.requests_max,
	                                              requests_bytes(&peer->config, hub)});
	dxi_retries_init(peer);
	dxi_pulse_init(peer);
	dxi_acks_init(peer);
	status = dxi_curve_of_peer(config, &peer->curve);
	if (status == DXH_OK)
		status = init_batches(peer);
	if (status != DXH_OK) {
		dxi_curve_wipe(&peer->curve);
		free(peer);
		return status;
	}
	*made = peer;
	return DXH_OK;
}

static dxh_status connect_peer(dxh_hub *hub, dxh_peer *made)
{
	dxh_status status = dxi_hub_call(hub, attach, made);

	if (status == DXH_OK)
		return DXH_OK;
	dxi_batches_fini(&made->batches);
	dxi_curve_wipe(&made->curve);
	free(made);
	return status;
}

static dxh_status
prepare(dxh_hub *hub, const char *endpoint, dxh_peer_config *config, dxh_peer **made)
{
	dxh_status status = check_config(config);

	if (status == DXH_OK)
		status = dxi_endpoint_check_connect(endpoint);
	if (status == DXH_OK)
		status = dxi_hub_check_open(hub);
	if (status == DXH_OK && !dxi_endpoint_is_inproc(endpoint))
		status = dxi_descriptors_reserve("a peer", DXI_DESCRIPTORS_OF_PEER);
	return status == DXH_OK ? make_peer(hub, endpoint, config, made) : status;
}

dxh_status dxh_peer_connect_sized(size_t config_bytes, dxh_hub *hub, const char *endpoint,
                                  const dxh_peer_config *given, dxh_peer **peer)
{
	dxh_peer_config config;
	dxh_peer *made = NULL;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);

	if (status != DXH_OK)
		return status;
	if (!hub || !peer)
		return dxi_fail(DXH_EINVAL, "dxh_peer_connect needs a hub and room for the peer");
	status = prepare(hub, endpoint, &config, &made);
	if (status == DXH_OK)
		status = connect_peer(hub, made);
	if (status == DXH_OK)
		*peer = made;
	return status;
}

dxh_status dxi_peer_connect_guided(dxh_hub *hub, const char *name, const char *target,
                                   const dxi_peer_guide *guide, const dxh_peer_config *config,
                                   dxh_peer **peer)
{
	dxh_peer_config own = *config;
	dxh_peer *made = NULL;
	dxh_status status = prepare(hub, target, &own, &made);

	if (status != DXH_OK)
		return status;
	strcpy(made->endpoint, name);
	made->guide = *guide;
	status = connect_peer(hub, made);
	if (status == DXH_OK)
		*peer = made;
	return status;
}

void dxi_peer_free(dxh_peer *peer, int linger_ms)
{
	if (peer->guide.gone)
		peer->guide.gone(peer->guide.context);
	peer->guide = (dxi_peer_guide){.changed = NULL};
	while (peer->watches) {
		dxi_peer_watch *watch = peer->watches;

		peer->watches = watch->next;
		if (watch->gone)
			watch->gone(watch->context);
	}
	dxi_connection_stop(peer, linger_ms);
	dxi_retries_stop(peer);
	dxi_acks_stop(peer);
	dxi_subscriptions_free(peer);
	dxi_control_lane_fini(&peer->control);
	dxi_count_down(&peer->hub->metrics->memory_bytes, peer->notes.bytes);
	dxi_batches_fini(&peer->batches);
	dxi_curve_wipe(&peer->curve);
	free(peer);
}

static dxh_status detach(void *context)
{
	dxh_peer *peer = context;

	for (dxh_peer **at = &peer->hub->peers; *at; at = &(*at)->next)
		if (*at == peer) {
			*at = peer->next;
			break;
		}
	peer->hub->lingering -= peer->config.linger_us > 0;
	dxi_peer_abandon(peer, "the peer was closed");
	/* Unsent frames of a closing peer may leave for so long. */
	dxi_peer_free(peer, 200);
	return DXH_OK;
}

dxh_status dxh_peer_close(dxh_peer **peer)
{
	dxh_status status;

	if (!peer || !*peer)
		return dxi_fail(DXH_EINVAL, "the peer is closed already, or was never connected");
	status = dxi_hub_check_process((*peer)->hub);
	if (status == DXH_OK && dxi_may_not_wait)
		status = dxi_fail(DXH_EDEADLK, "a peer is not closed from within its callback");
	if (status == DXH_OK)
		status = dxi_hub_call((*peer)->hub, detach, *peer);
	if (status == DXH_OK)
		*peer = NULL;
	return status;
}

static dxh_status fail_no_frame(const dxh_peer *peer)
{
	return dxi_fail(DXH_EFULL,
	                "all %u frames of notifications to '%s' wait to be sent: send slower, "
	                "set full_wait_ns, or raise notify_frames",
	                peer->config.notify_frames, peer->endpoint);
}

/* To the frame that was reserved, if one was. false: no frame is free. */
static bool try_append(dxh_peer *peer, const dxi_record *record, dxi_batch *reserved)
{
	dxi_batch *pushed = reserved;
	bool filled;
	dxi_appended appended =
		dxi_batches_append(&peer->batches, peer->id, record, &pushed, &filled);

	if (appended == DXI_APPENDED_TO_NEW)
		dxi_hub_push(peer->hub, &pushed->task, &pushed->task);
	if (filled)
		dxi_notify_lane_kick(peer, DXI_KICK_LOOK);
	return appended != DXI_APPEND_FULL;
}

/* Drop the oldest, or wait for a frame as long as the config says. */
static dxh_status append_when_free(dxh_peer *peer, const dxi_record *record)
{
	int64_t wait_ns = dxi_may_not_wait ? 0 : peer->config.full_wait_ns;
	int64_t deadline_ns = wait_ns > 0 ? dxh_in_ns(wait_ns) : 0;
	bool drops = peer->config.notify_full == DXH_NOTIFY_DROP_OLDEST;
	dxi_batch *reserved = NULL;
	int tries = 0;

	for (;;) {
		uint32_t freed = atomic_load(&peer->batches.freed);

		if (try_append(peer, record, reserved))
			return DXH_OK;
		if (peer->batches.linger) /* what lingers takes up the frames */
			dxi_notify_lane_kick(peer, DXI_KICK_HURRY);
		if (drops ? tries++ == DROP_TRIES_MAX : deadline_ns == 0)
			return fail_no_frame(peer);
		if (drops)
			reserved = dxi_room_ask(peer);
		else if (!dxi_batches_wait(&peer->batches, freed, deadline_ns))
			return try_append(peer, record, NULL) ? DXH_OK : fail_no_frame(peer);
	}
}

dxh_status dxh_notify(dxh_peer *peer, const char *subject, const void *body, size_t body_bytes)
{
	dxi_record record = {.kind = DXI_NOTIFY, .subject = subject, .body = body};
	size_t subject_bytes, room;
	dxh_status status;

	if (!peer || (!body && body_bytes > 0))
		return dxi_fail(DXH_EINVAL, "dxh_notify needs a peer, and a body for its length");
	status = dxi_hub_check_open(peer->hub);
	if (status == DXH_OK)
		status = dxi_subject_check(subject, &subject_bytes);
	if (status != DXH_OK)
		return status;
	room = peer->batches.frame_bytes - DXI_FRAME_HEADER_BYTES;
	if (body_bytes > room || dxi_record_bytes(subject_bytes, body_bytes) > room)
		return dxi_fail(DXH_ETOOBIG,
		                "a notification of %zu bytes does not fit in a frame of %u: raise "
		                "frame_bytes of the hub, or send a request",
		                body_bytes, peer->batches.frame_bytes);
	record.subject_bytes = (uint16_t)subject_bytes;
	record.body_bytes = body_bytes;
	DXI_PROBE(notify, peer->endpoint, body_bytes);
	return try_append(peer, &record, NULL) ? DXH_OK : append_when_free(peer, &record);
}

struct watch_call {
	dxh_peer *peer;
	dxi_peer_watch *watch;
};

static dxh_status add_watch(void *context)
{
	struct watch_call *call = context;

	call->watch->next = call->peer->watches;
	call->peer->watches = call->watch;
	if (dxh_peer_state_get(call->peer) == DXH_PEER_READY)
		call->watch->ready(call->watch->context, call->peer);
	return DXH_OK;
}

static dxh_status remove_watch(void *context)
{
	struct watch_call *call = context;

	for (dxi_peer_watch **at = &call->peer->watches; *at; at = &(*at)->next)
		if (*at == call->watch) {
			*at = call->watch->next;
			break;
		}
	return DXH_OK;
}

void dxi_peer_watch_add(dxh_peer *peer, dxi_peer_watch *watch)
{
	(void)dxi_hub_call(peer->hub, add_watch, &(struct watch_call){peer, watch});
}

void dxi_peer_watch_remove(dxh_peer *peer, dxi_peer_watch *watch)
{
	(void)dxi_hub_call(peer->hub, remove_watch, &(struct watch_call){peer, watch});
}
