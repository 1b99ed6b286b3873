/* SPDX-License-Identifier: MIT */
/* All that the broker knows of one channel: both tables, its schema, who produces it and
 * who consumes it. */
#ifndef DXH_DESCRIBE_H
#define DXH_DESCRIBE_H

#include <dxh/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_channel_zone {
	char name[64];
	uint64_t bytes;
	unsigned char hash[32]; /* BLAKE2b-256 of its part of the schema */
} dxh_channel_zone;

/* A consumer that dxh_consume() opened. Figures are those of its last beat. */
typedef struct dxh_channel_consumer {
	char name[64];  /* of its hub */
	uint64_t uid;   /* random, one for each opened consumer; never 0 */
	int64_t pid;    /* of its process, */
	uint64_t start; /* which began then: field 22 of /proc/PID/stat */
	dxh_discipline discipline;
	uint32_t silent_ms;           /* since its last beat */
	unsigned char block_uuid[16]; /* the block it reads */
	uint64_t next_ticket;         /* as in dxh_consumer_stats, like the following */
	uint64_t read;
	uint64_t lost;
	uint64_t corrupt;
	uint64_t lag;
} dxh_channel_consumer;

typedef struct dxh_channel_facts {
	dxh_channel_info channel; /* state DXH_CHANNEL_NOT_FOUND: consumers may wait for it */
	dxh_channel_zone zones[DXH_ZONES_MAX]; /* channel.zone_count of them */
	const void *schema;                    /* as it lies in the block */
	size_t schema_bytes;
	const dxh_channel_consumer *consumers; /* in order of their uid */
	size_t consumer_count;
	uint64_t producer_start;   /* of its process, as above; 0: not told */
	unsigned char boot_id[16]; /* of the machine it runs on; zeros: not told */
	uint64_t progress;         /* tickets published, at its last beat */
	uint32_t silent_ms;        /* since that */
} dxh_channel_facts;

/* Ask the broker for all of it. The hashes of schema and zones are computed again here.
 *
 * Called:  dxh_describe(broker, name, deadline_ns, &facts), then dxh_channel_facts_free().
 * Thread:  any but the I/O thread. Owner: the caller.
 * Blocks:  until the answer or the deadline. Many consumers are asked for in pages: one
 *          that comes or goes meanwhile may be missing, no other.
 * Returns: as dxh_request_sync(); DXH_OK also when it is pending or not found, as
 *          dxh_discover(); DXH_EACCESS: the broker wants the right to consume it;
 *          DXH_EPROTO: what came is no answer; DXH_ESCHEMA: a hash is not that of what
 *          came; DXH_ENOMEM; DXH_EINVAL.
 */
DXH_API DXH_NODISCARD dxh_status dxh_describe(dxh_peer *broker, const char *name,
                                              int64_t deadline_ns, dxh_channel_facts **facts);

/* Thread: any. Sets *facts to NULL; NULL is nothing to free. */
DXH_API void dxh_channel_facts_free(dxh_channel_facts **facts);

#ifdef __cplusplus
}
#endif
#endif
