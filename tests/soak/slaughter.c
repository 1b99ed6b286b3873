/* SPDX-License-Identifier: MIT */
/* Writers and readers of one block killed over and over, by SIGKILL at any moment, for
 * some seconds, with payloads that prove themselves:
 *
 *	slaughter SECONDS [SEED [plant]]
 *
 * A witness, who is never killed, follows the ring from the first item: nothing torn,
 * none twice, in order, and all that was published accounted for exactly. The victims: a
 * writer, of whom there is always one to come, and four readers, two of them lossless,
 * which check what they get as well; those that die hold nobody back. Every hundred turns
 * the block is checked, and has no error.
 *
 * plant: the writer goes on with the wrong payload after its first ticket, which the
 * witness must find.
 */
#include <dxh.h>
#include <dxh/inspect.h>

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 64, KEPT = 8, READERS = 4 };

static char block[64];
static bool planted;

#define give_up(...)                                                                               \
	do {                                                                                       \
		fprintf(stderr, "slaughter: " __VA_ARGS__);                                        \
		fprintf(stderr, " (%s)\n", dxh_last_error());                                      \
		exit(1);                                                                           \
	} while (0)

static const dxh_block_config CONFIG = {.zones = {{.name = "state", .bytes = 64, .latch = 1}},
                                        .slot = DXH_SLOT_BYTES(WORDS * 8),
                                        .slot_count = KEPT,
                                        .checksum = DXH_CHECKSUM_XXH3,
                                        .readers_max = READERS,
                                        .evict = 1,
                                        .owner_wait_ns = INT64_C(5000000000)};

static uint64_t word_of(uint64_t ticket, uint64_t i)
{
	return (ticket + 1) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

static void check_item(const uint64_t *words, const dxh_item *item)
{
	if (item->bytes != WORDS * 8)
		give_up("ticket %" PRIu64 " has %zu bytes", item->ticket, item->bytes);
	for (uint64_t i = 0; i < WORDS; i++)
		if (words[i] != word_of(item->ticket, i))
			give_up("word %" PRIu64 " of ticket %" PRIu64 " is of another", i,
			        item->ticket);
}

static void check_latch(dxh_consumer *reader)
{
	uint64_t seen[8];

	if (dxh_latch_read(reader, "state", seen, sizeof seen) != DXH_OK)
		return;
	for (uint64_t i = 1; i < 8; i++)
		if (seen[i] != seen[0])
			give_up("the latch is torn");
}

/* ---- victims ---- */

static void write_latch(dxh_producer *producer, uint64_t version)
{
	void *data;

	if (dxh_latch_begin(producer, "state", 64, &data) != DXH_OK)
		give_up("the latch cannot be begun");
	for (int i = 0; i < 8; i++)
		((uint64_t *)data)[i] = version;
	if (dxh_latch_commit(producer, "state") != DXH_OK)
		give_up("the latch cannot be committed");
}

static void fill(uint64_t *words, uint64_t ticket)
{
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = word_of(ticket + (planted && ticket > 0), i);
}

/* By copy and in place in turn; now and then it closes in good order and comes again. */
static void be_writer(uint64_t seed)
{
	uint64_t words[WORDS];
	dxh_producer *producer;
	dxh_write_slot slot;

	for (;;) {
		if (dxh_producer_open(block, &CONFIG, &producer) != DXH_OK)
			give_up("no successor can come");
		for (uint64_t turn = seed; (turn - seed) < 3000; turn++) {
			if (dxh_write_begin(producer, dxh_in_ms(2), &slot) != DXH_OK)
				give_up("a write is refused");
			fill(turn % 2 ? slot.data : words, slot.ticket);
			if (turn % 2 == 0)
				memcpy(slot.data, words, sizeof words);
			if (dxh_write_commit(&slot, sizeof words) != DXH_OK)
				give_up("a commit is refused");
			write_latch(producer, turn);
		}
		if (dxh_producer_close(&producer) != DXH_OK)
			give_up("a close is refused");
	}
}

static void be_reader(dxh_discipline discipline)
{
	dxh_consumer_config how = {.discipline = discipline, .start = DXH_START_NEXT};
	uint64_t words[WORDS], next = 0;
	dxh_consumer *reader;
	bool evicted = false;
	dxh_item item;

	if (dxh_consumer_open(block, &how, &reader) != DXH_OK)
		give_up("no reader can come");
	for (;;) {
		dxh_status status =
			dxh_read_next(reader, words, sizeof words, dxh_in_ms(1000), &item);

		if (status == DXH_ECORRUPT || (status == DXH_ELAPPED && discipline == DXH_LOSSLESS))
			give_up("a reader is told what cannot be");
		evicted |= status == DXH_EEVICTED;
		if (status != DXH_OK)
			continue;
		if (item.ticket < next)
			give_up("ticket %" PRIu64 " comes again", item.ticket);
		if (discipline == DXH_LOSSLESS && !evicted && next > 0 && item.ticket != next)
			give_up("a hole in front of ticket %" PRIu64, item.ticket);
		evicted = false;
		next = item.ticket + 1;
		check_item(words, &item);
		check_latch(reader);
	}
}

static pid_t start(int who, uint64_t seed)
{
	pid_t parent = getpid(), child = fork();

	if (child == -1)
		give_up("no child");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0); /* it died before that */
	if (who == 0)
		be_writer(seed);
	be_reader(who <= 2 ? DXH_LOSSLESS : who == 3 ? DXH_FOLLOW : DXH_LATEST);
	_exit(0);
}

