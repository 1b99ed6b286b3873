/* SPDX-License-Identifier: MIT */
/* What the parts of the supervisor share: its children, its view, what it found. */
#ifndef DEMO_SUPERVISOR_H
#define DEMO_SUPERVISOR_H

#include "demo.h"
#include "demo_reader.h"
#include "text.h"

#include <pthread.h>
#include <stdio.h>

/* ---- demo_latest.c: the reader behind the live table ----------------------------- */

/* Shared by the reader thread and the supervisor under `lock`. */
struct demo_latest {
	struct demo_facts *facts;
	pthread_t thread;
	bool started;
	_Atomic uint32_t stop;
	pthread_mutex_t lock;
	struct sample sample;
	struct calibration calibration;
	int64_t seen_ns;  /* when the sample was read */
	uint64_t samples; /* of the zone telemetry */
	uint64_t write_max_ns;
	uint64_t overruns;
	uint64_t calibrations;
	uint64_t torn; /* calibrations that were not whole */
	bool failed;
	char why[224];
};

bool demo_latest_start(struct demo_latest *latest, struct demo_facts *facts);

/* Has it read a sample? */
bool demo_latest_has_seen(struct demo_latest *latest);

/* Has it seen the end of the channel, or failed? */
bool demo_latest_ended(struct demo_latest *latest);

/* Stop it, wherever it is, and wait for it. */
void demo_latest_join(struct demo_latest *latest);

/* ---- demo_view.c: the screen ------------------------------------------------------ */

enum { DEMO_PICTURE_LINES = 12, DEMO_LINE_BYTES = 256 };

/* What is drawn: a table for a terminal, one line for everything else. */
struct demo_picture {
	unsigned lines;
	char line[DEMO_PICTURE_LINES][DEMO_LINE_BYTES];
	char plain[DEMO_LINE_BYTES];
};

struct demo_view {
	FILE *out;
	bool live;
	bool color;
	unsigned drawn;   /* lines of the picture now on the screen */
	int64_t began_ns; /* times are shown from here */
	struct demo_picture picture;
};

void demo_view_open(struct demo_view *view, bool json_on_stdout);

/* A line that stays: when, who, what. */
void demo_view_line(struct demo_view *view, const char *who, const char *text);

void demo_view_draw(struct demo_view *view, const struct demo_picture *picture);

/* Take the table away and give the cursor back. */
void demo_view_close(struct demo_view *view);

/* ---- demo_child.c: processes -------------------------------------------------------- */

enum { DEMO_CHILDREN_MAX = 8 };

struct demo_child {
	enum demo_role role;
	pid_t pid;   /* 0 once reaped */
	bool killed; /* by the supervisor */
	int status;  /* as of wait4() */
	uint64_t memory_kib;
};

struct demo_children {
	int facts_fd;
	int output_fd; /* what they say arrives here */
	int input_fd;  /* and goes in here */
	size_t partial_bytes;
	char partial[1024]; /* a line of which the end has not come yet */
	unsigned count;
	struct demo_child child[DEMO_CHILDREN_MAX];
};

bool demo_children_open(struct demo_children *children, int facts_fd);
void demo_children_close(struct demo_children *children);

/* Start a process. False, after saying why, when that was not possible. */
bool demo_child_start(struct demo_children *children, enum demo_role role);

/* The living process of a role, or NULL. */
struct demo_child *demo_child_find(struct demo_children *children, enum demo_role role);

void demo_child_kill(struct demo_child *child, int signal);

/* Take note of those that ended. Returns how many ended other than with exit 0
 * and without having been killed. */
unsigned demo_children_reap(struct demo_children *children);

/* Show what they said. */
void demo_children_listen(struct demo_children *children, struct demo_view *view);

/* ---- demo_directory.c ------------------------------------------------------------------ */

/* Make the private folder for blocks, after sweeping those of demos that died. */
bool demo_directory_make(char *path, size_t capacity_bytes);

/* How many files are in it; the first is named. */
unsigned demo_directory_count(const char *path, char *first, size_t capacity_bytes);

/* Remove it with all that is in it. */
bool demo_directory_remove(const char *path);

/* Entries of /tmp and of the folder above that carry our name. */
unsigned demo_directory_strays(const char *path);

/* ---- demo_check.c: does it add up? ------------------------------------------------------- */

enum { DEMO_PROBLEMS_MAX = 32, DEMO_PROBLEM_BYTES = 224 };

struct demo_problems {
	unsigned count; /* may exceed what is kept */
	char text[DEMO_PROBLEMS_MAX][DEMO_PROBLEM_BYTES];
};

void demo_problem(struct demo_problems *problems, const char *format, ...) DXH_PRINTF(2, 3);

/* ---- the supervisor ------------------------------------------------------------------------ */

/* What --chaos did and how it went; times in ns, 0: not done. */
struct demo_chaos_report {
	unsigned steps;            /* done so far */
	uint64_t follower_away_ns; /* from the kill to the replacement at work */
	uint64_t follower_ticket;  /* where the replacement began */
	uint64_t broker_away_ns;
	uint64_t registered_ns;   /* from the new broker's start to the channel found */
	uint64_t producer_gap_ns; /* between the last sample and the successor's first */
	uint64_t takeover_ticket;
};

struct demo {
	const struct demo_options *options;
	struct demo_facts *facts;
	int signal_fd;
	int caught;   /* SIGINT or SIGTERM: end early */
	bool started; /* all came up */
	bool broken;  /* a process died that should not have */
	int64_t began_ns;
	int64_t drawn_ns;
	struct demo_children children;
	struct demo_view view;
	struct demo_latest latest;
	dxh_hub *hub;
	dxh_broker *broker;
	dxh_peer *peer; /* to the broker */

	/* for the report */
	double run_seconds;
	bool have_block;
	dxh_block_info block;
	unsigned files_left;
	char file_left[64];
	struct demo_chaos_report chaos;
	struct demo_problems problems;
};

typedef bool demo_condition(struct demo *demo);

/* Show, reap and draw until `condition` holds or the deadline passes; says which.
 * condition NULL never holds. Ends early, with false, when a signal came and
 * `brave` is false. */
bool demo_wait(struct demo *demo, demo_condition *condition, int64_t deadline_ns, bool brave);

/* A line of the supervisor's own. */
void demo_tell(struct demo *demo, const char *who, const char *format, ...) DXH_PRINTF(3, 4);

/* demo_chaos.c: kill what is due at this part of the run (0..1). */
void demo_chaos_step(struct demo *demo, double part);
bool demo_chaos_is_over(const struct demo *demo);

/* demo_picture.c */
void demo_picture_make(struct demo *demo, struct demo_picture *picture);

/* demo_check.c */
void demo_check(struct demo *demo);

/* demo_report.c, demo_json.c; false when it could not be written. */
void demo_report(const struct demo *demo);
bool demo_report_json(const struct demo *demo, FILE *out);

#endif
