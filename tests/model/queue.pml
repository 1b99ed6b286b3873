/* SPDX-License-Identifier: MIT */
/* The submission queue's sleep and wake: posters push by compare-and-swap on the head
 * word, which also says whether the taker sleeps; who displaces the armed mark rings.
 *
 * Shown: every node is taken, and the taker never sleeps for good over one (no
 * invalid end state); the doorbell is rung at most once for each sleep.
 *
 * Each step is one atomic operation on the one word, so that sequential consistency
 * loses nothing of it; that what a node carries is published by the push is shown
 * under ThreadSanitizer.
 *
 * Twins, which must be refuted: ARM_BY_STORE arms without looking; RING_BEFORE rings
 * before the push; NO_ARMED_CHECK never rings; TAKE_IN_TWO loads the head and empties
 * it in a second step.
 */
#define POSTERS 3
#define EACH 2
#define EMPTY 0
#define ARMED 255

byte head = EMPTY;      /* EMPTY, ARMED, or how many nodes are linked */
byte bell = 0;          /* the eventfd: 0, or readable */
byte sleeps = 0, rings = 0;
byte taken = 0;

inline ring() {
	atomic { bell = 1; rings++ }
}

proctype poster() {
	byte i = 0, seen;
	bool was_armed;
	do
	:: i < EACH ->
		seen = head;                    /* load */
#ifdef RING_BEFORE
		if :: seen == ARMED -> ring() :: else fi;
#endif
retry:		atomic {                        /* compare and swap */
			if
			:: head == seen ->
				was_armed = (seen == ARMED);
				head = (seen == ARMED -> 1 : seen + 1)
			:: else -> seen = head; goto retry
			fi
		}
#ifndef RING_BEFORE
#ifndef NO_ARMED_CHECK
		if :: was_armed -> ring() :: else fi;
#endif
#endif
		i++
	:: else -> break
	od
}

proctype taker() {
	byte got;
	bool armed;
	do
	:: taken == POSTERS * EACH -> break
	:: else ->
#ifdef TAKE_IN_TWO
		got = (head == ARMED -> 0 : head);
		head = EMPTY;
#else
		atomic {                        /* swap: take all, disarm */
			got = (head == ARMED -> 0 : head);
			head = EMPTY
		}
#endif
		if
		:: got > 0 -> taken = taken + got
		:: else ->
#ifdef ARM_BY_STORE
			head = ARMED; armed = true;
#else
			atomic {
				armed = (head == EMPTY || head == ARMED);
				if :: armed -> head = ARMED :: else fi
			}
#endif
			if
			:: armed ->
				sleeps++;
				(bell == 1);    /* sleep: valid only if somebody rings */
				bell = 0
			:: else
			fi
		fi
	od;
	assert(rings <= sleeps)
}

init {
	atomic { run poster(); run poster(); run poster(); run taker() }
}
