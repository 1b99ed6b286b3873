/* SPDX-License-Identifier: MIT */
/* What the files of the frame share; workloads and rivals see bench.h only. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include "bench/bench.h"

#include <stdio.h>

enum { BENCH_ROUNDS_MAX = 99, BENCH_RATIOS_MAX = 24, BENCH_NAME_MAX = 64 };

typedef struct bench_options {
	int rounds;
	double seconds; /* of one round of a side; 0: as the budget allows */
	bool pin;
	bool smoke; /* of curves only the ends */
	const char *json;
	const char *plots;
} bench_options;

/* One side in one round, when the round's own memory is used again. */
typedef struct bench_sample {
	double figure;
	double cpu_ns; /* an operation */
	double switches;
	double foreign;
} bench_sample;

typedef struct bench_side_found {
	char name[BENCH_NAME_MAX];
	char series[BENCH_NAME_MAX]; /* of a point */
	double x;
	bench_run run;
	bench_load load;
	char missing[120]; /* why it is skipped; "": it is not */
	bool failed;
	bench_histogram latency; /* of all rounds */
	bench_sample samples[BENCH_ROUNDS_MAX];
} bench_side_found;

typedef struct bench_ratio_found {
	char name[BENCH_NAME_MAX];
	int ours, rival;
	bench_bound bound;
	double floor, goal;
	/* the middle of the rounds; rounds 0: not measured, as a side is missing */
	int rounds;
	double median, min, max;
} bench_ratio_found;

typedef struct bench_block_found {
	struct bench_block_found *next;
	const char *workload;
	char title[120];
	char x_label[60];
	const char *note;
	bench_figure figure;
	int rounds;
	double seconds;
	bench_side_found *sides;
	int side_count;
	bench_ratio_found ratios[BENCH_RATIOS_MAX];
	int ratio_count;
} bench_block_found;

struct bench {
	bench_options options;
	const char *workload; /* that lays out its blocks now */
	bool counting;        /* only counts sides, to share the time among them */
	int sides_counted;
	double seconds; /* of one round of a side, for this workload */
	bench_block_found *first, *last, *open;
	int failures;
};

/* ---- round.c ---- */

/* Faults to show that sides verify: payloads that are broken, or another one's. */
typedef enum bench_plant {
	BENCH_PLANT_NOTHING,
	BENCH_PLANT_PAYLOAD,
	BENCH_PLANT_ORDER
} bench_plant;
void bench_plant_set(bench_plant what);

/* ---- run.c ---- */

/* Room for what the processes of a round share; once, before all else. */
void bench_run_init(void);
/* Has somebody asked the program to end? Then rounds are not begun any more. */
bool bench_interrupted(void);
void bench_blocks_free(bench *found);

/* The middle, least and most of `count` values. */
typedef struct bench_spread {
	double median, min, max;
} bench_spread;
bench_spread bench_spread_of(const double *values, int count);
bench_spread bench_figures_of(const bench_side_found *side, int rounds);

/* ---- cpu.c: who used how much, and where ---- */

void bench_pin(int place); /* to the first or second CPU that this process may use */
void bench_pin_allow(bool pin);
int bench_pin_cpus(int cpus[2]); /* how many of the two there are; 0: nothing is pinned */
bench_usage bench_usage_of_round(const bench_round *round);
int64_t bench_busy_ns(void); /* of all CPUs, since boot; negative: not known */
/* A process beside the rounds whose time is not foreign: a rival's daemon. */
void bench_usage_add(pid_t daemon);

/* ---- report.c, json.c, plot.c ---- */

void bench_report_conditions(const bench *found, FILE *out);
void bench_report_progress(const bench_block_found *block, int round, const char *side);
void bench_report_block(const bench_block_found *block);
void bench_report_table(const bench *found);
void bench_conditions_machine(char *text, size_t capacity);
const char *bench_ratio_verdict(const bench_ratio_found *ratio);
int bench_loaded_rounds(const bench_side_found *side, int rounds);
bool bench_json_write(const bench *found, const char *file);
bool bench_plot_write(const bench *found, const char *folder);

/* What is behind a foreign load of more CPUs than this is marked. */
#define BENCH_FOREIGN_MAX 0.15

#endif
