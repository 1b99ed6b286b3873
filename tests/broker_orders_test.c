/* SPDX-License-Identifier: MIT */
/* What a broker knows, in every order of a small set of events, beside a model that is too
 * simple to be wrong in the same way: three producers of one channel, two consumers, a
 * clock that steps by half of what one may be silent, restarts of the broker, and a watcher
 * who may join at any time and must know the truth from then on.
 *
 * Then the same with faults planted, each of which must be found.
 */
#include "runtime/broker/consumers.h"
#include "runtime/broker/registry.h"

#include <criterion/criterion.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MS = 1000000;

enum { STEP_MS = 100, DEAD_STEPS = 2, OVER_STEPS = 4, STALL_STEPS = 3 };

/* Dead after two steps of silence, forgotten after two more. */
static const dxi_presence_rules rules = {
	.beat_ms = STEP_MS, .beats_missed = DEAD_STEPS, .beats_kept = OVER_STEPS - DEAD_STEPS};

/* 1 and 2 have the same block, which 2 has taken over; 3 has another one. */
enum { PRODUCERS = 3, SUCCESSOR = 2, CONSUMERS = 2, EVENTS_MAX = 16 };

typedef enum fault {
	NONE,
	EVENT_LOST,         /* that another producer has the channel is not told */
	DEATH_LATE,         /* a step late, deaths are looked for */
	STRANGER_BEATS,     /* anybody's beat is taken for the owner's */
	EPOCH_IGNORED,      /* a successor's claim is like any other */
	CONSUMER_FORGOTTEN, /* a dead one goes without a word */
	HUNG_UNNOTICED,     /* who promised to get on need not */
	FAULTS
} fault;

typedef enum act {
	REGISTER,                      /* of each producer */
	BEAT = REGISTER + PRODUCERS,   /* the same */
	DEREGISTER = BEAT + PRODUCERS, /* the same */
	JOIN = DEREGISTER + PRODUCERS, /* of each consumer */
	READ = JOIN + CONSUMERS,       /* it beats */
	LEAVE = READ + CONSUMERS,
	STEP = LEAVE + CONSUMERS,
	RESTART,
	WATCH,
	ACTS,
	PROGRESS = ACTS, /* the first producer beats, and has got on; only in orders of its own */
	NOWHERE
} act;

typedef struct told {
	dxh_watch_kind kind;
	uint64_t who;
} told;

/* ---- the code, and all that it told ---- */

static dxi_registry registry;
static dxi_consumers consumers;
static int64_t now_ns;
static fault planted;
static told events[EVENTS_MAX];
static int event_count;
static bool promised; /* producers promise to get on within STALL_STEPS */
static uint64_t progress;

/* What a watcher makes of events: a producer's number, 0: no channel; and whether it lives. */
static struct view {
	bool joined;
	uint64_t producer;
	bool live;
} watcher;

/* Who dies at the same moment is told in any order. */
static void sort_last_two(void)
{
	told *last = &events[event_count - 1];

	if (event_count < 2 || event_count > EVENTS_MAX ||
	    last[0].kind != DXH_WATCH_CONSUMER_DIED || last[-1].kind != DXH_WATCH_CONSUMER_DIED ||
	    last[-1].who < last[0].who)
		return;
	last[0].who ^= last[-1].who;
	last[-1].who ^= last[0].who;
	last[0].who ^= last[-1].who;
}

static void on_event(void *context, const dxh_watch_event *event)
{
	(void)context;
	if ((planted == EVENT_LOST && event->kind == DXH_WATCH_CHANGED) ||
	    (planted == CONSUMER_FORGOTTEN && event->kind == DXH_WATCH_CONSUMER_DIED))
		return;
	if (event_count < EVENTS_MAX)
		events[event_count] =
			(told){event->kind, event->consumer ? event->consumer : event->producer};
	event_count++;
	sort_last_two();
	if (event->kind == DXH_WATCH_OPENED || event->kind == DXH_WATCH_CHANGED)
		watcher = (struct view){watcher.joined, event->producer, true};
	else if (event->kind == DXH_WATCH_ERROR)
		watcher.live = false;
	else if (event->kind == DXH_WATCH_CLOSING)
		watcher = (struct view){watcher.joined, 0, false};
}

