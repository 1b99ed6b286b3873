/* SPDX-License-Identifier: MIT */
/* Boost's message queue as C sees it. Each call returns NULL, or what went wrong. */
#ifndef BENCH_PEERS_BOOST_QUEUE_H
#define BENCH_PEERS_BOOST_QUEUE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue that has no name any more: children of fork() inherit it. */
const char *boost_queue_make(const char *name, size_t slots, size_t bytes, void **queue);
const char *boost_queue_send(void *queue, const void *payload, size_t bytes);
const char *boost_queue_receive(void *queue, void *payload, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
