/* SPDX-License-Identifier: MIT */
/* Life and death by beats, on a made-up clock. */
#include "runtime/broker/presence.h"

#include <criterion/criterion.h>

static const int64_t MS = 1000000;
/* Dead after 300 ms of silence. */
static const dxi_presence_rules rules = {.beat_ms = 100, .beats_missed = 3};

Test(presence, silence_of_all_allowed_beats_is_death_and_not_a_millisecond_less, .timeout = 30)
{
	dxi_presence presence;
	char reason[128];

	dxi_presence_start(&presence, 0, 7 * MS);
	cr_expect(dxi_presence_alive(&presence, &rules, 307 * MS - 1, reason, sizeof reason));
	cr_expect_str_empty(reason);
	cr_expect_not(dxi_presence_alive(&presence, &rules, 307 * MS, reason, sizeof reason));
	cr_expect_str_eq(reason, "no beat for 300 ms: dead after 3 of 100 ms");
}

Test(presence, a_beat_brings_back_to_life, .timeout = 30)
{
	dxi_presence presence;
	char reason[128];

	dxi_presence_start(&presence, 0, 0);
	cr_assert_not(dxi_presence_alive(&presence, &rules, 999 * MS, reason, sizeof reason));
	dxi_presence_beat(&presence, 0, 999 * MS);
	cr_expect(dxi_presence_alive(&presence, &rules, 1298 * MS, reason, sizeof reason));
}

Test(presence, beating_without_progress_is_life_unless_progress_was_promised, .timeout = 30)
{
	dxi_presence idle, hung;
	char reason[128];

	dxi_presence_start(&idle, 0, 0);
	dxi_presence_start(&hung, 500, 0);
	for (int64_t now = 0; now <= 500 * MS; now += 100 * MS) {
		dxi_presence_beat(&idle, 0, now);
		dxi_presence_beat(&hung, 0, now);
	}
	cr_expect(dxi_presence_alive(&idle, &rules, 500 * MS, reason, sizeof reason));
	cr_expect_not(dxi_presence_alive(&hung, &rules, 500 * MS, reason, sizeof reason));
	cr_expect_str_eq(reason, "it beats, but made no progress for 500 ms: hung after 500 ms");
	dxi_presence_beat(&hung, 1, 501 * MS);
	cr_expect(dxi_presence_alive(&hung, &rules, 501 * MS, reason, sizeof reason));
}

Test(presence, a_clock_that_steps_back_kills_nobody, .timeout = 30)
{
	dxi_presence presence;
	char reason[128];

	dxi_presence_start(&presence, 10, 1000 * MS);
	cr_expect(dxi_presence_alive(&presence, &rules, 0, reason, sizeof reason));
}
