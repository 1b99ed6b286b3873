/* SPDX-License-Identifier: MIT */
/* What is killed, and what must hold behind it. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include <dxh/block.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scenario {
	const char *name;
	void (*before)(void); /* NULL: nothing. In the witness, while the victim waits */
	void (*victim)(void); /* ends with scenario_end() */
	void (*attend)(void); /* NULL: nothing. In the witness, when the victim is at its begin */
	void (*check)(void);  /* in the witness, when the victim is dead */
	void (*begin)(void);  /* NULL: scenario_begin() */
	void (*end)(void);    /* NULL: scenario_end() */
	bool states;          /* kill at each distinct state, not at each instruction */
	size_t floor;         /* fewer points, and nothing was shown */
	bool unwatched;       /* it asks whether somebody has its files open: nobody looks
	                       * into them, and a state is what a system call left */
} scenario;

extern const scenario SCENARIOS[];
extern const size_t SCENARIO_COUNT;

/* The ring has come round when the operation begins, and the writer looks at the rows
 * again: it has not since ticket 8. */
enum { FIRST = 12, BULK = 3 };

/* What went before is done by a process that is gone when the victim begins. */
void predecessor(void (*act)(void));

/* Such an act: in the middle of many, head is behind and the last one half written; or
 * all in good order. */
void die_in_bulk(void);
void close_in_order(void);

/* Where the victim's operation ends; empty, and where it usually begins. */
void scenario_begin(void);
void scenario_end(void);

#endif
