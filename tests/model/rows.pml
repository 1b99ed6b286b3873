/* SPDX-License-Identifier: MIT */
/* Lossless readers and the writer that they hold back: rows that come and go, readers that
 * are killed before any step, a writer that goes on without those that are too far behind
 * and is itself killed and succeeded. Who holds a row is the kernel's word, which frees it
 * with the life of its holder; the rest are plain words of shared memory.
 *
 * A row is ACTIVE when its generation is neither 0 nor marked, LAGGING when its cursor holds
 * the writer back, EVICTED when the mark names its generation.
 *
 * A scan that reads the cursor first may also evict who has just joined, in a row that a
 * dead reader left far behind: that one is told so and goes on.
 *
 * Shown: what was published since a reader joined it gets whole and in order, and keeps
 * while it uses it, unless it was evicted, which it then finds; only who was is told so, and
 * only who was too far behind is, also when the row had another holder before; nobody who
 * is dead is waited for (no invalid end state).
 *
 * What has a seq_cst order in the code is in order here. A scan reads the two words of a
 * row in any order, because it is a pread(). That items are not torn is shown by slot.pml.
 *
 * Twins, which must be refuted: DEAD_HOLDS does not ask who lives; SAME_GENERATION gives
 * all lives of a row one generation; CURSOR_LATE stores the cursor behind the generation;
 * ADVANCE_EARLY lets an item go before it was used; CLAIM_LATE does not look at head
 * again behind the claim; REJOIN_ONCE does not behind a rejoin; MARK_LATE marks behind
 * the first item that is overwritten; TOLD_BEFORE asks for the mark only before it looks.
 */
#define KEPT 2
#define SLOTS 2         /* the two spare ones would only hide faults */
#define TICKETS 5
#define LEFT 99         /* the cursor of who has left */
#define COMERS 2
#define LIVES_MAX 4       /* with rejoins */

byte slot[SLOTS];       /* ticket + 1; 0: unused */
byte head = 0;
byte holder = 0;        /* of the row's lock byte */
byte generation = 0, cursor = 0;
byte mark = 0;
byte lives = 0;         /* so far, of all readers: numbers them */
byte life_of_row = 0;   /* whose generation the row has; 0: nobody's */
bool marked = false;    /* was the life that the row has gone on without? */
byte begun = 0;         /* where it began */
bool may_evict;
chan die = [0] of { bit };
chan die_writer = [0] of { bit };

#define BEHIND (seen_cursor < next && next - seen_cursor >= KEPT)
#define WAITED_FOR (seen != 0 && seen != mark)
#define FREE (next - floor < KEPT)
#define IS_NEW (seen != generation || seen_cursor != cursor)
#ifdef DEAD_HOLDS
#define LIVES true
#else
#define LIVES (holder != 0)
#endif

/* Its own step: the kernel is asked only about a row that is too far back. */
#define DECIDE \
	floor = (WAITED_FOR && seen_cursor < next && (!BEHIND || LIVES) -> seen_cursor : next)

inline look() {
	if
	:: atomic { seen = generation; seen_life = life_of_row; in_order = true };
		atomic { seen_cursor = cursor; DECIDE }
	:: atomic { seen_cursor = cursor; in_order = false };
		atomic { seen = generation; seen_life = life_of_row; DECIDE }
	fi
}

inline evict() {
	if
	:: WAITED_FOR && BEHIND && LIVES ->
		atomic {
			/* Of who is gone it does not matter. */
			assert(!in_order || seen_life == 0 || seen_life != life_of_row ||
			       next - begun >= KEPT);
			mark = seen;
			marked = (marked || (seen_life != 0 && seen_life == life_of_row))
		}
	:: else
	fi
}

proctype writer() {
	byte next, floor, seen, seen_cursor, seen_life;
	bool in_order;

life:
	{
		atomic { floor = 0; next = head };
		do
		:: next == TICKETS -> break
		:: else ->
			if
			:: FREE
			:: else -> look()
			fi;
			do
			:: FREE -> break
			:: else ->
				if
				:: may_evict -> /* the deadline has passed */
#ifdef MARK_LATE
					slot[next % SLOTS] = next + 1;
#endif
					evict();
					look();
					if :: FREE :: else -> floor = next fi
				:: IS_NEW || !LIVES -> look()
				fi
			od;
			atomic { slot[next % SLOTS] = next + 1; seen = 0; seen_cursor = 0; seen_life = 0;
				in_order = false };
			atomic { head = next + 1; next++ }
		od
	} unless {
		die_writer?0 -> goto life
	}
}

/* Take part from now on: the cursor first, then a generation that nobody had. */
inline join() {
#ifndef CURSOR_LATE
	cursor = next;
#endif
	atomic {
		begun = next;
		marked = false;
		lives++;
#ifdef SAME_GENERATION
		mine = 1;
#else
		mine = lives;
#endif
		generation = mine;
		life_of_row = lives
	}
#ifdef CURSOR_LATE
	;
	cursor = next
#endif
}

inline choose() {
	atomic {
		joined = head;
		next = (oldest -> (joined > KEPT -> joined - KEPT : 0) : joined)
	}
}

inline move_to_head() {
	atomic {
		joined = head;
		next = (joined > next -> joined : next)
	}
}

/* The mark names us, and nobody else. */
inline be_told() {
	assert(marked);
	move_to_head();
	join();
#ifndef REJOIN_ONCE
	move_to_head();
	cursor = next
#endif
}

/* Lost without having been evicted: only what was there before we came. */
inline be_overtaken() {
	assert(next < joined);
	atomic { next++; cursor = next }
}

/* One after the other, because there is one row; each may begin before it is free. */
proctype readers() {
	byte next, joined, mine, comers = COMERS;
	bool oldest;

come:
	{
		if :: oldest = true :: oldest = false fi;
		choose();
		holder = 1;
		join();
#ifndef CLAIM_LATE
		choose();
		cursor = next;
#endif
		do
		:: next == TICKETS -> break
		:: lives == LIVES_MAX -> break
		:: true -> break /* leaves early */
		:: mark == mine && lives < LIVES_MAX -> be_told()
		:: mark != mine && lives < LIVES_MAX && head > next ->
			if
			:: slot[next % SLOTS] == next + 1 ->
#ifdef ADVANCE_EARLY
				cursor = next + 1;
#endif
				/* Used where it lies: it is still there at the end. */
				assert(slot[next % SLOTS] == next + 1 || next < joined ||
				       mark == mine);
				atomic { cursor = next + 1; next++ }
			:: else ->
#ifdef TOLD_BEFORE
				be_overtaken()
#else
				if
				:: mark == mine -> be_told()
				:: else -> be_overtaken()
				fi
#endif
			fi
		od;
		/* Leaves in good order. */
		atomic { generation = 0; life_of_row = 0 };
		cursor = LEFT;
		holder = 0
	} unless {
		die?0 -> atomic { holder = 0; life_of_row = 0 }
	};
	atomic { next = 0; joined = 0; mine = 0; oldest = false; comers-- };
	if
	:: comers > 0 -> goto come
	:: else
	fi
}

/* Anybody, at any time. */
proctype killer() {
end:	if
	:: die!0; end_1: die_writer!0
	:: die_writer!0; end_2: die!0
	fi
}

init {
	if :: may_evict = false :: may_evict = true fi;
	atomic { run writer(); run readers(); run killer() }
}
