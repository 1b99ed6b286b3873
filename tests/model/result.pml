/* SPDX-License-Identifier: MIT */
/* Who reads the result of a completion while others release it and its slot goes on to the
 * next operation: dxh_await() and dxh_result() read its fields first and ask afterwards
 * whether they were still this completion's; a text on the heap is read under a pin. Flags
 * and functions as in queue/completion.c. The operation has ended (life 0); two threads
 * read it, two release it, and who takes the slot from the pool ends the next one (life 1).
 *
 * Shown: what is handed out is of the life that was asked for; a text is not freed while it
 * is read; the slot is given back once.
 *
 * Loads may see an old state word: `seen_live` lags behind it, and only a release fence
 * before the next result (or an atomic read-modify-write) makes them see the new one. Loads
 * before an acquire fence may happen in any order among themselves, not behind it.
 *
 * Twins, which must be refuted: NO_RECHECK hands out what was read; NO_ACQUIRE_FENCE lets
 * the question overtake the reading; NO_RELEASE_FENCE lets the next result be seen before
 * the new generation; PIN_ANYBODY pins without looking whose the slot is; UNPIN_FIRST
 * lets the reading fall behind the unpin; PINS_IGNORED gives a pinned slot back;
 * GIVEN_TWICE does not ask whether the slot was nobody's before.
 */
#define LIVE (generation == 0 && !released && !free)
#ifdef PINS_IGNORED
#define NOBODYS released
#else
#define NOBODYS (released && pins == 0)
#endif

byte generation = 0, pins = 0;
bool released = false, free = false;
bool seen_live = true;
byte status = 0, body = 0;      /* the life that wrote them */
bool heap[2];                   /* the text of each life is there */
byte given = 0;

/* What changed in the state word is seen by loads in the end. */
proctype memory() {
	do
	:: atomic { seen_live && !LIVE -> seen_live = false }
	:: atomic { !seen_live -> break }
	od
}

/* By the step that makes it nobody's: free the text, then a new generation. */
inline give() {
	given++;
	assert(given == 1);
	assert(heap[0]);
	heap[0] = false;
	atomic { generation = 1; released = false; free = true }
}

inline read_one() {
	if
	:: !got_status -> read_status = status; got_status = true
	:: !got_body -> read_body = body; got_body = true
#ifdef NO_ACQUIRE_FENCE
	:: !asked -> live = seen_live; asked = true
#else
	:: got_status && got_body && !asked -> live = seen_live; asked = true
#endif
	fi
}

proctype reader() {
	byte read_status, read_body;
	bool got_status, got_body, asked, live, last, before;

	if :: !seen_live -> goto stale :: else fi;      /* look_up() */
	read_one(); read_one(); read_one();
#ifndef NO_RECHECK
	if :: !live -> goto stale :: else fi;           /* was_live() */
#endif
	assert(read_status == 0 && read_body == 0);
	atomic {                                        /* pin */
		if
#ifdef PIN_ANYBODY
		:: true -> pins++
#else
		:: LIVE -> pins++
		:: else -> goto stale
#endif
		fi
	}
	read_body = body;
	assert(read_body == 0);
	assert(heap[read_body]);                        /* its first byte */
#ifdef UNPIN_FIRST
	atomic { before = NOBODYS; pins--; last = !before && NOBODYS }
	if :: last -> give() :: else fi;
	assert(heap[read_body])
#else
	assert(heap[read_body]);                        /* to its last */
	atomic {
#ifdef GIVEN_TWICE
		before = false;
#else
		before = NOBODYS;
#endif
		pins--;
		last = !before && NOBODYS
	}
	if :: last -> give() :: else fi
#endif
	;
stale:
	skip
}

proctype releaser() {
	bool last;

	atomic {
		if
#ifdef GIVEN_TWICE
		:: generation == 0 && !free -> released = true
#else
		:: LIVE -> released = true
#endif
		:: else -> goto over
		fi;
		last = NOBODYS
	}
	if :: last -> give() :: else fi;
over:
	skip
}

/* Takes the slot, and ends its next operation with a text of its own. */
proctype next_life() {
	atomic { free -> free = false }
	heap[1] = true;
#ifndef NO_RELEASE_FENCE
	!seen_live;
#endif
	if
	:: status = 1; body = 1
	:: body = 1; status = 1
	fi
}

init {
	atomic {
		heap[0] = true;
		run memory(); run reader(); run reader(); run releaser(); run releaser();
		run next_life()
	}
	(_nr_pr == 1);
	assert(given == 1);
	assert(pins == 0)
}
