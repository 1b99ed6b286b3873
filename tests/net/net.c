/* SPDX-License-Identifier: MIT */
/* The director of `make net`: one scene for each fault. It has no threads, so it may
 * fork whom it needs; it brings the fault while a client posts to a service, lifts
 * it, and compares what the two wrote into the ledger.
 *
 *	net FAULT_MS [NAME]        all scenes, or those whose names begin so;
 *	                           "counting": the controls
 *
 * A line a scene; the end code is 0 when all passed and all controls were noticed.
 */
#include "tests/net/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { SCENE_S_MAX = 240, STORM_US = 30000, SCENES_MIN = 27 };

ledger *book;
const char *planted = "";
static int64_t fault_ms = 1000;

/* ---- actors ------------------------------------------------------------------------------ */

typedef enum role { SERVICE, CLIENT, LONELY_CLIENT, COUNTER, LEAVER, SITTER, PROXY, FAR_HOST } role;

typedef struct world {
	actor service, client, proxy, far;
	char service_at[96]; /* where the service listens */
	char client_at[96];  /* where the client connects to */
	int listener;        /* of the proxy */
	uint16_t service_port;
	bool v6;
} world;

void say(int fd, char word)
{
	if (send(fd, &word, 1, MSG_NOSIGNAL) != 1)
		net_fail("nobody hears '%c'", word);
}

char hear(int fd)
{
	char word;

	if (read(fd, &word, 1) != 1)
		net_fail("a process has ended too early");
	return word;
}

void keep_max(_Atomic uint64_t *kept, uint64_t value)
{
	uint64_t before = *kept;

	while (value > before && !atomic_compare_exchange_weak(kept, &before, value))
		;
}

void keep_min(_Atomic uint64_t *kept, uint64_t value)
{
	uint64_t before = *kept;

	while ((before == 0 || value < before) &&
	       !atomic_compare_exchange_weak(kept, &before, value))
		;
}

static void expect(int fd, char word)
{
	char heard = hear(fd);

	if (heard != word)
		net_fail("heard '%c' and not '%c'", heard, word);
}

static _Noreturn void play(world *in, role as, int fd)
{
	switch (as) {
	case SERVICE:
		run_service(fd, in->service_at);
	case LEAVER:
		run_leaver(fd, in->service_at);
	case CLIENT:
	case LONELY_CLIENT:
		run_client(fd, in->client_at, as == LONELY_CLIENT);
	case COUNTER:
		run_counter(fd, in->client_at);
	case SITTER:
		run_sitter(fd, in->client_at);
	case PROXY:
		run_proxy(fd, in->listener, in->service_port);
	case FAR_HOST:
		if (unshare(CLONE_NEWNET) == -1)
			net_fail("no second network namespace");
		say(fd, 'r');
		for (;;)
			pause();
	}
	_exit(2);
}

/* Services live on the far host, where there is one. */
static void move_to(const actor *host)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)host->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || setns(fd, CLONE_NEWNET) == -1)
		net_fail("cannot move to the far host");
	close(fd);
}

static actor start(world *in, role as)
{
	int pipe[2];
	actor made;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe) == -1)
		net_fail("no socket pair");
	made.fd = pipe[0];
	made.pid = fork();
	if (made.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipe[0]);
		if (in->far.pid && (as == SERVICE || as == LEAVER))
			move_to(&in->far);
		play(in, as, pipe[1]);
	}
	close(pipe[1]);
	return made;
}

/* It ends by itself, and well. */
static void await_end(actor *ending)
{
	int how;

	if (waitpid(ending->pid, &how, 0) != ending->pid || how != 0)
		net_fail("a process ended with %d", how);
	close(ending->fd);
	ending->pid = 0;
}

static void kill_actor(actor *killed)
{
	kill(killed->pid, SIGKILL);
	waitpid(killed->pid, NULL, 0);
	close(killed->fd);
	killed->pid = 0;
}

static void start_service(world *in)
{
	in->service = start(in, SERVICE);
	expect(in->service.fd, 'r');
}

/* Who has no end of its own. Killed before the director ends: they would take its end for
 * one that came too early. */
