/* SPDX-License-Identifier: MIT */
/* What producers and the broker say to each other about channels: each message as a
 * struct, written as a MessagePack map and read back from anybody's bytes.
 *
 * Pure. A writer returns the bytes written, 0 when they do not fit. A reader of
 * requests refuses with DXH_EINVAL, one of answers with DXH_EPROTO, both naming
 * the key. docs/wire-format.md lists all keys.
 */
#ifndef DXI_MESSAGE_H
#define DXI_MESSAGE_H

#include "runtime/broker/parts.h"

#include <dxh/describe.h>

#define DXI_SUBJECT_REGISTER "channel.register"
#define DXI_SUBJECT_DEREGISTER "channel.deregister"
#define DXI_SUBJECT_DISCOVER "channel.discover"
#define DXI_SUBJECT_LIST "channel.list"
#define DXI_SUBJECT_HEARTBEAT "presence.heartbeat"

enum {
	DXI_SCHEMA_WIRE_MAX = 256 * 1024, /* of a schema in channel.register */
	DXI_LIST_PAGE_MAX = 64,           /* channels in one answer to channel.list */
	DXI_CHANNEL_WIRE_MAX = 1024,      /* one channel in an answer never needs more */
	DXI_CLAIM_WIRE_MAX = 4096,        /* a claim, besides its schema */
	DXI_SMALL_WIRE_MAX = 256,         /* any other message but an answer to list */
	DXI_LIST_WIRE_MAX = 64 + DXI_LIST_PAGE_MAX * DXI_CHANNEL_WIRE_MAX
};

/* channel.register: a producer claims a name. The hash and the zones are the reader's own
 * findings in the schema; zones that are told must be the same. */
typedef struct dxi_claim {
	dxh_channel_info info; /* without state, reason, and what is counted */
	uint64_t stall_ms;     /* see dxi_presence; 0: never hung */
	uint64_t start;        /* of the process; 0: not told */
	unsigned char boot[16];
	dxh_channel_zone zones[DXH_ZONES_MAX];
	const void *schema; /* as it lies in the block */
	size_t schema_bytes;
	uint64_t holder; /* does not travel: whose client claims, see holdings.h */
} dxi_claim;

size_t dxi_claim_write(const dxi_claim *claim, void *bytes, size_t capacity);
/* Returns: DXH_EINVAL naming the key; DXH_ESCHEMA when the hash sent is not that
 * of the schema sent. */
dxh_status dxi_claim_read(const void *bytes, size_t length, dxi_claim *claim);

/* The answer to it, and to consumer.register: how to stay registered. */
typedef struct dxi_terms {
	uint32_t beat_ms;
	uint32_t beats_missed;
	uint32_t beats_kept; /* 0 from a broker that does not forget */
} dxi_terms;

size_t dxi_terms_write(const dxi_terms *terms, void *bytes, size_t capacity);
dxh_status dxi_terms_read(const void *bytes, size_t length, dxi_terms *terms);

/* channel.deregister and presence.heartbeat: one producer speaks of its channel. */
typedef struct dxi_owner {
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	uint64_t producer;
	int64_t pid;       /* deregister only */
	uint64_t progress; /* heartbeat only */
	uint64_t holder;   /* does not travel: whose client speaks, see holdings.h */
} dxi_owner;

size_t dxi_deregister_write(const dxi_owner *owner, void *bytes, size_t capacity);
dxh_status dxi_deregister_read(const void *bytes, size_t length, dxi_owner *owner);
/* The answer to deregister: an empty map. */
size_t dxi_done_write(void *bytes, size_t capacity);
size_t dxi_heartbeat_write(const dxi_owner *owner, void *bytes, size_t capacity);
dxh_status dxi_heartbeat_read(const void *bytes, size_t length, dxi_owner *owner);

/* One channel as part of a message. */
void dxi_channel_put(dxi_writer *writer, const dxh_channel_info *info);
void dxi_channel_take(dxi_fields *fields, dxh_channel_info *info);

/* channel.discover, and the answer: one channel; of one that is not found only
 * name and state. */
size_t dxi_discover_write(const char *channel, void *bytes, size_t capacity);
dxh_status
dxi_discover_read(const void *bytes, size_t length, char channel[DXH_CHANNEL_NAME_MAX + 1]);
size_t dxi_channel_write(const dxh_channel_info *info, void *bytes, size_t capacity);
dxh_status dxi_channel_read(const void *bytes, size_t length, dxh_channel_info *info);

/* channel.list: a page of the channels behind a name. */
typedef struct dxi_list_request {
	char after[DXH_CHANNEL_NAME_MAX + 1]; /* "": from the first */
	uint32_t max;
} dxi_list_request;

size_t dxi_list_request_write(const dxi_list_request *request, void *bytes, size_t capacity);
dxh_status dxi_list_request_read(const void *bytes, size_t length, dxi_list_request *request);

/* The answer: `count` channels, how many the broker knows in all, and whether
 * there are more behind the last of these. */
typedef struct dxi_list_page {
	size_t count;
	uint64_t total;
	bool more;
} dxi_list_page;

size_t dxi_list_write(const dxi_list_page *page, const dxh_channel_info *channels, void *bytes,
                      size_t capacity);
/* Fills at most `max` channels; page->count says how many. */
dxh_status dxi_list_read(const void *bytes, size_t length, dxi_list_page *page,
                         dxh_channel_info *channels, size_t max);

/* 1..63 characters of A-Z a-z 0-9 . _ - / that do not begin with '.' or '/'. */
bool dxi_channel_name_ok(const char *name);
/* The same in words: DXH_EINVAL. */
dxh_status dxi_channel_name_check(const char *name);

#endif
