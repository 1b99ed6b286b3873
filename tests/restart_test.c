/* SPDX-License-Identifier: MIT */
/* A service that is killed, closed and bound anew fifty times, and cut off in between, under
 * the load of several clients. Books are kept on both sides: of each request how often it
 * was executed, in memory that outlives the service, and how it ended. */
#include "runtime/service.h"
#include "tests/support/relay.h"
#include "tests/support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(restart, .timeout = 200);

enum {
	HUBS = 3,
	POSTERS = 4, /* of each hub */
	REOPENINGS = 50,
	PROCESSES = REOPENINGS / 2 + 2,
	WORKERS = 2,
	BATCH = 6,            /* two of each policy */
	ROUND = 60,           /* requests executed between two faults */
	SERIALS_MAX = 400000, /* requests of one run at the most */
	LARGE = 300000        /* bytes of a body that travels in parts */
};

/* ---- the books ------------------------------------------------------------------ */

typedef struct outcome {
	uint8_t policy; /* flags it was posted with */
	uint8_t ends;   /* terminal events */
	uint8_t status, certainty;
} outcome;

typedef struct book {
	/* written by the service's processes */
	_Atomic uint64_t executions;
	_Atomic uint64_t repeats; /* answered from the cache, or joined */
	_Atomic uint8_t executed[SERIALS_MAX];
	/* written by posters, each its own */
	_Atomic uint64_t serials;
	outcome outcomes[SERIALS_MAX];
} book;

static book *books;

static void open_books(void)
{
	books = mmap(NULL, sizeof *books, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	cr_assert_neq(books, MAP_FAILED);
}

/* What is wrong with this entry; NULL: nothing. */
static const char *fault_of(const outcome *ended, unsigned executed)
{
	bool may_repeat = ended->policy == DXH_IDEMPOTENT;
	bool is_answered = ended->certainty == DXH_REPLIED;

	if (ended->ends != 1)
		return "not exactly one end";
	if (!may_repeat && executed > 1)
		return "executed more than once";
	if (ended->certainty == DXH_NOT_SENT && executed > 0)
		return "executed, and said not to have been sent";
	if (ended->status == DXH_OK && (executed == 0 || !is_answered))
		return "answered, and not executed";
	if (ended->status == DXH_EREPEATED && executed == 0)
		return "said to have been executed";
	if (ended->status == DXH_EOVERLOADED && executed > 0 && !may_repeat)
		return "executed, and said to have found no room";
	return NULL;
}

static unsigned audit(const char **last_fault)
{
	unsigned faults = 0;

	for (uint64_t i = 0; i < books->serials; i++) {
		const char *fault = fault_of(&books->outcomes[i], books->executed[i]);

		if (fault)
			*last_fault = fault;
		faults += fault != NULL;
	}
	return faults;
}

/* ---- the service's processes ------------------------------------------------------ */

typedef struct server_process {
	pid_t pid;
	int orders;  /* b: bind, and again what was bound before; c: close and exit */
	int answers; /* the endpoint, 64 bytes, for each b */
} server_process;

/* The fault of the control: a service that is another and says that it is not. */
static bool seeded;

static dxh_hub *own_hub;
static dxh_service *own_service;
static pthread_t workers[WORKERS];

static void execute(dxh_request *request)
{
	uint64_t serial;

	memcpy(&serial, dxh_request_body(request, NULL), sizeof serial);
	books->executed[serial]++;
	books->executions++;
}

/* Several at a time, so that some are always in work. */
static void *work(void *unused)
{
	enum { TOGETHER = 4 };
	dxh_request *taken[TOGETHER];
	int count = 0;

	(void)unused;
	for (;;) {
		dxh_status status = dxh_service_receive(
			own_service, count > 0 ? DXH_NOW : DXH_FOREVER, &taken[count]);

		if (status == DXH_OK)
			execute(taken[count++]);
		if (count == TOGETHER || (status != DXH_OK && count > 0))
			while (count > 0) {
				count--;
				dxh_request_reply(taken[count],
				                  dxh_request_body(taken[count], NULL),
				                  sizeof(uint64_t));
			}
		if (status == DXH_ECLOSED)
			return NULL;
	}
}

static void end_service(void)
{
	dxh_hub_stats stats;

	if (!own_service)
		return;
	dxh_service_stop(own_service);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	dxh_service_close(&own_service);
	if (dxh_hub_stats_get(own_hub, &stats) == DXH_OK)
		books->repeats += stats.repeats_answered + stats.repeats_joined;
}

static bool bind_service(void)
{
	if (!own_hub && dxh_hub_open(NULL, &own_hub) != DXH_OK)
		return false;
	end_service();
	if (dxh_service_bind(own_hub, "tcp://127.0.0.1:*", NULL, &own_service) != DXH_OK)
		return false;
	if (seeded)
		own_service->cache.next_token = 4711; /* nobody is connected yet */
	for (int i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, NULL) != 0)
			return false;
	return true;
}

