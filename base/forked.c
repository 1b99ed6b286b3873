/* SPDX-License-Identifier: MIT */
/* A page that the kernel empties in the child (MADV_WIPEONFORK) tells parent
 * from child without a system call. */
#include "base/forked.h"

#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t *wiped; /* this process's number; 0 right after fork */

static const _Atomic uint32_t none;
const _Atomic uint32_t *_Atomic dxi_process_word = &none;

/* Copied by fork, unlike *wiped: the last number given to us or an ancestor. */
static _Atomic uint32_t last_number;

static void map_page(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Without this page no object can tell whose it is: there is no way on. */
	if (page == MAP_FAILED || madvise(page, bytes, MADV_WIPEONFORK) == -1) {
		dxi_log(DXH_LOG_ERROR, "the kernel refused a page with MADV_WIPEONFORK");
		abort();
	}
	wiped = page;
	/* Pairs with the acquire in dxi_process_id(). */
	atomic_store_explicit(&dxi_process_word, wiped, memory_order_release);
}

uint32_t dxi_process_number(void)
{
	uint32_t number, wanted;

	pthread_once(&once, map_page);
	/* relaxed: the number publishes nothing, it only has to be one number. */
	number = atomic_load_explicit(wiped, memory_order_relaxed);
	if (number != 0)
		return number;
	wanted = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	/* Threads of a fresh process may race here; the first one decides. */
	if (atomic_compare_exchange_strong_explicit(wiped, &number, wanted, memory_order_relaxed,
	                                            memory_order_relaxed))
		return wanted;
	return number;
}
