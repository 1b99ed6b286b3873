/* SPDX-License-Identifier: MIT */
/* Is AddressSanitizer in? gcc and clang say it each in their way. Its allocator does
 * not survive a fork beside a thread that allocates. */
#ifndef TEST_ASAN_H
#define TEST_ASAN_H

#ifdef __SANITIZE_ADDRESS__
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif

#endif
