/* SPDX-License-Identifier: MIT */
/* What the processes of the demo share: the configuration, and the facts each of
 * them keeps in common memory, so that what a killed one had counted is not lost. */
#ifndef DEMO_H
#define DEMO_H

#include "demo_ledger.h"
#include "histogram.h"

#include <dxh.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEMO_CHANNEL "machine/telemetry"

/* Ends the broker of the demo; SIGINT and SIGTERM may reach the whole group. */
#define DEMO_SIGNAL_END SIGUSR1

enum {
	DEMO_PATH_MAX = 240,
	DEMO_ENDPOINT_MAX = 64,
	/* Every so many tickets one is aborted on purpose: consumers must step
	 * over it and count it as neither read nor lost. */
	DEMO_ABORT_EVERY = 1000,
	DEMO_RATE_MAX = 10000,
	DEMO_THREADS = 16,
	DEMO_LOSSES_MAX = 64
};

/* One process each, but for the latest reader, which is a thread of the
 * supervisor. */
enum demo_role {
	DEMO_BROKER, /* only with --chaos; else the supervisor embeds it */
	DEMO_PRODUCER,
	DEMO_STANDBY, /* only with --chaos */
	DEMO_FOLLOWER,
	DEMO_SLOW,
	DEMO_CLIENT,
	DEMO_ROLES
};

enum demo_reader { DEMO_READER_LATEST, DEMO_READER_FOLLOWER, DEMO_READER_SLOW, DEMO_READERS };

/* Mistakes the demo can make on purpose, to show that its report finds them. */
enum demo_fault {
	DEMO_FAULT_NONE,
	DEMO_FAULT_LOSE_ONE,        /* the follower drops one sample and says nothing */
	DEMO_FAULT_CORRUPT_ONE,     /* one sample is published with a flipped bit */
	DEMO_FAULT_LOSE_COMPLETION, /* the client forgets the end of one request */
	DEMO_FAULT_LEAVE_FILE       /* a file stays in the shared-memory directory */
};

/* Fixed before the first process is started. */
struct demo_config {
	uint32_t rate_hz;
	uint32_t seconds;
	uint32_t slot_count;
	uint32_t chaos;
	uint32_t fault;
	int32_t supervisor_pid;
	char directory[DEMO_PATH_MAX];
	char broker[DEMO_ENDPOINT_MAX];
	char service[DEMO_ENDPOINT_MAX];
};

/* Everything below is written with relaxed atomics and read while its writer
 * runs only to be shown; the report reads it after the writer was reaped, which
 * orders it. `ready` is a flag to wait for and publishes nothing either. */

/* One per incarnation: the producer, then the standby. */
struct demo_producer {
	_Atomic uint32_t ready;
	_Atomic uint32_t finished; /* closed in good order, hub below is final */
	_Atomic uint64_t first_ticket;
	_Atomic uint64_t next_ticket;
	_Atomic uint64_t first_time_ns; /* of its first sample */
	_Atomic uint64_t last_time_ns;  /* of its last sample */
	_Atomic uint64_t aborted;
	_Atomic uint64_t overruns; /* ticks that passed while it was not running */
	_Atomic uint64_t late_most_ns;
	_Atomic uint64_t read_most_ns;
	_Atomic uint64_t write_most_ns;
	_Atomic uint64_t epoch;
	_Atomic uint32_t files_present; /* bits of enum proc_file */
	_Atomic uint64_t requests;      /* received by the service */
	_Atomic uint64_t rejected;      /* of these, on purpose */
	_Atomic uint64_t marks;         /* notifications received */
	_Atomic uint64_t marks_sum;     /* of the numbers they carry */
	dxh_hub_stats hub;
	dxh_producer_stats block;
};