static void clear_stage(world *in)
{
	if (in->proxy.pid)
		kill_actor(&in->proxy);
	if (in->far.pid)
		kill_actor(&in->far);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void tell_proxy(world *in, char mode)
{
	say(in->proxy.fd, mode);
	expect(in->proxy.fd, 'k');
}

static void kill_service(world *in)
{
	kill_actor(&in->service);
}

static void freeze_service(world *in)
{
	kill(in->service.pid, SIGSTOP);
}

static void thaw_service(world *in)
{
	kill(in->service.pid, SIGCONT);
}

static void restart_service(world *in)
{
	kill_service(in);
	start_service(in);
}

static void nothing(world *in)
{
	(void)in;
}

static void run(const char *format, ...)
{
	char command[256];
	va_list values;

	va_start(values, format);
	vsnprintf(command, sizeof command, format, values);
	va_end(values);
	if (system(command) != 0)
		net_fail("'%s' failed", command);
}

static void far_run(const world *in, const char *words)
{
	run("nsenter --net=/proc/%d/ns/net ip %s", (int)in->far.pid, words);
}

static void unplug(world *in)
{
	far_run(in, "link set far down");
}

static void plug(world *in)
{
	far_run(in, "link set far up");
	if (in->v6) /* IPv6 addresses go with the link */
		far_run(in, "addr replace fd77::2/64 dev far nodad");
}

static void flap(world *in)
{
	unplug(in);
	usleep(STORM_US);
	plug(in);
}

/* ---- scenes ------------------------------------------------------------------------------------ */

/* PROXIED: over TCP with the proxy between. HOSTS: two, and a cable. ALONE: nobody
 * listens. */
typedef enum set {
	OVER_IPC,
	OVER_TCP,
	PROXIED,
	ALONE_IPC,
	ALONE_TCP,
	HOSTS_4,
	HOSTS_6,
	ALONE_4
} set;

typedef struct scene {
	const char *name;
	set stage;
	void (*on)(world *);
	void (*off)(world *);
	void (*storm)(world *); /* again and again while it is on */
	char mode;              /* of the proxy, in place of `on` */
} scene;

static const scene scenes[] = {
	{"ipc: killed", OVER_IPC, kill_service, start_service, NULL, 0},
	{"ipc: frozen", OVER_IPC, freeze_service, thaw_service, NULL, 0},
	{"ipc: restarted again and again", OVER_IPC, nothing, nothing, restart_service, 0},
	{"ipc: nobody there", ALONE_IPC, nothing, nothing, NULL, 0},
	{"tcp: killed", OVER_TCP, kill_service, start_service, NULL, 0},
	{"tcp: frozen", OVER_TCP, freeze_service, thaw_service, NULL, 0},
	{"tcp: restarted again and again", OVER_TCP, nothing, nothing, restart_service, 0},
	{"tcp: nobody there", ALONE_TCP, nothing, nothing, NULL, 0},
	{"proxy: passes", PROXIED, NULL, NULL, NULL, 'p'},
	{"proxy: delays", PROXIED, NULL, NULL, NULL, 'd'},
	{"proxy: slow", PROXIED, NULL, NULL, NULL, 'l'},
	{"proxy: stalls", PROXIED, NULL, NULL, NULL, 's'},
	{"proxy: swallows", PROXIED, NULL, NULL, NULL, 'h'},
	{"proxy: refuses", PROXIED, NULL, NULL, NULL, 'x'},
	{"proxy: resets again and again", PROXIED, NULL, NULL, nothing, 'r'},
	{"proxy: half-closes again and again", PROXIED, NULL, NULL, nothing, 'c'},
	{"proxy: garbles again and again", PROXIED, NULL, NULL, nothing, 'g'},
	{"proxy: drops messages", PROXIED, NULL, NULL, NULL, 'z'},
	{"hosts, IPv4: unplugged", HOSTS_4, unplug, plug, NULL, 0},
	{"hosts, IPv4: plugged and unplugged", HOSTS_4, nothing, nothing, flap, 0},
	{"hosts, IPv4: frozen", HOSTS_4, freeze_service, thaw_service, NULL, 0},
	{"hosts, IPv4: no such host", ALONE_4, nothing, nothing, NULL, 0},
	{"hosts, IPv6: unplugged", HOSTS_6, unplug, plug, NULL, 0},
	{"hosts, IPv6: plugged and unplugged", HOSTS_6, nothing, nothing, flap, 0},
};

static bool is_alone(set stage)
{
	return stage == ALONE_IPC || stage == ALONE_TCP || stage == ALONE_4;
}

static bool needs_hosts(set stage)
{
	return stage == HOSTS_4 || stage == HOSTS_6 || stage == ALONE_4;
}

/* A listener on a port that nobody has. */
static uint16_t listen_somewhere(int *listener)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof here;

	*listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(*listener, (struct sockaddr *)&here, sizeof here) == -1 ||
	    listen(*listener, 64) == -1 ||
	    getsockname(*listener, (struct sockaddr *)&here, &bytes) == -1)
		net_fail("no port");
	return ntohs(here.sin_port);
}

