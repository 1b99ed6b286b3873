/* SPDX-License-Identifier: MIT */
/* The client of `make net`: it posts without a break while the director brings and
 * lifts a fault, and checks every end: that it comes once, in time, and with a
 * certainty that the ledger can be held against. Then it drains and closes hubs in
 * the midst of the fault.
 */
#include "tests/net/net.h"

#include <pthread.h>

enum { POSTERS = 2, OPEN = 32, LARGE = 20000, NOTES_OPEN = 16, COUNTED = 2000, COUNTED_MS = 3000 };

typedef struct open_request {
	uint64_t serial;
	dxh_completion done;
	int64_t deadline_ns;
	bool open;
} open_request;

typedef struct pair {
	dxh_hub *hub;
	dxh_peer *peer;
} pair;

static pair asking;
static bool nobody_there;
static _Atomic bool stop;

/* Impatient, so that a fault of a second is long. */
static void open_pair(pair *one, const char *endpoint)
{
	const dxh_hub_config config = {.connect_timeout_ns = 1000000000,
	                               .reconnect_min_ns = 2000000,
	                               .reconnect_max_ns = 100000000};
	const dxh_peer_config patient = {.beat_ns = 150000000, .silence_ns = 800000000};

	net_must(dxh_hub_open(&config, &one->hub));
	net_must(dxh_peer_connect(one->hub, endpoint, &patient, &one->peer));
}

static uint64_t next_random(uint64_t *state)
{
	/* xorshift64* (Vigna 2016) */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717) >> 16;
}

/* ---- one end ---------------------------------------------------------------------------- */

static outcome outcome_of(const dxh_reply *reply)
{
	switch (reply->certainty) {
	case DXH_NOT_SENT:
		return NOT_SENT;
	case DXH_MAYBE_EXECUTED:
		return MAYBE;
	case DXH_REPLIED:
		return ANSWERED;
	}
	return UNKNOWN;
}

/* Which certainties a status may have. */
static bool is_sane(dxh_status status, outcome how)
{
	switch (status) {
	case DXH_OK:
	case DXH_EREJECTED:
	case DXH_EOVERLOADED:
		return how == ANSWERED;
	case DXH_ELOST:
		return how == MAYBE;
	case DXH_ECANCELED:
		return how == NOT_SENT || how == MAYBE;
	case DXH_EEXPIRED: /* the service may have said so */
	case DXH_ECLOSED:
		return how != UNKNOWN;
	default:
		return false;
	}
}

static void end(const dxh_event *event)
{
	open_request *ended = event->user;
	const dxh_reply *reply = &event->reply;
	outcome how = outcome_of(reply);
	int64_t now_ns = dxh_now_ns();

	if (!ended->open || ended->done != event->completion)
		net_fail("request %" PRIu64 " ended twice", ended->serial);
	ended->open = false;
	if (!is_sane(reply->status, how))
		net_fail("%s with certainty '%s'", dxh_status_name(reply->status),
		         dxh_certainty_text(reply->certainty));
	if (nobody_there && how != NOT_SENT)
		net_fail("%s, though nobody ever was there", dxh_certainty_text(reply->certainty));
	if (reply->status == DXH_OK) {
		if (reply->body_bytes < sizeof ended->serial ||
		    memcmp(reply->body, &ended->serial, sizeof ended->serial) != 0)
			net_fail("the answer of another request");
		atomic_fetch_add(&book->answered, 1);
	}
	if (now_ns > ended->deadline_ns)
		keep_max(&book->late_max_ns, (uint64_t)(now_ns - ended->deadline_ns));
	book->lines[ended->serial].outcome = (uint8_t)how;
	if (ended->serial % 1000 != 77 || strcmp(planted, "lost") != 0)
		atomic_fetch_add(&book->lines[ended->serial].ended, 1);
	net_must(dxh_release(event->completion));
}

/* ---- posting ------------------------------------------------------------------------------ */

/* How much time a request gets: from none to ample. */
static int64_t some_deadline(uint64_t *random)
{
	uint64_t kind = next_random(random) % 8;

	if (kind == 0)
		return dxh_in_us((int64_t)(next_random(random) % 1000));
	if (kind == 1)
		return dxh_in_ms(1500);
	return dxh_in_ms(50 + (int64_t)(next_random(random) % 400));
}

