/* SPDX-License-Identifier: MIT */
/* The channel: a name that the broker knows, and the block behind it.
 *
 * dxh_produce() opens the block and registers it; dxh_consume() asks the broker
 * where the channel is and attaches. From then on bytes flow through shared
 * memory alone: a dead broker stops nothing, and a restarted one is told again.
 *
 * A broker is named by the peer that was connected to it.
 */
#ifndef DXH_CHANNEL_H
#define DXH_CHANNEL_H

#include <dxh/block.h>
#include <dxh/message.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DXH_CHANNEL_NAME_MAX = DXH_BLOCK_NAME_MAX, DXH_ENDPOINT_MAX = 255 };

typedef struct dxh_channel_config {
	dxh_block_config block; /* the block, as for dxh_producer_open() */
	/* Where the producer serves requests, for dxh_channel_peer(); NULL: nowhere, or with
	 * `serve` where the library likes. Without `serve` a service that the caller binds. */
	const char *endpoint;
	/* Not 0: bind a service on the hub of `broker`, see dxh_channel_service(). Without an
	 * endpoint it is an ipc socket in /tmp/dxh-UID, a folder of this user alone. */
	int serve;
	/* Without progress for so long the broker counts the producer as hung, and the channel
	 * as pending, though the process lives; 0: never. What is published is progress, and
	 * so is dxh_channel_progress(). At least twice what lies between two steps of work. */
	uint32_t stall_ms;
} dxh_channel_config;

/* Open the block NAME (create it, or take it over) and register the channel.
 *
 * While the producer lives its channel is kept registered: it beats, and
 * registers again when the broker was away. An idle producer beats like a busy
 * one. dxh_producer_close() deregisters, waiting at most 250 ms for the broker, which
 * may hear it within 2 s.
 * A broker that cannot be reached does not stop the producer: the call returns
 * DXH_OK once the block is open, and registration follows. A conflict found only
 * then is logged once, and the claim repeated until the other is gone.
 *
 * Called:  dxh_produce(broker, name, config, deadline_ns, &producer); config is
 *          required.
 * Thread:  any but the I/O thread. Owner: the caller, until dxh_producer_close(),
 *          which must come before `broker` or its hub is closed.
 * Blocks:  until the broker has answered, or the deadline; with DXH_NOW only as
 *          long as dxh_producer_open() does, and a conflict is then logged.
 * Returns: as dxh_producer_open(); with `serve` as dxh_service_bind(); DXH_ECONFLICT:
 *          the broker knows another live producer of this name; DXH_EACCESS: it wants
 *          the right to produce it; DXH_EINVAL;
 *          DXH_EUNKNOWN or DXH_EPROTO: what `broker` is connected to is no broker;
 *          DXH_EDEADLK; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED. A block made by a
 *          call that fails is removed.
 */
#define dxh_produce(...) dxh_produce_sized(sizeof(dxh_channel_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_produce_sized(size_t config_bytes, dxh_peer *broker,
                                                   const char *name,
                                                   const dxh_channel_config *config,
                                                   int64_t deadline_ns, dxh_producer **producer);

/* The service of a producer that was opened with `serve`: receive from it, or give it
 * handlers, as from one of dxh_service_bind(). dxh_producer_close() closes it: before that
 * dxh_service_stop() it and join the threads that use it.
 * Thread: any. Owner: the producer. NULL: it has none. */
DXH_API dxh_service *dxh_channel_service(const dxh_producer *producer);

/* The work goes on although nothing is published: see stall_ms. Costs an addition.
 * Thread: any. Returns: DXH_EINVAL: it is no channel's; DXH_ESTALE; DXH_EFORKED. */
DXH_API dxh_status dxh_channel_progress(dxh_producer *producer);

/* Find the channel NAME, waiting for one that does not exist yet, and attach.
 * The broker tells the directory of the block, unless config->directory does.
 *
 * The consumer follows the channel: a producer that is restarted or hands over goes on in the
 * same block, which costs nothing; one that makes the block anew, also in another directory,
 * is followed into it, see dxh_consumer_config.follow_name. Reading tells of each change:
 * DXH_EDEAD, DXH_ECLOSED and DXH_EUNLINKED once, DXH_EMOVED, and another epoch in the items.
 * Who does not read is told by a callback, too: dxh_watch() the name and
 * dxh_watcher_dispatch(), or wait for dxh_consumer_fd() and dxh_consumer_check().
 * Items never wait for the broker, which is asked only while nobody produces.
 *
 * While it is open the broker knows it: it registers, again when the broker was away, and beats
 * with its figures, see dxh_describe(). dxh_consumer_close() deregisters, waiting at most 250
 * ms for the broker.
 *
 * Called:  dxh_consume(broker, name, config, deadline_ns, &consumer); config as
 *          for dxh_consumer_open(), NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the caller, until dxh_consumer_close(). When
 *          `broker` or its hub is closed before, it reads on, and only names are followed.
 * Blocks:  until the channel is there, or the deadline.
 * Returns: DXH_ENOTFOUND: no such channel, or no block of it on this machine, up
 *          to the deadline; DXH_EDEAD: it is known, but its producer does not
 *          beat; DXH_EEXPIRED: the broker did not answer; DXH_ESCHEMA, DXH_ESIZE: it
 *          is not what config expects, as the broker knows it, before anything is attached;
 *          DXH_ESCHEMA: the block is not what the broker was told; as
 *          dxh_consumer_open(), then without waiting; DXH_EACCESS: the broker wants the
 *          right to consume it; DXH_EDEADLK; DXH_EDRAINING; DXH_ECLOSED; DXH_EFORKED.
 */
