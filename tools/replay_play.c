/* SPDX-License-Identifier: MIT */
/* Records of a replay: blocks made again, items published when they are due, zones; or all of
 * it as text. What they hold is a stranger's, though its sums are right. */
#include "replay.h"

#include "channel.h"
#include "csv.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRESS_NS = 200000000,
	HELD_NS = 100000000,  /* a look at the signals while a reader holds it back */
	LOOK_NS = 5000000,    /* between two looks for consumers */
	ABORTS_MAX = 1 << 24, /* tickets in the place of missing ones, a gap */
	STEP_NS = 100000000   /* of a wait, between two looks at the signals */
};
#define LONGEST_NS 1e18 /* and a wait has no other end */

/* ---- the block ---- */

static dxh_status produce(struct replay *replay, const dxh_block_config *config)
{
	const char *as = replay->as ? replay->as : replay->block.name;
	dxh_status status = DXH_OK;

	if (!replay->broker)
		return dxh_producer_open(as, config, &replay->producer);
	if (!replay->hub)
		status = dxh_hub_open(NULL, &replay->hub);
	if (status == DXH_OK && !replay->peer)
		status = channel_connect_peer(replay->hub, replay->broker, &replay->peer);
	return status == DXH_OK
	               ? dxh_produce(replay->peer, as, &(dxh_channel_config){.block = *config},
	                             dxh_in_ms(2000), &replay->producer)
	               : status;
}

/* What it may be called is taken, and what then. */
static bool say_why_not(dxh_status status)
{
	replay_say(tool_shown(dxh_last_error()).s);
	if (status == DXH_EBUSY || status == DXH_ECONFLICT)
		fprintf(stderr, "next: --as NAME plays it under another name\n");
	return false;
}

static bool wait_for_readers(struct replay *replay)
{
	struct timespec pause = {.tv_nsec = LOOK_NS};
	size_t count = 0;

	while (!replay_interrupted() && count < replay->readers) {
		if (dxh_producer_readers(replay->producer, NULL, 0, &count) != DXH_OK)
			return replay_say(dxh_last_error());
		if (count < replay->readers)
			nanosleep(&pause, NULL);
	}
	return !replay_interrupted();
}

static bool open_block(struct replay *replay)
{
	dxh_block_config config = {.directory = replay->directory,
	                           .unlink_on_close = 1,
	                           .readers_max = (uint32_t)replay->readers};
	dxh_status status;

	config.slot_count =
		(uint32_t)(replay->slots                      ? replay->slots
	                   : replay->block.slot_count > 65536 ? 65536
	                                                      : replay->block.slot_count);
	(void)dxh_description_apply(replay->description, &config);
	status = produce(replay, &config);
	if (status != DXH_OK)
		return say_why_not(status);
	return replay->readers == 0 || wait_for_readers(replay);
}

/* Another block begins in the recording. */
static bool take_block(struct replay *replay, const struct recording_record *record)
{
	if (!recording_read_block(record, &replay->block))
		return replay_say("the recording describes no block");
	if (replay->producer)
		dxh_producer_close(&replay->producer);
	dxh_description_free(&replay->description);
	if (dxh_description_read(replay->block.schema, replay->block.schema_bytes,
	                         &replay->description) != DXH_OK)
		return replay_say(dxh_last_error());
	replay->blocks++;
	replay->next_ticket = 0;
	replay->clock_offset_ns = 0;
	if (!replay->csv)
		return open_block(replay);
	csv_block(replay->csv, replay->block.name, replay->block.epoch);
	return csv_names(replay->csv, replay->description->slot.schema) ||
	       replay_say("its items have too many numbers for a line");
}

/* ---- items ---- */

void replay_show_progress(struct replay *replay, bool last)
{
	int64_t now_ns = dxh_now_ns();
	double part = replay->reader.file_bytes
	                      ? (double)replay->reader.at / (double)replay->reader.file_bytes
	                      : 1;
	int filled = (int)(part * 20);

	if (replay->quiet || !isatty(STDERR_FILENO) || replay->csv ||
	    (!last && now_ns - replay->pictured_ns < PROGRESS_NS))
		return;
	replay->pictured_ns = now_ns;
	fprintf(stderr, "\r\033[K[%.*s%.*s] %.1f s  %s items  %s", filled, "####################",
	        20 - filled, "....................",
	        replay->begun ? (double)(now_ns - replay->begun_ns) / 1e9 : 0,
	        tool_text_plain(replay->items).s, tool_text_bytes((double)replay->bytes).s);
	if (replay->missing > 0)
		fprintf(stderr, "  missing %s", tool_text_plain(replay->missing).s);
	if (last)
		fputc('\n', stderr);
}

/* A recording may say any times. */
static int64_t between_ns(int64_t earlier_ns, int64_t later_ns)
{
	int64_t ns;

	if (!__builtin_sub_overflow(later_ns, earlier_ns, &ns))
		return ns;
	return later_ns > earlier_ns ? INT64_MAX : INT64_MIN;
}

