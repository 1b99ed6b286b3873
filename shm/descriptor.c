/* SPDX-License-Identifier: MIT */
/* A list of the guarded descriptors, and the fork handlers that walk it. The
 * mutex is held while one is opened and listed, and across fork(), so that no
 * child can be born with a descriptor that is not yet on the list.
 */
#include "shm/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Whoever removes blocks that nobody uses holds a lease on one for a moment. */
enum { LEASED_TRIES_MAX = 500, LEASED_PAUSE_NS = 1000000 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int *listed;
static size_t listed_count, listed_capacity;
static int handlers_error;

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
	for (size_t i = 0; i < listed_count; i++)
		close(listed[i]);
	listed_count = 0;
	pthread_mutex_unlock(&mutex);
}

static void install_handlers(void)
{
	handlers_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int open_retried(const char *path, int flags, mode_t mode)
{
	struct timespec pause = {.tv_nsec = LEASED_PAUSE_NS};
	int fd, leased = 0;

	/* Ends when no signal comes in between, or after LEASED_TRIES_MAX pauses. */
	for (;;) {
		fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode);
		if (fd == -1 && errno == EINTR)
			continue;
		if (fd != -1 || errno != EWOULDBLOCK || leased++ == LEASED_TRIES_MAX)
			return fd;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

int dxi_descriptor_open(const char *path, int flags, mode_t mode)
{
	return open_retried(path, flags | O_NOFOLLOW, mode);
}

int dxi_descriptor_open_named(const char *path, int flags)
{
	bool is_kernels = strncmp(path, "/proc/", strlen("/proc/")) == 0;

	return open_retried(path, flags | (is_kernels ? 0 : O_NOFOLLOW), 0);
}

static bool reserve_one(void)
{
	size_t wanted = listed_capacity ? 2 * listed_capacity : 16;
	int *larger;

	if (listed_count < listed_capacity)
		return true;
	larger = realloc(listed, wanted * sizeof *larger);
	if (!larger)
		return false;
	listed = larger;
	listed_capacity = wanted;
	return true;
}

/* The list is not worth keeping for nobody. */
static void free_if_unused(void)
{
	if (listed_count > 0)
		return;
	free(listed);
	listed = NULL;
	listed_capacity = 0;
}

static int open_listed(const char *path, int flags, mode_t mode)
{
	int fd = -1, error = 0;

	pthread_once(&once, install_handlers);
	if (handlers_error != 0) {
		errno = handlers_error;
		return -1;
	}
	pthread_mutex_lock(&mutex);
	if (reserve_one())
		fd = open_retried(path, flags, mode);
	else
		errno = ENOMEM;
	if (fd == -1)
		error = errno;
	else
		listed[listed_count++] = fd;
	free_if_unused();
	pthread_mutex_unlock(&mutex);
	if (fd == -1)
		errno = error;
	return fd;
}

int dxi_descriptor_open_guarded(const char *path, int flags, mode_t mode)
{
	return open_listed(path, flags | O_NOFOLLOW, mode);
}

int dxi_descriptor_reopen_guarded(int fd)
{
	char own[64];

	/* A link, which the kernel answers by itself. */
	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	return open_listed(own, O_RDWR, 0);
}

ssize_t dxi_descriptor_read(int fd, void *to, size_t bytes, off_t at)
{
	ssize_t got;

	/* Ends when no signal comes in between; so does the loop below. */
	do
		got = pread(fd, to, bytes, at);
	while (got == -1 && errno == EINTR);
	return got;
}

bool dxi_descriptor_write(int fd, const void *from, size_t bytes, off_t at)
{
	ssize_t put;

	do
		put = pwrite(fd, from, bytes, at);
	while (put == -1 && errno == EINTR);
	if (put >= 0 && (size_t)put < bytes)
		errno = ENOSPC;
	return put == (ssize_t)bytes;
}

void dxi_descriptor_close_guarded(int fd)
{
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < listed_count; i++)
		if (listed[i] == fd) {
			listed[i] = listed[--listed_count];
			close(fd);
			break;
		}
	free_if_unused();
	pthread_mutex_unlock(&mutex);
}
