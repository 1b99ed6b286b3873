/* SPDX-License-Identifier: MIT */
/* The other end of a hub's connection, held by the test itself: one bare socket of ZeroMQ that
 * takes in no more than it is asked for, and whose waits end. */
#ifndef TEST_RAW_H
#define TEST_RAW_H

#include <zmq.h>

extern void *test_raw;

/* A ROUTER binds, everything else connects. */
void test_raw_open(int type, const char *endpoint);
void test_raw_close(void);

#endif