static bool
post_one(dxh_peer *to, dxh_group *group, open_request *one, int64_t deadline_ns, uint64_t *random)
{
	static const uint32_t policies[] = {0, DXH_HOLD, DXH_IDEMPOTENT, DXH_IDEMPOTENT};
	unsigned char body[LARGE] = {0};
	uint32_t policy = policies[next_random(random) % 4];
	bool large = next_random(random) % 32 == 0;
	dxh_request_item item = {.subject = "ask",
	                         .body = body,
	                         .body_bytes = large ? LARGE : 8 + next_random(random) % 200,
	                         .deadline_ns = deadline_ns,
	                         .user = one,
	                         .flags = policy};
	dxh_status status;

	one->serial = atomic_fetch_add(&book->serials, 1);
	if (one->serial >= SERIALS_MAX)
		net_fail("the ledger is full");
	memcpy(body, &one->serial, sizeof one->serial);
	one->deadline_ns = deadline_ns;
	book->lines[one->serial].posted = policy == DXH_IDEMPOTENT ? 2 : 1;
	one->open = true;
	status = dxh_post_batch(to, &item, 1, group, &one->done);
	if (status == DXH_OK)
		return true;
	book->lines[one->serial].posted = 0;
	one->open = false;
	if (status != DXH_EFULL)
		net_fail("post: %s", dxh_last_error());
	return false;
}

static void post_note(dxh_peer *to)
{
	uint64_t serial = atomic_fetch_add(&book->serials, 1);

	if (serial >= SERIALS_MAX)
		net_fail("the ledger is full");
	book->lines[serial].posted = 3;
	if (dxh_notify(to, "note", &serial, sizeof serial) != DXH_OK)
		book->lines[serial].posted = 0; /* no frame is free */
}

static void meddle(open_request *one, uint64_t *random)
{
	if (next_random(random) % 32 == 0)
		net_must(dxh_cancel(one->done, NULL));
	if (next_random(random) % 4 == 0)
		post_note(asking.peer);
}

static open_request *find_free(open_request *open)
{
	for (int i = 0; i < OPEN; i++)
		if (!open[i].open)
			return &open[i];
	return NULL;
}

/* Take what has ended; false when nothing is open any more. */
static bool collect(dxh_group *group, int64_t deadline_ns)
{
	dxh_event events[OPEN];
	size_t count;
	dxh_status status = dxh_group_wait(group, 1, events, OPEN, deadline_ns, &count);

	if (status == DXH_OK)
		for (size_t i = 0; i < count; i++)
			end(&events[i]);
	else if (status != DXH_EWAIT && status != DXH_EEMPTY)
		net_fail("group: %s", dxh_last_error());
	return status != DXH_EEMPTY;
}

