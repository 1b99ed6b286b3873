/* SPDX-License-Identifier: MIT */
/* A latch zone: two copies and a number that says which one is whole; a writer that is
 * killed before any step and succeeded, and a reader that takes snapshots.
 *
 * What lies between two fences may become visible in any order: the spare copy is filled
 * from the whole one and then by the user, a word at a time and in either order; the
 * reader loads its words in either order. The release fence of begin keeps all of that
 * behind the number of the last commit, so the model has them in order, and a twin has not.
 *
 * Shown: a snapshot is one version, whole, and never older than one seen before; a
 * successor just begins again, and its copy is that of the last commit.
 *
 * Twins, which must be refuted: IN_PLACE writes the copy that is whole; NO_SECOND_LOOK
 * believes the first load of the number; NO_RELEASE_FENCE lets the words of the next
 * version pass the number of the last; NO_RELEASE lets the number pass the words;
 * NO_COPY leaves the spare as it was.
 */
#define VERSIONS 4

byte seq = 0;           /* copy seq % 2 is whole */
byte a[2], b[2];        /* two words of each copy; both are the version */
byte c[2];              /* a word that the user never touches */
byte committed = 0;     /* versions, by what really happened */
byte kills = 2;
bool die = false, over = false;

#ifdef IN_PLACE
#define SPARE (seq % 2)
#else
#define SPARE ((seq + 1) % 2)
#endif
#define WHOLE (seq % 2)

proctype writer() {
	byte version;

life:
	{
		do
		:: committed == VERSIONS -> break
		:: else ->
			atomic {
				version = committed + 1;
				assert(a[WHOLE] == committed && b[WHOLE] == committed);
				assert(c[WHOLE] == 7)
			};
			/* begin */
#ifdef NO_COPY
			skip;
#else
			if
			:: a[SPARE] = a[WHOLE]; b[SPARE] = b[WHOLE]; c[SPARE] = c[WHOLE]
			:: c[SPARE] = c[WHOLE]; b[SPARE] = b[WHOLE]; a[SPARE] = a[WHOLE]
			fi;
#endif
			/* the user; commit */
			if
			:: a[SPARE] = version; b[SPARE] = version
			:: b[SPARE] = version; a[SPARE] = version
#ifdef NO_RELEASE
			:: a[SPARE] = version;
				atomic { seq++; committed++ };
				b[WHOLE] = version;
				goto next
#endif
#ifdef NO_RELEASE_FENCE
			:: a[SPARE] = version;
				b[SPARE] = version;
				/* of the version behind this one */
				a[WHOLE] = version + 1
#endif
			fi;
			atomic { seq++; committed++ };
#ifdef NO_RELEASE
next:
			skip
#endif
		od;
		over = true
	} unless {
		die -> atomic { die = false; goto life }
	}
}

proctype reader() {
	byte s, x, y, z, before = 0;

	do
	:: over -> break
	:: else ->
		s = seq;
		if
		:: x = a[s % 2]; y = b[s % 2]; z = c[s % 2]
		:: z = c[s % 2]; y = b[s % 2]; x = a[s % 2]
		fi;
		if
#ifdef NO_SECOND_LOOK
		:: true ->
#else
		:: seq == s ->
#endif
			assert(x == y && z == 7);
			assert(x >= before);
			atomic { before = x; x = 0; y = 0; z = 0; s = 0 }
		:: else -> atomic { x = 0; y = 0; z = 0; s = 0 }
		fi
	od
}

proctype killer() {
	do
	:: kills > 0 -> atomic { kills--; die = true }
	:: true -> break
	od
}

init {
	atomic {
		c[0] = 7;
		c[1] = 0; /* what is in the spare at first is nobody's business */
		run writer();
		run reader();
		run killer()
	}
}
