/* SPDX-License-Identifier: MIT */
/* A proxy for TCP that does to connections what networks do. One byte sets its mode:
 *
 *	p  pass     s  stall: nothing is read any more, connections stay
 *	d  delay    h  hole: all is read and thrown away
 *	l  slow     x  refuse: nobody listens, all connections are reset
 *	g  garbage  r  reset what is open now, then pass
 *	c  half-close towards the client, then pass
 *	z  drop: some messages vanish, silently and whole, from a stream that goes on
 *
 * "z" follows the framing of ZMTP, as bytes that vanish from its middle would only
 * end the connection.
 */
#include "tests/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum {
	PAIRS_MAX = 64,
	BUFFER = 65536,
	TICK_MS = 5,
	TICK_NS = TICK_MS * 1000000,
	DELAY_NS = 20000000,
	SLOW_BYTES = 2048, /* a tick */
	GARBAGE = 64,
	GREETING = 64
};

/* Where a stream of ZMTP stands. */
typedef struct framing {
	uint64_t greeted, left; /* bytes of the greeting so far; of the frame to come */
	uint64_t messages;
	unsigned char header[9]; /* kept back until it is known whether its frame goes */
	size_t header_used;
	bool dropping;
} framing;

typedef struct flow {
	int from, to;
	size_t used;
	bool ended, told;
	int64_t due_ns;
	framing frames;
	unsigned char bytes[BUFFER];
} flow;

typedef struct pair {
	flow up, down; /* to the service, to the client */
	bool open;
} pair;

static pair pairs[PAIRS_MAX];
static char mode = 'p';
static uint32_t random_state = 4711;