static uint16_t free_port(void)
{
	int listener;
	uint16_t port = listen_somewhere(&listener);

	close(listener);
	return port;
}

static void make_hosts(world *in)
{
	if (unshare(CLONE_NEWNET) == -1)
		net_fail("no network namespace");
	in->far = start(in, FAR_HOST);
	expect(in->far.fd, 'r');
	run("ip link set lo up");
	run("ip link add near type veth peer name far netns %d", (int)in->far.pid);
	run("ip addr add 10.77.0.1/24 dev near");
	run("ip addr add fd77::1/64 dev near nodad");
	run("ip link set near up");
	far_run(in, "addr add 10.77.0.2/24 dev far");
	far_run(in, "addr add fd77::2/64 dev far nodad");
	far_run(in, "link set far up");
}

static void set_stage(world *in, set stage)
{
	if (needs_hosts(stage))
		make_hosts(in);
	in->v6 = stage == HOSTS_6;
	in->service_port = free_port();
	switch (stage) {
	case OVER_IPC:
	case ALONE_IPC:
		snprintf(in->service_at, sizeof in->service_at, "ipc://@dxh-net-%d", (int)getpid());
		break;
	case OVER_TCP:
	case ALONE_TCP:
	case PROXIED:
		snprintf(in->service_at, sizeof in->service_at, "tcp://127.0.0.1:%u",
		         in->service_port);
		break;
	case HOSTS_4:
		strcpy(in->service_at, "tcp://10.77.0.2:7700");
		break;
	case HOSTS_6:
		strcpy(in->service_at, "tcp://[fd77::2]:7700");
		break;
	case ALONE_4:
		strcpy(in->service_at, "tcp://10.77.0.99:7700");
		break;
	}
	strcpy(in->client_at, in->service_at);
	if (stage == PROXIED) {
		snprintf(in->client_at, sizeof in->client_at, "tcp://127.0.0.1:%u",
		         listen_somewhere(&in->listener));
		in->proxy = start(in, PROXY);
		close(in->listener);
	}
}

static void bring(world *in, const scene *played)
{
	if (played->mode)
		tell_proxy(in, played->mode);
	else
		played->on(in);
}

static void lift(world *in, const scene *played)
{
	if (played->mode)
		tell_proxy(in, 'p');
	else
		played->off(in);
}

static void storm(world *in, const scene *played)
{
	if (!played->storm)
		return;
	if (played->mode)
		tell_proxy(in, played->mode);
	else
		played->storm(in);
}

/* While the client drains, until it has ended. */
static void storm_until_it_ends(world *in, const scene *played)
{
	int how;

	while (waitpid(in->client.pid, &how, WNOHANG) == 0) {
		storm(in, played);
		usleep(STORM_US);
	}
	if (how != 0)
		net_fail("the client ended with %d", how);
}

/* ---- what the ledger must say ------------------------------------------------------------ */

typedef struct sums {
	uint64_t requests, answered, not_sent, maybe, notes, notes_seen;
} sums;

static void check_line(uint64_t serial, sums *sum)
{
	const entry *at = &book->lines[serial];
	unsigned executed = at->executed;

	if (at->posted == 3) {
		sum->notes++;
		sum->notes_seen += executed > 0;
		if (executed > 1)
			net_fail("notification %" PRIu64 " came %u times", serial, executed);
		return;
	}
	if (at->posted == 0) {
		if (executed > 0)
			net_fail("request %" PRIu64 " was executed and not posted", serial);
		return;
	}
	sum->requests++;
	sum->answered += at->outcome == ANSWERED;
	sum->not_sent += at->outcome == NOT_SENT;
	sum->maybe += at->outcome == MAYBE;
	if (at->ended != 1)
		net_fail("request %" PRIu64 " ended %u times", serial, at->ended);
	if (at->posted == 1 && executed > 1)
		net_fail("request %" PRIu64 " was executed %u times", serial, executed);
	if (at->outcome == NOT_SENT && executed > 0)
		net_fail("request %" PRIu64 " was executed, and is said not to be sent", serial);
}

static sums check_ledger(void)
{
	sums sum = {0};

	for (uint64_t serial = 0; serial < book->serials; serial++)
		check_line(serial, &sum);
	return sum;
}

static double in_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void expect_bounds(uint64_t min_ns, uint64_t max_ns, int promised_ms, const char *what)
{
	/* The best of several shows what is promised, the worst what a loaded machine
	 * adds: it may not be without bound either. */
	if (in_ms(min_ns) > promised_ms)
		net_fail("%s took %.0f ms at best, %d ms are promised", what, in_ms(min_ns),
		         promised_ms);
	if (in_ms(max_ns) > promised_ms + SLACK_MS)
		net_fail("%s took %.0f ms, %d ms are promised", what, in_ms(max_ns), promised_ms);
}

