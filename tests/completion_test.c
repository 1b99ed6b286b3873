/* SPDX-License-Identifier: MIT */
/* Slots, handles and the one terminal event, without a hub. */
#include "tests/support/slots.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the pool ---- */

Test(pool, gives_as_many_slots_as_it_was_opened_with, .timeout = 10)
{
	enum { SLOTS = 1500 };
	dxi_pool *pool = open_pool(SLOTS);
	dxi_slot *slots[SLOTS];

	for (int i = 0; i < SLOTS; i++)
		cr_assert_not_null(slots[i] = dxi_pool_take(pool));
	cr_expect_null(dxi_pool_take(pool));
	cr_expect_eq(dxi_pool_out(pool), SLOTS);
	for (int i = 0; i < SLOTS; i++)
		dxi_pool_give(slots[i]);
	cr_expect_eq(dxi_pool_out(pool), 0);
	cr_expect_not_null(dxi_pool_take(pool));
}

Test(pool, a_closed_pool_is_used_again_once_all_slots_are_home, .timeout = 10)
{
	dxi_pool *first = open_pool(10);
	dxi_slot *slot = dxi_pool_take(first);
	dxi_pool *second;

	dxi_pool_close(first);
	second = open_pool(10);
	cr_expect_neq(second, first, "a slot of the first is still out");
	dxi_pool_close(second);
	dxi_pool_give(slot);
	cr_expect(open_pool(10) == second && open_pool(10) == first);
}

static void *take_and_give(void *pool)
{
	for (int i = 0; i < 50000; i++) {
		dxi_slot *slot = dxi_pool_take(pool);

		if (!slot)
			continue;
		/* Nobody else has it: a plain mark must survive. */
		slot->user = &slot;
		cr_assert_eq(slot->user, (void *)&slot);
		dxi_pool_give(slot);
	}
	return NULL;
}

Test(pool, a_slot_is_given_to_one_thread_at_a_time, .timeout = 60)
{
	pthread_t threads[8];
	dxi_pool *pool = open_pool(4);

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, take_and_give, pool);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(dxi_pool_out(pool), 0);
}

/* ---- handles ---- */

Test(completion, a_made_up_handle_is_stale, .timeout = 10)
{
	const dxh_completion made_up[] = {0, 1, UINT64_MAX, UINT64_C(1) << 32,
	                                  UINT64_C(0x1234567812345678)};
	dxh_cancel_answer answer;

	for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
		must_be(dxh_poll(made_up[i]), DXH_ESTALE, "never issued");
		must_be(dxh_await(made_up[i], DXH_FOREVER, NULL), DXH_ESTALE, NULL);
		must_be(dxh_result(made_up[i], NULL), DXH_ESTALE, NULL);
		must_be(dxh_cancel(made_up[i], &answer), DXH_ESTALE, NULL);
		must_be(dxh_release(made_up[i]), DXH_ESTALE, NULL);
	}
}

Test(completion, the_handle_of_a_free_slot_cannot_be_guessed, .timeout = 10)
{
	dxh_completion done;
	dxi_slot *slot = begin(open_pool(1), NULL, &done);

	dxi_completion_claim(slot);
	complete(slot, DXH_OK);
	must(dxh_release(done));
	must_be(dxh_poll(done), DXH_ESTALE, NULL);
	must_be(dxh_poll(done + (UINT64_C(1) << 32)), DXH_ESTALE, NULL);
}

Test(completion, poll_and_await_tell_pending_from_done, .timeout = 10)
{
	dxh_completion done;
	dxh_reply reply;
	dxi_slot *slot = begin(open_pool(1), NULL, &done);

	must_be(dxh_poll(done), DXH_EWAIT, NULL);
	must_be(dxh_result(done, &reply), DXH_EWAIT, NULL);
	must_be(dxh_await(done, DXH_NOW, &reply), DXH_EWAIT, NULL);
	must_be(dxh_await(done, dxh_in_us(100), &reply), DXH_EWAIT, NULL);
	cr_assert(dxi_completion_claim(slot));
	complete(slot, DXH_OK);
	must(dxh_poll(done));
	must(dxh_await(done, DXH_NOW, &reply));
	cr_expect_eq(reply.body_bytes, 4);
	cr_expect_eq(memcmp(reply.body, "body", 4), 0);
	cr_expect_eq(reply.certainty, DXH_REPLIED);
	must(dxh_release(done));
	must_be(dxh_release(done), DXH_ESTALE, NULL);
}

static void *complete_soon(void *slot)
{
	complete(slot, DXH_EREJECTED);
	return NULL;
}

