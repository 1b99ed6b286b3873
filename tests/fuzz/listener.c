/* SPDX-License-Identifier: MIT */
/* A live service among strangers who send it anything: bytes at random, records with
 * every field at will, frames with bits flipped, cut, doubled, in several message parts,
 * before HELLO and behind it, bodies in parts that lie, by sockets that never read and by
 * sockets that vanish. Beside them a client of the library asks and must be answered, and
 * the service's memory stays within its limits.
 *
 *	listener [FRAMES [SEED [FAULT]]]
 *
 * Written from docs/wire-format.md, so that frames may break every rule; only the body of
 * HELLO is made by the library, and then mutated.
 *
 * Planted: "deaf" stops answering the good client, "hoard" keeps memory of requests.
 */
#include "tests/support/stress.h"

#include "runtime/wire.h"
#include "tests/support/asan.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zmq.h>

enum {
	STRANGERS = 8,
	WORKERS = 2,
	FRAME_MAX = 1 << 20,
	HELD_MAX = 32, /* requests that workers keep for a while */
	PART = 256 * 1024,
	MIB = 1 << 20
};

/* What the service's config allows to its clients all in all, and what the library keeps
 * beside that; growth of the process beyond it would be something that nobody bounds. */
enum { INBOX = 8 * MIB, CLIENTS = 32, WINDOW = 2 * MIB, MEMORY_MAX = 96 * MIB };

static char endpoint[64];
static dxh_hub *serving, *asking;
static dxh_service *service;
static dxh_peer *peer;

/* ---- the service ----------------------------------------------------------------- */

static void hoard(size_t bytes)
{
	static char *volatile kept;

	kept = malloc(bytes);
	if (!kept)
		stress_fail("no memory");
	memset(kept, 1, bytes);
}

static void answer(dxh_request *request)
{
	static const char big[300000];
	const char *subject = dxh_request_subject(request);
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	/* Each byte of it is there to be read. */
	for (size_t i = 0; i < bytes; i++)
		atomic_signal_fence(((const char *)body)[i] ? memory_order_acquire
		                                            : memory_order_release);
	if (stress_planted("hoard"))
		hoard(64 * 1024);
	if (dxh_request_is_notification(request) || strcmp(subject, "drop") == 0)
		dxh_request_release(request);
	else if (strcmp(subject, "big") == 0)
		dxh_request_reply(request, big, sizeof big);
	else if (strcmp(subject, "reject") == 0)
		dxh_request_reject(request, DXH_EREJECTED, "no");
	else
		dxh_request_reply(request, body, bytes);
}

static void *serve(void *unused)
{
	dxh_request *held[HELD_MAX], *request;
	size_t count = 0;
	dxh_status status;

	while ((status = dxh_service_receive(service, dxh_in_ms(2), &request)) != DXH_ECLOSED) {
		bool deaf = status == DXH_OK && stress_planted("deaf") &&
		            strcmp(dxh_request_subject(request), "good") == 0;

		if (status == DXH_OK && strcmp(dxh_request_subject(request), "hold") == 0)
			held[count++] = request;
		else if (status == DXH_OK && !deaf)
			answer(request);
		/* Kept until there is nothing else to do, or too many. */
		while (count > 0 && (count == HELD_MAX || status == DXH_EWAIT))
			answer(held[--count]);
	}
	while (count > 0)
		answer(held[--count]);
	return unused;
}

static void open_service(void)
{
	const dxh_service_config config = {.inbox_max = 256,
	                                   .clients_max = CLIENTS,
	                                   .client_window = 128,
	                                   .inbox_bytes = INBOX,
	                                   .client_bytes = WINDOW,
	                                   .publish_max = 64,
	                                   .publish_bytes = 64 * 1024,
	                                   .subscriptions_max = 16,
	                                   .notify_bytes = 256 * 1024,
	                                   .replies_max = 200,
	                                   .replies_bytes = MIB,
	                                   .replies_absent_ns = 20000000};

	stress_must(dxh_hub_open(&(dxh_hub_config){.name = "serving", .body_bytes_max = MIB},
	                         &serving));
	stress_must(dxh_service_bind(serving, endpoint, &config, &service));
	stress_must(
		dxh_hub_open(&(dxh_hub_config){.name = "asking", .body_bytes_max = MIB}, &asking));
	stress_must(dxh_peer_connect(asking, endpoint, NULL, &peer));
}

