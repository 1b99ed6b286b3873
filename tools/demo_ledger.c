/* SPDX-License-Identifier: MIT */
/* Two copies and a version that names the whole one: a kill between two stores
 * leaves the account as it was before the step. */
#include "demo_ledger.h"

#include <string.h>

void demo_ledger_publish(struct demo_ledger_cell *cell, const struct demo_ledger *ledger)
{
	uint64_t version = atomic_load_explicit(&cell->version, memory_order_relaxed) + 1;
	uint64_t words[DEMO_LEDGER_WORDS];

	memcpy(words, ledger, sizeof words);
	/* Whoever sees a word of this turn must also see that the version before
	 * it is over. Pairs with the acquire fence in demo_ledger_read(). */
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 0; i < DEMO_LEDGER_WORDS; i++)
		atomic_store_explicit(&cell->words[version & 1][i], words[i], memory_order_relaxed);
	/* Publishes the words. Pairs with the acquire in demo_ledger_read(). */
	atomic_store_explicit(&cell->version, version, memory_order_release);
}

void demo_ledger_read(const struct demo_ledger_cell *cell, struct demo_ledger *ledger)
{
	uint64_t words[DEMO_LEDGER_WORDS];
	uint64_t version;
	uint64_t after;

	/* Again only while the reader makes a step within a few nanoseconds. */
	do {
		version = atomic_load_explicit(&cell->version, memory_order_acquire);
		for (unsigned i = 0; i < DEMO_LEDGER_WORDS; i++)
			words[i] = atomic_load_explicit(&cell->words[version & 1][i],
			                                memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&cell->version, memory_order_relaxed);
	} while (after != version);
	memcpy(ledger, words, sizeof words);
}