static void start_broker(void)
{
	dxi_listener listener = {.tell = on_event};

	cr_assert_eq(dxi_registry_init(&registry, 4, rules), DXH_OK);
	cr_assert_eq(dxi_consumers_init(&consumers, 4, rules), DXH_OK);
	registry.listener = consumers.listener = listener;
}

static void stop_broker(void)
{
	dxi_registry_fini(&registry);
	dxi_consumers_fini(&consumers);
}

static dxh_channel_info seen(void)
{
	dxh_channel_info info;

	dxi_registry_discover(&registry, "a", now_ns, &info);
	return info;
}

static void list(void)
{
	dxh_channel_info info = seen();

	watcher = (struct view){true, info.producer_uid, info.state == DXH_CHANNEL_FOUND};
}

static dxi_owner owner_of(int producer)
{
	return (dxi_owner){.channel = "a", .producer = (uint64_t)producer, .pid = producer};
}

static dxi_reader_word word_of(int consumer)
{
	return (dxi_reader_word){.channel = "a", .consumer = 10 + (uint64_t)consumer, .pid = 5};
}

static dxh_status do_register(int producer)
{
	dxi_claim claim = {.info = {.name = "a", .epoch = 1}};

	claim.info.producer_uid = (uint64_t)producer;
	claim.info.producer_pid = producer;
	if (producer == SUCCESSOR && planted != EPOCH_IGNORED)
		claim.info.epoch = 2;
	claim.info.block_uuid[0] = producer == PRODUCERS;
	claim.stall_ms = promised && planted != HUNG_UNNOTICED ? STALL_STEPS * STEP_MS : 0;
	return dxi_registry_register(&registry, &claim, now_ns);
}

static bool do_beat(int producer)
{
	dxi_owner owner = owner_of(producer);

	owner.progress = progress;
	if (planted == STRANGER_BEATS)
		owner.producer = seen().producer_uid;
	return dxi_registry_beat(&registry, &owner, now_ns);
}

static dxh_status do_join(int consumer)
{
	dxi_reader_claim claim = {.channel = "a",
	                          .info = {.uid = 10 + (uint64_t)consumer, .pid = 5}};

	return dxi_consumers_register(&consumers, &claim, now_ns);
}

static void do_expire(void)
{
	int64_t at_ns = planted == DEATH_LATE ? now_ns - STEP_MS * MS : now_ns;

	dxi_registry_expire(&registry, at_ns);
	dxi_consumers_expire(&consumers, at_ns);
}

/* ---- the model: whole steps, and who is expected to be told what ---- */

static struct {
	int owner, silent, still;
	uint64_t known; /* progress of the owner */
	int member[CONSUMERS], quiet[CONSUMERS];
	told events[EVENTS_MAX];
	int event_count;
} model;

static void expect(dxh_watch_kind kind, int who)
{
	model.events[model.event_count++] = (told){kind, (uint64_t)who};
}

static bool model_is_dead(void)
{
	return model.silent >= DEAD_STEPS || (promised && model.still >= STALL_STEPS);
}

static dxh_status model_register(int producer)
{
	bool dead = model_is_dead();

	if (model.owner == 0)
		expect(DXH_WATCH_OPENED, producer);
	else if (model.owner == producer && dead && (!promised || model.still < STALL_STEPS))
		expect(DXH_WATCH_OPENED, producer);
	else if (model.owner != producer && (dead || (producer == SUCCESSOR && model.owner == 1)))
		expect(DXH_WATCH_CHANGED, producer);
	else if (model.owner != producer)
		return DXH_ECONFLICT;
	if (model.owner != producer) {
		model.still = 0;
		model.known = 0;
	}
	model.owner = producer;
	model.silent = 0;
	return DXH_OK;
}

