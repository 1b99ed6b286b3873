/* SPDX-License-Identifier: MIT */
/* What the three readers of the demo have in common: attach, take the next item,
 * keep the account of it. */
#ifndef DEMO_READER_H
#define DEMO_READER_H

#include "demo.h"
#include "demo_sample.h"

struct demo_watch {
	struct demo_facts *facts;
	struct demo_reader_facts *own;
	enum demo_reader reader;
	dxh_consumer *consumer;
	struct demo_ledger ledger; /* the copy that is worked on */
	uint64_t skipped_before;   /* by earlier incarnations of this reader */
	struct sample sample;      /* the last one read */
	int dead;                  /* the producer's death was told */
};

/* Find the channel through the broker and attach; after that the broker is not
 * needed any more. A reader that takes the place of a killed one goes on at its
 * next ticket. */
dxh_status
demo_watch_open(struct demo_watch *watch, struct demo_facts *facts, enum demo_reader reader);

/* Take the next item and account for it. DXH_OK: watch->sample is it. Otherwise
 * as dxh_read_next(). */
dxh_status demo_watch_next(struct demo_watch *watch, int64_t deadline_ns, dxh_item *item);

/* The end of the channel was seen: account for the rest, close. */
void demo_watch_finish(struct demo_watch *watch);

#endif
