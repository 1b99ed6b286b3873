/* SPDX-License-Identifier: MIT */
/* The slot ring: a writer that may be killed before every step, successors that take
 * over, and a reader that follows. Payload word i of ticket t holds t + 1.
 *
 * Stores between two fences may become visible in any order: where the protocol has a
 * fence the model has an order, and where a twin leaves it out the model chooses.
 *
 * Shown: what the reader accepts is whole and of the ticket it asked for; a successor
 * goes on at the unfinished ticket, and head is repaired.
 *
 * Twins, which must be refuted: EVEN_UNCHANGED accepts any even mark that did not
 * change; ODD_TO_EVEN has a successor publish what was left; NO_RELEASE_FENCE lets
 * payload pass the odd mark; NO_SECOND_LOOK does not look at the mark again;
 * NEXT_FROM_HEAD has a successor trust head.
 */
#define TICKETS 4
#define SLOTS 3
#define LIVES 3

byte seq[SLOTS], word0[SLOTS], word1[SLOTS];
byte head = 0;
byte lives = LIVES;
byte published = 0; /* tickets that were published, by what really happened */

#define SLOT(t) ((t) % SLOTS)
#define ODD(t) (2 * (t) + 1)
#define EVEN(t) (2 * (t) + 2)

/* One life of a producer: takeover, then tickets until it is killed or all are done. */
proctype producer() {
	byte next, i, largest = 0;

	/* takeover */
	i = 0;
	do
	:: i < SLOTS ->
		if :: seq[i] > largest -> largest = seq[i] :: else fi;
		i++
	:: else -> break
	od;
#ifdef ODD_TO_EVEN
	if
	:: largest % 2 == 1 -> seq[SLOT(largest / 2)] = largest + 1; largest++
	:: else
	fi;
#endif
#ifdef NEXT_FROM_HEAD
	next = head;
#else
	next = largest / 2;
#endif
	assert(next >= published - 1 || published == 0);
	if :: lives > 1 -> goto killed :: true fi;
	if :: head < next -> head = next :: else fi;

	do
	:: next == TICKETS -> break
	:: next < TICKETS ->
		if :: lives > 1 -> goto killed :: true fi;
#ifdef NO_RELEASE_FENCE
		if :: word0[SLOT(next)] = next + 1 :: true fi;
#endif
		seq[SLOT(next)] = ODD(next);
		if :: lives > 1 -> goto killed :: true fi;
		if
		:: word0[SLOT(next)] = next + 1;
			if :: lives > 1 -> goto killed :: true fi;
			word1[SLOT(next)] = next + 1
		:: word1[SLOT(next)] = next + 1;
			if :: lives > 1 -> goto killed :: true fi;
			word0[SLOT(next)] = next + 1
		fi;
		if :: lives > 1 -> goto killed :: true fi;
		atomic {
			assert(published == next); /* no ticket twice, none left out */
			seq[SLOT(next)] = EVEN(next);
			published = next + 1
		}
		if :: lives > 1 -> goto killed :: true fi;
		head = next + 1;
		next++
	od;
	goto over;
killed:
	lives--;
	run producer();
over:
	skip
}

proctype reader() {
	byte t = 0, s1, s2, a, b, tries = 0;

	do
	:: t >= TICKETS || tries == 9 -> break
	:: else ->
		tries++;
		s1 = seq[SLOT(t)];
		if
#ifdef EVEN_UNCHANGED
		:: s1 % 2 == 0 && s1 >= EVEN(t) ->
#else
		:: s1 == EVEN(t) ->
#endif
			if
			:: a = word0[SLOT(t)]; b = word1[SLOT(t)]
			:: b = word1[SLOT(t)]; a = word0[SLOT(t)]
			fi;
#ifdef NO_SECOND_LOOK
			s2 = s1;
#else
			s2 = seq[SLOT(t)];
#endif
			if
			:: s2 == s1 -> assert(a == t + 1 && b == t + 1); t++
			:: else
			fi
		:: s1 > EVEN(t) -> t++  /* lapped */
		:: s1 < EVEN(t)         /* not yet */
		fi
	od
}

init {
	atomic { run producer(); run reader() }
}
