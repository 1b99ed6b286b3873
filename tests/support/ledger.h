/* SPDX-License-Identifier: MIT */
/* What became of each request, told by both sides: the asking side writes down what it
 * posts and how that ended, the answering side what it executes. That is no more than was
 * promised: what ended as not sent is never executed, before or after; what may not be
 * repeated is executed once at the most; what was answered was executed.
 *
 * An entry is known until LEDGER_ENTRIES later ones were opened.
 *
 *	field   written by            read by               order
 *	word    ledger_execute(),     ledger_execute(),     relaxed: all is in the one word,
 *	        ledger_end()          ledger_end()          and the request itself orders them
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "tests/support/stress.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
	LEDGER_ENTRIES = 1 << 20,
	LEDGER_SERIAL_SHIFT = 8,
	LEDGER_TIMES = 0x3f,      /* executed so often */
	LEDGER_MAY_REPEAT = 0x40, /* is marked idempotent */
	LEDGER_UNSENT = 0x80      /* the asking side was told so */
};

static _Atomic uint64_t ledger[LEDGER_ENTRIES], ledger_opened;
/* Marked idempotent, and executed more than once. */
static _Atomic uint64_t ledger_repeated;

static inline bool ledger_is_of(uint64_t word, uint64_t serial)
{
	return word >> LEDGER_SERIAL_SHIFT == serial;
}

/* A new request. Returns its serial number, never 0. */
static inline uint64_t ledger_open(bool may_repeat)
{
	uint64_t serial = atomic_fetch_add(&ledger_opened, 1) + 1;

	atomic_store_explicit(&ledger[serial % LEDGER_ENTRIES],
	                      serial << LEDGER_SERIAL_SHIFT |
	                              (may_repeat ? (uint64_t)LEDGER_MAY_REPEAT : 0),
	                      memory_order_relaxed);
	return serial;
}

static inline void ledger_execute(uint64_t serial)
{
	_Atomic uint64_t *entry = &ledger[serial % LEDGER_ENTRIES];
	uint64_t word = atomic_load_explicit(entry, memory_order_relaxed);

	do {
		if (!ledger_is_of(word, serial))
			return;
		if (word & LEDGER_UNSENT)
			stress_fail("executed after it had ended as not sent");
		if ((word & LEDGER_TIMES) == LEDGER_TIMES)
			stress_fail("executed %d times", LEDGER_TIMES + 1);
		if ((word & LEDGER_TIMES) && !(word & LEDGER_MAY_REPEAT))
			stress_fail("executed twice");
	} while (!atomic_compare_exchange_weak_explicit(
		entry, &word, word + 1, memory_order_relaxed, memory_order_relaxed));
	if (word & LEDGER_TIMES)
		atomic_fetch_add_explicit(&ledger_repeated, 1, memory_order_relaxed);
}

/* It was refused, or ended so. */
static inline void ledger_end(uint64_t serial, dxh_status status, dxh_certainty certainty)
{
	_Atomic uint64_t *entry = &ledger[serial % LEDGER_ENTRIES];
	uint64_t word = atomic_load_explicit(entry, memory_order_relaxed);

	if (certainty == DXH_NOT_SENT)
		word = atomic_fetch_or_explicit(entry, LEDGER_UNSENT, memory_order_relaxed);
	if (!ledger_is_of(word, serial))
		stress_fail("open for %d others", LEDGER_ENTRIES);
	if (certainty == DXH_NOT_SENT && (word & LEDGER_TIMES))
		stress_fail("%s, not sent, but it was executed", dxh_status_name(status));
	if (status == DXH_OK && !(word & LEDGER_TIMES))
		stress_fail("answered, but it was not executed");
	if (status == DXH_OK && certainty != DXH_REPLIED)
		stress_fail("answered, but %s", dxh_certainty_text(certainty));
}

#endif
