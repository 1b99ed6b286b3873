/* SPDX-License-Identifier: MIT */
/* The report for programs: the same facts, by name. */
#include "demo_supervisor.h"

#include "demo_proc.h"
#include "json.h"

static void write_config(struct json *json, const struct demo *demo)
{
	const struct demo_config *config = &demo->facts->config;

	json_text(json, "version", dxh_version());
	json_number(json, "seconds", config->seconds);
	json_real(json, "run_seconds", demo->run_seconds);
	json_number(json, "rate_hz", config->rate_hz);
	json_bool(json, "chaos", config->chaos != 0);
	json_number(json, "ended_by_signal", (uint64_t)demo->caught);
}

static void write_producer(struct json *json, const struct demo_producer *producer)
{
	json_object(json, NULL);
	json_number(json, "first_ticket", demo_get(&producer->first_ticket));
	json_number(json, "next_ticket", demo_get(&producer->next_ticket));
	json_number(json, "epoch", demo_get(&producer->epoch));
	json_number(json, "ticks_missed", demo_get(&producer->overruns));
	json_number(json, "late_max_ns", demo_get(&producer->late_most_ns));
	json_number(json, "read_max_ns", demo_get(&producer->read_most_ns));
	json_number(json, "write_max_ns", demo_get(&producer->write_most_ns));
	json_number(json, "requests", demo_get(&producer->requests));
	json_number(json, "rejected", demo_get(&producer->rejected));
	json_number(json, "notifications", demo_get(&producer->marks));
	json_bool(json, "closed", atomic_load(&producer->finished) != 0);
	json_end_object(json);
}

static void write_samples(struct json *json, const struct demo *demo)
{
	const struct demo_facts *facts = demo->facts;
	uint32_t present = atomic_load(&facts->producer[0].files_present);
	uint64_t head = demo->block.head;

	json_object(json, "samples");
	json_number(json, "head", head);
	json_number(json, "published", head - demo_aborted_below(head));
	json_number(json, "aborted", demo_aborted_below(head));
	json_number(json, "slot_count", demo->block.slot_count);
	json_number(json, "slot_bytes", demo->block.slot_bytes);
	json_number(json, "block_bytes", demo->block.block_bytes);
	json_number(json, "epoch", demo->block.epoch);
	json_array(json, "files_missing");
	for (unsigned i = 0; i < PROC_FILES; i++)
		if ((present & 1u << i) == 0)
			json_text(json, NULL, demo_proc_path((enum proc_file)i));
	json_end_array(json);
	json_array(json, "producers");
	write_producer(json, &facts->producer[0]);
	if (demo_get(&facts->producer[1].first_time_ns) != 0)
		write_producer(json, &facts->producer[1]);
	json_end_array(json);
	json_end_object(json);
}

static void write_reader(struct json *json, const struct demo *demo, enum demo_reader reader)
{
	const struct demo_reader_facts *facts = &demo->facts->reader[reader];
	struct demo_ledger ledger;

	demo_ledger_read(&facts->ledger, &ledger);
	json_object(json, demo_reader_name(reader));
	json_number(json, "start", ledger.start);
	json_number(json, "next", ledger.next);
	json_number(json, "read", ledger.read);
	json_number(json, "lost", ledger.lost);
	json_number(json, "skipped", ledger.skipped);
	json_number(json, "unexplained", ledger.unexplained);
	json_number(json, "bad_checksum", ledger.bad_checksum);
	json_number(json, "misplaced", ledger.misplaced);
	json_number(json, "disordered", ledger.disordered);
	json_number(json, "corrupt", ledger.corrupt);
	json_number(json, "deaths_seen", ledger.deaths);
	json_number(json, "laps", ledger.laps);
	json_array(json, "losses");
	for (uint64_t i = 0; i < ledger.laps && i < DEMO_LOSSES_MAX; i++) {
		json_object(json, NULL);
		json_number(json, "first", demo_get(&facts->losses[i].first));
		json_number(json, "last", demo_get(&facts->losses[i].last));
		json_end_object(json);
	}
	json_end_array(json);
	json_end_object(json);
}

static void write_histogram(struct json *json, const char *key, const struct histogram *histogram)
{
	json_object(json, key);
	json_number(json, "count", demo_get(&histogram->count));
	json_number(json, "p50", histogram_at(histogram, 0.5));
	json_number(json, "p90", histogram_at(histogram, 0.9));
	json_number(json, "p99", histogram_at(histogram, 0.99));
	json_number(json, "p99_9", histogram_at(histogram, 0.999));
	json_number(json, "max", histogram_at(histogram, 1));
	json_end_object(json);
}