static void serve(int orders, int answers)
{
	char order, endpoint[64] = "";

	while (read(orders, &order, 1) == 1 && order == 'b') {
		if (!bind_service())
			_exit(1);
		snprintf(endpoint, sizeof endpoint, "%s", dxh_service_endpoint(own_service));
		if (write(answers, endpoint, sizeof endpoint) != sizeof endpoint)
			_exit(1);
	}
	end_service();
	dxh_hub_close(&own_hub);
	_exit(0);
}

/* Forked before the test has threads. */
static server_process prepare(void)
{
	int orders[2], answers[2];
	server_process made;

	cr_assert_eq(pipe(orders), 0);
	cr_assert_eq(pipe(answers), 0);
	made = (server_process){.pid = fork(), .orders = orders[1], .answers = answers[0]};
	cr_assert_neq(made.pid, -1);
	if (made.pid == 0) {
		close(orders[1]);
		close(answers[0]);
		alarm(180);
		serve(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	return made;
}

static void bind_in(const server_process *process)
{
	char endpoint[64];

	cr_assert_eq(write(process->orders, "b", 1), 1);
	cr_assert_eq(read(process->answers, endpoint, sizeof endpoint), (ssize_t)sizeof endpoint);
	test_relay_aim(endpoint);
}

static void reap(const server_process *process)
{
	int status;

	cr_assert_eq(waitpid(process->pid, &status, 0), process->pid);
	close(process->orders);
	close(process->answers);
}

/* ---- the clients ------------------------------------------------------------------- */

typedef struct poster {
	pthread_t thread;
	dxh_peer *peer;
	uint64_t random;
} poster;

static _Atomic bool enough;
static dxh_hub *hubs[HUBS];
static poster posters[HUBS * POSTERS];

static uint64_t some(poster *self, uint64_t below)
{
	self->random = self->random * 6364136223846793005u + 1442695040888963407u;
	return (self->random >> 33) % below;
}

static void note_end(uint64_t serial, dxh_completion done)
{
	outcome *ended = &books->outcomes[serial];
	dxh_reply reply = {0};

	ended->status = (uint8_t)dxh_await(done, DXH_FOREVER, &reply);
	ended->certainty = (uint8_t)reply.certainty;
	if (ended->status == DXH_OK)
		cr_assert(reply.body_bytes == sizeof serial &&
		          memcmp(reply.body, &serial, sizeof serial) == 0);
	ended->ends++;
	cr_assert_eq(dxh_release(done), DXH_OK);
}

static void *post_until_enough(void *context)
{
	static const uint32_t policies[] = {0, DXH_HOLD, DXH_IDEMPOTENT};
	poster *self = context;
	unsigned char *large = calloc(1, LARGE);

	while (!enough) {
		dxh_request_item items[BATCH];
		dxh_completion done[BATCH];
		uint64_t serials[BATCH], first = atomic_fetch_add(&books->serials, BATCH);
		uint64_t in_parts = some(self, 32);

		cr_assert_lt(first + BATCH, SERIALS_MAX);
		for (uint64_t i = 0; i < BATCH; i++) {
			bool is_large = i == in_parts;

			serials[i] = first + i;
			if (is_large)
				memcpy(large, &serials[i], sizeof serials[i]);
			books->outcomes[first + i].policy = (uint8_t)policies[i % 3];
			items[i] = (dxh_request_item){
				.subject = "work",
				.body = is_large ? large : (void *)&serials[i],
				.body_bytes = is_large ? LARGE : sizeof serials[i],
				.deadline_ns = some(self, 20) == 0
			                               ? dxh_in_us(1 + (int64_t)some(self, 20000))
			                               : SOON,
				.flags = policies[i % 3]};
		}
		must(dxh_post_batch(self->peer, items, BATCH, NULL, done));
		for (uint64_t i = 0; i < BATCH; i++)
			note_end(serials[i], done[i]);
	}
	free(large);
	return NULL;
}

static void open_clients(const char *endpoint)
{
	dxh_hub_config quick = {.reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000};
	dxh_peer_config patient = {.retries_max = 100, .retry_percent = 100};

	for (int i = 0; i < HUBS * POSTERS; i++) {
		poster *self = &posters[i];

		if (i % POSTERS == 0) {
			must(dxh_hub_open(&quick, &hubs[i / POSTERS]));
			must(dxh_peer_connect(hubs[i / POSTERS], endpoint, &patient, &self->peer));
		} else {
			self->peer = posters[i - 1].peer;
		}
		self->random = (uint64_t)i + 1;
		cr_assert_eq(pthread_create(&self->thread, NULL, post_until_enough, self), 0);
	}
}

/* Everybody ends what is open; returns the sums of all hubs, whose books agree. */
static dxh_hub_stats close_clients(void)
{
	dxh_hub_stats sum = {.posted = 0};

	enough = true;
	for (int i = 0; i < HUBS * POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	for (int i = 0; i < HUBS; i++) {
		dxh_hub_stats stats = test_stats(hubs[i]);

		cr_expect_eq(stats.open_now, 0);
		cr_expect_eq(stats.posted, stats.done + stats.errors + stats.expired + stats.lost +
		                                   stats.unsendable + stats.closed +
		                                   stats.canceled);
		sum.posted += stats.posted;
		sum.done += stats.done;
		sum.lost += stats.lost;
		sum.held += stats.held;
		sum.retries += stats.retries;
		must(dxh_hub_close(&hubs[i]));
	}
	return sum;
}

/* ---- faults -------------------------------------------------------------------------- */

static void wait_for_executions(uint64_t more)
{
	test_wait_for(&books->executions, books->executions + more);
}

/* Answers are kept back until nothing more is executed for a moment, or enough was:
 * then what is open has been executed, and nobody knows. */
static void keep_answers_back(void)
{
	uint64_t before = books->executions;

	test_relay_stall_down();
	for (int i = 0; i < 20 && books->executions < before + BATCH; i++)
		usleep(500);
}

static void fault(server_process *processes, int *current, int round)
{
	server_process *now = &processes[*current];

	wait_for_executions(ROUND);
	keep_answers_back();
	test_relay_cut(); /* of a service that lives on */
	wait_for_executions(ROUND);
	if (round % 8 < 4)
		keep_answers_back();
	test_relay_aim(NULL);
	switch (round % 4) {
	case 0:
		kill(now->pid, SIGKILL);
		break;
	case 2:
		cr_assert_eq(write(now->orders, "c", 1), 1);
		break;
	default:
		bind_in(now);
		test_relay_cut();
		return;
	}
	reap(now);
	test_relay_cut();
	bind_in(&processes[++*current]);
}

static void end_processes(const server_process *processes, int current)
{
	for (int i = current; i < PROCESSES; i++) {
		cr_assert_eq(write(processes[i].orders, "c", 1), 1);
		reap(&processes[i]);
	}
}

/* All reopenings, or so many as it takes. Returns what the clients counted. */
static dxh_hub_stats run(bool (*is_enough)(void))
{
	server_process processes[PROCESSES];
	dxh_hub_stats sum;
	int current = 0;

	open_books();
	for (int i = 0; i < PROCESSES; i++)
		processes[i] = prepare();
	open_clients(test_relay_open());
	bind_in(&processes[0]);
	for (int round = 0; round < REOPENINGS && !is_enough(); round++)
		fault(processes, &current, round);
	wait_for_executions(ROUND);
	sum = close_clients();
	test_relay_close();
	end_processes(processes, current);
	return sum;
}

/* ---- the tests ------------------------------------------------------------------------ */

static bool never(void)
{
	return false;
}

static uint64_t count_ends(uint32_t policy, dxh_status status)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < books->serials; i++)
		count += books->outcomes[i].policy == policy && books->outcomes[i].status == status;
	return count;
}

static uint64_t count_all(dxh_status status)
{
	return count_ends(0, status) + count_ends(DXH_HOLD, status) +
	       count_ends(DXH_IDEMPOTENT, status);
}

/* Each rule finds an entry that breaks it. */
static void expect_each_rule_to_bite(void)
{
	static const struct {
		outcome ended;
		unsigned executed;
		const char *fault;
	} wrong[] = {
		{{DXH_HOLD, 0, DXH_OK, DXH_REPLIED}, 1, "end"},
		{{DXH_HOLD, 2, DXH_OK, DXH_REPLIED}, 1, "end"},
		{{DXH_HOLD, 1, DXH_OK, DXH_REPLIED}, 2, "more than once"},
		{{0, 1, DXH_ELOST, DXH_MAYBE_EXECUTED}, 2, "more than once"},
		{{DXH_IDEMPOTENT, 1, DXH_ELOST, DXH_NOT_SENT}, 1, "not to have been sent"},
		{{DXH_IDEMPOTENT, 1, DXH_OK, DXH_REPLIED}, 0, "not executed"},
		{{DXH_HOLD, 1, DXH_EREPEATED, DXH_REPLIED}, 0, "said to have been executed"},
		{{0, 1, DXH_EOVERLOADED, DXH_REPLIED}, 1, "no room"},
	};
	const char *fault = NULL;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		outcome was = books->outcomes[i];
		uint8_t executed = books->executed[i];

		books->outcomes[i] = wrong[i].ended;
		books->executed[i] = (uint8_t)wrong[i].executed;
		cr_expect_eq(audit(&fault), 1);
		cr_expect(strstr(fault, wrong[i].fault), "'%s', not '%s'", fault, wrong[i].fault);
		books->outcomes[i] = was;
		books->executed[i] = executed;
	}
	cr_expect_eq(audit(&fault), 0);
}

