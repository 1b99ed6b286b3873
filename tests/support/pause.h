/* SPDX-License-Identifier: MIT */
/* Hold the I/O thread of a hub in the middle of a turn, so that what is posted
 * meanwhile is found by it all at once. */
#ifndef TEST_PAUSE_H
#define TEST_PAUSE_H

#include "tests/support/support.h"

#include <semaphore.h>

typedef struct test_pause {
	dxh_hub *hub;
	pthread_t thread;
	sem_t held, go;
} test_pause;

/* begin returns once the I/O thread stands still; end lets it go on. */
void test_pause_begin(test_pause *pause, dxh_hub *hub);
void test_pause_end(test_pause *pause);

#endif