static void write_requests(struct json *json, const struct demo_client *own)
{
	json_object(json, "requests");
	json_number(json, "threads", DEMO_THREADS);
	json_number(json, "posted", demo_get(&own->posted));
	json_number(json, "done", demo_get(&own->done));
	json_number(json, "expired", demo_get(&own->expired));
	json_number(json, "cancelled", demo_get(&own->canceled));
	json_number(json, "failed", demo_get(&own->failed));
	json_number(json, "lost", demo_get(&own->lost));
	json_number(json, "closed", demo_get(&own->closed));
	json_number(json, "other", demo_get(&own->other));
	json_number(json, "refused", demo_get(&own->refused));
	json_number(json, "rejected_on_purpose", demo_get(&own->rejections));
	json_number(json, "answered_late", demo_get(&own->answered_late));
	json_number(json, "expired_with_time_left", demo_get(&own->expired_early));
	json_number(json, "waits_over", demo_get(&own->waits_over));
	json_number(json, "wrong_replies", demo_get(&own->wrong_reply));
	json_number(json, "ended_twice", demo_get(&own->ended_twice));
	json_number(json, "never_ended", demo_get(&own->never_ended));
	write_histogram(json, "post_ns", &own->post);
	write_histogram(json, "round_trip_ns", &own->round_trip);
	json_end_object(json);
}

static void write_notifications(struct json *json, const struct demo_facts *facts)
{
	uint64_t sent = demo_get(&facts->client.marks);
	uint64_t received =
		demo_get(&facts->producer[0].marks) + demo_get(&facts->producer[1].marks);

	json_object(json, "notifications");
	json_number(json, "sent", sent);
	json_number(json, "received", received);
	json_number(json, "lost", sent > received ? sent - received : 0);
	json_number(json, "refused", demo_get(&facts->client.marks_refused));
	json_number(json, "flushes", demo_get(&facts->client.flushes));
	json_number(json, "flushes_done", demo_get(&facts->client.flushes_done));
	json_end_object(json);
}

static void write_traffic(struct json *json, const struct demo *demo)
{
	const dxh_hub_stats *hub = &demo->facts->client.after;

	json_object(json, "client_hub");
	json_number(json, "posted", hub->posted - demo->facts->client.before.posted);
	json_number(json, "frames_sent", hub->frames_sent);
	json_number(json, "records_sent", hub->records_sent);
	json_number(json, "frames_received", hub->frames_received);
	json_number(json, "records_received", hub->records_received);
	json_number(json, "wakeups", hub->wakeups);
	json_number(json, "doorbells", hub->doorbells);
	json_number(json, "futex_wakes", hub->futex_wakes);
	json_number(json, "reconnects", hub->reconnects);
	json_number(json, "memory_bytes", hub->memory_bytes);
	json_end_object(json);
	json_array(json, "processes");
	for (unsigned i = 0; i < demo->children.count; i++) {
		const struct demo_child *child = &demo->children.child[i];

		json_object(json, NULL);
		json_text(json, "role", demo_role_name(child->role));
		json_bool(json, "killed", child->killed);
		json_number(json, "wait_status", (uint64_t)child->status);
		json_number(json, "memory_kib", child->memory_kib);
		json_end_object(json);
	}
	json_end_array(json);
}

static void write_chaos(struct json *json, const struct demo_chaos_report *chaos)
{
	json_object(json, "chaos_report");
	json_number(json, "follower_away_ns", chaos->follower_away_ns);
	json_number(json, "follower_ticket", chaos->follower_ticket);
	json_number(json, "broker_away_ns", chaos->broker_away_ns);
	json_number(json, "registered_again_ns", chaos->registered_ns);
	json_number(json, "producer_gap_ns", chaos->producer_gap_ns);
	json_number(json, "takeover_ticket", chaos->takeover_ticket);
	json_end_object(json);
}

bool demo_report_json(const struct demo *demo, FILE *out)
{
	struct json json = {.out = out};

	json_object(&json, NULL);
	write_config(&json, demo);
	write_samples(&json, demo);
	json_object(&json, "readers");
	for (unsigned i = 0; i < DEMO_READERS; i++)
		write_reader(&json, demo, (enum demo_reader)i);
	json_end_object(&json);
	write_requests(&json, &demo->facts->client);
	write_notifications(&json, demo->facts);
	write_traffic(&json, demo);
	if (demo->facts->config.chaos)
		write_chaos(&json, &demo->chaos);
	json_number(&json, "files_left", demo->files_left);
	json_array(&json, "problems");
	for (unsigned i = 0; i < demo->problems.count && i < DEMO_PROBLEMS_MAX; i++)
		json_text(&json, NULL, demo->problems.text[i]);
	json_end_array(&json);
	json_bool(&json, "adds_up", demo->problems.count == 0);
	json_end_object(&json);
	return json_finish(&json);
}
