/* SPDX-License-Identifier: MIT */
/* The report for people: what happened, in figures, and the verdict. */
#include "demo_supervisor.h"

#include "demo_proc.h"

#include <inttypes.h>
#include <string.h>

static void report_samples(FILE *out, const struct demo *demo)
{
	const struct demo_facts *facts = demo->facts;
	uint64_t head = demo->block.head;
	uint64_t aborted = demo_aborted_below(head);
	uint32_t present = atomic_load(&facts->producer[0].files_present);
	const char *missing = "";

	fprintf(out,
	        "samples    %s published in %.1f s, %s aborted on purpose, %" PRIu64
	        " ticks missed\n",
	        tool_text_plain(head - aborted).s, demo->run_seconds, tool_text_plain(aborted).s,
	        demo_get(&facts->producer[0].overruns) + demo_get(&facts->producer[1].overruns));
	fprintf(out,
	        "           ring of %u x %" PRIu64 " B; at worst late by %s, /proc took %s, "
	        "a write %s\n",
	        demo->block.slot_count, demo->block.slot_bytes,
	        tool_text_ns(demo_get(&facts->producer[0].late_most_ns)).s,
	        tool_text_ns(demo_get(&facts->producer[0].read_most_ns)).s,
	        tool_text_ns(demo_get(&facts->producer[0].write_most_ns)).s);
	for (unsigned i = 0; i < PROC_FILES; i++) {
		if (present & 1u << i)
			continue;
		fprintf(out, "%s%s", missing[0] == '\0' ? "           not here: " : missing,
		        demo_proc_path((enum proc_file)i));
		missing = ", ";
	}
	if (missing[0] != '\0')
		fputc('\n', out);
}

static void
report_losses(FILE *out, const struct demo_reader_facts *facts, const struct demo_ledger *ledger)
{
	enum { SHOWN = 6 };

	for (uint64_t i = 0; i < ledger->laps && i < SHOWN && i < DEMO_LOSSES_MAX; i++)
		fprintf(out, "%s %" PRIu64 "..%" PRIu64, i == 0 ? "           lost tickets" : ",",
		        demo_get(&facts->losses[i].first), demo_get(&facts->losses[i].last));
	if (ledger->laps > SHOWN)
		fprintf(out, " and %" PRIu64 " more times", ledger->laps - SHOWN);
	if (ledger->laps > 0)
		fputc('\n', out);
}

static void report_readers(FILE *out, const struct demo *demo)
{
	struct demo_ledger ledger;

	fprintf(out,
	        "\nreader          start +     read +     lost +  skipped =     head   laps\n");
	for (unsigned i = 0; i < DEMO_READERS; i++) {
		demo_ledger_read(&demo->facts->reader[i].ledger, &ledger);
		fprintf(out,
		        "%-10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64
		        " %6" PRIu64 "\n",
		        demo_reader_name((enum demo_reader)i), ledger.start, ledger.read,
		        ledger.lost, ledger.skipped, ledger.next, ledger.laps);
		if (i == DEMO_READER_LATEST)
			fprintf(out, "           lost here means: passed over for a newer one\n");
		else
			report_losses(out, &demo->facts->reader[i], &ledger);
	}
	demo_ledger_read(&demo->facts->reader[DEMO_READER_SLOW].ledger, &ledger);
	if (ledger.laps == 0)
		fprintf(out,
		        "           the slow one was not lapped: the run was too short for a "
		        "ring of %u\n",
		        demo->facts->config.slot_count);
}

static void report_percentiles(FILE *out, const char *what, const struct histogram *histogram)
{
	fprintf(out, "%-10s p50 %s   p90 %s   p99 %s   p99.9 %s   max %s\n", what,
	        tool_text_ns(histogram_at(histogram, 0.5)).s,
	        tool_text_ns(histogram_at(histogram, 0.9)).s,
	        tool_text_ns(histogram_at(histogram, 0.99)).s,
	        tool_text_ns(histogram_at(histogram, 0.999)).s,
	        tool_text_ns(histogram_at(histogram, 1)).s);
}

static void report_requests(FILE *out, const struct demo *demo)
{
	const struct demo_client *own = &demo->facts->client;

	fprintf(out, "\nrequests   %s posted by %d threads =\n",
	        tool_text_plain(demo_get(&own->posted)).s, DEMO_THREADS);
	fprintf(out,
	        "           %s done + %s expired + %s cancelled + %s failed + %s lost + %s closed "
	        "+ %s other\n",
	        tool_text_plain(demo_get(&own->done)).s, tool_text_plain(demo_get(&own->expired)).s,
	        tool_text_plain(demo_get(&own->canceled)).s,
	        tool_text_plain(demo_get(&own->failed)).s, tool_text_plain(demo_get(&own->lost)).s,
	        tool_text_plain(demo_get(&own->closed)).s,
	        tool_text_plain(demo_get(&own->other)).s);
	fprintf(out,
	        "           rejected on purpose %" PRIu64
	        ", expired in spite of time enough %" PRIu64
	        ",\n           refused for want of room %" PRIu64
	        ", awaits that gave up before the answer %" PRIu64 "\n",
	        demo_get(&own->rejections), demo_get(&own->expired_early), demo_get(&own->refused),
	        demo_get(&own->waits_over));
	report_percentiles(out, "post", &own->post);
	report_percentiles(out, "round trip", &own->round_trip);
}

