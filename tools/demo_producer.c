/* SPDX-License-Identifier: MIT */
/* The producer and its standby: one sample per tick into the channel, and what is
 * known of them in two zones. */
#include "demo.h"
#include "demo_proc.h"
#include "demo_sample.h"
#include "demo_service.h"

#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const int64_t calibration_every_ns = 100000000;

struct producer {
	struct demo_facts *facts;
	struct demo_producer *own;
	struct demo_proc *proc;
	dxh_hub *hub;
	dxh_peer *broker;
	dxh_producer *producer;
	struct telemetry *telemetry;
	struct demo_server server;
	int64_t calibrated_ns;
	uint64_t read_sum_ns; /* since the last calibration */
	uint64_t read_count;
};

static int fail(const char *what)
{
	demo_say("cannot %s: %s", what, dxh_last_error());
	return 1;
}

static void raise_to(_Atomic uint64_t *most, uint64_t value)
{
	if (value > demo_get(most))
		demo_set(most, value);
}

/* ---- one sample ------------------------------------------------------------------ */

static void fill(struct producer *producer, int64_t late_ns, struct sample *sample)
{
	memset(sample, 0, sizeof *sample);
	sample->time_ns = dxh_now_ns();
	sample->late_ns = (uint64_t)late_ns;
	sample->rate_hz = atomic_load_explicit(&producer->facts->rate_hz, memory_order_relaxed);
	demo_proc_read(producer->proc, sample);
	sample->read_ns = (uint64_t)(dxh_now_ns() - sample->time_ns);
	producer->read_sum_ns += sample->read_ns;
	producer->read_count++;
}

/* Begin a slot; those whose turn it is are given up first. */
static dxh_status begin(struct producer *producer, dxh_write_slot *slot)
{
	dxh_status status = dxh_write_begin(producer->producer, DXH_FOREVER, slot);

	if (status != DXH_OK || slot->ticket % DEMO_ABORT_EVERY != DEMO_ABORT_EVERY - 1)
		return status;
	status = dxh_write_abort(slot);
	if (status != DXH_OK)
		return status;
	demo_add(&producer->own->aborted, 1);
	return dxh_write_begin(producer->producer, DXH_FOREVER, slot);
}

/* The fault that the report must find: one bit, once. */
static void maybe_corrupt(struct producer *producer, struct sample *sample)
{
	uint32_t before = 0;

	if (producer->facts->config.fault == DEMO_FAULT_CORRUPT_ONE && sample->ticket > 100 &&
	    atomic_compare_exchange_strong_explicit(&producer->facts->corrupted_one, &before, 1,
	                                            memory_order_relaxed, memory_order_relaxed))
		sample->cpu_idle ^= 1;
}

/* The ticket is stored, never added up: what a killed producer did not get to
 * write, its successor puts right with its first sample. */
static void note(struct producer *producer, const struct sample *sample, uint64_t write_ns)
{
	struct demo_producer *own = producer->own;
	uint64_t next = sample->ticket + 1;

	demo_set(&own->next_ticket, next);
	demo_set(&own->last_time_ns, (uint64_t)sample->time_ns);
	raise_to(&own->late_most_ns, sample->late_ns);
	raise_to(&own->read_most_ns, sample->read_ns);
	raise_to(&own->write_most_ns, write_ns);
	demo_set(&producer->telemetry->samples, next - demo_aborted_below(next));
	demo_set(&producer->telemetry->rate_hz, sample->rate_hz);
	demo_set(&producer->telemetry->write_max_ns, demo_get(&own->write_most_ns));
	demo_set(&producer->telemetry->overruns, demo_get(&own->overruns));
}

static dxh_status publish(struct producer *producer, struct sample *sample)
{
	int64_t begun_ns = dxh_now_ns();
	dxh_write_slot slot;
	dxh_status status = begin(producer, &slot);

	if (status != DXH_OK)
		return status;
	sample->ticket = slot.ticket;
	sample->checksum = demo_sample_checksum(sample);
	maybe_corrupt(producer, sample);
	memcpy(slot.data, sample, sizeof *sample);
	status = dxh_write_commit(&slot, sizeof *sample);
	if (status != DXH_OK)
		return status;
	if (demo_get(&producer->own->first_time_ns) == 0) {
		demo_set(&producer->own->first_ticket, sample->ticket);
		demo_set(&producer->own->first_time_ns, (uint64_t)sample->time_ns);
	}
	note(producer, sample, (uint64_t)(dxh_now_ns() - begun_ns));
	return DXH_OK;
}

static dxh_status calibrate(struct producer *producer, int64_t now_ns)
{
	struct calibration *calibration;
	struct timespec wall;
	void *data;
	dxh_status status;

	if (now_ns - producer->calibrated_ns < calibration_every_ns)
		return DXH_OK;
	producer->calibrated_ns = now_ns;
	status = dxh_latch_begin(producer->producer, "calibration", sizeof *calibration, &data);
	if (status != DXH_OK)
		return status;
	calibration = data;
	clock_gettime(CLOCK_REALTIME, &wall);
	calibration->revision++;
	calibration->wall_offset_ns =
		(int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - dxh_now_ns();
	calibration->jiffies_per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	calibration->cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	calibration->read_mean_ns =
		producer->read_count > 0 ? producer->read_sum_ns / producer->read_count : 0;
	calibration->checksum = demo_calibration_checksum(calibration);
	producer->read_sum_ns = 0;
	producer->read_count = 0;
	return dxh_latch_commit(producer->producer, "calibration");
}

/* ---- the loop --------------------------------------------------------------------- */

static void sleep_until(int64_t due_ns)
{
	struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0)
		;
}