#define dxh_consume(...) dxh_consume_sized(sizeof(dxh_consumer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_consume_sized(size_t config_bytes, dxh_peer *broker,
                                                   const char *name,
                                                   const dxh_consumer_config *config,
                                                   int64_t deadline_ns, dxh_consumer **consumer);

/* A peer for requests and notifications to whoever produces the channel NAME.
 *
 * It is as one of dxh_peer_connect() in everything, and goes along: when the producer is
 * restarted, or hands over to one that serves elsewhere, it leaves the old place for the new
 * one, within half a second of the broker's knowing; where the old place still answers, within
 * three. What was sent before ends as at
 * any loss of a connection; what waits is sent to the new producer. While there is no
 * producer, or one that serves nothing, requests wait up to their deadlines. A broker that is
 * away changes nothing. config->on_state tells of every change.
 *
 * Called:  dxh_channel_peer(broker, name, config, deadline_ns, &peer); config as for
 *          dxh_peer_connect(), NULL: defaults.
 * Thread:  any but the I/O thread. Owner: the hub of `broker`; dxh_peer_close() it before
 *          `broker`.
 * Blocks:  until the channel is there, or the deadline; not for the connection.
 * Returns: DXH_ENOTFOUND: no such channel, up to the deadline; DXH_EDEAD: it is known, but
 *          its producer does not beat; DXH_EUNSUPPORTED: its producer serves no requests,
 *          told at once; DXH_EEXPIRED: the broker did not answer; as dxh_peer_connect();
 *          DXH_EDEADLK.
 */
#define dxh_channel_peer(...) dxh_channel_peer_sized(sizeof(dxh_peer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_channel_peer_sized(size_t config_bytes, dxh_peer *broker,
                                                        const char *name,
                                                        const dxh_peer_config *config,
                                                        int64_t deadline_ns, dxh_peer **peer);

typedef enum dxh_channel_state {
	DXH_CHANNEL_NOT_FOUND = 0,
	DXH_CHANNEL_PENDING = 1, /* known, but its producer does not beat */
	DXH_CHANNEL_FOUND = 2
} dxh_channel_state;

typedef struct dxh_channel_info {
	char name[DXH_CHANNEL_NAME_MAX + 1];
	dxh_channel_state state;
	char reason[128];                     /* why it is pending */
	char directory[DXH_ENDPOINT_MAX + 1]; /* where the block lies */
	char endpoint[DXH_ENDPOINT_MAX + 1];  /* of the producer's service, or "" */
	unsigned char schema_hash[32];
	unsigned char block_uuid[16];
	uint64_t producer_uid; /* random, one per opened producer */
	int64_t producer_pid;
	uint64_t epoch;
	uint64_t slot_bytes;
	uint32_t slot_count;
	uint32_t zone_count;
	uint64_t checksum_errors; /* items that consumers found broken, since it was registered */
	uint32_t consumers;       /* that are registered; those without a broker nobody knows */
	uint32_t reserved;        /* 0 */
} dxh_channel_info;

/* Ask the broker once about a channel. DXH_OK also when it is pending or not
 * found: see info->state. Thread: any but the I/O thread. Blocks: until the
 * answer or the deadline. Returns: as dxh_request_sync(). */
DXH_API DXH_NODISCARD dxh_status dxh_discover(dxh_peer *broker, const char *name,
                                              int64_t deadline_ns, dxh_channel_info *info);

/* List the channels in order of their names, those after `after` (NULL: all).
 * *count is how many were filled, at most `max`; *total (may be NULL) how many
 * the broker knows. Thread, Blocks, Returns: as dxh_discover(). */
DXH_API DXH_NODISCARD dxh_status dxh_list(dxh_peer *broker, const char *after, int64_t deadline_ns,
                                          dxh_channel_info *channels, size_t max, size_t *count,
                                          size_t *total);

#ifdef __cplusplus
}
#endif
#endif
