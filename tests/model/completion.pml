/* SPDX-License-Identifier: MIT */
/* The state word of one completion: its poster, who may cancel, await and release it,
 * a second thread that releases, one that reads the text of its error, and the I/O
 * thread, which claims it, ends it, and meets the cancel that travels. Flags as in queue/completion.h; each step is one
 * atomic operation on the word.
 *
 * Shown: it ends exactly once; it is given back exactly once, and never while the I/O
 * thread or a cancel on its way still points at it, or its text is being read; who
 * awaits it wakes up.
 *
 * Twins, which must be refuted: TWO_WRITERS lets a cancel end what was claimed;
 * EARLY_RECYCLE gives back at release before the claim; WAKE_FIRST wakes before DONE is
 * set; FORGET_CANCEL gives back while a cancel is on its way; READ_UNPINNED reads without
 * keeping it.
 */
bool claimed, done, cancel, seen, released, waiter, free;
byte ends = 0, given = 0, pins = 0;
bool posted = false, cancel_sent = false, cancel_taken = false, io_done = false;
bool sleeping = false;

#define NOBODYS (done && claimed && released && !(cancel && !seen) && pins == 0)

/* Given back by the step that makes it nobody's. */
inline look_nobodys(before) {
	if
	:: !before && NOBODYS -> given++; assert(given == 1); free = true
	:: else
	fi
}

inline end_it() { ends++; assert(ends == 1); assert(!free); done = true }

/* FUTEX_WAIT sleeps only while the word is as it was seen; a wake reaches sleepers. */
inline wake() { sleeping = false }

proctype canceler() {
	bool before;
	(posted);
	atomic {
		if
		:: done || released || free -> skip          /* too late, or stale */
		:: else ->
			before = NOBODYS;
			if
#ifdef TWO_WRITERS
			:: true -> end_it()
#else
			:: !claimed -> end_it()
			:: claimed && !cancel -> cancel = true; cancel_sent = true
			:: claimed && cancel -> skip
#endif
			fi;
			look_nobodys(before);
			if :: done && waiter -> wake() :: else fi
		fi
	}
}

proctype awaiter() {
	(posted);
	atomic {
		if
		:: done || released || free -> goto over
		:: else -> waiter = true
		fi
	}
	do
	:: atomic { done || released || free -> break }
	:: atomic { !(done || released || free) -> sleeping = true }
		(!sleeping)
	od;
over:
	skip
}

/* Comes with a handle that is live or stale, as dxi_completion_pin() does. */
proctype reader() {
	bool before;
	(posted && done);
	atomic {
		if
		:: released || free -> goto over_read
		:: else ->
#ifndef READ_UNPINNED
			pins++
#endif
		fi
	}
	assert(!free); /* the text, from its first byte */
	assert(!free); /* to its last */
#ifndef READ_UNPINNED
	atomic { before = NOBODYS; pins--; look_nobodys(before) }
#endif
over_read:
	skip
}

proctype releaser() {
	bool before;
	(posted);
	atomic {
		if
		:: released || free -> skip                  /* stale */
		:: else ->
			before = NOBODYS;
			released = true;
#ifdef EARLY_RECYCLE
			if :: !NOBODYS && done -> given++; free = true :: else fi;
#endif
#ifdef FORGET_CANCEL
			if :: !NOBODYS && done && claimed -> given++; free = true :: else fi;
#endif
			look_nobodys(before)
		fi
	}
}

proctype io_thread() {
	bool before, was_done, to_wake;
	/* the post arrives */
	(posted);
	atomic {
		assert(!free);
		was_done = done;
		before = NOBODYS;
		claimed = true;
		look_nobodys(before)
	}
	if
	:: was_done -> goto over_io
	:: else
	fi;
	/* it ends by itself, or by a cancel that comes first */
	do
	:: cancel_sent && !cancel_taken ->
		atomic {
			assert(!free);
			cancel_taken = true;
			before = NOBODYS;
			seen = true;
			was_done = done;
			look_nobodys(before)
		}
		if
		:: was_done -> break
		:: else ->
			atomic {
				before = NOBODYS;
				to_wake = waiter;
				end_it();
				look_nobodys(before)
			}
			if :: to_wake -> wake() :: else fi;
			break
		fi
	:: !done ->
#ifdef WAKE_FIRST
		if :: waiter -> wake() :: else fi;
		atomic { before = NOBODYS; end_it(); look_nobodys(before) }
#else
		atomic {
			before = NOBODYS;
			to_wake = waiter;
			end_it();
			look_nobodys(before)
		}
		if :: to_wake -> wake() :: else fi
#endif
	:: done && !(cancel_sent && !cancel_taken) -> break
	od;
over_io:
	/* A cancel that was sent is always met. */
	if
	:: cancel_sent && !cancel_taken ->
		atomic {
			assert(!free);
			cancel_taken = true;
			before = NOBODYS;
			seen = true;
			look_nobodys(before)
		}
	:: else
	fi;
	io_done = true
}

init {
	atomic {
		run canceler(); run awaiter(); run releaser(); run releaser(); run reader();
		run io_thread();
		posted = true
	}
	(_nr_pr == 1);
	assert(ends == 1);
	assert(!released || given == 1)
}
