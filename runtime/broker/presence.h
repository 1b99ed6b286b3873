/* SPDX-License-Identifier: MIT */
/* Is a producer or consumer alive? Judged by its beats alone, and by the progress they tell.
 *
 * Pure: time is an argument, nothing is allocated or sent.
 */
#ifndef DXI_PRESENCE_H
#define DXI_PRESENCE_H

#include <dxh/base.h>

#include <stdbool.h>

/* What the broker asks of all. */
typedef struct dxi_presence_rules {
	uint32_t beat_ms;      /* at least 1 */
	uint32_t beats_missed; /* so many intervals of silence, and it counts as dead; */
	uint32_t beats_kept;   /* so many more, and it is forgotten; 0: never */
} dxi_presence_rules;

typedef struct dxi_presence {
	int64_t beat_ns;     /* the last sign of life */
	int64_t progress_ns; /* when progress last changed */
	uint64_t progress;
	uint64_t stall_ms; /* without progress for so long it counts as hung; 0: never */
} dxi_presence;

/* A producer has registered. */
void dxi_presence_start(dxi_presence *presence, uint64_t stall_ms, int64_t now_ns);

/* A sign of life that tells nothing about progress. */
void dxi_presence_seen(dxi_presence *presence, int64_t now_ns);

/* A beat. Progress is any number that changes while the work goes on. */
void dxi_presence_beat(dxi_presence *presence, uint64_t progress, int64_t now_ns);

/* It is dead from then on if nothing comes, and to be forgotten. */
int64_t dxi_presence_dead_ns(const dxi_presence *presence, const dxi_presence_rules *rules);
int64_t dxi_presence_over_ns(const dxi_presence *presence, const dxi_presence_rules *rules);

/* Since the last sign of life. */
uint64_t dxi_presence_silent_ms(const dxi_presence *presence, int64_t now_ns);

/* If not, `reason` (always NUL-terminated) says why; else it is "". */
bool dxi_presence_alive(const dxi_presence *presence, const dxi_presence_rules *rules,
                        int64_t now_ns, char *reason, size_t capacity);

#endif
