/* SPDX-License-Identifier: MIT */
/* Samples of `dxh top` as lines and as JSON, for who has no terminal. */
#include "top.h"

#include "block.h"
#include "json.h"
#include "stat.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

const char *top_state(const struct top_block *block)
{
	if (block->is_denied)
		return "denied";
	return block->error[0] != '\0' ? "broken" : block_liveness(block->producer);
}

void top_print(const struct top_sample *sample)
{
	printf("%-24s %-8s %8s %10s %12s %9s %7s %7s\n", "BLOCK", "PRODUCER", "PID", "ITEMS/S",
	       "BYTES/S", "WAKES/S", "READERS", "OTHERS");
	for (size_t i = 0; i < sample->count; i++) {
		const struct top_block *block = &sample->blocks[i];

		printf("%-24s %-8s %8" PRId64 " %10s %12s %9s %7zu %7u\n",
		       tool_shown(block->name).s, top_state(block), block->pid,
		       tool_text_count(block->items_s).s, tool_text_bytes(block->bytes_s).s,
		       tool_text_count(block->wakes_s).s, block->reader_count, block->followers);
		for (size_t r = 0; r < block->reader_count && r < TOP_READERS; r++)
			if (!top_is_consumer(block, &block->readers[r]))
				printf("  reader %" PRIu32 ", %s: %" PRIu64
				       " behind, %s, lost %" PRIu64 "\n",
				       block->readers[r].reader.pid,
				       stat_reader_state(block->readers[r].state),
				       block->readers[r].reader.lag,
				       tool_text_ns((uint64_t)block->readers[r].reader.lag_ns).s,
				       block->readers[r].reader.lost);
		for (size_t c = 0; c < block->consumer_count && c < TOP_READERS; c++)
			printf("  consumer %" PRId64 " %s, %s: %" PRIu64 " behind, lost %" PRIu64
			       "\n",
			       block->consumers[c].pid, tool_shown(block->consumers[c].name).s,
			       channel_discipline_text(block->consumers[c].discipline),
			       block->consumers[c].lag, block->consumers[c].lost);
		if (block->error[0] != '\0')
			printf("  %s\n", tool_shown(block->error).s);
		if (block->is_hub)
			printf("  hub %s: %s posted/s, %s done/s, %" PRIu64
			       " open, service p50 %s, p99 %s\n",
			       tool_shown(block->metrics.hub).s, tool_text_count(block->posted_s).s,
			       tool_text_count(block->done_s).s, block->metrics.stats.open_now,
			       tool_text_ns(block->metrics.latency[DXH_STAGE_SERVICE].p50_ns).s,
			       tool_text_ns(block->metrics.latency[DXH_STAGE_SERVICE].p99_ns).s);
	}
	if (sample->broker_is_away)
		printf("the broker at %s does not answer\n", tool_shown(top_title(sample)).s);
	else if (sample->count == 0)
		printf("no %s %s\n", sample->place->asker.peer != NULL ? "channel at" : "block in",
		       tool_shown(top_title(sample)).s);
}

static void tell_readers(struct json *json, const struct top_block *block)
{
	json_array(json, "readers");
	for (size_t i = 0; i < block->reader_count && i < TOP_READERS; i++) {
		const dxh_reader_row *row = &block->readers[i];

		json_object(json, NULL);
		json_number(json, "pid", row->reader.pid);
		json_text(json, "state", stat_reader_state(row->state));
		json_number(json, "lag", row->reader.lag);
		json_integer(json, "lag_ns", row->reader.lag_ns);
		json_number(json, "lost", row->reader.lost);
		json_end_object(json);
	}
	json_end_array(json);
}

/* Of so many, see TOP_READERS. */
static size_t kept(size_t count)
{
	return count < TOP_READERS ? count : TOP_READERS;
}

static void tell_hub(struct json *json, const struct top_block *block)
{
	const dxh_latency *service = &block->metrics.latency[DXH_STAGE_SERVICE];

	json_object(json, "hub");
	json_text(json, "name", block->metrics.hub);
	json_integer(json, "pid", block->metrics.pid);
	json_real(json, "posted_s", block->posted_s);
	json_real(json, "done_s", block->done_s);
	json_real(json, "notifications_s", block->notified_s);
	json_real(json, "wakeups_s", block->wakeups_s);
	json_number(json, "open", block->metrics.stats.open_now);
	json_number(json, "service_p50_ns", service->p50_ns);
	json_number(json, "service_p99_ns", service->p99_ns);
	json_end_object(json);
}

void top_tell(const struct top_sample *sample)
{
	struct json json = {.out = stdout};

	json_array(&json, NULL);
	for (size_t i = 0; i < sample->count; i++) {
		const struct top_block *block = &sample->blocks[i];

		json_object(&json, NULL);
		json_text(&json, "name", block->name);
		json_text(&json, "producer", top_state(block));
		json_integer(&json, "pid", block->pid);
		json_number(&json, "epoch", block->epoch);
		json_number(&json, "items", block->items);
		json_real(&json, "items_s", block->items_s);
		json_real(&json, "bytes_s", block->bytes_s);
		json_real(&json, "wakes_s", block->wakes_s);
		json_number(&json, "held", block->held);
		json_number(&json, "evicted", block->evicted);
		json_number(&json, "followers", block->followers);
		tell_readers(&json, block);
		if (sample->place->asker.peer != NULL)
			channel_tell_consumers(&json, "consumers", block->consumers,
			                       kept(block->consumer_count));
		if (block->is_hub)
			tell_hub(&json, block);
		if (block->error[0] != '\0')
			json_text(&json, "error", block->error);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_finish(&json);
}