struct demo_client {
	_Atomic uint32_t ready;
	_Atomic uint32_t finished;
	_Atomic uint64_t posted; /* requests accepted; the sum of the next seven */
	_Atomic uint64_t done;
	_Atomic uint64_t failed; /* the service answered with an error */
	_Atomic uint64_t expired;
	_Atomic uint64_t canceled;
	_Atomic uint64_t lost;
	_Atomic uint64_t closed;
	_Atomic uint64_t other;
	_Atomic uint64_t refused;       /* not accepted: no credit; not in posted */
	_Atomic uint64_t waits_over;    /* awaits that gave up before the request did */
	_Atomic uint64_t wrong_reply;   /* a reply that is not what was asked for */
	_Atomic uint64_t ended_twice;   /* a second terminal event */
	_Atomic uint64_t never_ended;   /* no terminal event at all */
	_Atomic uint64_t bad_handle;    /* release, or use after it, answered wrongly */
	_Atomic uint64_t rejections;    /* requests made to be rejected, that were */
	_Atomic uint64_t answered_late; /* the service said that their time had passed */
	_Atomic uint64_t expired_early; /* ended so though there was time enough */
	_Atomic uint64_t flushes;       /* accepted, and how many of them ended well */
	_Atomic uint64_t flushes_done;
	_Atomic uint64_t marks; /* notifications accepted */
	_Atomic uint64_t marks_sum;
	_Atomic uint64_t marks_refused; /* no frame was free; not in marks */
	uint64_t drain_status;
	dxh_drain_report drain;
	dxh_hub_stats before; /* of its hub: once the channel was found, and at the end */
	dxh_hub_stats after;
	struct histogram post;
	struct histogram round_trip;
};

struct demo_reader_facts {
	_Atomic uint32_t ready;
	_Atomic uint32_t finished; /* saw the end of the channel */
	_Atomic uint32_t lost_one; /* the fault was done */
	struct demo_ledger_cell ledger;
	struct demo_range losses[DEMO_LOSSES_MAX];
};

struct demo_facts {
	struct demo_config config;
	_Atomic uint32_t rate_hz; /* wanted now; changed by "rate.set" */
	_Atomic uint32_t stop_client;
	_Atomic uint32_t stop_reading; /* the slow follower need not be slow any more */
	_Atomic uint32_t stop_producer;
	_Atomic uint32_t corrupted_one; /* the fault was done */
	struct demo_producer producer[2];
	struct demo_client client;
	struct demo_reader_facts reader[DEMO_READERS];
};

/* ---- demo_facts.c ------------------------------------------------------------- */

/* Make the common memory, or map that of the supervisor. NULL, after saying why
 * on standard error. */
struct demo_facts *demo_facts_create(int *fd);
struct demo_facts *demo_facts_map(int fd);

/* Whose lines these are, and where they go; also what the library logs up to a
 * level. */
void demo_speak_as(const char *who, int fd, dxh_log_level level);

/* One line to the supervisor, which shows it; a process started by the demo has
 * no other output. Whole lines only, so that they do not mix. Thread: any. */
void demo_say(const char *format, ...) DXH_PRINTF(1, 2);

/* "producer" and so on. */
const char *demo_role_name(enum demo_role role);
const char *demo_reader_name(enum demo_reader reader);

static inline uint64_t demo_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void demo_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void demo_add(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

/* Tickets below `next` that are aborted on purpose. */
static inline uint64_t demo_aborted_below(uint64_t next)
{
	return next / DEMO_ABORT_EVERY;
}

/* ---- the roles: each returns an exit code ------------------------------------- */

int demo_role_producer(struct demo_facts *facts, bool standby);
int demo_role_follower(struct demo_facts *facts);
int demo_role_slow(struct demo_facts *facts);
int demo_role_client(struct demo_facts *facts);

/* ---- demo_run.c ------------------------------------------------------------------ */

struct demo_options {
	struct demo_config config; /* rate_hz, seconds, chaos, fault */
	const char *json;          /* file, "-" for standard output, or NULL */
};

/* The supervisor: the whole demo, from the first process to the report. */
int demo_run(const struct demo_options *options);

#endif