/* ---- the good client --------------------------------------------------------------- */

static uint64_t asked, overloaded;

/* Strangers may fill the inbox; a while later there must be room. */
static void ask(uint64_t *random)
{
	static unsigned char body[400000], reply[400000];
	size_t bytes = stress_random(random) % (asked % 16 == 0 ? sizeof body : 2000), got;
	int64_t deadline_ns = dxh_in_ms(stress_planted("deaf") ? 500 : 20000);
	dxh_status status;

	body[0] = (unsigned char)asked;
	body[bytes / 2] = (unsigned char)(asked >> 8);
	do {
		status = dxh_request_sync(peer, "good", body, bytes, deadline_ns, reply,
		                          sizeof reply, &got);
		overloaded += status == DXH_EOVERLOADED;
	} while (status == DXH_EOVERLOADED && dxh_now_ns() < deadline_ns);
	if (status != DXH_OK)
		stress_fail("the good client was not served: %s", dxh_last_error());
	if (got != bytes || memcmp(body, reply, bytes) != 0)
		stress_fail("the good client was sent %zu other bytes", got);
	stress_must(dxh_notify(peer, "good", body, 10));
	if (asked % 16 == 1)
		stress_must(dxh_flush(peer, DXH_FLUSH_REPLIED, deadline_ns));
	asked++;
}

/* To those strangers that have subscribed. */
static void publish(uint64_t *random)
{
	static const char note[4000];
	dxh_status status =
		dxh_service_publish(service, "a/b", note, stress_random(random) % sizeof note);

	if (status != DXH_OK && status != DXH_EFULL)
		stress_fail("publish: %s", dxh_last_error());
}

/* ---- strangers --------------------------------------------------------------------- */

typedef struct stranger {
	void *socket;
	bool has_said_hello, is_welcome, never_reads;
	/* A body in parts that it goes on with. */
	uint64_t id, total, offset;
} stranger;

static void *context;
static stranger strangers[STRANGERS];
static uint64_t random_state;
/* What the process of the strangers has done; the other one reads it. */
static struct {
	uint64_t sent, hellos;
} * did;
static unsigned char frame[FRAME_MAX + 64], behind[FRAME_MAX];

static uint64_t pick(uint64_t below)
{
	return stress_random(&random_state) % below;
}

/* One of the numbers at which mistakes are made, or any. */
static uint64_t any_number(void)
{
	static const uint64_t edges[] = {0,          1,
	                                 7,          8,
	                                 31,         32,
	                                 255,        256,
	                                 65535,      65536,
	                                 PART - 1,   PART,
	                                 PART + 1,   MIB,
	                                 MIB + 1,    INT32_MAX,
	                                 UINT32_MAX, UINT64_C(1) << 32,
	                                 INT64_MAX,  UINT64_MAX - 31,
	                                 UINT64_MAX};

	return pick(3) == 0 ? stress_random(&random_state) >> pick(64)
	                    : edges[pick(sizeof edges / sizeof *edges)];
}

static void put(unsigned char *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> 8 * i);
}

static void fill(unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 1 + pick(64))
		at[i] = (unsigned char)pick(256);
}

static void open_stranger(stranger *who)
{
	int none = 0, some = 50;

	if (who->socket)
		zmq_close(who->socket);
	*who = (stranger){.socket = zmq_socket(context, ZMQ_DEALER), .never_reads = pick(4) == 0};
	zmq_setsockopt(who->socket, ZMQ_LINGER, &none, sizeof none);
	zmq_setsockopt(who->socket, ZMQ_SNDTIMEO, &some, sizeof some);
	if (pick(8) == 0) {
		/* A name of its own; one in eight is longer than clients may have. */
		unsigned char name[64];
		size_t bytes = 1 + pick(36);

		fill(name, sizeof name);
		name[0] = 'n';
		zmq_setsockopt(who->socket, ZMQ_ROUTING_ID, name, bytes);
	}
	if (zmq_connect(who->socket, endpoint) != 0)
		stress_fail("connect: %s", zmq_strerror(zmq_errno()));
}

