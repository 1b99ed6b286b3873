/* SPDX-License-Identifier: MIT */
/* What is killed, and what must hold behind it. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

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
} scenario;

extern const scenario SCENARIOS[];
extern const size_t SCENARIO_COUNT;

/* Where the victim's operation ends; empty, and where it usually begins. */
void scenario_begin(void);
void scenario_end(void);

#endif
