/* SPDX-License-Identifier: MIT */
/* Who looks at a block after somebody was killed in it: payloads that say whose they
 * are, readers that believe nothing, and a successor. All of it with DXH_NOW, so that
 * whatever would have to be waited for is a violation.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <dxh/block.h>

#include <stdbool.h>
#include <stdio.h>

enum { KEPT = 4, ITEM_WORDS = 8, VICTIM = 1, SUCCESSOR = 2, TICKETS_MAX = 64 };

/* Something that must not be; ends the process. The text goes to the driver. */
_Noreturn void violation(const char *format, ...) DXH_PRINTF(1, 2);

#define expect(condition, ...) ((condition) ? (void)0 : violation(__VA_ARGS__))
#define must(call)                                                                                 \
	do {                                                                                       \
		dxh_status got_ = (call);                                                          \
		if (got_ != DXH_OK)                                                                \
			violation("%s: %s", #call, dxh_last_error());                              \
	} while (0)

/* What is in a slot: a function of the ticket and of who wrote it. */
struct item {
	uint64_t words[ITEM_WORDS];
};
struct item item_of(uint64_t ticket, uint64_t author);

/* What is in the latch zone "state". */
struct state {
	uint64_t words[ITEM_WORDS];
};
struct state state_of(uint64_t version);
uint64_t version_of(const struct state *state); /* a violation when it is torn */

extern const char *const BLOCK;
dxh_block_config usual_config(void);

dxh_producer *open_producer(dxh_block_config config);
void publish(dxh_producer *producer, uint64_t ticket, uint64_t author);
uint64_t next_of(dxh_producer *producer);

dxh_consumer *open_reader(dxh_discipline discipline, dxh_start start);

/* Read all that is there. Each item must be whole, and the same for all readers;
 * nothing may be lost, unless the reader came late. Returns the next ticket. */
uint64_t drain(dxh_consumer *reader, bool late);

/* Read one item, which must be there: this one, by this author. */
void read_one(dxh_consumer *reader, uint64_t ticket, uint64_t author);

/* A successor comes at once, goes on where the readers are, laps the ring, and
 * everybody reads everything. `reader` was attached before. */
void succession(dxh_consumer *reader, uint64_t epoch_min, uint64_t epoch_max,
                uint64_t counters_lag);

/* Remove the block, which may be half removed: nothing is left of it. */
void remove_all(void);
void expect_nothing_left(void);

#endif