/* Not before its time; false when interrupted. */
static bool wait_until_due(struct replay *replay, int64_t published_ns)
{
	double ahead_ns = (double)between_ns(replay->played_first_ns, published_ns);
	int64_t due_ns;

	if (replay->speed == 0)
		return !replay_interrupted();
	ahead_ns /= replay->speed;
	if (!(ahead_ns < LONGEST_NS))
		ahead_ns = LONGEST_NS;
	if (ahead_ns < 0)
		ahead_ns = 0;
	due_ns = replay->begun_ns + (int64_t)ahead_ns;
	while (!replay_interrupted()) {
		int64_t now_ns = dxh_now_ns();
		int64_t until_ns = due_ns < now_ns + STEP_NS ? due_ns : now_ns + STEP_NS;
		struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};

		if (now_ns >= due_ns)
			return true;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		replay_show_progress(replay, false);
	}
	return false;
}

/* In the place of tickets that are not there. */
static bool abort_tickets(struct replay *replay, uint64_t count)
{
	dxh_write_slot slot;

	if (count > ABORTS_MAX)
		return replay_say("a gap is too long for --keep-tickets");
	for (; count > 0; count--)
		if (dxh_write_begin(replay->producer, DXH_FOREVER, &slot) != DXH_OK ||
		    dxh_write_abort(&slot) != DXH_OK)
			return replay_say(dxh_last_error());
	return true;
}

static bool publish(struct replay *replay, const struct recording_record *record)
{
	dxh_status status;

	do
		status = dxh_publish(replay->producer, record->bytes, record->count,
		                     dxh_in_ns(HELD_NS));
	while (status == DXH_EWAIT && !replay_interrupted());
	return status == DXH_OK || replay_interrupted() || replay_say(dxh_last_error());
}

static bool play_item(struct replay *replay, const struct recording_record *record)
{
	uint64_t skipped = record->ticket - replay->next_ticket;

	if (!replay->begun) {
		replay->begun = true;
		replay->played_first_ns = record->time_ns;
		replay->begun_ns = dxh_now_ns();
		skipped = 0;
	}
	replay->next_ticket = record->ticket + 1;
	replay->items++;
	replay->bytes += record->count;
	if (replay->csv) {
		csv_item(replay->csv, replay->description->slot.schema, record->ticket,
		         record->time_ns,
		         tool_realtime_ns(record->time_ns, replay->clock_offset_ns), record->bytes,
		         record->count);
		return true;
	}
	return wait_until_due(replay, record->time_ns) &&
	       (!replay->keep_tickets || abort_tickets(replay, skipped)) && publish(replay, record);
}

static bool take_item(struct replay *replay, const struct recording_record *record)
{
	int64_t since_ns = between_ns(replay->first_ns, record->time_ns);

	if (record->ticket < replay->first_ticket || since_ns < replay->from_ns)
		return true;
	if (record->ticket > replay->last_ticket || since_ns > replay->to_ns) {
		replay->over = true;
		return false;
	}
	return play_item(replay, record);
}

static bool take_zone(struct replay *replay, const struct recording_record *record)
{
	const dxh_zone_spec *zone;
	void *data;

	if (replay->csv || record->ticket >= replay->description->zone_count)
		return true;
	zone = &replay->description->zones[record->ticket];
	if (zone->bytes != record->count)
		return replay_say("a zone of the recording has another size than it says");
	if (zone->latch) {
		if (dxh_latch_begin(replay->producer, zone->name, zone->bytes, &data) != DXH_OK)
			return replay_say(dxh_last_error());
		memcpy(data, record->bytes, record->count);
		return dxh_latch_commit(replay->producer, zone->name) == DXH_OK ||
		       replay_say(dxh_last_error());
	}
	if (dxh_producer_zone(replay->producer, zone->name, NULL, zone->bytes, &data) != DXH_OK)
		return replay_say(dxh_last_error());
	memcpy(data, record->bytes, record->count);
	return true;
}

static bool take_gap(struct replay *replay, const struct recording_record *record)
{
	enum recording_reason reason;
	uint64_t last;

	if (!recording_read_gap(record, &last, &reason))
		return replay_say("a gap of the recording ends before it begins");
	replay->missing += last - record->ticket + 1;
	if (replay->csv)
		csv_gap(replay->csv, record->ticket, last, reason);
	return true;
}

/* Not played: the producer of a replay lives. */
static bool take_fate(struct replay *replay, const struct recording_record *record)
{
	enum recording_fate fate;
	uint64_t epoch;

	if (!recording_read_fate(record, &fate, &epoch))
		return replay_say("the recording does not say what became of a producer");
	if (replay->csv)
		csv_fate(replay->csv, record->ticket, epoch, fate);
	return true;
}

bool replay_record(struct replay *replay, const struct recording_record *record)
{
	if (replay->blocks == 0 && record->kind != RECORDING_BLOCK)
		return replay_say("the recording does not begin with a block");
	switch (record->kind) {
	case RECORDING_BLOCK:
		return take_block(replay, record);
	case RECORDING_ITEM:
		return take_item(replay, record);
	case RECORDING_GAP:
		return take_gap(replay, record);
	case RECORDING_CLOCK:
		return recording_read_clock(record, &replay->clock_offset_ns);
	case RECORDING_ZONE:
		return take_zone(replay, record);
	case RECORDING_PRODUCER:
		return take_fate(replay, record);
	case RECORDING_INDEX:
	case RECORDING_END:
		return true;
	}
	return true; /* of a newer minor version */
}
