/* SPDX-License-Identifier: MIT */
/* Entries in a hash table, and in two lists of the memory of their client. Room is made
 * where most is held: whoever has less than the average loses nothing to others. */
#include "runtime/reply_cache.h"

#include "runtime/service.h"

#include "base/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BUCKETS_MIN = 64,
	BUCKETS_MAX = 65536,
	/* An answer that alone takes more than one in so many of all bytes is not kept. */
	ONE_IN = 4
};

/* ---- lists ---------------------------------------------------------------------- */

static void append(dxi_kept_list *list, dxi_kept *kept)
{
	kept->previous = list->last;
	kept->next = NULL;
	if (list->last)
		list->last->next = kept;
	else
		list->first = kept;
	list->last = kept;
	list->count++;
}

static void take_out(dxi_kept_list *list, dxi_kept *kept)
{
	if (kept->previous)
		kept->previous->next = kept->next;
	else
		list->first = kept->next;
	if (kept->next)
		kept->next->previous = kept->previous;
	else
		list->last = kept->previous;
	list->count--;
}

/* A client knows its ids but not the seed: it cannot crowd one bucket. (The finalizer of
 * SplitMix64.) */
static dxi_kept **bucket_of(const dxi_memory *memory, uint64_t id)
{
	const dxi_reply_cache *cache = memory->cache;
	uint64_t hash = id ^ memory->seed;

	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ hash >> 27) * 0x94d049bb133111eb;
	hash ^= hash >> 31;
	return &cache->buckets[hash & (cache->bucket_count - 1)];
}

/* ---- giving up ------------------------------------------------------------------- */

/* The answer goes; that it was given is still known. */
static void drop_answer(dxi_kept *kept)
{
	dxi_memory *memory = kept->memory;
	dxi_reply_cache *cache = memory->cache;

	if (!kept->has_answer)
		return;
	if (memory->oldest_body == kept)
		memory->oldest_body = kept->next;
	kept->has_answer = false;
	memory->bytes -= kept->answer_bytes;
	cache->bytes -= kept->answer_bytes;
	if (!kept->body)
		return;
	dxi_count_down(&cache->metrics->memory_bytes, kept->answer_bytes);
	dxi_body_release(kept->body);
	kept->body = NULL;
}

static void drop(dxi_kept *kept)
{
	dxi_memory *memory = kept->memory;
	dxi_kept **at = bucket_of(memory, kept->id);

	while (*at != kept)
		at = &(*at)->next_in_bucket;
	*at = kept->next_in_bucket;
	drop_answer(kept);
	if (kept->is_answered) {
		if (memory->oldest_body == kept)
			memory->oldest_body = kept->next;
		memory->cache->answered_count--;
		take_out(&memory->answered, kept);
	} else {
		take_out(&memory->working, kept);
	}
	if (kept->request)
		kept->request->kept = NULL;
	dxi_count_down(&memory->cache->metrics->memory_bytes, sizeof *kept);
	free(kept);
}

/* The same of one that its client may still ask for. */
static void give_up(dxi_kept *kept)
{
	dxi_memory *memory = kept->memory;
	dxi_metrics *metrics = memory->cache->metrics;

	dxi_count(&metrics->replies_evicted, kept->has_answer);
	dxi_count(&metrics->replies_forgotten, 1);
	drop(kept);
	memory->token = memory->cache->next_token++;
}

static void give_up_oldest_answer(dxi_memory *memory)
{
	dxi_kept *kept = memory->oldest_body;

	while (!kept->has_answer)
		kept = kept->next;
	memory->oldest_body = kept;
	dxi_count(&memory->cache->metrics->replies_evicted, 1);
	drop_answer(kept);
}

/* One of those that hold at least the average; there always is one. The hand stays there,
 * so that it is not looked for again each time. */
static dxi_memory *who_has_many(dxi_reply_cache *cache)
{
	while (cache->hand->answered.count * cache->memory_count < cache->answered_count)
		cache->hand = cache->hand->next;
	return cache->hand;
}

static dxi_memory *who_has_much(dxi_reply_cache *cache)
{
	while (cache->hand->bytes * cache->memory_count < cache->bytes)
		cache->hand = cache->hand->next;
	return cache->hand;
}

static void keep_to_limits(dxi_memory *memory)
{
	dxi_reply_cache *cache = memory->cache;

	while (memory->bytes > cache->limits.own_bytes)
		give_up_oldest_answer(memory);
	while (cache->bytes > cache->limits.bytes_max)
		give_up_oldest_answer(who_has_much(cache));
	while (memory->answered.count > cache->limits.own_max)
		give_up(memory->answered.first);
	while (cache->answered_count > cache->limits.answered_max)
		give_up(who_has_many(cache)->answered.first);
}

/* ---- the cache --------------------------------------------------------------------- */

