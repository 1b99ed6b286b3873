/* SPDX-License-Identifier: MIT */
/* Running a victim one instruction at a time, and killing it between two.
 *
 * The first run of an operation is stepped from its begin to its end and recorded.
 * Each later run goes at full speed to the last recorded instruction that had not
 * been met before (a breakpoint), or to the end of the last system call (counted) if
 * that is nearer, is stepped from there to the point wanted, and is killed: so a
 * thousand points do not cost a million steps.
 */
#ifndef STEPPER_H
#define STEPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { TRACE_MAX = 4 << 20 };

/* What the first run saw; in memory that all processes of the run share. */
typedef struct trace_record {
	size_t count;               /* instructions from begin to end */
	bool complete;              /* the end was met */
	uint64_t ip[TRACE_MAX];     /* where the n-th stands */
	uint32_t via[TRACE_MAX];    /* the last one up to it that was new: breakpoint */
	uint32_t calls[TRACE_MAX];  /* system calls made until then */
	uint32_t called[TRACE_MAX]; /* where the last of them ended; the begin, without */
	bool distinct[TRACE_MAX];   /* others can see what the instruction before it did */
	size_t system_calls;        /* among those */
} trace_record;

/* Fork a victim, which waits before its first instruction. It dies with us. */
pid_t stepper_fork(void (*run)(void));

/* Let it run until it comes to this instruction. False: it ended before. */
bool stepper_run_to(pid_t victim, uint64_t ip);

/* Step from here to `end`, and record. An instruction is distinct when it was a
 * system call, or changed a byte of a file below `directory` (NULL: none) that the
 * victim has open. */
void stepper_record(pid_t victim, uint64_t end, const char *directory, trace_record *trace);

/* Go to the n-th recorded instruction and kill. False: the victim did not come by
 * there; it was killed somewhere else. */
bool stepper_kill_at(pid_t victim, const trace_record *trace, size_t n);

#endif
