/* SPDX-License-Identifier: MIT */
/* The reply cache of a service: what became of requests that may come again, so that a
 * repetition is answered and not executed once more.
 *
 * Filed under the incarnation of the client, never under its routing id: it outlives
 * connections. An entry lives from the moment its request is accepted until the client
 * has acknowledged the answer, which frees it at once; the bounds below are for clients
 * that do not, or are gone.
 *
 * Two things can be given up for want of room. The answer of an entry: then it is still
 * known that the request was executed. And the entry: then the memory of its client has
 * forgotten, and takes another token. By that a client that comes back, and a service that
 * is asked, know whether "never heard of it" means "never executed".
 *
 * Knows no socket and no clock. Thread: io.
 */
#ifndef DXI_REPLY_CACHE_H
#define DXI_REPLY_CACHE_H

#include "runtime/body.h"
#include "runtime/metrics.h"

#include <dxh/message.h>

typedef struct dxi_kept dxi_kept;
typedef struct dxi_memory dxi_memory;
typedef struct dxi_reply_cache dxi_reply_cache;

enum { DXI_KEPT_INLINE_BYTES = 64 };

/* One request and its answer. Its `request` is the one in work, or that which carries the
 * answer to the client; then both point to each other. */
struct dxi_kept {
	dxi_kept *next_in_bucket;
	dxi_kept *previous, *next; /* in a list of its memory */
	dxi_memory *memory;
	dxh_request *request; /* NULL: neither */
	uint64_t id;
	bool is_answered;
	bool is_acknowledged; /* in work, and nobody will ask again */
	bool has_answer;      /* it is kept, and was not given up */
	uint8_t answer_kind;
	dxh_status answer_status;
	size_t answer_bytes;
	dxi_body *body; /* NULL: inline */
	unsigned char inline_bytes[DXI_KEPT_INLINE_BYTES];
};

typedef struct dxi_kept_list {
	dxi_kept *first, *last;
	size_t count;
} dxi_kept_list;

/* All that is kept for one incarnation. */
struct dxi_memory {
	dxi_reply_cache *cache;
	dxi_memory *previous, *next;               /* all of a cache, in a ring */
	dxi_memory *previous_absent, *next_absent; /* longest absent first */
	uint64_t incarnation;
	uint64_t token;
	uint64_t seed; /* of the places of its ids */
	bool is_absent;
	int64_t until_ns; /* it is kept while its client is absent */
	dxi_kept_list working;
	dxi_kept_list answered; /* oldest answer first */
	dxi_kept *oldest_body;  /* before it none has its answer; NULL: none has */
	uint64_t bytes;         /* of answers */
};

typedef struct dxi_cache_limits {
	uint32_t
		answered_max; /* entries with or without their answer, of all clients; 0: no cache */
	uint64_t bytes_max;   /* of all answers; 0: only that they were given */
	uint32_t own_max;     /* the same of one client */
	uint64_t own_bytes;
	uint32_t absent_max; /* clients that are gone */
	int64_t absent_ns;   /* for so long */
} dxi_cache_limits;

struct dxi_reply_cache {
	dxi_cache_limits limits;
	dxi_metrics *metrics;
	dxi_kept **buckets; /* by memory and id; NULL: there is no cache */
	uint32_t bucket_count;
	dxi_memory *hand; /* in the ring; who is looked at next for room. NULL: nobody there */
	uint32_t memory_count;
	dxi_memory *absent_first, *absent_last;
	uint32_t absent_count;
	uint64_t next_token;
	uint64_t answered_count; /* of all memories */
	uint64_t bytes;
};

/* Returns: DXH_ENOMEM; DXH_ESYSTEM. */
dxh_status
dxi_reply_cache_init(dxi_reply_cache *cache, const dxi_cache_limits *limits, dxi_metrics *metrics);

/* Forget everything; what is in work goes on without it. All memories are gone. Zeroed, or
 * called before: nothing happens. */
void dxi_reply_cache_fini(dxi_reply_cache *cache);

/* ---- memories ---- */

/* The client with this incarnation is connected. NULL: no cache, or no memory. */
dxi_memory *dxi_memory_enter(dxi_reply_cache *cache, uint64_t incarnation);

/* It is gone and may come back; or it will not, and what it has not acknowledged is not
 * counted as given up. */
void dxi_memory_leave(dxi_memory *memory, int64_t now_ns);
void dxi_memory_forget(dxi_memory *memory);

/* Forget who has been absent too long. Returns when to look again; DXH_FOREVER. */
int64_t dxi_reply_cache_expire(dxi_reply_cache *cache, int64_t now_ns);

/* The same number as before: nothing was forgotten since. Never 0, and of two services
 * never the same. */
static inline uint64_t dxi_memory_token(const dxi_memory *memory)
{
	return memory->token;
}

/* ---- entries ---- */

/* NULL: nothing is known of it. */
dxi_kept *dxi_kept_find(const dxi_memory *memory, uint64_t id);

/* The request is in work from now on. What was known of its id is forgotten: the client
 * uses it anew. Without memory for it, nothing is kept, and that is not forgotten. */
void dxi_kept_begin(dxi_memory *memory, dxh_request *request);

/* The request, in work, carries its answer now: keep that. Makes room for it, also by
 * giving up this very one. */
void dxi_kept_answer(dxi_kept *kept, const dxh_request *request);

/* The request takes the kept answer to the client. */
void dxi_kept_carry(dxi_kept *kept, dxh_request *carrier);

/* The request goes, and what is kept does not need it; or its memory moves to `to`. */
void dxi_kept_let_go(dxh_request *request);
void dxi_kept_moved(dxh_request *request, dxh_request *to);

/* The client has the answer, or wants none: it will not ask again. */
void dxi_kept_acknowledge(dxi_memory *memory, uint64_t id);

#endif