static unsigned some(unsigned below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void begin_frame(framing *frames)
{
	uint64_t length = 0;

	for (size_t i = 1; i < frames->header_used; i++)
		length = length << 8 | frames->header[i];
	frames->left = length;
	frames->dropping = false;
	if (frames->header[0] & 4) /* a command */
		return;
	/* The first message of a connection is HELLO or WELCOME. */
	if (frames->messages++ > 0 && mode == 'z')
		frames->dropping = some(4) == 0;
}

/* One more byte of the stream; returns how many of `out` go on. */
static size_t follow(framing *frames, unsigned char byte, unsigned char *out)
{
	size_t header_bytes;

	if (frames->greeted < GREETING || frames->left > 0) {
		if (frames->greeted < GREETING)
			frames->greeted++;
		else
			frames->left--;
		*out = byte;
		return !frames->dropping;
	}
	frames->header[frames->header_used++] = byte;
	header_bytes = frames->header[0] & 2 ? 9 : 2;
	if (frames->header_used < header_bytes)
		return 0;
	begin_frame(frames);
	frames->header_used = 0;
	if (frames->dropping)
		return 0;
	memcpy(out, frames->header, header_bytes);
	return header_bytes;
}

static void close_pair(pair *closing, bool reset)
{
	struct linger now = {.l_onoff = 1};

	if (reset) {
		setsockopt(closing->up.from, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		setsockopt(closing->up.to, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
	close(closing->up.from);
	close(closing->up.to);
	closing->open = false;
}

static void each_pair(void (*fn)(pair *))
{
	for (int i = 0; i < PAIRS_MAX; i++)
		if (pairs[i].open)
			fn(&pairs[i]);
}

static void reset_pair(pair *closing)
{
	close_pair(closing, true);
}

static void half_close_pair(pair *closing)
{
	shutdown(closing->up.from, SHUT_WR);
}

static void put_garbage(pair *into)
{
	unsigned char garbage[GARBAGE];

	for (int i = 0; i < GARBAGE; i++)
		garbage[i] = (unsigned char)some(256);
	(void)send(into->up.to, garbage, sizeof garbage, MSG_NOSIGNAL);
	(void)send(into->up.from, garbage, sizeof garbage, MSG_NOSIGNAL);
}

static void accept_one(int listener, uint16_t service_port)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
	                            .sin_port = htons(service_port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), service;
	pair *made = NULL;

	if (client == -1)
		return;
	for (int i = 0; i < PAIRS_MAX && !made; i++)
		if (!pairs[i].open)
			made = &pairs[i];
	service = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!made || connect(service, (struct sockaddr *)&there, sizeof there) == -1) {
		close(client);
		close(service);
		return;
	}
	fcntl(client, F_SETFL, O_NONBLOCK);
	fcntl(service, F_SETFL, O_NONBLOCK);
	memset(&made->up.frames, 0, sizeof made->up.frames);
	memset(&made->down.frames, 0, sizeof made->down.frames);
	made->up.from = made->down.to = client;
	made->up.to = made->down.from = service;
	made->up.used = made->down.used = 0;
	made->up.ended = made->down.ended = made->up.told = made->down.told = false;
	made->open = true;
}

/* false: the connection is over. */
static bool receive(flow *of)
{
	static unsigned char bytes[BUFFER / 2 - sizeof of->frames.header];
	ssize_t got = recv(of->from, bytes, sizeof bytes, 0);

	for (ssize_t i = 0; i < got && mode != 'h'; i++)
		of->used += follow(&of->frames, bytes[i], of->bytes + of->used);
	if (got > 0 && mode == 'd')
		of->due_ns = dxh_now_ns() + DELAY_NS;
	if (got == 0)
		of->ended = true;
	return got >= 0 || errno == EAGAIN;
}

static bool forward(flow *of)
{
	size_t count = of->used;
	ssize_t sent;

	if (count > 0 && dxh_now_ns() < of->due_ns)
		return true;
	if (mode == 'l' && count > SLOW_BYTES)
		count = SLOW_BYTES;
	sent = count > 0 ? send(of->to, of->bytes, count, MSG_NOSIGNAL) : 0;
	if (sent > 0) {
		memmove(of->bytes, of->bytes + sent, of->used - (size_t)sent);
		of->used -= (size_t)sent;
		of->due_ns = mode == 'l' ? dxh_now_ns() + TICK_NS : 0;
	}
	if (of->ended && of->used == 0 && !of->told) {
		shutdown(of->to, SHUT_WR);
		of->told = true;
	}
	return sent >= 0 || errno == EAGAIN;
}

static void move(pair *between)
{
	bool lives = true;

	if (mode == 's')
		return;
	for (int i = 0; i < 2; i++) {
		flow *of = i ? &between->down : &between->up;

		if (!of->ended && of->used < BUFFER / 2)
			lives = lives && receive(of);
		lives = lives && forward(of);
	}
	if (!lives || (between->up.told && between->down.told))
		close_pair(between, !lives);
}

/* Returns the listener, which comes and goes. */
static int set_mode(char word, int listener, struct sockaddr_in *here)
{
	int yes = 1;

	if (listener == -1 && word != 'x') {
		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
		if (bind(listener, (struct sockaddr *)here, sizeof *here) == -1 ||
		    listen(listener, 64) == -1)
			net_fail("the proxy cannot listen again: %s", strerror(errno));
		fcntl(listener, F_SETFL, O_NONBLOCK);
	}
	if (mode == 'h' && word != 'h')
		each_pair(reset_pair); /* what is missing in their streams cannot be mended */
	switch (word) {
	case 'x':
		close(listener);
		each_pair(reset_pair);
		listener = -1;
		break;
	case 'r':
		each_pair(reset_pair);
		word = 'p';
		break;
	case 'c':
		each_pair(half_close_pair);
		word = 'p';
		break;
	case 'g':
		each_pair(put_garbage);
		word = 'p';
		break;
	default:
		break;
	}
	mode = word;
	return listener;
}

/* What to wait for; *timed: also for time to pass. */
static nfds_t what_to_poll(struct pollfd *polled, bool *timed)
{
	nfds_t count = 0;

	for (int i = 0; i < 2 * PAIRS_MAX && mode != 's'; i++) {
		const flow *of = i % 2 ? &pairs[i / 2].down : &pairs[i / 2].up;

		if (!pairs[i / 2].open)
			continue;
		*timed = *timed || of->used > 0 || of->ended;
		if (!of->ended && of->used < BUFFER / 2)
			polled[count++] = (struct pollfd){.fd = of->from, .events = POLLIN};
	}
	return count;
}

_Noreturn void run_proxy(int fd, int listener, uint16_t service_port)
{
	struct sockaddr_in here;
	socklen_t bytes = sizeof here;

	getsockname(listener, (struct sockaddr *)&here, &bytes);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd polled[2 + 2 * PAIRS_MAX] = {{.fd = fd, .events = POLLIN},
		                                           {.fd = listener, .events = POLLIN}};
		bool timed = false;
		nfds_t count = 2 + what_to_poll(polled + 2, &timed);

		poll(polled, count, timed ? TICK_MS : -1);
		if (polled[0].revents) {
			listener = set_mode(hear(fd), listener, &here);
			say(fd, 'k');
		}
		if (listener != -1)
			accept_one(listener, service_port);
		each_pair(move);
	}
}
