/* SPDX-License-Identifier: MIT */
/* A bridge is one thread and up to 127 watches; a 128th gets another bridge. All that
 * is shared between readers and threads lies under one mutex, which nobody holds while
 * it sleeps.
 *
 *   ARMED   nothing to read when the word was `expected`; the thread listens
 *   FIRED   the eventfd is readable; the thread goes on listening, so that a reader who
 *           keeps up arms its watch again without having to wake the thread
 *   DEAF    more came meanwhile: the reader is behind, and further wakes cost nothing
 *
 * A reader loads the word before it looks and arms with what it loaded. If the word has
 * moved on by then, the watch fires on the spot. Else the thread is asleep on a value
 * that is at most as new, or is woken: so no news falls in between.
 */
#include "shm/bridge.h"

#include "base/forked.h"
#include "base/futex.h"
#include "base/status.h"
#include "shm/liveness.h"
#include "shm/wake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WATCHES_MAX = DXI_FUTEX_MANY_MAX - 1 }; /* one word is the bridge's own */
enum { LOOK_AGAIN_NS = DXI_NS_PER_MS };        /* where there is no wait for many */

typedef enum watch_state { WATCH_ARMED, WATCH_FIRED, WATCH_DEAF } watch_state;

struct bridge {
	struct bridge *next;
	pthread_t thread;
	_Atomic uint32_t changed; /* futex word: +1 when the thread has to look at its list */
	bool stopping;
	size_t count;
	dxi_watch *watches[WATCHES_MAX];
};

struct dxi_watch {
	struct bridge *bridge;
	const dxi_block *block;
	const dxi_follow *follow; /* NULL: its reader stays with the block */
	uint32_t process;
	int fd;
	watch_state state;
	uint32_t expected; /* armed: the word as the reader saw it; fired: as it was then */
	uint32_t heard;    /* the word when the thread looked last */
	dxh_status why;    /* armed: what the reader was told of the producer */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct bridge *bridges;
static int handlers_error;

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&mutex);
}

/* The threads are the parent's. Watches go with the consumers that own them. */
static void after_fork_in_child(void)
{
	while (bridges) {
		struct bridge *gone = bridges;

		bridges = gone->next;
		free(gone);
	}
	pthread_mutex_unlock(&mutex);
}

static void install_handlers(void)
{
	handlers_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- under the mutex ---- */

static void kick(struct bridge *bridge)
{
	/* relaxed: the mutex orders it; the futex compares the value itself. */
	atomic_fetch_add_explicit(&bridge->changed, 1, memory_order_relaxed);
	dxi_futex_wake(&bridge->changed, 1, DXI_FUTEX_PRIVATE);
}

static void fire(dxi_watch *watch, uint32_t word)
{
	uint64_t one = 1;
	ssize_t written;

	watch->state = WATCH_FIRED;
	watch->expected = word;
	/* Cannot fail: the count is 0 here, or was added to once. */
	written = write(watch->fd, &one, sizeof one);
	assert(written == sizeof one);
	(void)written;
}

/* Fire what is due; put the words to sleep on behind words[0]. *news: some word is
 * another than it was, and what comes right behind it may come without a wake. */
static size_t gather(struct bridge *bridge, dxi_futex_word *words, bool *news)
{
	size_t count = 1;

	*news = false;

	for (size_t i = 0; i < bridge->count; i++) {
		dxi_watch *watch = bridge->watches[i];
		uint32_t word = dxi_wake_seen(watch->block);

		if (watch->state == WATCH_ARMED && word != watch->expected)
			fire(watch, word);
		else if (watch->state == WATCH_FIRED && word != watch->expected)
			watch->state = WATCH_DEAF;
		if (watch->state == WATCH_DEAF)
			continue;
		words[count++] = dxi_wake_word(watch->block, word);
		/* Its reader may have seen it too, and expect it. */
		*news |= word != watch->heard && !dxi_wake_is_loud(watch->block);
		watch->heard = word;
	}
	return count;
}

/* Neither a producer that dies wakes anybody, nor one that begins with another block. */
static bool has_changed(const dxi_watch *watch)
{
	if (dxi_liveness_explain(watch->block) != watch->why)
		return true;
	return watch->follow && watch->why != DXH_EWAIT &&
	       dxi_follow_sees(watch->follow, watch->block);
}

static void ask_for_producers(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->count; i++) {
		dxi_watch *watch = bridge->watches[i];

		if (watch->state == WATCH_ARMED && has_changed(watch))
			fire(watch, watch->expected);
	}
}

/* ---- the thread ---- */

static void sleep_on(const dxi_futex_word *words, size_t count, int64_t deadline_ns)
{
	int64_t step_ns;

	if (dxi_futex_wait_many(words, count, deadline_ns))
		return;
	step_ns = dxh_in_ns(LOOK_AGAIN_NS);
	dxi_futex_wait(words[0].word, words[0].expected,
	               count > 1 && step_ns < deadline_ns ? step_ns : deadline_ns,
	               DXI_FUTEX_PRIVATE);
}

