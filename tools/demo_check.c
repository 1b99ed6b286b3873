/* SPDX-License-Identifier: MIT */
/* Does it add up? Each rule is one line here; a rule that does not hold is a line
 * of the report and the exit status. */
#include "demo_supervisor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

void demo_problem(struct demo_problems *problems, const char *format, ...)
{
	va_list values;

	if (problems->count < DEMO_PROBLEMS_MAX) {
		va_start(values, format);
		vsnprintf(problems->text[problems->count], DEMO_PROBLEM_BYTES, format, values);
		va_end(values);
	}
	problems->count++;
}

static void
equal(struct demo *demo, const char *who, const char *what, uint64_t expected, uint64_t found)
{
	if (expected != found)
		demo_problem(&demo->problems, "%s: %s: expected %" PRIu64 ", found %" PRIu64, who,
		             what, expected, found);
}

static void none(struct demo *demo, const char *who, const char *what, uint64_t found)
{
	equal(demo, who, what, 0, found);
}

/* ---- samples ------------------------------------------------------------------------- */

static void check_samples(struct demo *demo)
{
	struct demo_facts *facts = demo->facts;
	bool taken_over = demo_get(&facts->producer[1].first_time_ns) != 0;
	const struct demo_producer *last = &facts->producer[taken_over];
	uint64_t head = demo->block.head;

	if (!demo->have_block) {
		demo_problem(&demo->problems, "the block was not there at the end");
		return;
	}
	if (atomic_load(&last->finished) == 0)
		demo_problem(&demo->problems, "the producer did not close in good order");
	equal(demo, "producer", "tickets in the block", demo_get(&last->next_ticket), head);
	equal(demo, "producer", "samples in the zone", head - demo_aborted_below(head),
	      demo->latest.samples);
	equal(demo, "producer", "state of the block", DXH_PRODUCER_CLOSED, demo->block.producer);
	none(demo, "latest", "torn values of the latch zone", demo->latest.torn);
	if (taken_over)
		return;
	/* A killed producer may have done one more than it came to count. */
	equal(demo, "producer", "aborted tickets", demo_aborted_below(head),
	      demo_get(&last->aborted));
	equal(demo, "producer", "committed by the block's own count",
	      head - demo_aborted_below(head), last->block.items);
	equal(demo, "producer", "aborted by the block's own count", demo_aborted_below(head),
	      last->block.aborted);
}

/* ---- readers ---------------------------------------------------------------------------- */

static void check_losses(struct demo *demo, const char *who, struct demo_reader_facts *facts,
                         const struct demo_ledger *ledger)
{
	uint64_t sum = 0;

	if (ledger->laps > DEMO_LOSSES_MAX)
		return;
	for (uint64_t i = 0; i < ledger->laps; i++)
		sum += demo_get(&facts->losses[i].last) - demo_get(&facts->losses[i].first) + 1;
	equal(demo, who, "tickets in the list of losses", ledger->lost, sum);
}

static void check_lapped(struct demo *demo, const struct demo_ledger *ledger)
{
	uint64_t enough = demo->facts->config.slot_count * (uint64_t)3 / 2;

	if (ledger->laps == 0 && demo->block.head > enough && demo->caught == 0)
		demo_problem(&demo->problems,
		             "slow: was never lapped, though %" PRIu64
		             " tickets went through a ring of %u",
		             demo->block.head, demo->facts->config.slot_count);
}

