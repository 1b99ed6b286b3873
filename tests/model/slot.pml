/* SPDX-License-Identifier: MIT */
/* The slot ring: writers that are killed before any step, successors that take over and are
 * killed in that too, and a reader that follows. Each of the two words of an item holds
 * its ticket and the life that wrote it.
 *
 * Stores between two fences may become visible in any order: where the protocol has a
 * fence the model has an order, and where a twin leaves it out the model chooses. head may
 * come late: that is a bulk, and as late as an unfenced store behind the next odd mark.
 *
 * Shown: what the reader accepts is whole, of the ticket it asked for and of the life that
 * published it; a ticket is published once; a takeover publishes nothing, goes on at the
 * unfinished ticket and repairs head, however often it is killed and run again; what
 * head announces is there.
 *
 * Twins, which must be refuted: EVEN_UNCHANGED accepts any even mark that did not
 * change; ODD_TO_EVEN has a successor publish what was left; NO_RELEASE_FENCE lets
 * payload pass the odd mark; NO_SECOND_LOOK does not look at the mark again;
 * NEXT_FROM_HEAD has a successor trust head; HEAD_FIRST announces before it publishes;
 * SKIP_ODD has a successor leave the unfinished ticket out; EVEN_EARLY lets the even mark
 * pass a word of the payload.
 */
#define TICKETS 4
#define SLOTS 3
#define LIVES 3
#define BULK 2          /* tickets that head may lag behind */

byte seq[SLOTS], word0[SLOTS], word1[SLOTS];
byte head = 0;
byte life = 0;
byte published = 0;     /* tickets that were published, by what really happened */
byte author[TICKETS];   /* by which life */
chan die = [0] of { bit };

#define SLOT(t) ((t) % SLOTS)
#define ODD(t) (2 * (t) + 1)
#define EVEN(t) (2 * (t) + 2)
#define MINE(t) ((t) * LIVES + life + 1)

inline publish() {
	atomic {
		assert(published == next); /* no ticket twice, none left out */
		seq[SLOT(next)] = EVEN(next);
		author[next] = life;
		published = next + 1
	}
}

/* Takeover, then tickets, until it is killed or all are done; and the next one. */
proctype producer() {
	byte next, i, largest;

begin:
	{
		atomic { i = 0; largest = 0; next = 0 };
		do
		:: i < SLOTS ->
			atomic { largest = (seq[i] > largest -> seq[i] : largest); i++ }
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
#ifdef SKIP_ODD
		next = (largest + 1) / 2;
#else
		next = largest / 2;
#endif
#endif
		if :: head < next -> head = next :: else fi;
		atomic { i = 0; largest = 0 };

		do
		:: next == TICKETS -> break
		:: next < TICKETS ->
#ifdef HEAD_FIRST
			head = next + 1;
#endif
#ifdef NO_RELEASE_FENCE
			if :: word0[SLOT(next)] = MINE(next) :: true fi;
#endif
			seq[SLOT(next)] = ODD(next);
			if
			:: word0[SLOT(next)] = MINE(next); word1[SLOT(next)] = MINE(next)
			:: word1[SLOT(next)] = MINE(next); word0[SLOT(next)] = MINE(next)
#ifdef EVEN_EARLY
			:: word0[SLOT(next)] = MINE(next);
				publish();
				word1[SLOT(next)] = MINE(next);
				goto announce
#endif
			fi;
			publish();
#ifdef EVEN_EARLY
announce:
#endif
			if
			:: head = next + 1
			:: next + 1 < TICKETS && next + 1 - head < BULK
			fi;
			next++
		od;
		head = TICKETS
	} unless {
		die?0 -> atomic { life++; goto begin }
	}
}

proctype reader() {
	byte t = 0, s1, s2, a, b, h, tries = 0;

	do
	:: t >= TICKETS || tries == 8 -> break
	:: else ->
		tries++;
		h = head;
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
			:: s2 == s1 ->
				assert(a == b && a == t * LIVES + author[t] + 1);
				t++
			:: else
			fi
		:: s1 > EVEN(t) -> t++  /* lapped */
		:: s1 < EVEN(t) -> assert(h <= t) /* not yet, as head says */
		fi;
		atomic { s1 = 0; s2 = 0; a = 0; b = 0; h = 0 }
	od
}

/* Before any step; the last life is spared. */
proctype killer() {
end:	die!0;
end_1:	die!0
}

init {
	atomic { run producer(); run reader(); run killer() }
}