static void *listen(void *argument)
{
	struct bridge *bridge = argument;
	dxi_futex_word words[DXI_FUTEX_MANY_MAX];
	int64_t ask_ns = 0, rest_ns = 0, deadline_ns;
	uint32_t changed = 0;
	size_t count;
	bool news;

	pthread_setname_np(pthread_self(), "dxh-bridge");
	pthread_mutex_lock(&mutex);
	/* Until the last watch is closed; each turn but the last sleeps. */
	while (!bridge->stopping) {
		count = gather(bridge, words, &news);
		words[0] = (dxi_futex_word){
			.word = &bridge->changed,
			.expected = atomic_load_explicit(&bridge->changed, memory_order_relaxed),
			.scope = DXI_FUTEX_PRIVATE,
		};
		if (news || changed != words[0].expected)
			rest_ns = dxh_in_ns(DXI_WAKE_FIRST_NS);
		changed = words[0].expected;
		if (dxh_now_ns() >= ask_ns) {
			ask_for_producers(bridge);
			ask_ns = dxh_in_ns(DXI_LIVENESS_STEP_NS);
		}
		/* Also for those that fired: they are armed without a word to us. */
		deadline_ns = count > 1 ? ask_ns : DXH_FOREVER;
		if (count > 1 && dxh_now_ns() < rest_ns)
			deadline_ns = rest_ns < ask_ns ? rest_ns : ask_ns;
		pthread_mutex_unlock(&mutex);
		/* A watch that is closed now has changed words[0] before its block is
		 * unmapped: the kernel then finds that, or no memory, and returns. */
		sleep_on(words, count, deadline_ns);
		pthread_mutex_lock(&mutex);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct bridge *bridge)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&bridge->thread, NULL, listen, bridge);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* One with room for another watch, started if need be; under the mutex. */
static dxh_status find_bridge(struct bridge **found)
{
	struct bridge *made;
	int error;

	for (struct bridge *each = bridges; each; each = each->next)
		if (each->count < WATCHES_MAX) {
			*found = each;
			return DXH_OK;
		}
	made = calloc(1, sizeof *made);
	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a bridge to event loops");
	error = start_thread(made);
	if (error != 0) {
		free(made);
		return dxi_fail(error == EAGAIN ? DXH_ELIMIT : DXH_ESYSTEM,
		                "starting the thread that listens for event loops: error %d",
		                error);
	}
	made->next = bridges;
	bridges = made;
	*found = made;
	return DXH_OK;
}

/* ---- watches ---- */

static dxh_status join_bridge(dxi_watch *watch)
{
	dxh_status status;

	pthread_mutex_lock(&mutex);
	status = find_bridge(&watch->bridge);
	if (status == DXH_OK)
		watch->bridge->watches[watch->bridge->count++] = watch;
	pthread_mutex_unlock(&mutex);
	return status;
}

dxh_status dxi_watch_open(const dxi_block *block, const dxi_follow *follow, dxi_watch **watch)
{
	dxi_watch *made;
	dxh_status status;

	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return dxi_fail(DXH_ESTATE,
		                "\"%s\" was made with no_wait: its producer wakes nobody, read it "
		                "on a timer",
		                block->paths.name);
	pthread_once(&once, install_handlers);
	if (handlers_error != 0)
		return dxi_fail_errno(handlers_error, "preparing for fork()");
	made = calloc(1, sizeof *made);
	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a descriptor's state");
	made->block = block;
	made->follow = follow;
	made->process = dxi_process_id();
	made->state = WATCH_DEAF;
	made->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	status = made->fd == -1 ? dxi_fail_errno(errno, "making a descriptor for an event loop")
	                        : join_bridge(made);
	if (status != DXH_OK) {
		if (made->fd != -1)
			close(made->fd);
		free(made);
		return status;
	}
	*watch = made;
	return DXH_OK;
}

int dxi_watch_fd(const dxi_watch *watch)
{
	return watch->fd;
}

static void make_unreadable(dxi_watch *watch)
{
	uint64_t count;

	/* Readable unless armed, so it does not fail; and if it did, nothing is lost. */
	if (watch->state != WATCH_ARMED)
		(void)!read(watch->fd, &count, sizeof count);
}

void dxi_watch_arm(dxi_watch *watch, uint32_t seen, dxh_status why)
{
	bool was_deaf;
	uint32_t word;

	if (!watch)
		return;
	pthread_mutex_lock(&mutex);
	was_deaf = watch->state == WATCH_DEAF;
	make_unreadable(watch);
	watch->state = WATCH_ARMED;
	watch->expected = seen;
	watch->why = why;
	word = dxi_wake_seen(watch->block);
	if (word != seen)
		fire(watch, word);
	if (was_deaf)
		kick(watch->bridge);
	pthread_mutex_unlock(&mutex);
}

void dxi_watch_signal(dxi_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&mutex);
	if (watch->state == WATCH_ARMED)
		fire(watch, watch->expected);
	pthread_mutex_unlock(&mutex);
}

void dxi_watch_change(dxi_watch *watch, void (*change)(void *context), void *context)
{
	if (!watch) {
		change(context);
		return;
	}
	pthread_mutex_lock(&mutex);
	change(context);
	if (watch->state == WATCH_ARMED)
		fire(watch, watch->expected);
	watch->expected = dxi_wake_seen(watch->block);
	kick(watch->bridge); /* it sleeps on a word of the block before */
	pthread_mutex_unlock(&mutex);
}

/* Take it off the list. Returns the bridge when it is left without a watch: that is
 * then nobody's. Under the mutex. */
static struct bridge *leave_bridge(dxi_watch *watch)
{
	struct bridge *left = watch->bridge, **link = &bridges;
	size_t i = 0;

	while (left->watches[i] != watch)
		i++;
	left->watches[i] = left->watches[--left->count];
	kick(left);
	if (left->count > 0)
		return NULL;
	left->stopping = true;
	while (*link != left)
		link = &(*link)->next;
	*link = left->next;
	return left;
}

void dxi_watch_close(dxi_watch *watch)
{
	struct bridge *left = NULL;

	if (!watch)
		return;
	/* In a child of fork() there is no bridge. */
	if (watch->process == dxi_process_id()) {
		pthread_mutex_lock(&mutex);
		left = leave_bridge(watch);
		pthread_mutex_unlock(&mutex);
	}
	if (left) {
		pthread_join(left->thread, NULL);
		free(left);
	}
	close(watch->fd);
	free(watch);
}