static void check_reader(struct demo *demo, enum demo_reader reader)
{
	struct demo_reader_facts *facts = &demo->facts->reader[reader];
	const char *who = demo_reader_name(reader);
	struct demo_ledger ledger;

	demo_ledger_read(&facts->ledger, &ledger);
	if (reader == DEMO_READER_LATEST && demo->latest.failed)
		demo_problem(&demo->problems, "%s: %s", who, demo->latest.why);
	if (atomic_load(&facts->finished) == 0)
		demo_problem(&demo->problems, "%s: did not see the end of the channel", who);
	equal(demo, who, "start + read + lost + skipped", demo->block.head,
	      ledger.start + ledger.read + ledger.lost + ledger.skipped);
	none(demo, who, "samples gone without a word", ledger.unexplained);
	none(demo, who, "samples with a wrong checksum", ledger.bad_checksum);
	none(demo, who, "samples under a ticket not their own", ledger.misplaced);
	none(demo, who, "tickets out of order or reported twice", ledger.disordered);
	none(demo, who, "slots that break a rule", ledger.corrupt);
	if (reader != DEMO_READER_LATEST)
		check_losses(demo, who, facts, &ledger);
	if (reader == DEMO_READER_SLOW)
		check_lapped(demo, &ledger);
	if (!demo->facts->config.chaos)
		none(demo, who, "deaths of the producer", ledger.deaths);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* The hub counted for itself. */
static void check_hub(struct demo *demo, const struct demo_client *own)
{
	const dxh_hub_stats *from = &own->before;
	const dxh_hub_stats *to = &own->after;
	uint64_t flushes = demo_get(&own->flushes);
	uint64_t failed_flushes = flushes - demo_get(&own->flushes_done);

	equal(demo, "hub", "posted", demo_get(&own->posted) + flushes, to->posted - from->posted);
	equal(demo, "hub", "done", demo_get(&own->done), to->done - from->done);
	equal(demo, "hub", "failed", demo_get(&own->failed), to->errors - from->errors);
	equal(demo, "hub", "cancelled", demo_get(&own->canceled), to->canceled - from->canceled);
	equal(demo, "hub", "flushes", demo_get(&own->flushes_done), to->flushed - from->flushed);
	/* A flush can fail in the same ways as a request. */
	equal(demo, "hub", "expired, lost, closed and other",
	      demo_get(&own->expired) + demo_get(&own->lost) + demo_get(&own->closed) +
	              demo_get(&own->other) + failed_flushes,
	      to->expired - from->expired + to->lost - from->lost + to->closed - from->closed +
	              to->unsendable - from->unsendable);
	none(demo, "hub", "still open at the end", to->open_now);
	none(demo, "hub", "completions not released", to->slots_now);
	none(demo, "hub", "bad frames", to->frames_bad);
	none(demo, "hub", "replies nobody asked for", to->replies_foreign);
}

static void check_requests(struct demo *demo)
{
	struct demo_client *own = &demo->facts->client;
	uint64_t ended = demo_get(&own->done) + demo_get(&own->failed) + demo_get(&own->expired) +
	                 demo_get(&own->canceled) + demo_get(&own->lost) + demo_get(&own->closed) +
	                 demo_get(&own->other);

	if (atomic_load(&own->finished) == 0) {
		demo_problem(&demo->problems, "client: did not come to its end");
		return;
	}
	equal(demo, "client", "done + failed + expired + cancelled + lost + closed + other",
	      demo_get(&own->posted), ended);
	none(demo, "client", "requests without an end", demo_get(&own->never_ended));
	none(demo, "client", "requests that ended twice", demo_get(&own->ended_twice));
	none(demo, "client", "handles that answered wrongly", demo_get(&own->bad_handle));
	none(demo, "client", "replies that are not what was asked for",
	     demo_get(&own->wrong_reply));
	equal(demo, "client", "status of the drain", DXH_OK, own->drain_status);
	check_hub(demo, own);
	if (demo->facts->config.chaos)
		return;
	none(demo, "client", "requests lost though nothing was killed", demo_get(&own->lost));
	none(demo, "client", "requests closed", demo_get(&own->closed));
	equal(demo, "client", "failed, all of them rejected on purpose or too late",
	      demo_get(&own->rejections) + demo_get(&own->answered_late), demo_get(&own->failed));
}

static void check_marks(struct demo *demo)
{
	struct demo_facts *facts = demo->facts;
	struct demo_client *own = &facts->client;
	uint64_t received =
		demo_get(&facts->producer[0].marks) + demo_get(&facts->producer[1].marks);

	if (atomic_load(&own->finished) == 0)
		return;
	equal(demo, "hub", "notifications posted", demo_get(&own->marks),
	      own->after.notifications_posted - own->before.notifications_posted);
	if (facts->config.chaos) {
		if (received > demo_get(&own->marks))
			demo_problem(&demo->problems,
			             "notifications: more received (%" PRIu64
			             ") than sent (%" PRIu64 ")",
			             received, demo_get(&own->marks));
		return;
	}
	equal(demo, "notifications", "received", demo_get(&own->marks), received);
	equal(demo, "notifications", "sum of the numbers they carry", demo_get(&own->marks_sum),
	      demo_get(&facts->producer[0].marks_sum));
	equal(demo, "notifications", "flushes that ended well", DEMO_THREADS,
	      demo_get(&own->flushes_done));
}

/* ---- processes and files ------------------------------------------------------------------------ */

static void check_children(struct demo *demo)
{
	for (unsigned i = 0; i < demo->children.count; i++) {
		const struct demo_child *child = &demo->children.child[i];
		const char *who = demo_role_name(child->role);

		if (child->pid != 0)
			demo_problem(&demo->problems, "%s: process %d is still there", who,
			             (int)child->pid);
		else if (!child->killed && WIFSIGNALED(child->status))
			demo_problem(&demo->problems, "%s: died by signal %d", who,
			             WTERMSIG(child->status));
		else if (!child->killed && WEXITSTATUS(child->status) != 0)
			demo_problem(&demo->problems, "%s: ended with exit status %d", who,
			             WEXITSTATUS(child->status));
	}
}

void demo_check(struct demo *demo)
{
	check_children(demo);
	if (demo->files_left > 0)
		demo_problem(&demo->problems, "files left in the shared-memory folder: %u, \"%s\"",
		             demo->files_left, demo->file_left);
	if (!demo->started)
		return;
	check_samples(demo);
	for (unsigned i = 0; i < DEMO_READERS; i++)
		check_reader(demo, (enum demo_reader)i);
	check_requests(demo);
	check_marks(demo);
}
