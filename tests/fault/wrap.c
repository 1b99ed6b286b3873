/* SPDX-License-Identifier: MIT */
/* What stands between our objects and the system: the same calls, one of which fails
 * when its turn has come. */
#include "tests/fault/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <zmq.h>

/* Declared and defined in one: they are called by the linker's doing alone. */
#define WRAP(type, failed, name, parameters, arguments)                                            \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fault_is_due(FAULT_##name) ? (failed) : __real_##name arguments;            \
	}

_Atomic int64_t fault_allocated;

/* Counts what comes from the allocator. */
#define WRAP_ALLOCATOR(name, parameters, arguments)                                                \
	void *__real_##name parameters;                                                            \
	void *__wrap_##name parameters;                                                            \
	void *__wrap_##name parameters                                                             \
	{                                                                                          \
		void *made = fault_is_due(FAULT_##name) ? NULL : __real_##name arguments;          \
                                                                                                   \
		fault_allocated += made != NULL;                                                   \
		return made;                                                                       \
	}

WRAP_ALLOCATOR(malloc, (size_t bytes), (bytes))
WRAP_ALLOCATOR(calloc, (size_t count, size_t bytes), (count, bytes))
WRAP_ALLOCATOR(aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
WRAP_ALLOCATOR(strdup, (const char *text), (text))

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes)
{
	void *made = fault_is_due(FAULT_realloc) ? NULL : __real_realloc(old, bytes);

	fault_allocated += made && !old;
	return made;
}

char *__real_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved)
{
	char *made = fault_is_due(FAULT_realpath) ? NULL : __real_realpath(path, resolved);

	fault_allocated += made && !resolved;
	return made;
}

void __real_free(void *old);
void __wrap_free(void *old);
void __wrap_free(void *old)
{
	fault_allocated -= old != NULL;
	__real_free(old);
}

WRAP(void *, MAP_FAILED, mmap,
     (void *address, size_t bytes, int protection, int flags, int fd, off_t offset),
     (address, bytes, protection, flags, fd, offset))
WRAP(ssize_t, -1, pread, (int fd, void *to, size_t bytes, off_t at), (fd, to, bytes, at))
WRAP(ssize_t, -1, pwrite, (int fd, const void *from, size_t bytes, off_t at), (fd, from, bytes, at))
WRAP(int, -1, fstat, (int fd, struct stat *found), (fd, found))
WRAP(int, -1, lstat, (const char *path, struct stat *found), (path, found))
WRAP(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, -1, fsync, (int fd), (fd))
WRAP(int, -1, linkat, (int from, const char *old, int to, const char *name, int flags),
     (from, old, to, name, flags))