static bool model_beat(int producer)
{
	bool was_dead = model_is_dead();

	if (model.owner != producer)
		return false;
	model.silent = 0;
	model.still = progress != model.known ? 0 : model.still;
	model.known = progress;
	if (was_dead && !model_is_dead())
		expect(DXH_WATCH_OPENED, producer);
	return true;
}

static dxh_status model_deregister(int producer)
{
	if (model.owner != producer)
		return model.owner ? DXH_ENOTOWNER : DXH_ENOTFOUND;
	expect(DXH_WATCH_CLOSING, producer);
	model.owner = model.silent = model.still = 0;
	return DXH_OK;
}

static void model_step(void)
{
	bool was_dead = model_is_dead();

	model.silent += model.owner != 0;
	model.still += model.owner != 0;
	if (model.owner != 0 && !was_dead && model_is_dead()) {
		expect(DXH_WATCH_ERROR, model.owner);
	} else if (model.owner != 0 && model.silent == OVER_STEPS) {
		expect(DXH_WATCH_CLOSING, model.owner);
		model.owner = model.silent = model.still = 0;
	}
	for (int i = 0; i < CONSUMERS; i++)
		if (model.member[i] && ++model.quiet[i] == DEAD_STEPS) {
			expect(DXH_WATCH_CONSUMER_DIED, 10 + i);
			model.member[i] = 0;
		}
}

/* ---- one act, on both; false: they differ ---- */

static bool act_as_consumer(act what)
{
	int consumer = (int)(what - JOIN) % CONSUMERS;
	dxi_reader_word word = word_of(consumer);
	int member = model.member[consumer];

	if (what < READ) {
		model.member[consumer] = 1;
		model.quiet[consumer] = 0;
		return do_join(consumer) == DXH_OK;
	}
	model.quiet[consumer] = 0;
	if (what < LEAVE)
		return dxi_consumers_beat(&consumers, &word, now_ns) == member;
	model.member[consumer] = 0;
	return dxi_consumers_deregister(&consumers, &word) == (member ? DXH_OK : DXH_ENOTFOUND);
}

static bool act_as_producer(act what)
{
	int producer = 1 + (int)what % PRODUCERS;
	dxi_owner owner = owner_of(producer);

	if (what < BEAT)
		return do_register(producer) == model_register(producer);
	if (what < DEREGISTER)
		return do_beat(producer) == model_beat(producer);
	return dxi_registry_deregister(&registry, &owner, now_ns) == model_deregister(producer);
}

static bool perform(act what)
{
	if (what == PROGRESS) {
		progress++;
		return do_beat(1) == model_beat(1);
	}
	if (what < JOIN)
		return act_as_producer(what);
	if (what < STEP)
		return act_as_consumer(what);
	if (what == STEP) {
		now_ns += STEP_MS * MS;
		do_expire();
		model_step();
	} else if (what == RESTART) {
		stop_broker();
		start_broker();
		memset(&model, 0, sizeof model);
		/* The connection ended: a gap, and a watcher looks anew. */
		if (watcher.joined)
			list();
	} else {
		list();
	}
	return true;
}

static bool told_the_same(void)
{
	if (event_count != model.event_count)
		return false;
	for (int i = 0; i < event_count; i++)
		if (events[i].kind != model.events[i].kind || events[i].who != model.events[i].who)
			return false;
	return true;
}

static bool know_the_same(void)
{
	dxh_channel_info info = seen();
	dxh_channel_state state = model.owner == 0   ? DXH_CHANNEL_NOT_FOUND
	                          : !model_is_dead() ? DXH_CHANNEL_FOUND
	                                             : DXH_CHANNEL_PENDING;
	uint32_t members = 0;

	for (int i = 0; i < CONSUMERS; i++)
		members += (uint32_t)model.member[i];
	return info.state == state && (int)info.producer_uid == model.owner &&
	       registry.count == (model.owner != 0) &&
	       registry.live == (state == DXH_CHANNEL_FOUND) &&
	       dxi_consumers_count(&consumers, "a") == members;
}

static bool watcher_knows(void)
{
	return !watcher.joined || ((int)watcher.producer == model.owner &&
	                           watcher.live == (model.owner && !model_is_dead()));
}