/* ---- the witness ---- */

static uint64_t told, lost;

static void witness(dxh_consumer *reader, uint64_t *next)
{
	uint64_t words[WORDS];
	dxh_item item;

	for (int i = 0; i < 200; i++) {
		dxh_status status = dxh_read_next(reader, words, sizeof words, DXH_NOW, &item);

		if (status == DXH_ECORRUPT)
			give_up("the witness finds an item broken");
		if (status != DXH_OK && status != DXH_ELAPPED)
			break;
		lost += item.lost;
		if (status != DXH_OK)
			continue;
		told++;
		if (item.ticket < *next)
			give_up("ticket %" PRIu64 " comes again", item.ticket);
		*next = item.ticket + 1;
		check_item(words, &item);
	}
	check_latch(reader);
}

static void check_block(void)
{
	dxh_report *report;

	if (dxh_block_check(block, NULL, &report) != DXH_OK)
		give_up("the block cannot be looked at");
	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].severity == DXH_ERROR)
			give_up("%s: %s", dxh_rule_name(report->findings[i].rule),
			        report->findings[i].detail);
	dxh_report_free(&report);
}

static void bury(pid_t victim)
{
	int status;

	kill(victim, SIGKILL);
	if (waitpid(victim, &status, 0) != victim)
		give_up("a victim is not there");
	if (!WIFSIGNALED(status))
		give_up("a victim ended by itself with %d", status);
}

static void account(dxh_consumer *reader, uint64_t next)
{
	dxh_consumer_stats stats;

	if (dxh_consumer_stats_get(reader, &stats) != DXH_OK || stats.read != told ||
	    stats.lost != lost || stats.read + stats.lost + stats.skipped != stats.next_ticket)
		give_up("the account does not add up");
	if (next == 0 || stats.next_ticket != stats.head)
		give_up("the witness is at %" PRIu64 " of %" PRIu64, stats.next_ticket, stats.head);
}

int main(int argc, char **argv)
{
	int64_t until_ns = dxh_in_ms(1000 * (argc > 1 ? atoi(argv[1]) : 3));
	uint64_t state = argc > 2 ? (uint64_t)atoll(argv[2]) : (uint64_t)getpid(), kills = 0;
	pid_t victims[1 + READERS];
	dxh_producer *producer;
	dxh_consumer *reader;
	uint64_t next = 0;

	planted = argc > 3;
	alarm(3600);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	snprintf(block, sizeof block, "slaughter-%d", (int)getpid());
	if (dxh_producer_open(block, &CONFIG, &producer) != DXH_OK ||
	    dxh_consumer_open(block, NULL, &reader) != DXH_OK ||
	    dxh_producer_close(&producer) != DXH_OK)
		give_up("no block");
	for (int i = 0; i <= READERS; i++)
		victims[i] = start(i, 0);
	while (dxh_now_ns() < until_ns) {
		int who;

		state = state * 6364136223846793005u + 1442695040888963407u;
		who = (int)(state >> 33) % (1 + READERS);
		usleep((useconds_t)(state >> 40) % 3000); /* the moment is to be any */
		bury(victims[who]);
		victims[who] = start(who, state >> 20);
		witness(reader, &next);
		if (++kills % 100 == 0)
			check_block();
	}
	for (int i = 0; i <= READERS; i++)
		bury(victims[i]);
	/* All that is published is there for a successor, and for the witness. */
	if (dxh_producer_open(block, &CONFIG, &producer) != DXH_OK)
		give_up("no successor can come");
	for (uint64_t before = UINT64_MAX; before != told + lost;) {
		before = told + lost;
		witness(reader, &next);
	}
	account(reader, next);
	check_block();
	(void)!dxh_consumer_close(&reader);
	(void)!dxh_producer_close(&producer);
	if (dxh_block_unlink(NULL, block) != DXH_OK)
		give_up("the block cannot be removed");
	printf("slaughter: %" PRIu64 " killed, %" PRIu64 " items read by the witness, %" PRIu64
	       " lost, nothing torn\n",
	       kills, told, lost);
	return 0;
}
