/* SPDX-License-Identifier: MIT */
/* The broker: knows which channel is produced where. It is asked when a channel
 * is opened or looked for and is never in the way of the data.
 *
 * It holds no state that it could not be told again: after a restart it is
 * empty, and producers register again by themselves.
 */
#ifndef DXH_BROKER_H
#define DXH_BROKER_H

#include <dxh/hub.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_broker dxh_broker;

typedef struct dxh_broker_config {
	uint32_t channels_max; /* 0: 10000; when full, long dead ones are forgotten */
	uint32_t beat_ms;      /* interval it asks producers to beat at; 0: 500 */
	uint32_t beats_missed; /* so many, and a channel counts as dead; 0: 10 */
	int insecure;          /* not 0: may listen beyond this machine unencrypted */
	uint32_t clients_max;  /* hubs connected at a time; 0: 512; a descriptor each */
	/* CURVE, as in dxh_service_config. */
	const char *key_file;
	const char *allow_file;
	int allow_any;
} dxh_broker_config;

/* Serve as broker on a hub, with a thread of its own behind the hub's.
 * Called:  dxh_broker_start(hub, endpoint, config, &broker); config NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the caller, until dxh_broker_stop(),
 *          which must come before the hub is closed.
 * Returns: as dxh_service_bind().
 */
#define dxh_broker_start(...) dxh_broker_start_sized(sizeof(dxh_broker_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_broker_start_sized(size_t config_bytes, dxh_hub *hub,
                                                        const char *endpoint,
                                                        const dxh_broker_config *config,
                                                        dxh_broker **broker);

/* Thread: any but the I/O thread. Sets *broker to NULL. Returns: DXH_EINVAL when
 * it is NULL already; DXH_EDEADLK. In a child of fork() it stops nothing. */
DXH_API dxh_status dxh_broker_stop(dxh_broker **broker);

/* The endpoint it listens on. Thread: any. Owner: the broker. */
DXH_API const char *dxh_broker_endpoint(const dxh_broker *broker);

#ifdef __cplusplus
}
#endif
#endif
