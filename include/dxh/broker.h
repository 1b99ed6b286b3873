/* SPDX-License-Identifier: MIT */
/* The broker: knows which channel is produced where. It is asked when a channel
 * is opened or looked for and is never in the way of the data.
 *
 * It holds no state that it could not be told again: after a restart it is
 * empty, and producers register again by themselves.
 */
#ifndef DXH_BROKER_H
#define DXH_BROKER_H

#include <dxh/message.h>

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
	uint32_t beats_kept;       /* a dead channel is forgotten after so many more; 0: 10 */
	uint32_t consumers_max;    /* of all channels; 0: 20000 */
	uint32_t client_channels;  /* of one client (one key, if there are keys, else one hub's
	                           * peer); 0: an eighth of channels_max, 64 at least */
	uint32_t client_consumers; /* the same of consumers_max */
	/* Who may produce, consume and administer what: a file of lines with key, rights and
	 * begin of channel names, see docs/security.md. Needs key_file. It is read again when it
	 * changes. NULL: whoever is let in may do everything. */
	const char *rights_file;
} dxh_broker_config;

/* Serve as broker on a hub, with a thread of its own behind the hub's.
 * Called:  dxh_broker_start(hub, endpoint, config, &broker); config NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the caller, until dxh_broker_stop(),
 *          which must come before the hub is closed.
 * Returns: as dxh_service_bind(); DXH_EINVAL naming the line of rights_file that is wrong;
 *          DXH_EACCESS: everybody may write it.
 */
#define dxh_broker_start(...) dxh_broker_start_sized(sizeof(dxh_broker_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_broker_start_sized(size_t config_bytes, dxh_hub *hub,
                                                        const char *endpoint,
                                                        const dxh_broker_config *config,
                                                        dxh_broker **broker);

/* Thread: any but the I/O thread. Sets *broker to NULL. Returns: DXH_EINVAL when
 * it is NULL already; DXH_EDEADLK. In a child of fork() it stops nothing. */
DXH_API dxh_status dxh_broker_stop(dxh_broker **broker);

/* What a broker has done since it was started, and knows now. */
typedef struct dxh_broker_stats {
	uint64_t uptime_ms;
	uint64_t requests; /* the next eight, and those of unknown subjects */
	uint64_t registrations;
	uint64_t deregistrations;
	uint64_t discoveries;
	uint64_t lists;
	uint64_t descriptions;
	uint64_t metrics;
	uint64_t consumer_registrations;
	uint64_t consumer_deregistrations;
	uint64_t refused; /* of all requests */
	uint64_t beats;
	uint64_t beats_stray; /* other notifications, and beats of who is not registered */
	uint64_t checksum_errors;
	uint64_t events;       /* told to watchers */
	uint64_t channels_now; /* dead ones included */
	uint64_t channels_live_now;
	uint64_t consumers_now;
	uint64_t watchers_now;
	uint64_t schema_bytes_now; /* of all channels */
} dxh_broker_stats;

/* Ask the broker that a peer is connected to.
 * Called:  dxh_broker_stats_get(peer, deadline_ns, &stats).
 * Thread:  any but the I/O thread. Blocks: until the answer or the deadline.
 * Returns: as dxh_request_sync(); DXH_EACCESS: the broker wants the right of an
 *          administrator; DXH_EPROTO; DXH_EINVAL. */
#define dxh_broker_stats_get(...) dxh_broker_stats_get_sized(sizeof(dxh_broker_stats), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_broker_stats_get_sized(size_t stats_bytes, dxh_peer *broker,
                                                            int64_t deadline_ns,
                                                            dxh_broker_stats *stats);

/* The endpoint it listens on. Thread: any. Owner: the broker. */
DXH_API const char *dxh_broker_endpoint(const dxh_broker *broker);

#ifdef __cplusplus
}
#endif
#endif