static void expect_figures(const char *name)
{
	sums sum = check_ledger();

	expect_bounds(book->drain_min_ns, book->drain_max_ns, DRAIN_MS + PROMISED_MS, "a drain");
	expect_bounds(book->close_min_ns, book->close_max_ns, FAREWELL_MS, "a close");
	if (in_ms(book->late_max_ns) > SLACK_MS)
		net_fail("a request ended %.0f ms after its deadline", in_ms(book->late_max_ns));
	if (book->growth_kib > GROWTH_MAX_KIB)
		net_fail("memory grew by %" PRIu64 " KiB", book->growth_kib);
	printf("ok   %-36s %6" PRIu64 " requests: %6" PRIu64 " answered %6" PRIu64
	       " not sent %5" PRIu64 " maybe; %6" PRIu64 " of %6" PRIu64
	       " notes; late %.0f drain %.0f..%.0f close %.0f..%.0f ms; +%" PRIu64 " KiB\n",
	       name, sum.requests, sum.answered, sum.not_sent, sum.maybe, sum.notes_seen, sum.notes,
	       in_ms(book->late_max_ns), in_ms(book->drain_min_ns), in_ms(book->drain_max_ns),
	       in_ms(book->close_min_ns), in_ms(book->close_max_ns), book->growth_kib);
}

/* ---- playing a scene, in a process of its own ------------------------------------------------ */

static void let_service_leave(world *in)
{
	if (!in->service.pid)
		return;
	say(in->service.fd, 'q');
	await_end(&in->service);
}

static void play_scene(const scene *played)
{
	uint64_t memory_before = 0, open_before = 0, memory_now;
	world in = {0};
	int64_t until_ns;
	pid_t first;

	set_stage(&in, played->stage);
	if (!is_alone(played->stage))
		start_service(&in);
	in.client = start(&in, is_alone(played->stage) ? LONELY_CLIENT : CLIENT);
	expect(in.client.fd, 'w');
	first = in.service.pid;
	if (first) {
		memory_before = memory_kib(first);
		open_before = descriptors(first);
	}
	bring(&in, played);
	for (until_ns = dxh_in_ms(fault_ms); dxh_now_ns() < until_ns; usleep(STORM_US))
		storm(&in, played);
	lift(&in, played);
	say(in.client.fd, 'h');
	expect(in.client.fd, 'd');
	if (first && first == in.service.pid) { /* the same one all the time */
		expect_descriptors(first, open_before + HUBS_DRAINED);
		memory_now = memory_kib(first);
		keep_max(&book->growth_kib,
		         memory_now > memory_before ? memory_now - memory_before : 0);
	}
	bring(&in, played);
	say(in.client.fd, 'f');
	storm_until_it_ends(&in, played);
	lift(&in, played);
	let_service_leave(&in);
	clear_stage(&in);
	expect_figures(played->name);
}

/* Every request has time enough, and the mode of the proxy decides. */
static void play_counting(char mode)
{
	world in = {0};
	sums sum;

	set_stage(&in, PROXIED);
	start_service(&in);
	in.client = start(&in, COUNTER);
	expect(in.client.fd, 'w');
	tell_proxy(&in, mode);
	say(in.client.fd, 'g');
	await_end(&in.client);
	sum = check_ledger();
	printf("     %" PRIu64 " of %" PRIu64 " requests answered, %" PRIu64 " of %" PRIu64
	       " notifications seen\n",
	       sum.answered, sum.requests, sum.notes_seen, sum.notes);
	if (sum.answered != sum.requests || sum.notes_seen != sum.notes)
		net_fail("the books do not balance: something was lost on the way");
	let_service_leave(&in);
	clear_stage(&in);
}

/* The service goes while its client is in no state to read; some times. */
static void play_leaving(const scene *how)
{
	world in = {0};

	set_stage(&in, how->stage);
	for (int i = 0; i < HUBS_DRAINED; i++) {
		in.service = start(&in, LEAVER);
		expect(in.service.fd, 'r');
		in.client = start(&in, SITTER);
		expect(in.client.fd, 'r');
		bring(&in, how);
		say(in.service.fd, 'q');
		await_end(&in.service);
		lift(&in, how);
		kill_actor(&in.client);
	}
	clear_stage(&in);
	expect_bounds(book->drain_min_ns, book->drain_max_ns, DRAIN_MS + PROMISED_MS, "a drain");
	expect_bounds(book->close_min_ns, book->close_max_ns, FAREWELL_MS + PROMISED_MS, "a close");
	printf("ok   %-36s drain %.0f..%.0f close %.0f..%.0f ms\n", how->name,
	       in_ms(book->drain_min_ns), in_ms(book->drain_max_ns), in_ms(book->close_min_ns),
	       in_ms(book->close_max_ns));
}

