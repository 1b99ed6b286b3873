/* SPDX-License-Identifier: MIT */
/* What stress programs share: they are plain programs, because Criterion and
 * ThreadSanitizer do not go together, and say how much was tried.
 *
 *	PROGRAM [OPERATIONS [SEED [FAULT]]]
 *
 * The seed is printed and makes the choices of each thread the same again, though
 * not their order. FAULT plants a fault that the program must notice: it then ends
 * with a failure, or its control has shown that it is blind.
 */
#ifndef STRESS_H
#define STRESS_H

#include <dxh.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t stress_operations, stress_seed;
static const char *stress_fault = "";

#define stress_fail(...)                                                                           \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		fflush(NULL);                                                                      \
		_exit(1); /* as it is: what is open now is no leak */                              \
	} while (0)

#define stress_must(call)                                                                          \
	do {                                                                                       \
		if ((call) != DXH_OK)                                                              \
			stress_fail("%s: %s", #call, dxh_last_error());                            \
	} while (0)

#define stress_equal(left, right)                                                                  \
	do {                                                                                       \
		uint64_t left_ = (left), right_ = (right);                                         \
		if (left_ != right_)                                                               \
			stress_fail("%s is %" PRIu64 ", %s is %" PRIu64, #left, left_, #right,     \
			            right_);                                                       \
	} while (0)

/* A program that hangs has found something too. */
static inline void stress_begin(int argc, char **argv, uint64_t operations)
{
	stress_operations = argc > 1 ? strtoull(argv[1], NULL, 10) : operations;
	stress_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)dxh_now_ns();
	stress_fault = argc > 3 ? argv[3] : "";
	alarm(3600);
	printf("%s: %" PRIu64 " operations, seed %" PRIu64 "%s%s\n", strrchr(argv[0], '/') + 1,
	       stress_operations, stress_seed, *stress_fault ? ", planted: " : "", stress_fault);
	fflush(stdout);
}

static inline int stress_planted(const char *fault)
{
	return strcmp(stress_fault, fault) == 0;
}

/* xorshift64* (Vigna 2016), one state a thread. */
static inline uint64_t stress_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717) >> 16;
}

static inline uint64_t stress_state(uint64_t thread)
{
	return (stress_seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (thread + 1) << 20 ^ 1;
}

#endif