Test(restart, fifty_times_under_load_and_the_books_agree)
{
	const char *fault = "";
	dxh_hub_stats sum = run(never);

	printf("%llu requests, %llu executed; %llu answered, %llu lost, %llu expired, %llu closed; "
	       "%llu held, %llu retried, %llu repetitions not executed\n",
	       (unsigned long long)sum.posted, (unsigned long long)books->executions,
	       (unsigned long long)sum.done, (unsigned long long)sum.lost,
	       (unsigned long long)count_all(DXH_EEXPIRED),
	       (unsigned long long)count_all(DXH_ECLOSED), (unsigned long long)sum.held,
	       (unsigned long long)sum.retries, (unsigned long long)books->repeats);
	cr_expect_eq(audit(&fault), 0, "%u faults, the last: %s", audit(&fault), fault);
	cr_expect_eq(sum.posted, books->serials);
	cr_expect_eq(sum.done, count_all(DXH_OK));
	cr_expect_eq(sum.lost, count_all(DXH_ELOST));
	/* It happened, all of it. */
	cr_expect_geq(books->executions, 2 * REOPENINGS * ROUND);
	cr_expect_geq(count_ends(0, DXH_OK), REOPENINGS);
	cr_expect_geq(count_ends(DXH_HOLD, DXH_OK), REOPENINGS);
	cr_expect_geq(count_ends(DXH_IDEMPOTENT, DXH_OK), REOPENINGS);
	cr_expect_geq(count_ends(0, DXH_ELOST), REOPENINGS);
	cr_expect_geq(count_ends(DXH_HOLD, DXH_ELOST), REOPENINGS / 5);
	cr_expect_geq(sum.held, REOPENINGS / 5);
	cr_expect_geq(sum.retries, REOPENINGS / 5);
	cr_expect_geq(books->repeats, REOPENINGS / 5);
	expect_each_rule_to_bite();
}

static bool is_caught(void)
{
	for (uint64_t i = 0; i < books->serials; i++)
		if (books->executed[i] > 1 && books->outcomes[i].policy != DXH_IDEMPOTENT)
			return true;
	return false;
}

Test(restart, a_service_that_lies_about_its_memory_is_caught)
{
	const char *fault = "";

	seeded = true;
	run(is_caught);
	cr_expect_gt(audit(&fault), 0);
	cr_expect(strstr(fault, "more than once"), "%s", fault);
}