static void report_marks(FILE *out, const struct demo *demo)
{
	const struct demo_facts *facts = demo->facts;
	uint64_t sent = demo_get(&facts->client.marks);
	uint64_t received =
		demo_get(&facts->producer[0].marks) + demo_get(&facts->producer[1].marks);

	fprintf(out, "notified   %s sent, %s received", tool_text_plain(sent).s,
	        tool_text_plain(received).s);
	if (demo_get(&facts->client.marks_refused) > 0)
		fprintf(out, ", %s refused for want of room",
		        tool_text_plain(demo_get(&facts->client.marks_refused)).s);
	if (facts->config.chaos && sent >= received)
		fprintf(out, ", %s lost with the producer", tool_text_plain(sent - received).s);
	fputc('\n', out);
}

static double ratio(uint64_t above, uint64_t below)
{
	return below > 0 ? (double)above / (double)below : 0;
}

static void report_traffic(FILE *out, const struct demo *demo)
{
	const dxh_hub_stats *hub = &demo->facts->client.after;
	uint64_t memory_kib = 0;

	for (unsigned i = 0; i < demo->children.count; i++)
		if (demo->children.child[i].memory_kib > memory_kib)
			memory_kib = demo->children.child[i].memory_kib;
	fprintf(out,
	        "frames     %s sent with %.1f records each, %s received with %.1f\n"
	        "wake-ups   %s of the I/O thread, %s doorbells, %s futex wakes; %" PRIu64
	        " reconnects\n"
	        "memory     block %s, hub %s, largest process %s\n",
	        tool_text_plain(hub->frames_sent).s, ratio(hub->records_sent, hub->frames_sent),
	        tool_text_plain(hub->frames_received).s,
	        ratio(hub->records_received, hub->frames_received), tool_text_plain(hub->wakeups).s,
	        tool_text_plain(hub->doorbells).s, tool_text_plain(hub->futex_wakes).s,
	        hub->reconnects, tool_text_bytes((double)demo->block.block_bytes).s,
	        tool_text_bytes((double)hub->memory_bytes).s,
	        tool_text_bytes((double)memory_kib * 1024).s);
}

static void report_chaos(FILE *out, const struct demo *demo)
{
	const struct demo_chaos_report *chaos = &demo->chaos;

	if (!demo->facts->config.chaos)
		return;
	fputc('\n', out);
	if (chaos->follower_away_ns != 0)
		fprintf(out, "killed     follower: replaced after %s, at ticket %" PRIu64 "\n",
		        tool_text_ns(chaos->follower_away_ns).s, chaos->follower_ticket);
	if (chaos->registered_ns != 0)
		fprintf(out, "killed     broker: away for %s, the channel known again %s after\n",
		        tool_text_ns(chaos->broker_away_ns).s,
		        tool_text_ns(chaos->registered_ns).s);
	if (chaos->producer_gap_ns != 0)
		fprintf(out,
		        "killed     producer: standby took over at ticket %" PRIu64
		        " with a gap of %s, epoch %" PRIu64 "\n",
		        chaos->takeover_ticket, tool_text_ns(chaos->producer_gap_ns).s,
		        demo->block.epoch);
}

static void report_verdict(FILE *out, const struct demo *demo)
{
	unsigned count = demo->problems.count;

	fputc('\n', out);
	if (count == 0) {
		fprintf(out, "everything adds up\n");
		return;
	}
	fprintf(out, "%u thing%s not add up:\n", count, count == 1 ? " does" : "s do");
	for (unsigned i = 0; i < count && i < DEMO_PROBLEMS_MAX; i++)
		fprintf(out, "  - %s\n", demo->problems.text[i]);
	if (count > DEMO_PROBLEMS_MAX)
		fprintf(out, "  - and %u more\n", count - DEMO_PROBLEMS_MAX);
}

void demo_report(const struct demo *demo)
{
	FILE *out = demo->view.out;

	fputc('\n', out);
	if (demo->started) {
		report_samples(out, demo);
		report_readers(out, demo);
		report_requests(out, demo);
		report_marks(out, demo);
		report_traffic(out, demo);
		report_chaos(out, demo);
	} else {
		fprintf(out, "the demo did not get under way\n");
	}
	report_verdict(out, demo);
	fflush(out);
}