static size_t hello_body(unsigned char *at)
{
	const dxi_hello hello = {.major = (uint16_t)(pick(32) == 0 ? pick(3) : 1),
	                         .minor = (uint16_t)pick(4),
	                         .incarnation = pick(pick(2) == 0 ? 16 : 4096),
	                         .name = "stranger",
	                         .frame_bytes = (uint32_t)any_number(),
	                         .features = (uint32_t)pick(32)};
	size_t bytes = dxi_hello_write(&hello, at, DXI_HELLO_BYTES_MAX);

	if (pick(16) == 0)
		at[pick(bytes)] ^= (unsigned char)(1 << pick(8));
	return bytes;
}

/* The body of a part: total and offset, mostly as the one before made believe. */
static size_t part_body(stranger *who, unsigned char *at, uint8_t *flags)
{
	uint64_t bytes = pick(4) == 0 ? pick(3000) : 1000;
	bool begins = who->offset >= who->total;

	if (begins) {
		who->id = pick(1000);
		who->total = pick(4) == 0 ? any_number() : 1 + pick(6000);
		who->offset = 0;
	}
	if (bytes > who->total - who->offset && pick(8) != 0)
		bytes = who->total - who->offset;
	put(at, pick(32) == 0 ? any_number() : who->total, 8);
	put(at + 8, pick(32) == 0 ? any_number() : who->offset, 8);
	who->offset += bytes;
	*flags = DXI_FLAG_PART;
	if (who->offset < who->total ? pick(64) != 0 : pick(64) == 0)
		*flags |= DXI_FLAG_MORE;
	fill(at + 16, bytes);
	return 16 + (size_t)bytes;
}

static const char *any_subject(void)
{
	static const char *const subjects[] = {"good", "hold", "drop", "reject", "big",
	                                       "x",    "xy",   "a/b",  "a/",     "a"};

	return subjects[pick(sizeof subjects / sizeof *subjects)];
}

static uint8_t any_kind(void)
{
	static const uint8_t often[] = {DXI_REQUEST,   DXI_REQUEST,     DXI_NOTIFY, DXI_NOTIFY,
	                                DXI_SUBSCRIBE, DXI_UNSUBSCRIBE, DXI_CANCEL, DXI_FLUSH,
	                                DXI_BEAT,      DXI_ACK};

	return pick(8) == 0 ? (uint8_t)pick(20) : often[pick(sizeof often)];
}

/* Returns the bytes with padding. *next is a body that follows in a message part. */
static size_t put_record(stranger *who, unsigned char *at, size_t *next)
{
	uint8_t kind = who->has_said_hello || pick(4) == 0 ? any_kind() : DXI_HELLO, flags = 0;
	const char *subject = pick(64) == 0 ? "" : any_subject();
	size_t subject_bytes = strlen(subject), body_bytes = pick(4) == 0 ? pick(4000) : pick(40);
	uint64_t id = pick(1000);
	unsigned char *body = at + DXI_RECORD_HEADER_BYTES + subject_bytes;

	memset(at, 0, DXI_RECORD_HEADER_BYTES);
	memcpy(at + DXI_RECORD_HEADER_BYTES, subject, subject_bytes);
	if (kind == DXI_HELLO) {
		body_bytes = hello_body(body);
		who->has_said_hello = true;
		did->hellos++;
	} else if (kind == DXI_GOODBYE) {
		who->is_welcome = false;
	} else if (kind == DXI_REQUEST && pick(2) == 0) {
		body_bytes = part_body(who, body, &flags);
		id = who->id;
	} else {
		fill(body, body_bytes);
	}
	if (kind == DXI_ACK && pick(8) != 0)
		body_bytes = body_bytes / 8 * 8;
	for (size_t i = 0; kind == DXI_ACK && i + 8 <= body_bytes; i += 8)
		put(body + i, pick(1000), 8);
	if (kind == DXI_REQUEST && pick(2) == 0)
		flags |= pick(2) == 0 ? DXI_FLAG_KEEP : DXI_FLAG_KEEP | DXI_FLAG_ONCE;
	if (pick(64) == 0)
		flags = (uint8_t)pick(256);
	if (flags & DXI_FLAG_BODY_IN_NEXT_PART) {
		*next = pick(8) == 0 ? pick(FRAME_MAX) : body_bytes;
		memcpy(behind, body, body_bytes);
		body_bytes = 0;
	}
	put(at, DXI_RECORD_HEADER_BYTES + subject_bytes + (*next > 0 ? *next : body_bytes), 4);
	at[4] = kind;
	at[5] = flags;
	put(at + 6, subject_bytes, 2);
	put(at + 8, pick(16) == 0 ? any_number() : id, 8);
	put(at + 16, pick(4) == 0 ? any_number() : 0, 4);
	put(at + 20, pick(16) == 0 ? any_number() : 0, 4);
	put(at + 24, pick(4), 2);
	subject_bytes += DXI_RECORD_HEADER_BYTES + body_bytes;
	while (subject_bytes % 8 != 0)
		at[subject_bytes++] = 0;
	return subject_bytes;
}