/* Who is registered can die, so the broker must wake for it in time; for nobody it sleeps. */
static bool wakes_only_for_somebody(void)
{
	int64_t channel_ns = dxi_registry_next_ns(&registry);
	int64_t consumer_ns = dxi_consumers_next_ns(&consumers);
	int64_t latest_ns = now_ns + OVER_STEPS * STEP_MS * MS + MS;

	return (registry.count == 0) == (channel_ns == DXH_FOREVER) &&
	       (consumers.count == 0) == (consumer_ns == DXH_FOREVER) &&
	       (registry.count == 0 || channel_ns <= latest_ns) &&
	       (consumers.count == 0 || consumer_ns <= latest_ns);
}

static bool play(const act *order, int length)
{
	bool same = true;

	memset(&model, 0, sizeof model);
	watcher = (struct view){.joined = false};
	now_ns = 1000 * MS;
	progress = 0;
	event_count = 0;
	start_broker();
	for (int i = 0; same && i < length; i++) {
		event_count = model.event_count = 0;
		same = perform(order[i]) && told_the_same() && know_the_same() && watcher_knows() &&
		       wakes_only_for_somebody();
	}
	stop_broker();
	return same;
}

/* ---- all orders ---- */

enum { LENGTH_MAX = 8 };

/* Of so many of these acts. Returns how many orders were tried; *first is where the first
 * one begins that differs, or stays as it is. */
static unsigned long explore(const act *acts, int count, int length, act first[LENGTH_MAX])
{
	int digits[LENGTH_MAX] = {0};
	unsigned long orders = 0;
	int at = 0;

	while (at < length) {
		act order[LENGTH_MAX];

		for (int i = 0; i < length; i++)
			order[i] = acts[digits[i]];
		orders++;
		if (!play(order, length)) {
			memcpy(first, order, sizeof order);
			return orders;
		}
		for (at = 0; at < length && ++digits[at] == count; at++)
			digits[at] = 0;
	}
	return orders;
}

static const act all_acts[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
/* Those of whom longer orders tell something new. */
static const act hung[] = {REGISTER, REGISTER + 2, BEAT, PROGRESS, DEREGISTER, STEP, WATCH};
static const act core[] = {REGISTER, REGISTER + 1, BEAT, DEREGISTER, JOIN, STEP, WATCH};

static_assert(sizeof all_acts / sizeof *all_acts == ACTS, "each act once");

static void complain(const act *order, int length)
{
	char text[128] = "";

	for (int i = 0; i < length; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), " %d", (int)order[i]);
	cr_assert_fail("code and model differ in the order%s", text);
}

static unsigned long explore_honestly(const act *acts, int count, int length)
{
	act first[LENGTH_MAX];
	unsigned long orders, whole = 1;

	for (int i = 0; i < length; i++)
		whole *= (unsigned long)count;
	orders = explore(acts, count, length, first);
	if (orders != whole)
		complain(first, length);
	return orders;
}

Test(broker_orders, code_and_model_agree_in_every_order, .timeout = 240)
{
	const char *given = getenv("ORDERS_LENGTH"); /* one more takes eighteen times as long */
	unsigned long orders = explore_honestly(all_acts, ACTS, given ? atoi(given) : 4);

	orders += explore_honestly(core, sizeof core / sizeof *core, 6);
	promised = true;
	orders += explore_honestly(hung, sizeof hung / sizeof *hung, 6);
	fprintf(stderr, "%lu orders of events tried\n", orders);
	cr_assert_geq(orders, 340000);
}

Test(broker_orders, each_fault_planted_is_found, .timeout = 240)
{
	for (planted = NONE + 1; planted < FAULTS; planted++) {
		act first[LENGTH_MAX] = {NOWHERE};

		promised = planted == HUNG_UNNOTICED;
		fprintf(stderr, "fault %d is found in order %lu\n", (int)planted,
		        promised ? explore(hung, sizeof hung / sizeof *hung, 6, first)
		                 : explore(all_acts, ACTS, 4, first));
		cr_expect_neq(first[0], NOWHERE, "fault %d", (int)planted);
	}
}
