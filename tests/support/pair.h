/* SPDX-License-Identifier: MIT */
/* Two hubs that talk: an echo service on one, a peer on the other. */
#ifndef TEST_PAIR_H
#define TEST_PAIR_H

#include "tests/support/support.h"

extern test_echo echo;
extern dxh_hub *hub;
extern dxh_peer *peer;

/* Configs may be NULL. */
void open_pair(const char *endpoint, const dxh_service_config *service,
               const dxh_peer_config *config);

/* Check that the books of `hub` agree, then close both. */
void close_pair(void);

/* Ask "echo" with this body and expect it back. */
void expect_echo(const void *body, size_t bytes);

/* An ipc endpoint with a path of its own in the temporary directory. */
void path_endpoint(char *endpoint, size_t capacity, const char *name);

#endif
