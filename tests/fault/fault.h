/* SPDX-License-Identifier: MIT */
/* One call of the system, of libc's allocator or of libzmq fails, each in turn: the
 * first of its kind, the second, ... until none is left to fail.
 *
 * The linker puts the wrappers of wrap.c between our objects and the system
 * (--wrap, see the Makefile), so that the product knows nothing of it, and what
 * libzmq and Criterion call for themselves is left alone.
 */
#ifndef TEST_FAULT_H
#define TEST_FAULT_H

#include <dxh/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All that is wrapped and can be told to fail. */
/* clang-format off */
#define FAULT_KINDS(X) \
	X(malloc) X(calloc) X(realloc) X(aligned_alloc) X(strdup) X(realpath) X(mmap) \
	X(open) X(read) X(write) X(pread) X(pwrite) X(fstat) X(lstat) X(fcntl) X(fchmod) \
	X(fsync) X(linkat) X(unlink) X(posix_fallocate) X(fstatvfs) X(getrandom) \
	X(getrlimit) X(setrlimit) X(fopen) X(opendir) X(eventfd) X(epoll_create1) \
	X(epoll_ctl) X(epoll_pwait2) X(socket) X(connect) X(sendmsg) X(recvmsg) X(pthread_create) \
	X(syscall) X(zmq_ctx_new) X(zmq_socket) X(zmq_socket_monitor) X(zmq_bind) \
	X(zmq_connect) \
	X(zmq_getsockopt) X(zmq_msg_recv) X(zmq_msg_init_size) X(zmq_msg_init_data)
/* clang-format on */

typedef enum fault_kind {
#define FAULT_ENUM(name) FAULT_##name,
	FAULT_KINDS(FAULT_ENUM)
#undef FAULT_ENUM
		FAULT_doorbell /* an eventfd read or written: only a signal can come in between */
} fault_kind;

/* What is tried. */
typedef struct fault_subject {
	const char *name;
	void (*prepare)(void);    /* before each try; may be NULL */
	dxh_status (*call)(void); /* has to come back in any case */
	void (*undo)(void);       /* takes back a call that succeeded */
	dxh_status also_right[2]; /* statuses that any fault may have */
} fault_subject;

/* Let one call after the other fail. After each failure the status is the one that
 * belongs to it, nothing is left over (memory, descriptors, files of blocks), and the
 * same call succeeds. Fails the test otherwise, or when fewer than `floor` points
 * were hit. */
void fault_everywhere(const fault_subject *subject, unsigned floor);

/* The same, but it says what is wrong, or NULL. Static text. */
const char *fault_find(const fault_subject *subject, unsigned floor);

/* ---- for wrap.c ---- */

/* Is this the call that has to fail? errno is set then. Thread: any. */
bool fault_is_due(fault_kind kind);

extern _Atomic int64_t fault_allocated; /* by our objects and not freed */

#endif
