/* SPDX-License-Identifier: MIT */
/* The reply cache by itself: what is found, what goes first, and what is known of it. */
#include "runtime/reply_cache.h"
#include "runtime/service.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

TestSuite(reply_cache, .timeout = 60);

static dxi_metrics metrics;
static dxi_reply_cache cache;

static const dxi_cache_limits roomy = {.answered_max = 1000,
                                       .bytes_max = 1 << 20,
                                       .own_max = 1000,
                                       .own_bytes = 1 << 20,
                                       .absent_max = 10,
                                       .absent_ns = 100};

static void open_cache(dxi_cache_limits limits)
{
	memset(&metrics, 0, sizeof metrics);
	must(dxi_reply_cache_init(&cache, &limits, &metrics));
}

static void close_cache(void)
{
	dxi_reply_cache_fini(&cache);
	cr_expect_eq(dxi_count_get(&metrics.memory_bytes), 0);
	cr_expect_eq(cache.bytes, 0);
	cr_expect_eq(cache.answered_count, 0);
	cr_expect_eq(cache.absent_count, 0);
}

static dxh_request *begin(dxi_memory *memory, uint64_t id)
{
	dxh_request *request = calloc(1, sizeof *request + 256);

	request->id = id;
	request->capacity = 256;
	dxi_kept_begin(memory, request);
	return request;
}

static unsigned char text_of(uint64_t id)
{
	return (unsigned char)(id * 7 + 1);
}

/* Answer with so many bytes, and be done with the request. */
static void answer(dxh_request *request, size_t bytes)
{
	unsigned char *body = malloc(bytes + 1);

	memset(body, text_of(request->id), bytes);
	request->answer_kind = 5;
	request->answer = body;
	request->answer_bytes = bytes;
	if (request->kept)
		dxi_kept_answer(request->kept, request);
	dxi_kept_let_go(request);
	free(request);
	free(body);
}

static void keep(dxi_memory *memory, uint64_t id, size_t bytes)
{
	answer(begin(memory, id), bytes);
}

static bool has_answer(const dxi_memory *memory, uint64_t id, size_t bytes)
{
	const dxi_kept *kept = dxi_kept_find(memory, id);
	const unsigned char *body;

	if (!kept || !kept->has_answer)
		return false;
	body = kept->body ? kept->body->bytes : kept->inline_bytes;
	cr_assert_eq(kept->answer_bytes, bytes);
	for (size_t i = 0; i < bytes; i++)
		cr_assert_eq(body[i], text_of(id));
	return true;
}

static uint64_t evicted(void)
{
	return dxi_count_get(&metrics.replies_evicted);
}

static uint64_t forgotten(void)
{
	return dxi_count_get(&metrics.replies_forgotten);
}

Test(reply_cache, answers_of_all_sizes_are_kept_until_they_are_acknowledged)
{
	const size_t sizes[] = {0, 1, 64, 65, 5000};
	dxi_memory *memory;
	uint64_t token, empty;

	open_cache(roomy);
	memory = dxi_memory_enter(&cache, 42);
	token = dxi_memory_token(memory);
	empty = dxi_count_get(&metrics.memory_bytes);
	for (size_t i = 0; i < 5; i++)
		keep(memory, i + 1, sizes[i]);
	for (size_t i = 0; i < 5; i++)
		cr_expect(has_answer(memory, i + 1, sizes[i]));
	cr_expect_geq(dxi_count_get(&metrics.memory_bytes), empty + 65 + 5000);
	cr_expect_null(dxi_kept_find(memory, 6));
	for (size_t i = 0; i < 5; i++) {
		dxi_kept_acknowledge(memory, i + 1);
		cr_expect_null(dxi_kept_find(memory, i + 1));
		dxi_kept_acknowledge(memory, i + 1);
	}
	cr_expect_eq(dxi_count_get(&metrics.memory_bytes), empty);
	cr_expect_eq(dxi_memory_token(memory), token);
	cr_expect_eq(evicted() + forgotten(), 0);
	close_cache();
}

