/* SPDX-License-Identifier: MIT */
/* The open frame of notifications: its poster appends while it is on its way, the I/O
 * thread closes it, sends what is in it and gives it out again; posters that find no
 * frame wait until some are told free.
 *
 * Shown: every record leaves exactly once, those of a poster in their order, whatever
 * the I/O thread does between any two steps of a poster (a poster that stops for good in
 * the middle only keeps its own record); and nobody waits for good (no invalid end
 * state).
 *
 * Each step is one atomic operation on one word, or one access to what the word guards;
 * the free list and the submission queue are models of their own and are one step here.
 *
 * Twins, which must be refuted: NO_WRITING_MARK lets a frame be sent under its poster's
 * pen; SAME_GENERATION gives a frame out with the number it had; PUSH_ONCE does not hand
 * over again what was closed under the pen; WAITERS_FIRST looks for somebody to wake before
 * it tells; LOOK_LATE takes the number to wait for after it has found no frame.
 */
#define POSTERS 2
#define EACH 2
#define FRAMES 2
#define ROOM 2          /* records a frame takes */
#define ENOUGH 2        /* free frames that are told of while others are under way */
#define NONE 255

typedef frame {
	byte generation;
	bool closed, writing;
	byte count;             /* published records */
	byte record[ROOM];      /* poster * EACH + number */
};

frame frames[FRAMES];
bool is_free[FRAMES];
chan queue = [FRAMES] of { byte };
byte next_of[POSTERS];  /* the record expected of each */
byte left = 0;
byte freed = 0, waiters = 0;
bool sleeps[POSTERS];

inline write_record(f, at) {
	frames[f].record[at] = me * EACH + i;
}

proctype poster(byte me) {
	byte i = 0, open = NONE, generation, at, seen_freed, f;
	bool done, was_closed;

	do
	:: i < EACH ->
		done = false;
#ifndef LOOK_LATE
		seen_freed = freed;
#endif
		/* claim the open frame */
		if
		:: open != NONE ->
			atomic {
				if
				:: frames[open].generation == generation && !frames[open].closed &&
				   frames[open].count < ROOM ->
#ifndef NO_WRITING_MARK
					frames[open].writing = true;
#endif
					at = frames[open].count;
					done = true
				:: else
				fi
			}
		:: else
		fi;
		if
		:: done ->
			write_record(open, at);
			atomic {        /* one addition: one record more, WRITING gone */
				frames[open].count++;
				frames[open].writing = false;
				was_closed = frames[open].closed
			}
#ifndef PUSH_ONCE
			if :: was_closed -> queue!open :: else fi;
#endif
			i++
		:: else ->
			f = NONE;
			atomic {
				if
				:: is_free[0] -> f = 0; is_free[0] = false
				:: !is_free[0] && is_free[1] -> f = 1; is_free[1] = false
				:: else
				fi
			}
			if
			:: f != NONE ->
				open = f;
				generation = frames[f].generation;
				write_record(f, 0);
				atomic { frames[f].closed = false; frames[f].count = 1 }
				queue!f;
				i++
			:: else ->
#ifdef LOOK_LATE
				seen_freed = freed;
#endif
				waiters++;
				atomic {        /* futex_wait */
					if
					:: freed == seen_freed -> sleeps[me] = true
					:: else
					fi
				}
				!sleeps[me];
				waiters--
			fi
		fi
	:: else -> break
	od
}

proctype io_thread() {
	byte f, k, r, untold = 0;
	chan lane = [FRAMES] of { byte };
	bool wakes, has_all;

	do
	:: left == POSTERS * EACH -> break
	:: queue?f -> lane!f
	:: nempty(lane) ->
		lane?f;
		atomic {        /* close */
			frames[f].closed = true;
			has_all = !frames[f].writing
		}
		if
		:: has_all ->
			k = 0;
			do
			:: k < frames[f].count ->
				r = frames[f].record[k];
				assert(r % EACH == next_of[r / EACH]);
				next_of[r / EACH]++;
				left++;
				k++
			:: else -> break
			od;
			atomic {
#ifndef SAME_GENERATION
				frames[f].generation++;
#endif
				frames[f].count = 0
			}
			is_free[f] = true;
			untold++;
			if
			:: untold >= ENOUGH || empty(lane) ->
#ifdef WAITERS_FIRST
				wakes = waiters > 0;
				freed++;
#else
				freed++;
				wakes = waiters > 0;
#endif
				if
				:: wakes ->
					atomic {        /* futex_wake of so many, any of them */
						do
						:: untold > 0 && sleeps[0] -> sleeps[0] = false; untold--
						:: untold > 0 && sleeps[1] -> sleeps[1] = false; untold--
						:: untold == 0 || (!sleeps[0] && !sleeps[1]) -> break
						od
					}
				:: else
				fi;
				untold = 0
			:: untold < ENOUGH && nempty(lane)
			fi
		:: else         /* its poster hands it over again */
		fi
	od
}

init {
	atomic {
		is_free[0] = true; is_free[1] = true;
		frames[0].closed = true; frames[1].closed = true;
		run poster(0); run poster(1); run io_thread()
	}
}