Test(completion, await_sleeps_until_another_thread_completes, .timeout = 20)
{
	dxi_pool *pool = open_pool(1);

	for (int i = 0; i < 2000; i++) {
		dxh_completion done;
		dxi_slot *slot = begin(pool, NULL, &done);
		pthread_t thread;

		dxi_completion_claim(slot);
		pthread_create(&thread, NULL, complete_soon, slot);
		must_be(dxh_await(done, DXH_FOREVER, NULL), DXH_EREJECTED, "body");
		must(dxh_release(done));
		pthread_join(thread, NULL);
	}
}

Test(completion, released_before_the_end_it_goes_home_at_the_end, .timeout = 10)
{
	dxi_pool *pool = open_pool(1);
	dxh_completion done;
	dxi_slot *slot = begin(pool, NULL, &done);

	must(dxh_release(done));
	must_be(dxh_poll(done), DXH_ESTALE, NULL);
	cr_expect_eq(dxi_pool_out(pool), 1);
	dxi_completion_claim(slot);
	complete(slot, DXH_OK);
	cr_expect_eq(dxi_pool_out(pool), 0);
}

Test(completion, await_is_refused_where_it_would_wait_for_itself, .timeout = 10)
{
	dxh_completion done;
	dxi_slot *slot = begin(open_pool(1), NULL, &done);

	dxi_may_not_wait = true;
	must_be(dxh_await(done, DXH_FOREVER, NULL), DXH_EDEADLK, "dxh_result");
	must_be(dxh_await(done, DXH_NOW, NULL), DXH_EWAIT, NULL); /* it does not wait */
	dxi_completion_claim(slot);
	complete(slot, DXH_OK);
	must(dxh_await(done, DXH_FOREVER, NULL));
}