static void *post(void *context)
{
	open_request open[OPEN] = {{0}};
	uint64_t random = (uint64_t)(uintptr_t)context;
	int64_t patience_ns;
	dxh_group *group;

	net_must(dxh_group_open(&group));
	while (!stop) {
		open_request *one = find_free(open);

		if (one && post_one(asking.peer, group, one, some_deadline(&random), &random))
			meddle(one, &random);
		(void)collect(group, one && next_random(&random) % 8 ? DXH_NOW : dxh_in_ms(2));
	}
	patience_ns = dxh_in_ms(1500 + SLACK_MS);
	while (collect(group, patience_ns))
		if (dxh_now_ns() > patience_ns)
			net_fail("requests whose deadlines have passed do not end");
	net_must(dxh_group_close(&group));
	return NULL;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* So many good answers in a row. */
static void expect_well(dxh_peer *asked, int wanted)
{
	int64_t patience_ns = dxh_in_ms(HEALED_MS);
	int well = 0;

	while (well < wanted) {
		dxh_status status =
			dxh_request_sync(asked, "ask", "well?", 5, dxh_in_ms(2000), NULL, 0, NULL);

		/* A buffer of no bytes holds no answer: DXH_ESIZE says that one came. */
		well = status == DXH_ESIZE || status == DXH_OK ? well + 1 : 0;
		if (well < wanted && dxh_now_ns() > patience_ns)
			net_fail("the hub is not well %d ms after the fault: %s", HEALED_MS,
			         dxh_last_error());
	}
}

static void expect_books(const dxh_hub *of)
{
	dxh_hub_stats stats;
	uint64_t ended;

	net_must(dxh_hub_stats_get(of, &stats));
	ended = stats.done + stats.errors + stats.expired + stats.canceled + stats.lost +
	        stats.unsendable + stats.closed + stats.flushed;
	if (ended != stats.posted || stats.open_now != 0)
		net_fail("%" PRIu64 " posted, %" PRIu64 " ended, %" PRIu64 " open", stats.posted,
		         ended, stats.open_now);
	if (stats.slots_now != 0)
		net_fail("%" PRIu64 " slots never came home", stats.slots_now);
}

/* ---- draining in the midst of it --------------------------------------------------------------- */

static uint64_t since(int64_t then_ns)
{
	return (uint64_t)(dxh_now_ns() - then_ns);
}

static void drain(dxh_hub *hub, dxh_drain_report *report)
{
	int64_t before_ns = dxh_now_ns();
	dxh_status status = dxh_hub_drain(hub, dxh_in_ms(DRAIN_MS), report);

	keep_max(&book->drain_max_ns, since(before_ns));
	keep_min(&book->drain_min_ns, since(before_ns));
	if (status != (report->abandoned + report->notifications_left ? DXH_EWAIT : DXH_OK))
		net_fail("drain says %s, and its report %" PRIu64 " and %" PRIu64 " left",
		         dxh_status_name(status), report->abandoned, report->notifications_left);
}

static void close_hub(dxh_hub **hub)
{
	int64_t before_ns = dxh_now_ns();

	net_must(dxh_hub_close(hub));
	keep_max(&book->close_max_ns, since(before_ns));
	keep_min(&book->close_min_ns, since(before_ns));
}

/* Some requests and notifications are open: all end with the drain, in time. */
static void drain_and_close(pair *one)
{
	open_request open[OPEN] = {{0}};
	dxh_drain_report report;
	uint64_t random = 99;
	dxh_hub_stats stats;
	dxh_group *group;

	net_must(dxh_group_open(&group));
	for (int i = 0; i < OPEN; i++)
		if (!post_one(one->peer, group, &open[i], DXH_FOREVER, &random))
			net_fail("post: %s", dxh_last_error());
	for (int i = 0; i < NOTES_OPEN; i++)
		post_note(one->peer);
	drain(one->hub, &report);
	while (collect(group, DXH_NOW))
		if (dxh_poll(open[0].done) == DXH_EWAIT)
			net_fail("after the drain requests are open");
	expect_books(one->hub);
	net_must(dxh_hub_stats_get(one->hub, &stats));
	if (stats.closed != report.abandoned)
		net_fail("%" PRIu64 " abandoned, %" PRIu64 " counted as closed", report.abandoned,
		         stats.closed);
	close_hub(&one->hub);
	net_must(dxh_group_close(&group));
}

/* ---- the life of the client ------------------------------------------------------------------ */

static void live_through_it(int fd, pthread_t *posters)
{
	uint64_t open_before, memory_before, memory_now;

	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&posters[i], NULL, post, (void *)(i * 2 + 4711));
	while (book->answered < WARM && !nobody_there)
		usleep(1000);
	memory_before = memory_kib(getpid());
	open_before = descriptors(getpid());
	say(fd, 'w');
	if (hear(fd) != 'h')
		net_fail("the director said something strange");
	if (!nobody_there)
		expect_well(asking.peer, 1);
	stop = true;
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	if (!nobody_there)
		expect_well(asking.peer, 100);
	expect_books(asking.hub);
	expect_descriptors(getpid(), open_before + (nobody_there ? 8 : 0));
	memory_now = memory_kib(getpid());
	if (memory_now > memory_before)
		keep_max(&book->growth_kib, memory_now - memory_before);
}

_Noreturn void run_client(int fd, const char *endpoint, bool never_there)
{
	pair others[HUBS_DRAINED];
	pthread_t posters[POSTERS];

	nobody_there = never_there;
	open_pair(&asking, endpoint);
	live_through_it(fd, posters);
	for (int i = 0; i < HUBS_DRAINED; i++) {
		open_pair(&others[i], endpoint);
		if (!nobody_there)
			expect_well(others[i].peer, 1);
	}
	say(fd, 'd');
	if (hear(fd) != 'f')
		net_fail("the director said something strange");
	for (int i = 0; i < HUBS_DRAINED; i++)
		drain_and_close(&others[i]);
	drain_and_close(&asking);
	_exit(0);
}

/* Time enough for each: with a network that loses nothing, every one is answered. */
_Noreturn void run_counter(int fd, const char *endpoint)
{
	static open_request open[COUNTED];
	uint64_t random = 1;
	dxh_group *group;

	open_pair(&asking, endpoint);
	expect_well(asking.peer, 1);
	net_must(dxh_group_open(&group));
	say(fd, 'w');
	(void)hear(fd);
	for (int i = 0; i < COUNTED; i++) {
		if (!post_one(asking.peer, group, &open[i], dxh_in_ms(COUNTED_MS), &random))
			net_fail("post: %s", dxh_last_error());
		post_note(asking.peer);
		if (i % 16 == 0)
			usleep(1000);
	}
	while (collect(group, DXH_FOREVER))
		;
	if (dxh_flush(asking.peer, DXH_FLUSH_REPLIED, dxh_in_ms(COUNTED_MS)) != DXH_OK)
		fprintf(stderr, "flush: %s\n", dxh_last_error());
	expect_books(asking.hub);
	net_must(dxh_hub_close(&asking.hub));
	_exit(0);
}