static size_t put_frame(stranger *who, size_t *next)
{
	size_t used = DXI_FRAME_HEADER_BYTES, records = 0, wanted = pick(4) == 0 ? 1 + pick(12) : 1;

	*next = 0;
	while (records < wanted && *next == 0) {
		used += put_record(who, frame + used, next);
		records++;
	}
	memset(frame, 0, DXI_FRAME_HEADER_BYTES);
	memcpy(frame, "DXH1", 4);
	put(frame + 6, records, 2);
	put(frame + 8, used, 4);
	return used;
}

static size_t mutate(size_t bytes)
{
	switch (pick(8)) {
	case 0: /* cut */
		return pick(bytes + 1);
	case 1: /* longer than it says */
		fill(frame + bytes, 64);
		return bytes + pick(64);
	case 2: /* a length, of the frame or of its first record */
		put(frame + (pick(2) ? 8 : DXI_FRAME_HEADER_BYTES), any_number(), 4);
		return bytes;
	case 3: /* how many */
		put(frame + 6, any_number(), 2);
		return bytes;
	case 4: /* the length of a subject */
		put(frame + DXI_FRAME_HEADER_BYTES + 6, any_number(), 2);
		return bytes;
	case 5: /* all of it */
		fill(frame, bytes);
		return bytes;
	default:
		for (uint64_t i = 1 + pick(4); i > 0; i--)
			frame[pick(bytes)] ^= (unsigned char)(1 << pick(8));
		return bytes;
	}
}

static void hear(stranger *who)
{
	unsigned char head[DXI_FRAME_HEADER_BYTES + DXI_RECORD_HEADER_BYTES] = {0};

	while ((!who->is_welcome || !who->never_reads) &&
	       zmq_recv(who->socket, head, sizeof head, ZMQ_DONTWAIT) != -1)
		if (head[DXI_FRAME_HEADER_BYTES + 4] == DXI_WELCOME)
			who->is_welcome = true;
}

static void send_part(stranger *who, const void *bytes, size_t count, bool more)
{
	/* A service that is full lets us wait; that is its right. */
	(void)zmq_send(who->socket, bytes, count, more ? ZMQ_SNDMORE : 0);
}

/* Most begin as they should: others are not listened to for long. */
static void meet_stranger(stranger *who)
{
	size_t next;

	open_stranger(who);
	if (pick(8) == 0)
		return;
	send_part(who, frame, put_frame(who, &next), false);
	for (int i = 0; i < 20 && !who->is_welcome; i++) {
		zmq_poll(&(zmq_pollitem_t){.socket = who->socket, .events = ZMQ_POLLIN}, 1, 1);
		hear(who);
	}
}

static void send_something(stranger *who)
{
	size_t next, bytes = put_frame(who, &next);

	if (pick(who->has_said_hello ? 4 : 16) == 0)
		bytes = mutate(bytes);
	send_part(who, frame, bytes, next > 0);
	if (next > 0) {
		bool more = pick(16) == 0;

		send_part(who, behind, pick(8) == 0 ? pick(4000) : next, more);
		if (more)
			send_part(who, behind, pick(100), false);
	}
	did->sent++;
	hear(who);
	if (pick(who->is_welcome ? 512 : 8) == 0)
		meet_stranger(who);
}

/* In a process of its own: libzmq forgets the first half of a message when its second has
 * not come yet and the socket is closed, which is nothing that the service could do. */
