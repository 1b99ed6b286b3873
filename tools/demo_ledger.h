/* SPDX-License-Identifier: MIT */
/* The ledger of a reader: what became of every ticket it has passed, kept so that
 * a reader killed at any instruction leaves one whole account behind. */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <stdatomic.h>
#include <stdint.h>

/* start + read + lost + skipped + unexplained == next, after every step. */
struct demo_ledger {
	uint64_t start;       /* first ticket of interest */
	uint64_t next;        /* the ticket to look at next */
	uint64_t read;        /* samples delivered */
	uint64_t lost;        /* tickets reported as lost or passed over */
	uint64_t skipped;     /* aborted tickets stepped over */
	uint64_t unexplained; /* tickets that the library passed without a word */
	uint64_t laps;        /* losses, as events */
	uint64_t bad_checksum;
	uint64_t misplaced;  /* samples that do not carry their own ticket */
	uint64_t disordered; /* a ticket before the one expected */
	uint64_t corrupt;    /* slots that broke a rule of the format */
	uint64_t deaths;     /* producers that died under it */
	uint64_t epoch;      /* of the last sample */
	uint64_t time_ns;    /* of the last sample */
	uint64_t lag;
};

enum { DEMO_LEDGER_WORDS = sizeof(struct demo_ledger) / sizeof(uint64_t) };

/* Written by one reader; read by the supervisor while it runs, and by the
 * successor of a killed reader.
 *
 *   field    written by   read by   order
 *   version  publish      read      release / acquire
 *   words    publish      read      relaxed, published by version
 *
 * Copy `version & 1` is whole; the other is being written. */
struct demo_ledger_cell {
	_Atomic uint64_t version;
	_Atomic uint64_t words[2][DEMO_LEDGER_WORDS];
};

struct demo_range {
	_Atomic uint64_t first;
	_Atomic uint64_t last;
};

/* Make `ledger` the account that stands. Thread: the one reader. */
void demo_ledger_publish(struct demo_ledger_cell *cell, const struct demo_ledger *ledger);

/* The account that stands. Thread: any. */
void demo_ledger_read(const struct demo_ledger_cell *cell, struct demo_ledger *ledger);

#endif
