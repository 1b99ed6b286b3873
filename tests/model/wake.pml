/* SPDX-License-Identifier: MIT */
/* Waking readers of a block that cannot say that they sleep: a wake that finds nobody is
 * followed by a time of quiet, in which items are published without a wake. A writer that
 * is not in such a time says so by `loud`, the number of its epoch, and then a reader may
 * sleep for as long as it likes; otherwise its first sleep ends by itself after twice
 * that time. Before a quiet the writer takes `loud` back, changes the word, and wakes those
 * who may have believed it.
 *
 * Shown: a reader that may sleep for ever sleeps over no item (no invalid end state),
 * however long either side is held up between two steps, also when the writer is killed
 * at any step and followed by one that knows nothing of `loud`.
 *
 * Time is a number that may go on between any two steps. The word and head are one step
 * each, in the order of the writer, whose clock is read behind a full fence.
 *
 * Twins, which must be refuted: QUIET_FROM_CALL lets the quiet begin with the call, which
 * may come long after the item; OLD_CLOCK believes a time from before the item;
 * SLEEP_LONG has no first sleep that ends; FIRST_TOO_SHORT ends it within the quiet;
 * FORGET_NEWS does not begin again with a short one after news that was nothing to
 * hand out; QUIET_UNTOLD takes `loud` back and wakes nobody; WORD_UNCHANGED wakes, but with
 * the word as it was; LOUD_FIRST looks at `loud` before the word; LOUD_OUTLIVES believes
 * what another epoch said.
 */
#define ITEMS 3
#define QUIET 1
#ifdef FIRST_TOO_SHORT
#define FIRST 0
#else
#define FIRST 2
#endif
#define LAST 4          /* behind it time goes on, but is not told */

#ifdef LOUD_OUTLIVES
#define IS_LOUD (loud != 0)
#else
#define IS_LOUD (loud == epoch + 1)
#endif

byte now = 0, head = 0, word = 0, epoch = 0, loud = 0;
bool sleeps = false, killed = false;

proctype clock() {
	do
	:: now < LAST -> now++
	:: else -> break
	od
}

proctype killer() {
	if
	:: killed = true
	:: skip
	fi
}

/* FUTEX_WAKE, and whether it woke somebody. */
inline call() {
	atomic {
		woken = sleeps;
		sleeps = false
	}
}

inline publish() {
	before = now;
	head++;
	word++;
	quiet = before < quiet_until && before != LAST;
#ifndef OLD_CLOCK
	if
	:: quiet -> quiet = now < quiet_until && now != LAST
	:: else
	fi;
#endif
	if
	:: quiet
	:: else ->
#ifdef QUIET_FROM_CALL
		before = now;
#endif
		quiet_until = 0;
		call();
		if
		:: tells && !woken && IS_LOUD ->
			loud = 0;
#ifndef WORD_UNCHANGED
			word++;
#endif
#ifndef QUIET_UNTOLD
			call()
#endif
		:: else
		fi;
		if
		:: woken && tells -> loud = epoch + 1
		:: woken && !tells
		:: !woken -> quiet_until = before + QUIET
		fi
	fi;
	before = 0;
	quiet = false;
	woken = false
}

proctype writer() {
	byte before, quiet_until = 0;
	bool quiet, woken, tells = true, done = false;

	{
		do
		:: head < ITEMS -> publish()
		:: else -> break
		od
		done = true
	} unless { killed };
	/* If it was killed: its successor. */
	if
	:: done -> goto end
	:: else
	fi;
	tells = false;
	quiet_until = 0;
	epoch++;
	word++;
	call();
	do
	:: head < ITEMS -> publish()
	:: else -> break
	od;
end:	skip
}

proctype reader() {
	byte next = 0, seen, seen_before = 255, until;
	bool rested = false, slept, for_ever;

	do
	:: next == ITEMS -> break
	:: else ->
#ifdef LOUD_FIRST
		for_ever = IS_LOUD;
#endif
		seen = word;
		if
		:: head > next ->
			next = head;
			if
			:: rested = false       /* handed out; the next wait begins anew */
			:: skip                 /* aborted: the wait goes on */
			fi
		:: else ->
#ifndef FORGET_NEWS
			if
			:: seen != seen_before -> rested = false; seen_before = seen
			:: else
			fi;
#endif
#ifdef SLEEP_LONG
			rested = true;
#endif
#ifndef LOUD_FIRST
			for_ever = IS_LOUD;
#endif
			for_ever = for_ever || rested;
			until = now + FIRST;
			atomic {        /* futex_wait */
				slept = (word == seen);
				sleeps = slept
			}
			if
			:: slept && !for_ever ->
				do
				:: !sleeps -> break
				:: sleeps && (now >= until || now == LAST) ->
					sleeps = false;
					rested = true;
					break
				od
			:: slept && for_ever -> !sleeps
			:: else
			fi;
			until = 0;
			for_ever = false;
			slept = false
		fi
	od
}

init {
	atomic { run clock(); run killer(); run writer(); run reader() }
}