dxh_status
dxi_reply_cache_init(dxi_reply_cache *cache, const dxi_cache_limits *limits, dxi_metrics *metrics)
{
	*cache = (dxi_reply_cache){.limits = *limits, .metrics = metrics};
	if (limits->answered_max == 0)
		return DXH_OK;
	if (getrandom(&cache->next_token, sizeof cache->next_token, 0) == -1)
		return dxi_fail_errno(errno, "the system gives no random numbers");
	cache->next_token >>= 1; /* that counting up never comes to 0 */
	cache->next_token++;
	cache->bucket_count = BUCKETS_MIN;
	while (cache->bucket_count < limits->answered_max && cache->bucket_count < BUCKETS_MAX)
		cache->bucket_count *= 2;
	cache->buckets = calloc(cache->bucket_count, sizeof(dxi_kept *));
	if (!cache->buckets)
		return dxi_fail(DXH_ENOMEM, "no memory for a cache of %u replies",
		                limits->answered_max);
	return DXH_OK;
}

void dxi_reply_cache_fini(dxi_reply_cache *cache)
{
	while (cache->hand)
		dxi_memory_forget(cache->hand);
	free(cache->buckets);
	cache->buckets = NULL;
}

/* ---- memories ------------------------------------------------------------------------ */

static dxi_memory *find_memory(const dxi_reply_cache *cache, uint64_t incarnation)
{
	dxi_memory *memory = cache->hand;

	for (uint32_t i = 0; i < cache->memory_count; i++, memory = memory->next)
		if (memory->incarnation == incarnation)
			return memory;
	return NULL;
}

static void no_longer_absent(dxi_memory *memory)
{
	dxi_reply_cache *cache = memory->cache;

	if (!memory->is_absent)
		return;
	*(memory->previous_absent ? &memory->previous_absent->next_absent : &cache->absent_first) =
		memory->next_absent;
	*(memory->next_absent ? &memory->next_absent->previous_absent : &cache->absent_last) =
		memory->previous_absent;
	cache->absent_count--;
	memory->is_absent = false;
}

static dxi_memory *make_memory(dxi_reply_cache *cache, uint64_t incarnation)
{
	dxi_memory *memory = malloc(sizeof *memory);

	if (!memory)
		return NULL;
	*memory = (dxi_memory){
		.cache = cache, .incarnation = incarnation, .token = cache->next_token++};
	if (getrandom(&memory->seed, sizeof memory->seed, 0) == -1) {
		free(memory);
		return NULL;
	}
	if (cache->hand) {
		memory->previous = cache->hand->previous;
		memory->next = cache->hand;
		memory->previous->next = memory->next->previous = memory;
	} else {
		memory->previous = memory->next = cache->hand = memory;
	}
	cache->memory_count++;
	dxi_count(&cache->metrics->memory_bytes, sizeof *memory);
	return memory;
}

dxi_memory *dxi_memory_enter(dxi_reply_cache *cache, uint64_t incarnation)
{
	dxi_memory *memory;

	if (!cache->buckets)
		return NULL;
	memory = find_memory(cache, incarnation);
	if (!memory)
		return make_memory(cache, incarnation);
	no_longer_absent(memory);
	return memory;
}

/* The client may come back all the same. */
static void give_up_memory(dxi_memory *memory)
{
	while (memory->answered.first)
		give_up(memory->answered.first);
	dxi_count(&memory->cache->metrics->replies_forgotten, memory->working.count);
	dxi_memory_forget(memory);
}

void dxi_memory_leave(dxi_memory *memory, int64_t now_ns)
{
	dxi_reply_cache *cache = memory->cache;

	memory->until_ns = now_ns + cache->limits.absent_ns;
	memory->is_absent = true;
	memory->previous_absent = cache->absent_last;
	memory->next_absent = NULL;
	*(cache->absent_last ? &cache->absent_last->next_absent : &cache->absent_first) = memory;
	cache->absent_last = memory;
	if (++cache->absent_count > cache->limits.absent_max)
		give_up_memory(cache->absent_first);
}

static void forget_all(dxi_memory *memory)
{
	while (memory->working.first) {
		/* relaxed: a hint to the worker. Now nobody will read the answer. */
		if (!memory->working.first->request->client)
			atomic_store_explicit(&memory->working.first->request->canceled, 1,
			                      memory_order_relaxed);
		drop(memory->working.first);
	}
	while (memory->answered.first)
		drop(memory->answered.first);
}

void dxi_memory_forget(dxi_memory *memory)
{
	dxi_reply_cache *cache = memory->cache;

	forget_all(memory);
	no_longer_absent(memory);
	cache->hand = memory->next == memory ? NULL : memory->next;
	memory->previous->next = memory->next;
	memory->next->previous = memory->previous;
	cache->memory_count--;
	dxi_count_down(&cache->metrics->memory_bytes, sizeof *memory);
	free(memory);
}

