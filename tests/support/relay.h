/* SPDX-License-Identifier: MIT */
/* Between clients and a service on tcp: it carries bytes, keeps them back, and cuts
 * connections in the midst of whatever is on its way. One a process. */
#ifndef TEST_RELAY_H
#define TEST_RELAY_H

/* Where clients connect. Static text. Aimed at nobody, it ends every connection. */
const char *test_relay_open(void);
void test_relay_close(void);

/* Where new connections lead, "tcp://127.0.0.1:PORT"; NULL: nowhere. */
void test_relay_aim(const char *endpoint);

/* From now on nothing goes to the service, or nothing to clients, on any connection. */
void test_relay_stall_up(void);
void test_relay_stall_down(void);

/* End all connections; what was kept back is gone. Nothing is kept back any more. */
void test_relay_cut(void);

#endif
