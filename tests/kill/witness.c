/* SPDX-License-Identifier: MIT */
/* The sentences that hold after each kill. */
#include "tests/kill/witness.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const BLOCK = "victim";

/* ---- payloads ---- */

static void mix(uint64_t words[ITEM_WORDS], uint64_t ticket, uint64_t author)
{
	words[0] = ticket;
	words[1] = author;
	for (uint64_t i = 2; i < ITEM_WORDS; i++)
		words[i] = (ticket * 31 + author * 7 + i) * UINT64_C(0x9e3779b97f4a7c15);
}

struct item item_of(uint64_t ticket, uint64_t author)
{
	struct item item;

	mix(item.words, ticket, author);
	return item;
}

struct state state_of(uint64_t version)
{
	struct state state;

	mix(state.words, version, 0);
	return state;
}

uint64_t version_of(const struct state *state)
{
	struct state whole = state_of(state->words[0]);

	expect(memcmp(&whole, state, sizeof whole) == 0, "the latch is torn at version %" PRIu64,
	       state->words[0]);
	return state->words[0];
}

/* Who wrote each ticket, as the first that read it saw; 0: nobody has. */
static uint64_t authors[TICKETS_MAX];

static void check_item(uint64_t ticket, const struct item *item, size_t bytes)
{
	struct item whole = item_of(ticket, item->words[1]);

	expect(ticket < TICKETS_MAX, "there is no ticket %" PRIu64, ticket);
	expect(bytes == sizeof *item && memcmp(&whole, item, sizeof whole) == 0,
	       "ticket %" PRIu64 " is torn: it holds words of ticket %" PRIu64, ticket,
	       item->words[0]);
	expect(authors[ticket] == 0 || authors[ticket] == item->words[1],
	       "ticket %" PRIu64 " was published twice", ticket);
	authors[ticket] = item->words[1];
}

/* ---- opening and writing ---- */

dxh_block_config usual_config(void)
{
	return (dxh_block_config){
		.zones = {{.name = "state", .bytes = sizeof(struct state), .latch = 1}},
		.slot = DXH_SLOT_BYTES(sizeof(struct item)),
		.slot_count = KEPT,
		.readers_max = 2,
	};
}

dxh_producer *open_producer(dxh_block_config config)
{
	dxh_producer *producer = NULL;

	must(dxh_producer_open(BLOCK, &config, &producer));
	return producer;
}

void publish(dxh_producer *producer, uint64_t ticket, uint64_t author)
{
	struct item item = item_of(ticket, author);

	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
}

uint64_t next_of(dxh_producer *producer)
{
	dxh_producer_stats stats;

	must(dxh_producer_stats_get(producer, &stats));
	return stats.next_ticket;
}

/* ---- reading ---- */

dxh_consumer *open_reader(dxh_discipline discipline, dxh_start start)
{
	dxh_consumer_config config = {.discipline = discipline, .start = start};
	dxh_consumer *reader = NULL;

	must(dxh_consumer_open(BLOCK, &config, &reader));
	return reader;
}

static dxh_consumer_stats stats_of(dxh_consumer *reader)
{
	dxh_consumer_stats stats;

	must(dxh_consumer_stats_get(reader, &stats));
	return stats;
}

static bool is_end(dxh_status status)
{
	return status == DXH_EWAIT || status == DXH_EDEAD || status == DXH_ECLOSED ||
	       status == DXH_EUNLINKED;
}

uint64_t drain(dxh_consumer *reader, bool late)
{
	uint64_t next = stats_of(reader).next_ticket;
	dxh_status status = DXH_OK;
	struct item item;
	dxh_item info;

	for (int i = 0; i < TICKETS_MAX && !is_end(status); i++) {
		status = dxh_read_next(reader, &item, sizeof item, DXH_NOW, &info);
		if (status == DXH_OK) {
			expect(info.ticket >= next, "ticket %" PRIu64 " comes behind %" PRIu64,
			       info.ticket, next);
			check_item(info.ticket, &item, info.bytes);
			next = info.ticket + 1;
		} else if (!is_end(status) && !(late && status == DXH_ELAPPED)) {
			violation("reading: %s", dxh_last_error());
		}
	}
	expect(is_end(status), "there is no end of what can be read");
	expect(late || stats_of(reader).lost == 0, "a reader that was there lost something");
	return stats_of(reader).next_ticket;
}

void read_one(dxh_consumer *reader, uint64_t ticket, uint64_t author)
{
	struct item item;
	dxh_item info;

	must(dxh_read_next(reader, &item, sizeof item, DXH_NOW, &info));
	expect(info.ticket == ticket, "ticket %" PRIu64 " was read, not %" PRIu64, info.ticket,
	       ticket);
	check_item(ticket, &item, info.bytes);
	expect(item.words[1] == author, "ticket %" PRIu64 " is of author %" PRIu64, ticket,
	       item.words[1]);
}

/* ---- a successor ---- */

static void check_counters(dxh_producer *producer, uint64_t next, uint64_t epoch_min,
                           uint64_t epoch_max, uint64_t counters_lag)
{
	dxh_producer_stats stats;
	uint64_t counted;

	must(dxh_producer_stats_get(producer, &stats));
	counted = stats.items + stats.aborted;
	expect(stats.epoch >= epoch_min && stats.epoch <= epoch_max,
	       "the epoch is %" PRIu64 " behind takeovers", stats.epoch);
	expect(counted <= next && next - counted <= counters_lag,
	       "%" PRIu64 " tickets were counted, %" PRIu64 " published", counted, next);
}

void succession(dxh_consumer *reader, uint64_t epoch_min, uint64_t epoch_max, uint64_t counters_lag)
{
	dxh_consumer *late = open_reader(DXH_FOLLOW, DXH_START_OLDEST);
	uint64_t next = drain(reader, false);
	uint64_t next_late = drain(late, true);
	dxh_producer *successor;

	expect(next_late == next, "who came late is at %" PRIu64 ", the others at %" PRIu64,
	       next_late, next);
	successor = open_producer(usual_config());
	expect(next_of(successor) == next,
	       "the successor goes on at %" PRIu64 ", readers are at %" PRIu64, next_of(successor),
	       next);
	check_counters(successor, next, epoch_min, epoch_max, counters_lag);
	expect(drain(reader, false) == next, "the takeover published something");
	for (uint64_t ticket = next; ticket < next + 2 * KEPT; ticket++) {
		publish(successor, ticket, SUCCESSOR);
		read_one(reader, ticket, SUCCESSOR);
		read_one(late, ticket, SUCCESSOR);
	}
	must(dxh_consumer_close(&late));
	late = open_reader(DXH_FOLLOW, DXH_START_OLDEST);
	for (uint64_t ticket = next + KEPT; ticket < next + 2 * KEPT; ticket++)
		read_one(late, ticket, SUCCESSOR);
	must(dxh_consumer_close(&late));
	must(dxh_producer_close(&successor));
	must(dxh_consumer_close(&reader));
	remove_all();
}

/* ---- what is left ---- */

void expect_nothing_left(void)
{
	DIR *directory = opendir(getenv("DXH_SHM_DIR"));
	struct dirent *entry;

	expect(directory, "the directory of the block is gone");
	while ((entry = readdir(directory)))
		expect(entry->d_name[0] == '.', "%s was left behind", entry->d_name);
	closedir(directory);
}

void remove_all(void)
{
	dxh_status status = dxh_block_unlink(NULL, BLOCK);

	expect(status == DXH_OK || status == DXH_ENOTFOUND, "removing: %s", dxh_last_error());
	expect_nothing_left();
}
