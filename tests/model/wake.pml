/* SPDX-License-Identifier: MIT */
/* Waking readers of a block that cannot say that they sleep: a wake that finds nobody is
 * followed by a time of quiet, in which items are published without a wake; a reader's
 * first sleep ends by itself after twice that time.
 *
 * Shown: a reader that may sleep for ever sleeps over no item (no invalid end state),
 * however long either side is held up between two steps.
 *
 * Time is a number that may go on between any two steps. The word and head are one step
 * each, in the order of the writer, whose clock is read behind a full fence.
 *
 * Twins, which must be refuted: QUIET_FROM_CALL lets the quiet begin with the call, which
 * may come long after the item; OLD_CLOCK believes a time from before the item;
 * SLEEP_LONG has no first sleep that ends; FIRST_TOO_SHORT ends it within the quiet;
 * FORGET_NEWS does not begin again with a short one after news that was nothing to
 * hand out.
 */
#define ITEMS 3
#define QUIET 1
#ifdef FIRST_TOO_SHORT
#define FIRST 0
#else
#define FIRST 2
#endif
#define LAST 7          /* behind it time goes on, but is not told */

byte now = 0, head = 0, word = 0;
bool sleeps = false;

proctype clock() {
	do
	:: now < LAST -> now++
	:: else -> break
	od
}

proctype writer() {
	byte before, quiet_until = 0, published = 0;
	bool quiet;

	do
	:: published < ITEMS ->
		before = now;
		head++;
		word++;
		published++;
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
			atomic {        /* futex_wake */
				if
				:: sleeps -> sleeps = false; quiet_until = 0
				:: else -> quiet_until = before + QUIET
				fi
			}
		fi
	:: else -> break
	od
}

proctype reader() {
	byte next = 0, seen, seen_before = 255, until;
	bool rested = false, slept;

	do
	:: next == ITEMS -> break
	:: else ->
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
			until = now + FIRST;
			atomic {        /* futex_wait */
				slept = (word == seen);
				sleeps = slept
			}
			if
			:: slept && !rested ->
				do
				:: !sleeps -> break
				:: sleeps && (now >= until || now == LAST) ->
					sleeps = false;
					rested = true;
					break
				od
			:: slept && rested -> !sleeps
			:: else
			fi
		fi
	od
}

init {
	atomic { run clock(); run writer(); run reader() }
}
