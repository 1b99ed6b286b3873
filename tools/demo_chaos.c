/* SPDX-License-Identifier: MIT */
/* `--chaos`: kills the follower, the broker and the producer in turn, and waits
 * after each until what should go on does go on. */
#include "demo_supervisor.h"

#include <inttypes.h>
#include <signal.h>

/* What each recovery may take; a fraction of a second is usual. */
enum { RECOVER_MS = 15000, BROKER_AWAY_MS = 300, DISCOVER_MS = 100 };

static const double when[] = {0.25, 0.45, 0.65};

enum { STEPS = sizeof when / sizeof when[0] };

bool demo_chaos_is_over(const struct demo *demo)
{
	return !demo->facts->config.chaos || demo->chaos.steps == STEPS;
}

static pid_t strike(struct demo *demo, enum demo_role role)
{
	struct demo_child *child = demo_child_find(&demo->children, role);
	pid_t pid;

	if (child == NULL) {
		demo_problem(&demo->problems, "the %s was not there to be killed",
		             demo_role_name(role));
		return 0;
	}
	pid = child->pid;
	demo_child_kill(child, SIGKILL);
	demo_tell(demo, "chaos", "killed the %s, process %d, with SIGKILL", demo_role_name(role),
	          (int)pid);
	return pid;
}

/* ---- the follower ------------------------------------------------------------------------ */

static bool follower_is_gone(struct demo *demo)
{
	return demo_child_find(&demo->children, DEMO_FOLLOWER) == NULL;
}

static bool follower_reads(struct demo *demo)
{
	struct demo_ledger ledger;

	demo_ledger_read(&demo->facts->reader[DEMO_READER_FOLLOWER].ledger, &ledger);
	return ledger.next > demo->chaos.follower_ticket;
}

/* The replacement takes up the account where it was left. */
static void strike_follower(struct demo *demo)
{
	struct demo_ledger ledger;
	int64_t begun_ns = dxh_now_ns();

	if (strike(demo, DEMO_FOLLOWER) == 0)
		return;
	demo_wait(demo, follower_is_gone, dxh_in_ms(RECOVER_MS), true);
	demo_ledger_read(&demo->facts->reader[DEMO_READER_FOLLOWER].ledger, &ledger);
	demo->chaos.follower_ticket = ledger.next;
	if (!demo_child_start(&demo->children, DEMO_FOLLOWER) ||
	    !demo_wait(demo, follower_reads, dxh_in_ms(RECOVER_MS), true)) {
		demo_problem(&demo->problems, "the follower was not replaced");
		return;
	}
	demo->chaos.follower_away_ns = (uint64_t)(dxh_now_ns() - begun_ns);
	demo_tell(demo, "chaos", "a new follower reads on at ticket %" PRIu64 ", after %s",
	          demo->chaos.follower_ticket, tool_text_ns(demo->chaos.follower_away_ns).s);
}

/* ---- the broker ---------------------------------------------------------------------------- */

/* Asks the broker, which takes up to a tenth of a second when it is not there. */
static bool channel_is_found(struct demo *demo)
{
	dxh_channel_info channel;

	return dxh_discover(demo->peer, DEMO_CHANNEL, dxh_in_ms(DISCOVER_MS), &channel) == DXH_OK &&
	       channel.state == DXH_CHANNEL_FOUND;
}

static void strike_broker(struct demo *demo)
{
	int64_t begun_ns = dxh_now_ns();
	int64_t started_ns;

	if (strike(demo, DEMO_BROKER) == 0)
		return;
	demo_wait(demo, NULL, dxh_in_ms(BROKER_AWAY_MS), false);
	started_ns = dxh_now_ns();
	if (!demo_child_start(&demo->children, DEMO_BROKER) ||
	    !demo_wait(demo, channel_is_found, dxh_in_ms(RECOVER_MS), true)) {
		demo_problem(&demo->problems,
		             "the channel was not registered again with the new broker");
		return;
	}
	demo->chaos.broker_away_ns = (uint64_t)(started_ns - begun_ns);
	demo->chaos.registered_ns = (uint64_t)(dxh_now_ns() - started_ns);
	demo_tell(demo, "chaos", "a new broker knows the channel, %s after its start",
	          tool_text_ns(demo->chaos.registered_ns).s);
}

/* ---- the producer -------------------------------------------------------------------------- */

static bool standby_produces(struct demo *demo)
{
	return demo_get(&demo->facts->producer[1].first_time_ns) != 0;
}

static void strike_producer(struct demo *demo)
{
	struct demo_producer *before = &demo->facts->producer[0];
	struct demo_producer *after = &demo->facts->producer[1];

	if (strike(demo, DEMO_PRODUCER) == 0)
		return;
	if (!demo_wait(demo, standby_produces, dxh_in_ms(RECOVER_MS), true)) {
		demo_problem(&demo->problems, "the standby did not take over");
		return;
	}
	demo->chaos.takeover_ticket = demo_get(&after->first_ticket);
	demo->chaos.producer_gap_ns =
		demo_get(&after->first_time_ns) - demo_get(&before->last_time_ns);
	demo_tell(demo, "chaos", "the standby produces, %s after the last sample, epoch %" PRIu64,
	          tool_text_ns(demo->chaos.producer_gap_ns).s, demo_get(&after->epoch));
}

void demo_chaos_step(struct demo *demo, double part)
{
	static void (*const strikes[STEPS])(struct demo *) = {strike_follower, strike_broker,
	                                                      strike_producer};

	if (demo->chaos.steps < STEPS && part >= when[demo->chaos.steps])
		strikes[demo->chaos.steps++](demo);
}