Test(reply_cache, what_is_in_work_is_known_and_an_acknowledged_one_is_not_kept)
{
	dxi_memory *memory;
	dxh_request *first, *second;

	open_cache(roomy);
	memory = dxi_memory_enter(&cache, 1);
	first = begin(memory, 1);
	second = begin(memory, 2);
	cr_expect_eq(dxi_kept_find(memory, 1)->request, first);
	dxi_kept_acknowledge(memory, 2);
	cr_expect_not_null(dxi_kept_find(memory, 2), "it is still in work");
	answer(second, 3);
	cr_expect_null(dxi_kept_find(memory, 2));
	answer(first, 3);
	cr_expect(has_answer(memory, 1, 3));
	close_cache();
}

Test(reply_cache, clients_do_not_find_answers_of_others)
{
	dxi_memory *one, *two;

	open_cache(roomy);
	one = dxi_memory_enter(&cache, 1);
	two = dxi_memory_enter(&cache, 2);
	keep(one, 5, 10);
	cr_expect_null(dxi_kept_find(two, 5));
	keep(two, 5, 20);
	cr_expect(has_answer(one, 5, 10));
	cr_expect(has_answer(two, 5, 20));
	dxi_kept_acknowledge(two, 5);
	cr_expect(has_answer(one, 5, 10));
	close_cache();
}

Test(reply_cache, an_id_that_is_used_anew_is_another_request)
{
	dxi_memory *memory;
	dxh_request *old, *fresh;

	open_cache(roomy);
	memory = dxi_memory_enter(&cache, 1);
	keep(memory, 1, 10);
	old = begin(memory, 1);
	cr_expect_eq(dxi_kept_find(memory, 1)->request, old);
	fresh = begin(memory, 1);
	cr_expect_eq(dxi_kept_find(memory, 1)->request, fresh);
	answer(old, 100); /* nobody's any more */
	cr_expect_not(dxi_kept_find(memory, 1)->is_answered);
	answer(fresh, 30);
	cr_expect(has_answer(memory, 1, 30));
	close_cache();
}

Test(reply_cache, for_want_of_bytes_the_oldest_answer_goes_but_is_known_to_have_been_given)
{
	dxi_cache_limits tight = roomy;
	dxi_memory *memory;
	uint64_t token;

	tight.bytes_max = 1000;
	open_cache(tight);
	memory = dxi_memory_enter(&cache, 1);
	token = dxi_memory_token(memory);
	for (uint64_t id = 1; id <= 15; id++)
		keep(memory, id, 100);
	for (uint64_t id = 1; id <= 15; id++) {
		cr_expect_eq(has_answer(memory, id, 100), id > 5, "%d", (int)id);
		cr_expect(dxi_kept_find(memory, id)->is_answered);
	}
	cr_expect_eq(evicted(), 5);
	cr_expect_eq(forgotten(), 0);
	cr_expect_eq(dxi_memory_token(memory), token, "it was not forgotten");
	/* What alone would take more than a quarter. */
	keep(memory, 16, 251);
	cr_expect_not(dxi_kept_find(memory, 16)->has_answer);
	cr_expect_eq(evicted(), 6);
	cr_expect(has_answer(memory, 6, 100));
	close_cache();
}

Test(reply_cache, for_want_of_entries_the_oldest_is_forgotten_which_shows)
{
	dxi_cache_limits tight = roomy;
	dxi_memory *memory;
	uint64_t token;

	tight.answered_max = 10;
	open_cache(tight);
	memory = dxi_memory_enter(&cache, 1);
	for (uint64_t id = 1; id <= 10; id++)
		keep(memory, id, 100);
	token = dxi_memory_token(memory);
	cr_expect_eq(forgotten(), 0);
	keep(memory, 11, 100);
	cr_expect_null(dxi_kept_find(memory, 1));
	cr_expect(has_answer(memory, 2, 100));
	cr_expect_eq(forgotten(), 1);
	cr_expect_eq(evicted(), 1);
	cr_expect_neq(dxi_memory_token(memory), token);
	close_cache();
}