/* A tick that has passed is counted, not made up for: the times of the samples
 * stay on the grid and a late process does not burst. */
static dxh_status produce(struct producer *producer)
{
	struct demo_facts *facts = producer->facts;
	int64_t due_ns = dxh_now_ns();
	struct sample sample;
	dxh_status status = DXH_OK;

	while (status == DXH_OK &&
	       !atomic_load_explicit(&facts->stop_producer, memory_order_relaxed)) {
		uint32_t rate = atomic_load_explicit(&facts->rate_hz, memory_order_relaxed);
		int64_t period_ns = 1000000000 / rate;
		int64_t late_ns;

		due_ns += period_ns;
		sleep_until(due_ns);
		late_ns = dxh_now_ns() - due_ns;
		if (late_ns >= period_ns) {
			demo_add(&producer->own->overruns, (uint64_t)(late_ns / period_ns));
			due_ns += late_ns / period_ns * period_ns;
		}
		fill(producer, late_ns, &sample);
		status = publish(producer, &sample);
		if (status == DXH_OK)
			status = calibrate(producer, sample.time_ns);
	}
	return status;
}

/* ---- opening and closing ------------------------------------------------------------- */

static dxh_status open_channel(struct producer *producer, bool standby)
{
	const struct demo_config *config = &producer->facts->config;
	dxh_channel_config channel = {
		.block = {.directory = config->directory,
	                  .zones = {DXH_ZONE(telemetry), DXH_LATCH(calibration)},
	                  .slot = DXH_SLOT(sample),
	                  .slot_count = config->slot_count,
	                  .mode = 0600},
		.endpoint = config->service};
	int64_t deadline_ns = dxh_in_ms(10000);

	/* A standby waits for its predecessor's death and nothing else: the broker
	 * hears of it in good time. */
	if (standby) {
		channel.block.owner_wait_ns = ((int64_t)config->seconds + 3600) * 1000000000;
		deadline_ns = DXH_NOW;
	}
	return dxh_produce(producer->broker, DEMO_CHANNEL, &channel, deadline_ns,
	                   &producer->producer);
}

/* The channel names the service, so the service is there before the channel; for
 * a standby the address becomes free only when its predecessor dies. */
static int open_all(struct producer *producer, bool standby)
{
	struct demo_facts *facts = producer->facts;

	if (dxh_hub_open(&(dxh_hub_config){.name = standby ? "standby" : "producer",
	                                   .reconnect_max_ns = 100000000},
	                 &producer->hub) != DXH_OK)
		return fail("open a hub");
	if (dxh_peer_connect(producer->hub, facts->config.broker, NULL, &producer->broker) !=
	    DXH_OK)
		return fail("connect to the broker");
	if (!standby &&
	    demo_server_start(&producer->server, producer->hub, facts, producer->own) != DXH_OK)
		return fail("bind the service");
	if (standby)
		atomic_store(&producer->own->ready, 1);
	if (open_channel(producer, standby) != DXH_OK)
		return fail("produce the channel");
	if (standby &&
	    demo_server_start(&producer->server, producer->hub, facts, producer->own) != DXH_OK)
		return fail("bind the service");
	if (dxh_zone(producer->producer, telemetry, &producer->telemetry) != DXH_OK)
		return fail("open the zone telemetry");
	return 0;
}

static void tell_missing(const struct producer *producer)
{
	uint32_t present = demo_proc_present(producer->proc);

	atomic_store(&producer->own->files_present, present);
	for (unsigned i = 0; i < PROC_FILES; i++)
		if ((present & 1u << i) == 0)
			demo_say("%s is not here; its fields stay 0",
			         demo_proc_path((enum proc_file)i));
}

/* Consumers see the end first; requests are answered to the last. */
static int close_all(struct producer *producer)
{
	int code = 0;

	dxh_producer_stats_get(producer->producer, &producer->own->block);
	if (dxh_producer_close(&producer->producer) != DXH_OK)
		code = fail("close the channel");
	demo_server_stop(&producer->server);
	dxh_hub_drain(producer->hub, dxh_in_ms(2000), NULL);
	dxh_hub_stats_get(producer->hub, &producer->own->hub);
	if (dxh_hub_close(&producer->hub) != DXH_OK)
		code = fail("close the hub");
	if (code == 0)
		atomic_store(&producer->own->finished, 1);
	return code;
}

int demo_role_producer(struct demo_facts *facts, bool standby)
{
	static struct producer producer;
	dxh_producer_stats stats;

	producer.facts = facts;
	producer.own = &facts->producer[standby];
	prctl(PR_SET_TIMERSLACK, 1UL); /* ticks to the microsecond */
	producer.proc = demo_proc_open();
	if (producer.proc == NULL) {
		demo_say("out of memory");
		return 1;
	}
	if (!standby)
		tell_missing(&producer);
	if (open_all(&producer, standby) != 0)
		return 1;
	dxh_producer_stats_get(producer.producer, &stats);
	demo_set(&producer.own->epoch, stats.epoch);
	demo_set(&producer.own->next_ticket, stats.next_ticket);
	if (standby)
		demo_say("took over at ticket %" PRIu64 ", epoch %" PRIu64, stats.next_ticket,
		         stats.epoch);
	else
		atomic_store(&producer.own->ready, 1);
	if (produce(&producer) != DXH_OK)
		return fail("publish a sample");
	demo_proc_close(producer.proc);
	return close_all(&producer);
}
