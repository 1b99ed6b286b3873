/* SPDX-License-Identifier: MIT */
/* Forced in front of every file of a ThreadSanitizer build: the atomics of
 * Concurrency Kit, which are assembly that the sanitizer cannot see, become the
 * compiler's. With TSAN_BLIND they stay as they are, which must give a report.
 */
#ifndef TSAN_CK_H
#define TSAN_CK_H

#ifndef TSAN_BLIND
#define CK_USE_CC_BUILTINS 1
#include <ck_pr.h>

#undef ck_pr_load_ptr
#undef ck_pr_store_ptr
#undef ck_pr_load_uint
#undef ck_pr_store_uint
#undef ck_pr_fas_ptr
#define ck_pr_load_ptr(from) __atomic_load_n((void *const *)(const void *)(from), __ATOMIC_ACQUIRE)
#define ck_pr_store_ptr(to, value)                                                                 \
	__atomic_store_n((void **)(void *)(to), (void *)(value), __ATOMIC_RELEASE)
#define ck_pr_load_uint(from) __atomic_load_n((from), __ATOMIC_ACQUIRE)
#define ck_pr_store_uint(to, value) __atomic_store_n((to), (value), __ATOMIC_RELEASE)
#define ck_pr_fas_ptr(to, value)                                                                   \
	__atomic_exchange_n((void **)(void *)(to), (void *)(value), __ATOMIC_ACQ_REL)
#endif

#endif
