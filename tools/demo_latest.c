/* SPDX-License-Identifier: MIT */
/* Takes the newest sample at the pace of a screen and reads both zones; what it
 * passes over is counted, not missed. */
#include "demo_supervisor.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { LOOKS_PER_SECOND = 50 };

static void fail(struct demo_latest *latest, const char *what)
{
	pthread_mutex_lock(&latest->lock);
	latest->failed = true;
	snprintf(latest->why, sizeof latest->why, "cannot %s: %.160s", what, dxh_last_error());
	pthread_mutex_unlock(&latest->lock);
}

/* Whole or not at all: the checksum inside tells. */
static void read_calibration(struct demo_latest *latest, dxh_consumer *consumer)
{
	struct calibration copy;

	if (dxh_latch_read(consumer, "calibration", &copy, sizeof copy) != DXH_OK ||
	    copy.revision == 0)
		return;
	latest->calibrations++;
	if (copy.checksum != demo_calibration_checksum(&copy))
		latest->torn++;
	latest->calibration = copy;
}

static void
look(struct demo_latest *latest, const struct demo_watch *watch, const struct telemetry *telemetry)
{
	pthread_mutex_lock(&latest->lock);
	latest->sample = watch->sample;
	latest->seen_ns = dxh_now_ns();
	latest->samples = demo_get(&telemetry->samples);
	latest->write_max_ns = demo_get(&telemetry->write_max_ns);
	latest->overruns = demo_get(&telemetry->overruns);
	read_calibration(latest, watch->consumer);
	pthread_mutex_unlock(&latest->lock);
}

static void read_on(struct demo_latest *latest, struct demo_watch *watch)
{
	const struct timespec pause = {.tv_nsec = 1000000000 / LOOKS_PER_SECOND};
	const struct telemetry *telemetry = NULL;
	dxh_status status = DXH_OK;
	dxh_item item;

	if (dxh_zone_view(watch->consumer, telemetry, &telemetry) != DXH_OK) {
		fail(latest, "see the zone telemetry");
		return;
	}
	while (!atomic_load_explicit(&latest->stop, memory_order_relaxed)) {
		status = demo_watch_next(watch, dxh_in_ms(200), &item);
		if (status == DXH_OK)
			look(latest, watch, telemetry);
		else if (status != DXH_EWAIT && status != DXH_EDEAD && status != DXH_ECORRUPT)
			break;
		nanosleep(&pause, NULL);
	}
	if (status != DXH_ECLOSED) {
		fail(latest, "read on to the end of the channel");
		return;
	}
	look(latest, watch, telemetry); /* the zones as they were left */
	demo_watch_finish(watch);
}

static void *run(void *context)
{
	struct demo_latest *latest = context;
	static struct demo_watch watch;

	if (demo_watch_open(&watch, latest->facts, DEMO_READER_LATEST) != DXH_OK)
		fail(latest, "attach");
	else
		read_on(latest, &watch);
	if (watch.consumer != NULL)
		dxh_consumer_close(&watch.consumer);
	return NULL;
}

bool demo_latest_start(struct demo_latest *latest, struct demo_facts *facts)
{
	latest->facts = facts;
	pthread_mutex_init(&latest->lock, NULL);
	latest->started = pthread_create(&latest->thread, NULL, run, latest) == 0;
	return latest->started;
}

bool demo_latest_has_seen(struct demo_latest *latest)
{
	bool seen;

	pthread_mutex_lock(&latest->lock);
	seen = latest->seen_ns != 0;
	pthread_mutex_unlock(&latest->lock);
	return seen;
}

bool demo_latest_ended(struct demo_latest *latest)
{
	bool ended;

	pthread_mutex_lock(&latest->lock);
	ended = latest->failed;
	pthread_mutex_unlock(&latest->lock);
	return ended || atomic_load(&latest->facts->reader[DEMO_READER_LATEST].finished) != 0;
}

void demo_latest_join(struct demo_latest *latest)
{
	if (!latest->started)
		return;
	atomic_store_explicit(&latest->stop, 1, memory_order_relaxed);
	pthread_join(latest->thread, NULL);
	latest->started = false;
}