Test(completion, a_child_of_fork_is_told_so, .timeout = 10)
{
	dxh_completion done;
	int status;
	pid_t child;

	begin(open_pool(1), NULL, &done);
	child = fork();
	if (child == 0) {
		bool all = dxh_await(done, DXH_FOREVER, NULL) == DXH_EFORKED &&
		           dxh_poll(done) == DXH_EFORKED && dxh_release(done) == DXH_EFORKED &&
		           dxh_cancel(done, NULL) == DXH_EFORKED;

		_exit(all ? 0 : 1);
	}
	waitpid(child, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must_be(dxh_poll(done), DXH_EWAIT, NULL);
}

/* ---- cancel ---- */

Test(completion, cancel_before_the_claim_ends_it_there, .timeout = 10)
{
	dxi_pool *pool = open_pool(1);
	dxh_completion done;
	dxh_cancel_answer answer;
	dxh_reply reply;
	dxi_slot *slot = begin(pool, NULL, &done);

	must(dxh_cancel(done, &answer));
	cr_expect_eq(answer, DXH_CANCELED);
	must_be(dxh_await(done, DXH_FOREVER, &reply), DXH_ECANCELED, "not sent");
	cr_expect_eq(reply.certainty, DXH_NOT_SENT);
	must(dxh_release(done));
	cr_expect_eq(dxi_pool_out(pool), 1, "it is still linked in the queue");
	cr_expect_not(dxi_completion_claim(slot));
	cr_expect_eq(dxi_pool_out(pool), 0);
}

Test(completion, cancel_after_the_claim_is_for_the_io_thread, .timeout = 10)
{
	dxi_pool *pool = open_pool(1);
	dxh_completion done;
	dxh_cancel_answer answer;
	dxi_slot *slot = begin(pool, NULL, &done);

	cr_assert(dxi_completion_claim(slot));
	must(dxh_cancel(done, &answer));
	cr_expect_eq(answer, DXH_CANCEL_PENDING);
	must(dxh_cancel(done, &answer));
	cr_expect_eq(answer, DXH_CANCEL_PENDING, "a second one changes nothing");
	cr_assert(complete(slot, DXH_OK), "the node of the cancel is on its way");
	must(dxh_cancel(done, &answer));
	cr_expect_eq(answer, DXH_CANCEL_TOO_LATE);
	must(dxh_release(done));
	cr_expect_eq(dxi_pool_out(pool), 1, "the node lies in the slot");
	cr_expect_eq((void *)dxi_queue_take(&cancels), (void *)slot->record);
	cr_expect_not(dxi_completion_cancel_seen(slot));
	cr_expect_eq(dxi_pool_out(pool), 0);
}

/* ---- random races, counted ---- */

enum { RACES = 100000 };
static dxi_pool *race_pool;
static _Atomic uint64_t race_slot; /* slot pointer handed to the I/O side, 0: none */
static _Atomic uint64_t ended_by_cancel, ended_by_io;

static void *play_io_thread(void *unused)
{
	uint64_t pending_nodes = 0, races = 0;

	(void)unused;
	while (races < RACES || pending_nodes > 0) {
		dxi_slot *slot = (dxi_slot *)(uintptr_t)atomic_exchange(&race_slot, 0);
		dxi_node *node = dxi_queue_take(&cancels);

		while (node) {
			dxi_node *next = node->next;
			dxi_slot *canceled =
				(dxi_slot *)(void *)((char *)node - offsetof(dxi_slot, record));

			if (!dxi_completion_cancel_seen(canceled))
				pending_nodes--;
			node = next;
		}
		if (!slot)
			continue;
		races++;
		if (!dxi_completion_claim(slot)) {
			ended_by_cancel++;
			continue;
		}
		/* complete() asserts that nobody else has ended it. */
		pending_nodes +=
			dxi_completion_complete(slot, DXH_OK, DXH_REPLIED, NULL, 0, false, &wakes);
		dxi_wakes_issue(&wakes);
		ended_by_io++;
	}
	return NULL;
}

Test(completion, each_of_many_races_has_one_end, .timeout = 120)
{
	pthread_t io;
	uint64_t canceled = 0, done_ok = 0;
	unsigned random = 1;

	race_pool = open_pool(64);
	pthread_create(&io, NULL, play_io_thread, NULL);
	for (int i = 0; i < RACES; i++) {
		dxh_completion done;
		dxi_slot *slot;
		dxh_status status;

		while (!(slot = dxi_pool_take(race_pool)))
			;
		((dxi_task *)(void *)slot->record)->kind = 0;
		done = dxi_completion_begin(slot, NULL, NULL);
		while (atomic_load(&race_slot) != 0)
			;
		atomic_store(&race_slot, (uint64_t)(uintptr_t)slot);
		random = random * 1103515245u + 12345u;
		for (unsigned spin = random >> 16 & 127; spin > 0; spin--)
			atomic_thread_fence(memory_order_seq_cst);
		must(dxh_cancel(done, NULL));
		status = dxh_await(done, DXH_FOREVER, NULL);
		canceled += status == DXH_ECANCELED;
		done_ok += status == DXH_OK;
		must(dxh_release(done));
	}
	pthread_join(io, NULL);
	cr_expect_eq(canceled + done_ok, RACES);
	cr_expect_eq(canceled, ended_by_cancel);
	cr_expect_eq(done_ok, ended_by_io);
	cr_expect_eq(dxi_pool_out(race_pool), 0);
	cr_log_info("%d races, %llu ended by the cancel", RACES, (unsigned long long)canceled);
}

Test(completion, a_pinned_result_outlives_its_release, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion done;
	dxi_slot *slot = begin(pool, NULL, &done);
	char *text = strdup("its text");

	cr_assert(dxi_completion_claim(slot));
	dxi_completion_complete(slot, DXH_EREJECTED, DXH_REPLIED, text, 8, true, &wakes);
	cr_assert(dxi_completion_pin(slot, done));
	cr_assert(dxi_completion_pin(slot, done));
	must(dxh_release(done));
	cr_expect_eq(dxi_pool_out(pool), 1, "two read of it");
	cr_expect_not(dxi_completion_pin(slot, done), "who comes later does not");
	must_be(dxh_await(done, DXH_NOW, NULL), DXH_ESTALE, NULL);
	dxi_completion_unpin(slot);
	cr_expect_eq(dxi_pool_out(pool), 1);
	cr_expect_eq(memcmp(dxi_completion_result(slot).body, "its text", 8), 0);
	dxi_completion_unpin(slot);
	cr_expect_eq(dxi_pool_out(pool), 0);
	cr_expect_not(dxi_completion_pin(slot, done));
}

Test(completion, a_failure_is_worded_with_two_hundred_bytes_of_its_text_at_most, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion done;
	dxi_slot *slot = begin(pool, NULL, &done);
	char text[300];

	memset(text, 'y', sizeof text);
	cr_assert(dxi_completion_claim(slot));
	dxi_completion_complete(slot, DXH_EREJECTED, DXH_REPLIED, text, sizeof text, false, &wakes);
	must_be(dxh_await(done, DXH_NOW, NULL), DXH_EREJECTED, "replied): yyy");
	cr_expect_eq(strlen(strstr(dxh_last_error(), "yyy")), 200);
	must(dxh_release(done));
	cr_expect_eq(dxi_pool_out(pool), 0);
}