WRAP(int, -1, unlink, (const char *path), (path))
WRAP(int, errno, posix_fallocate, (int fd, off_t at, off_t bytes), (fd, at, bytes))
WRAP(int, -1, fstatvfs, (int fd, struct statvfs *found), (fd, found))
WRAP(ssize_t, -1, getrandom, (void *to, size_t bytes, unsigned flags), (to, bytes, flags))
WRAP(int, -1, getrlimit, (__rlimit_resource_t which, struct rlimit *limit), (which, limit))
WRAP(int, -1, setrlimit, (__rlimit_resource_t which, const struct rlimit *limit), (which, limit))
WRAP(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
WRAP(DIR *, NULL, opendir, (const char *path), (path))
WRAP(int, -1, epoll_create1, (int flags), (flags))
WRAP(int, -1, epoll_ctl, (int set, int what, int fd, struct epoll_event *event),
     (set, what, fd, event))
WRAP(int, -1, epoll_pwait2,
     (int set, struct epoll_event *events, int max, const struct timespec *left,
      const sigset_t *mask),
     (set, events, max, left, mask))
WRAP(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP(int, -1, connect, (int fd, const struct sockaddr *to, socklen_t bytes), (fd, to, bytes))
WRAP(int, errno, pthread_create,
     (pthread_t * thread, const pthread_attr_t *with, void *(*run)(void *), void *context),
     (thread, with, run, context))
WRAP(int, -1, zmq_msg_recv, (zmq_msg_t * part, void *socket, int flags), (part, socket, flags))
WRAP(void *, NULL, zmq_ctx_new, (void), ())
WRAP(void *, NULL, zmq_socket, (void *context, int type), (context, type))
WRAP(int, -1, zmq_bind, (void *socket, const char *endpoint), (socket, endpoint))
WRAP(int, -1, zmq_connect, (void *socket, const char *endpoint), (socket, endpoint))
WRAP(int, -1, zmq_getsockopt, (void *socket, int option, void *value, size_t *bytes),
     (socket, option, value, bytes))

/* Which descriptors are eventfds: reading and writing these fails as no file does. */
static _Atomic bool is_eventfd[4096];

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags)
{
	int fd = fault_is_due(FAULT_eventfd) ? -1 : __real_eventfd(count, flags);

	if (fd >= 0 && fd < (int)(sizeof is_eventfd / sizeof *is_eventfd))
		is_eventfd[fd] = true;
	return fd;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	if (fd >= 0 && fd < (int)(sizeof is_eventfd / sizeof *is_eventfd))
		is_eventfd[fd] = false;
	return __real_close(fd);
}

static fault_kind kind_of(int fd, fault_kind file)
{
	return fd >= 0 && fd < (int)(sizeof is_eventfd / sizeof *is_eventfd) && is_eventfd[fd]
	               ? FAULT_doorbell
	               : file;
}

ssize_t __real_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	return fault_is_due(kind_of(fd, FAULT_read)) ? -1 : __real_read(fd, to, bytes);
}

ssize_t __real_write(int fd, const void *from, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes)
{
	return fault_is_due(kind_of(fd, FAULT_write)) ? -1 : __real_write(fd, from, bytes);
}

WRAP(int, -1, zmq_msg_init_data,
     (zmq_msg_t * message, void *data, size_t bytes, zmq_free_fn *give_back, void *hint),
     (message, data, bytes, give_back, hint))

/* Switching a monitor off cannot fail. */
int __real_zmq_socket_monitor(void *socket, const char *endpoint, int events);
int __wrap_zmq_socket_monitor(void *socket, const char *endpoint, int events);
int __wrap_zmq_socket_monitor(void *socket, const char *endpoint, int events)
{
	if (endpoint && fault_is_due(FAULT_zmq_socket_monitor))
		return -1;
	return __real_zmq_socket_monitor(socket, endpoint, events);
}

/* A short message has its bytes within, and cannot fail either. */
int __real_zmq_msg_init_size(zmq_msg_t *message, size_t bytes);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t bytes);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t bytes)
{
	if (bytes >= sizeof *message && fault_is_due(FAULT_zmq_msg_init_size))
		return -1;
	return __real_zmq_msg_init_size(message, bytes);
}

/* ---- those with arguments that may be missing ---------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list values;
	mode_t mode = 0;

	if (fault_is_due(FAULT_open))
		return -1;
	va_start(values, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(values, mode_t);
	va_end(values);
	return __real_open(path, flags, mode);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list values;
	void *argument;

	if (fault_is_due(FAULT_fcntl))
		return -1;
	va_start(values, command);
	argument = va_arg(values, void *);
	va_end(values);
	return __real_fcntl(fd, command, argument);
}

/* Of the futex only waits fail; a wake finds its word or is a bug. */
static bool is_wait(long number, long command)
{
	if (number == SYS_futex)
		return (command & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
#ifdef SYS_futex_waitv
	return number == SYS_futex_waitv;
#else
	return false;
#endif
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list values;

	va_start(values, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(values, long);
	va_end(values);
	if (is_wait(number, a[1]) && fault_is_due(FAULT_syscall))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