Test(reply_cache, who_never_acknowledges_takes_nothing_from_who_does)
{
	enum { MODEST = 20, GREEDY = 5000, CLIENTS = 4 };
	dxi_cache_limits tight = roomy;
	dxi_memory *modest[CLIENTS], *greedy;
	uint64_t token;

	tight.answered_max = 200;
	tight.own_max = 1000;
	open_cache(tight);
	greedy = dxi_memory_enter(&cache, 1);
	for (int i = 0; i < CLIENTS; i++) {
		modest[i] = dxi_memory_enter(&cache, (uint64_t)i + 2);
		for (uint64_t id = 1; id <= MODEST; id++)
			keep(modest[i], id, 100);
	}
	token = dxi_memory_token(modest[0]);
	for (uint64_t id = 1; id <= GREEDY; id++)
		keep(greedy, id, 100);
	for (int i = 0; i < CLIENTS; i++)
		for (uint64_t id = 1; id <= MODEST; id++)
			cr_expect(has_answer(modest[i], id, 100));
	cr_expect_eq(dxi_memory_token(modest[0]), token);
	cr_expect_eq(greedy->answered.count, 200 - CLIENTS * MODEST);
	cr_expect_eq(forgotten(), GREEDY - (200 - CLIENTS * MODEST));
	/* The same of bytes. */
	cache.limits.bytes_max = cache.bytes;
	for (uint64_t id = 1; id <= GREEDY; id++)
		keep(greedy, GREEDY + id, 2000);
	for (int i = 0; i < CLIENTS; i++)
		for (uint64_t id = 1; id <= MODEST; id++)
			cr_expect(has_answer(modest[i], id, 100));
	close_cache();
}

Test(reply_cache, nobody_holds_more_than_its_own_window)
{
	dxi_cache_limits tight = roomy;
	dxi_memory *memory;

	tight.own_max = 8;
	tight.own_bytes = 450;
	open_cache(tight);
	memory = dxi_memory_enter(&cache, 1);
	for (uint64_t id = 1; id <= 100; id++) {
		keep(memory, id, 100);
		cr_assert_leq(memory->bytes, 450);
		cr_assert_leq(memory->answered.count, 8);
	}
	cr_expect(has_answer(memory, 97, 100));
	cr_expect_not(dxi_kept_find(memory, 96)->has_answer);
	cr_expect_not_null(dxi_kept_find(memory, 93));
	cr_expect_null(dxi_kept_find(memory, 92));
	close_cache();
}

Test(reply_cache, who_comes_back_in_time_is_remembered)
{
	dxi_memory *memory;
	uint64_t token;

	open_cache(roomy);
	memory = dxi_memory_enter(&cache, 1);
	token = dxi_memory_token(memory);
	keep(memory, 1, 10);
	dxi_memory_leave(memory, 1000);
	cr_expect_eq(dxi_reply_cache_expire(&cache, 1099), 1100);
	cr_expect_eq(dxi_memory_enter(&cache, 1), memory);
	cr_expect_eq(dxi_reply_cache_expire(&cache, 5000), DXH_FOREVER);
	cr_expect(has_answer(memory, 1, 10));
	cr_expect_eq(dxi_memory_token(memory), token);

	dxi_memory_leave(memory, 5000);
	cr_expect_eq(dxi_reply_cache_expire(&cache, 5100), DXH_FOREVER);
	cr_expect_eq(evicted(), 1);
	cr_expect_eq(forgotten(), 1);
	memory = dxi_memory_enter(&cache, 1);
	cr_expect_null(dxi_kept_find(memory, 1));
	cr_expect_neq(dxi_memory_token(memory), token);
	close_cache();
}