static pid_t send_strangers(void)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	random_state = stress_state(0);
	context = zmq_ctx_new();
	for (int i = 0; i < STRANGERS; i++)
		meet_stranger(&strangers[i]);
	while (did->sent < stress_operations)
		send_something(&strangers[pick(STRANGERS)]);
	_exit(0);
}

/* ---- what must hold ---------------------------------------------------------------- */

static dxh_hub_stats stats_of(const dxh_hub *hub)
{
	dxh_hub_stats stats;

	stress_must(dxh_hub_stats_get(hub, &stats));
	return stats;
}

/* Bytes of this process in memory, at the most so far. */
static uint64_t memory_used(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (uint64_t)used.ru_maxrss * 1024;
}

static void check_memory(uint64_t before)
{
	dxh_hub_stats stats = stats_of(serving);
	uint64_t grown = memory_used() - before;

	if (stats.memory_bytes > MEMORY_MAX)
		stress_fail("the service holds %" PRIu64 " bytes", stats.memory_bytes);
#ifndef TEST_ASAN /* which keeps for a while what was freed */
	if (grown > 2 * (uint64_t)MEMORY_MAX)
		stress_fail("the process has grown by %" PRIu64 " bytes", grown);
#else
	(void)grown;
#endif
}

static uint64_t repeats_in(const dxh_hub_stats *stats)
{
	return stats->repeats_answered + stats->repeats_joined + stats->repeats_refused;
}

static void check_counts(const dxh_hub_stats *stats)
{
	uint64_t requests = stats->requests_received - asked - overloaded;
	uint64_t notifications = stats->notifications_received - asked;

	stress_equal(stats->requests_received, stats->replies_sent + stats->replies_dropped);
	/* That much at least was seen of what there is. */
	if (stats->frames_bad < did->sent / 50 || requests < did->sent / 10 ||
	    notifications < did->sent / 50 || stats->parts_dropped < did->sent / 500 ||
	    did->hellos < 16 || repeats_in(stats) < did->sent / 500)
		stress_fail("too little was tried: of %" PRIu64 " frames %" PRIu64 " bad, %" PRIu64
		            " requests, %" PRIu64 " notifications, %" PRIu64
		            " parts dropped, %" PRIu64 " hellos, %" PRIu64 " repetitions",
		            did->sent, stats->frames_bad, requests, notifications,
		            stats->parts_dropped, did->hellos, repeats_in(stats));
}

static void silence(void *unused, dxh_log_level level, const char *line)
{
	(void)unused;
	(void)level;
	(void)line;
}

static bool are_gone(pid_t child)
{
	int status;

	if (waitpid(child, &status, WNOHANG) != child)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		stress_fail("the strangers ended with %x", (unsigned)status);
	return true;
}

int main(int argc, char **argv)
{
	pthread_t workers[WORKERS];
	dxh_hub_stats stats;
	uint64_t before, random;
	pid_t child;

	stress_begin(argc, argv, 20000);
	dxh_log_set(DXH_LOG_DEBUG, silence, NULL);
	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-listener-%d", (int)getpid());
	did = mmap(NULL, sizeof *did, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = send_strangers();
	random = stress_state(1);
	open_service();
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, serve, NULL);
	before = memory_used();
	while (!are_gone(child)) {
		ask(&random);
		check_memory(before);
		publish(&random);
	}
	ask(&random);
	stress_must(dxh_service_stop(service));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	stress_must(dxh_service_close(&service));
	stats = stats_of(serving);
	stress_must(dxh_hub_close(&asking));
	stress_must(dxh_hub_close(&serving));
	check_counts(&stats);
	printf("listener: %" PRIu64 " frames of strangers (%" PRIu64 " refused bad, %" PRIu64
	       " requests, %" PRIu64 " notifications, %" PRIu64 " parts dropped, %" PRIu64
	       " hellos, %" PRIu64 " repetitions); the good client was served %" PRIu64
	       " times, %" PRIu64 " times told to wait first\n",
	       did->sent, stats.frames_bad, stats.requests_received - asked - overloaded,
	       stats.notifications_received - asked, stats.parts_dropped, did->hellos,
	       repeats_in(&stats), asked, overloaded);
	return 0;
}