static void freeze_client(world *in)
{
	kill(in->client.pid, SIGSTOP);
}

static void kill_client(world *in)
{
	kill(in->client.pid, SIGKILL); /* waited for by kill_actor() */
}

static const scene leavings[] = {
	{"leaving: client alive", OVER_TCP, nothing, nothing, NULL, 0},
	{"leaving: client frozen", OVER_TCP, freeze_client, nothing, NULL, 0},
	{"leaving: client frozen, ipc", OVER_IPC, freeze_client, nothing, NULL, 0},
	{"leaving: client killed", OVER_TCP, kill_client, nothing, NULL, 0},
	{"leaving: proxy stalls", PROXIED, NULL, NULL, NULL, 's'},
	{"leaving: client's host unplugged", HOSTS_4, unplug, plug, NULL, 0},
};

static uint64_t passed, failed, left_out;

/* Returns whether it went well. The ledger dies with the scene. */
static bool in_process(void (*play_it)(const scene *), const scene *played, bool quiet)
{
	pid_t scene_pid;
	int how = -1;

	fflush(NULL);
	scene_pid = fork();
	if (scene_pid == 0) {
		alarm(SCENE_S_MAX + (unsigned)(fault_ms / 1000));
		dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(1);
		book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE,
		            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (book == MAP_FAILED)
			net_fail("no memory for the ledger");
		play_it(played);
		fflush(NULL);
		_exit(0); /* takes all that were started with it */
	}
	waitpid(scene_pid, &how, 0);
	while (waitpid(-1, NULL, 0) > 0) /* what it had started dies with it */
		;
	return how == 0;
}

static void count(bool good, const char *name)
{
	passed += good;
	failed += !good;
	if (!good)
		printf("FAIL %s\n", name);
}

static bool hosts_are_possible(void)
{
	pid_t probe = fork();
	int how = -1;

	if (probe == 0)
		_exit(unshare(CLONE_NEWNET) == 0 &&
		                      system("ip link add near type veth peer name far "
		                             ">/dev/null 2>&1") == 0
		              ? 0
		              : 1);
	waitpid(probe, &how, 0);
	return how == 0;
}

static void play_counted(const scene *played)
{
	play_counting(played->mode);
}

/* What must be noticed, or the checks are blind. */
static void play_controls(void)
{
	static const scene balanced = {
		"counting: a proxy that passes", PROXIED, NULL, NULL, NULL, 'p'};
	static const scene losing = {
		"counting: a proxy that drops", PROXIED, NULL, NULL, NULL, 'z'};
	static const char *const faults[] = {"twice", "lost"};

	count(in_process(play_counted, &balanced, false), balanced.name);
	count(!in_process(play_counted, &losing, true), losing.name);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		planted = faults[i];
		count(!in_process(play_scene, &scenes[8], true), planted);
		planted = "";
	}
	printf("ok   planted and noticed: a proxy that drops, a service that executes twice, an "
	       "end that is lost\n");
}

int main(int argc, char **argv)
{
	const char *wanted = argc > 2 ? argv[2] : "";
	bool hosts = hosts_are_possible();

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (argc > 1)
		fault_ms = strtoll(argv[1], NULL, 10);
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
		if (strncmp(scenes[i].name, wanted, strlen(wanted)) != 0)
			continue;
		if (needs_hosts(scenes[i].stage) && !hosts)
			left_out++;
		else
			count(in_process(play_scene, &scenes[i], false), scenes[i].name);
	}
	for (size_t i = 0; i < sizeof leavings / sizeof *leavings; i++) {
		if (strncmp(leavings[i].name, wanted, strlen(wanted)) != 0)
			continue;
		if (needs_hosts(leavings[i].stage) && !hosts)
			left_out++;
		else
			count(in_process(play_leaving, &leavings[i], false), leavings[i].name);
	}
	if (!*wanted || strcmp(wanted, "counting") == 0)
		play_controls();
	if (left_out > 0)
		printf("NOT SHOWN: %" PRIu64 " scenes need network namespaces, which need root, "
		       "iproute2 and a kernel with veth\n",
		       left_out);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
	return failed > 0 || (!*wanted && passed < SCENES_MIN);
}