Test(reply_cache, of_those_who_are_gone_the_longest_absent_is_forgotten_first)
{
	enum { ABSENT = 10 };
	uint64_t tokens[ABSENT + 2];

	open_cache(roomy);
	for (uint64_t i = 0; i < ABSENT + 2; i++)
		tokens[i] = dxi_memory_token(dxi_memory_enter(&cache, i + 1));
	for (uint64_t i = 0; i < ABSENT + 2; i++)
		dxi_memory_leave(dxi_memory_enter(&cache, i + 1), (int64_t)i);
	cr_expect_eq(cache.absent_count, ABSENT);
	for (uint64_t i = ABSENT + 2; i-- > 0;)
		cr_expect_eq(dxi_memory_token(dxi_memory_enter(&cache, i + 1)) == tokens[i], i > 1,
		             "%d", (int)i);
	close_cache();
}

Test(reply_cache, what_is_in_work_survives_the_end_of_its_memory)
{
	dxi_memory *memory;
	dxh_request *request;

	open_cache(roomy);
	memory = dxi_memory_enter(&cache, 1);
	request = begin(memory, 1);
	dxi_memory_leave(memory, 0);
	cr_expect_eq(dxi_reply_cache_expire(&cache, 100), DXH_FOREVER);
	cr_expect_null(request->kept);
	cr_expect_eq(atomic_load(&request->canceled), 1, "nobody will read the answer");
	cr_expect_eq(forgotten(), 1);
	answer(request, 10);
	close_cache();
}

Test(reply_cache, no_two_memories_have_the_same_token)
{
	enum { COUNT = 100 };
	uint64_t tokens[2 * COUNT];

	for (int i = 0; i < 2; i++) {
		open_cache(roomy);
		for (uint64_t k = 0; k < COUNT; k++)
			tokens[(uint64_t)i * COUNT + k] =
				dxi_memory_token(dxi_memory_enter(&cache, k + 1));
		close_cache();
	}
	for (int i = 0; i < 2 * COUNT; i++) {
		cr_expect_neq(tokens[i], 0);
		for (int k = 0; k < i; k++)
			cr_expect_neq(tokens[i], tokens[k]);
	}
}

/* The cache beside a model of a few ids, over many steps drawn from a seed. */
Test(reply_cache, random_steps_agree_with_a_model)
{
	enum { IDS = 12, CLIENTS = 3, STEPS = 20000 };
	dxh_request *working[CLIENTS][IDS] = {0};
	bool known[CLIENTS][IDS] = {0};
	dxi_memory *memories[CLIENTS];
	uint64_t random = 1, answers = 0;

	open_cache(roomy);
	for (uint64_t i = 0; i < CLIENTS; i++)
		memories[i] = dxi_memory_enter(&cache, i + 1);
	for (int step = 0; step < STEPS; step++) {
		uint64_t c, id;

		random = random * 6364136223846793005u + 1442695040888963407u;
		c = (random >> 33) % CLIENTS;
		id = (random >> 40) % IDS;
		switch ((random >> 50) % 3) {
		case 0:
			if (!working[c][id]) {
				working[c][id] = begin(memories[c], id);
				known[c][id] = false;
			}
			break;
		case 1:
			if (working[c][id]) {
				answer(working[c][id], id * 20);
				working[c][id] = NULL;
				known[c][id] = true;
				answers++;
			}
			break;
		default:
			if (!working[c][id]) {
				dxi_kept_acknowledge(memories[c], id);
				known[c][id] = false;
			}
		}
		cr_assert_eq(has_answer(memories[c], id, id * 20), known[c][id]);
		cr_assert_eq(dxi_kept_find(memories[c], id) != NULL,
		             known[c][id] || working[c][id] != NULL);
	}
	cr_assert_gt(answers, STEPS / 10);
	for (int c = 0; c < CLIENTS; c++)
		for (int id = 0; id < IDS; id++)
			if (working[c][id])
				answer(working[c][id], 1);
	close_cache();
}
