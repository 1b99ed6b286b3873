/* SPDX-License-Identifier: MIT */
/* Results are read while another thread releases them and their slots go on to the next
 * operation: what is handed out is of the completion that was asked for, whole, or
 * DXH_ESTALE. Each result is made from its handle, so a foreign one is seen. The threads
 * share nothing but the handle, relaxed: only the state word orders them.
 *
 * Planted: "foreign" gives an operation the text of the one before; "leak" keeps one from
 * being released.
 */
#include "tests/support/stress.h"

#include "queue/completion.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 2, SLOTS = 4, COPIES = 8, DIGITS = 16, BODY_MAX = 90 };

static dxi_pool *pool;
static dxi_wakes wakes;
static _Atomic uint64_t current;
static _Atomic int may_stop;

static bool fails(dxh_completion done)
{
	return (done >> 32) % 2 == 1;
}

static size_t body_bytes(dxh_completion done)
{
	return fails(done) ? COPIES * DIGITS : 1 + (done >> 33) % BODY_MAX;
}

static char *text_of(dxh_completion done)
{
	char *text = malloc(COPIES * DIGITS + 1);

	if (!text)
		stress_fail("no memory");
	for (int i = 0; i < COPIES; i++)
		snprintf(text + i * DIGITS, DIGITS + 1, "%016" PRIx64, done);
	return text;
}

/* ---- who posts, ends and releases ------------------------------------------------ */

static dxh_completion end_one(dxi_slot *slot, dxh_completion before)
{
	dxh_completion done = dxi_completion_begin(slot, NULL, NULL);

	if (!dxi_completion_claim(slot))
		stress_fail("cancelled by nobody");
	dxi_completion_complete(slot, fails(done) ? DXH_EEXPIRED : DXH_OK, DXH_REPLIED,
	                        text_of(stress_planted("foreign") ? before : done),
	                        body_bytes(done), true, &wakes);
	return done;
}

static void go_on_for(uint64_t turns)
{
	while (turns-- > 0)
		atomic_signal_fence(memory_order_seq_cst);
}

static void write_results(void)
{
	uint64_t random = stress_state(1);
	dxh_completion done = 0;
	dxi_slot *slot;

	for (uint64_t i = 0; i < stress_operations; i++) {
		/* Readers keep some for a moment. */
		while (!(slot = dxi_pool_take(pool)))
			go_on_for(10);
		done = end_one(slot, done);
		atomic_store_explicit(&current, done, memory_order_relaxed);
		go_on_for(stress_random(&random) % 512);
		if (stress_planted("leak") && i == stress_operations / 2)
			continue;
		if (dxh_release(done) != DXH_OK)
			stress_fail("release: %s", dxh_last_error());
	}
}

/* ---- who reads ----------------------------------------------------------------------- */

typedef struct counts {
	uint64_t good, failed, stale;
} counts;

/* The reason ends with the text. */
static void check_text(dxh_completion done)
{
	const char *reason = dxh_last_error();
	size_t length = strlen(reason);
	char *wanted = text_of(done);

	if (length < COPIES * DIGITS || strcmp(reason + length - COPIES * DIGITS, wanted) != 0)
		stress_fail("%016" PRIx64 " was handed out as: %s", done, reason);
	free(wanted);
}

static void read_one(dxh_completion done, counts *seen)
{
	dxh_reply reply;
	dxh_status status = dxh_result(done, &reply);

	switch (status) {
	case DXH_OK:
		seen->good++;
		break;
	case DXH_EEXPIRED:
		check_text(done);
		seen->failed++;
		break;
	case DXH_ESTALE:
		seen->stale++;
		return;
	default:
		stress_fail("result: %s", dxh_last_error());
	}
	if ((status == DXH_EEXPIRED) != fails(done) || reply.status != status ||
	    reply.certainty != DXH_REPLIED || reply.body_bytes != body_bytes(done))
		stress_fail("%016" PRIx64 " was handed out with status %d, %zu bytes", done, status,
		            reply.body_bytes);
}

static void *read_results(void *context)
{
	counts *seen = context;

	while (!atomic_load_explicit(&may_stop, memory_order_relaxed)) {
		dxh_completion done = atomic_load_explicit(&current, memory_order_relaxed);

		if (done)
			read_one(done, seen);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t readers[READERS];
	counts seen[READERS], all = {0, 0, 0};

	memset(seen, 0, sizeof seen);
	stress_begin(argc, argv, 200000);
	pool = dxi_pool_open(SLOTS, NULL, -1);
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_results, &seen[i]);
	write_results();
	atomic_store_explicit(&may_stop, 1, memory_order_relaxed);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i], NULL);
		all.good += seen[i].good;
		all.failed += seen[i].failed;
		all.stale += seen[i].stale;
	}
	stress_equal(dxi_pool_out(pool), 0);
	stress_equal(dxi_pool_bytes(pool), SLOTS * DXI_SLOT_BYTES);
	if (all.good + all.failed == 0 || all.stale == 0)
		stress_fail("too little was met");
	printf("result_stress: of %" PRIu64 " operations %" PRIu64 " results and %" PRIu64
	       " failures were read, %" PRIu64 " were released already\n",
	       stress_operations, all.good, all.failed, all.stale);
	dxi_pool_close(pool);
	return 0;
}
