/* SPDX-License-Identifier: MIT */
/* What the screen says: gathers the facts of the moment and words them. */
#include "demo_supervisor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* The moment before, to tell rates. */
struct moment {
	int64_t time_ns;
	struct sample sample;
	uint64_t posted;
	uint64_t marks;
};

static void line(struct demo_picture *picture, const char *format, ...) DXH_PRINTF(2, 3);

static void line(struct demo_picture *picture, const char *format, ...)
{
	va_list values;

	if (picture->lines == DEMO_PICTURE_LINES)
		return;
	va_start(values, format);
	vsnprintf(picture->line[picture->lines++], DEMO_LINE_BYTES, format, values);
	va_end(values);
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static double cpu_percent(const struct sample *now, const struct sample *before)
{
	uint64_t busy = now->cpu_user + now->cpu_system - before->cpu_user - before->cpu_system;
	uint64_t idle = now->cpu_idle + now->cpu_iowait - before->cpu_idle - before->cpu_iowait;

	return busy + idle > 0 && before->time_ns != 0
	               ? 100.0 * (double)busy / (double)(busy + idle)
	               : 0;
}

static void bar(struct demo_picture *picture, const struct demo *demo, double elapsed)
{
	enum { CELLS = 30 };
	const struct demo_config *config = &demo->facts->config;
	double part = elapsed / config->seconds;
	char cells[CELLS + 1];

	if (part > 1)
		part = 1;
	for (int i = 0; i < CELLS; i++)
		cells[i] = i < (int)(part * CELLS) ? '#' : '.';
	cells[CELLS] = '\0';
	line(picture, "dxh demo%s  [%s] %3.0f %%  %.1f of %u s", config->chaos ? " --chaos" : "",
	     cells, 100 * part, elapsed, config->seconds);
}

static void
machine(struct demo_picture *picture, const struct sample *now, const struct sample *before)
{
	double seconds = (double)(now->time_ns - before->time_ns) / 1e9;

	line(picture, "machine    cpu %3.0f %%  %s switches/s  %s interrupts/s  %s free",
	     cpu_percent(now, before),
	     tool_text_count(per_second(now->context_switches, before->context_switches, seconds))
	             .s,
	     tool_text_count(per_second(now->interrupts, before->interrupts, seconds)).s,
	     tool_text_bytes((double)now->memory_available_kib * 1024).s);
	line(picture, "           net in %s/s out %s/s   disk read %s/s write %s/s",
	     tool_text_bytes(per_second(now->net_rx_bytes, before->net_rx_bytes, seconds)).s,
	     tool_text_bytes(per_second(now->net_tx_bytes, before->net_tx_bytes, seconds)).s,
	     tool_text_bytes(512 *
	                     per_second(now->disk_read_sectors, before->disk_read_sectors, seconds))
	             .s,
	     tool_text_bytes(512 * per_second(now->disk_written_sectors,
	                                      before->disk_written_sectors, seconds))
	             .s);
}

static void readers(struct demo_picture *picture, struct demo *demo)
{
	struct demo_ledger ledger;

	line(picture, "reader           read       lost    skipped        lag");
	for (unsigned i = 0; i < DEMO_READERS; i++) {
		demo_ledger_read(&demo->facts->reader[i].ledger, &ledger);
		line(picture, "%-10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64,
		     demo_reader_name((enum demo_reader)i), ledger.read, ledger.lost,
		     ledger.skipped, ledger.lag);
	}
}

static void
requests(struct demo_picture *picture, const struct demo_client *client, double rate, double marks)
{
	line(picture,
	     "requests   %s/s   done %" PRIu64 "   expired %" PRIu64 "   cancelled %" PRIu64
	     "   failed %" PRIu64 "   lost %" PRIu64,
	     tool_text_count(rate).s, demo_get(&client->done), demo_get(&client->expired),
	     demo_get(&client->canceled), demo_get(&client->failed), demo_get(&client->lost));
	line(picture, "           round trip p50 %s p99 %s   post p50 %s   notifications %s/s",
	     tool_text_ns(histogram_at(&client->round_trip, 0.5)).s,
	     tool_text_ns(histogram_at(&client->round_trip, 0.99)).s,
	     tool_text_ns(histogram_at(&client->post, 0.5)).s, tool_text_count(marks).s);
}

static void plain(struct demo_picture *picture, struct demo *demo, const struct sample *now,
                  const struct sample *before, double rate)
{
	struct demo_ledger follower;
	struct demo_ledger slow;

	demo_ledger_read(&demo->facts->reader[DEMO_READER_FOLLOWER].ledger, &follower);
	demo_ledger_read(&demo->facts->reader[DEMO_READER_SLOW].ledger, &slow);
	snprintf(picture->plain, sizeof picture->plain,
	         "cpu %3.0f %%  %u Hz  follower %" PRIu64 " read %" PRIu64 " lost  slow %" PRIu64
	         " read %" PRIu64 " lost  %s requests/s p50 %s p99 %s",
	         cpu_percent(now, before), now->rate_hz, follower.read, follower.lost, slow.read,
	         slow.lost, tool_text_count(rate).s,
	         tool_text_ns(histogram_at(&demo->facts->client.round_trip, 0.5)).s,
	         tool_text_ns(histogram_at(&demo->facts->client.round_trip, 0.99)).s);
}

void demo_picture_make(struct demo *demo, struct demo_picture *picture)
{
	static struct moment before;
	struct moment now = {.time_ns = dxh_now_ns()};
	struct demo_client *client = &demo->facts->client;
	double elapsed = (double)(now.time_ns - demo->began_ns) / 1e9;
	double seconds = (double)(now.time_ns - before.time_ns) / 1e9;
	uint64_t samples;
	uint64_t overruns;
	int64_t seen_ns;
	double rate;

	pthread_mutex_lock(&demo->latest.lock);
	now.sample = demo->latest.sample;
	seen_ns = demo->latest.seen_ns;
	samples = demo->latest.samples;
	overruns = demo->latest.overruns;
	pthread_mutex_unlock(&demo->latest.lock);
	now.posted = demo_get(&client->posted);
	now.marks = demo_get(&client->marks);
	rate = before.time_ns != 0 ? per_second(now.posted, before.posted, seconds) : 0;

	picture->lines = 0;
	bar(picture, demo, elapsed);
	machine(picture, &now.sample, &before.sample);
	line(picture,
	     "samples    %" PRIu64 " at %u Hz   %" PRIu64
	     " ticks missed   seen after %s   /proc took %s",
	     samples, now.sample.rate_hz, overruns,
	     tool_text_ns((uint64_t)(seen_ns - now.sample.time_ns)).s,
	     tool_text_ns(now.sample.read_ns).s);
	readers(picture, demo);
	requests(picture, client, rate,
	         before.time_ns != 0 ? per_second(now.marks, before.marks, seconds) : 0);
	plain(picture, demo, &now.sample, &before.sample, rate);
	before = now;
}