int64_t dxi_reply_cache_expire(dxi_reply_cache *cache, int64_t now_ns)
{
	while (cache->absent_first && cache->absent_first->until_ns <= now_ns)
		give_up_memory(cache->absent_first);
	return cache->absent_first ? cache->absent_first->until_ns : DXH_FOREVER;
}

/* ---- entries -------------------------------------------------------------------------- */

dxi_kept *dxi_kept_find(const dxi_memory *memory, uint64_t id)
{
	dxi_kept *kept = *bucket_of(memory, id);

	while (kept && (kept->id != id || kept->memory != memory))
		kept = kept->next_in_bucket;
	return kept;
}

static void link_to(dxi_kept *kept, dxh_request *request)
{
	kept->request = request;
	request->kept = kept;
}

void dxi_kept_begin(dxi_memory *memory, dxh_request *request)
{
	dxi_kept **bucket = bucket_of(memory, request->id);
	dxi_kept *kept = dxi_kept_find(memory, request->id);

	if (kept)
		drop(kept);
	kept = malloc(sizeof *kept);
	if (!kept) {
		/* It is executed and nobody will know: as if it had been forgotten. */
		memory->token = memory->cache->next_token++;
		return;
	}
	kept->next_in_bucket = *bucket;
	kept->memory = memory;
	kept->id = request->id;
	kept->is_answered = kept->is_acknowledged = kept->has_answer = false;
	kept->body = NULL;
	*bucket = kept;
	link_to(kept, request);
	append(&memory->working, kept);
	dxi_count(&memory->cache->metrics->memory_bytes, sizeof *kept);
}

/* Share it, if others can hold it too; else copy it. */
static bool keep_body(dxi_kept *kept, const dxh_request *request)
{
	size_t bytes = request->answer_bytes;

	if (bytes <= sizeof kept->inline_bytes) {
		if (bytes > 0)
			memcpy(kept->inline_bytes, request->answer, bytes);
		return true;
	}
	if (request->answer_body) {
		kept->body = request->answer_body;
		dxi_body_acquire(kept->body);
	} else {
		kept->body = dxi_body_make(bytes);
		if (!kept->body)
			return false;
		memcpy(kept->body->own, request->answer, bytes);
	}
	dxi_count(&kept->memory->cache->metrics->memory_bytes, bytes);
	return true;
}

static void keep_answer(dxi_kept *kept, const dxh_request *request)
{
	dxi_memory *memory = kept->memory;
	dxi_reply_cache *cache = memory->cache;

	if (cache->limits.bytes_max == 0)
		return; /* as it was asked for */
	if (request->answer_bytes > cache->limits.bytes_max / ONE_IN || !keep_body(kept, request)) {
		dxi_count(&cache->metrics->replies_evicted, 1);
		return;
	}
	kept->has_answer = true;
	kept->answer_kind = request->answer_kind;
	kept->answer_status = request->answer_status;
	kept->answer_bytes = request->answer_bytes;
	memory->bytes += kept->answer_bytes;
	cache->bytes += kept->answer_bytes;
	if (!memory->oldest_body)
		memory->oldest_body = kept;
}

void dxi_kept_answer(dxi_kept *kept, const dxh_request *request)
{
	dxi_memory *memory = kept->memory;

	if (kept->is_acknowledged) {
		drop(kept);
		return;
	}
	take_out(&memory->working, kept);
	append(&memory->answered, kept);
	kept->is_answered = true;
	memory->cache->answered_count++;
	keep_answer(kept, request);
	keep_to_limits(memory);
}

void dxi_kept_carry(dxi_kept *kept, dxh_request *carrier)
{
	carrier->id = kept->id;
	carrier->answer_kind = kept->answer_kind;
	carrier->answer_status = kept->answer_status;
	carrier->answer_bytes = kept->answer_bytes;
	if (kept->body) {
		dxi_body_acquire(kept->body);
		carrier->answer_body = kept->body;
		carrier->answer = kept->body->bytes;
		dxi_count(&kept->memory->cache->metrics->memory_bytes, kept->answer_bytes);
	} else {
		memcpy(carrier->storage, kept->inline_bytes, kept->answer_bytes);
		carrier->answer = carrier->storage;
	}
	link_to(kept, carrier);
}

void dxi_kept_let_go(dxh_request *request)
{
	if (request->kept)
		request->kept->request = NULL;
	request->kept = NULL;
}

void dxi_kept_moved(dxh_request *request, dxh_request *to)
{
	to->kept = request->kept;
	if (to->kept)
		to->kept->request = to;
	request->kept = NULL;
}

void dxi_kept_acknowledge(dxi_memory *memory, uint64_t id)
{
	dxi_kept *kept = dxi_kept_find(memory, id);

	if (!kept)
		return;
	if (kept->is_answered)
		drop(kept);
	else
		kept->is_acknowledged = true;
}
