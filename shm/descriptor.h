/* SPDX-License-Identifier: MIT */
/* Descriptors that carry a lock and that a child of fork() must not keep.
 *
 * An open-file-description lock lives until the last copy of its descriptor is
 * closed. A child that inherits one would keep a dead producer "alive", so the
 * child closes exactly these, and nothing else. Children made by a raw clone()
 * or vfork() that do not exec are not covered.
 */
#ifndef DXI_DESCRIPTOR_H
#define DXI_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* open(2), with O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK added (a FIFO must not hold
 * us up); EINTR, and a lease of who removes blocks, retried; -1 and errno on failure. */
int dxi_descriptor_open(const char *path, int flags, mode_t mode);

/* The same of a file that a user named, without O_NOFOLLOW below /proc: its links are the
 * kernel's. */
int dxi_descriptor_open_named(const char *path, int flags);

/* As the first, and from now on closed in every child. */
int dxi_descriptor_open_guarded(const char *path, int flags, mode_t mode);

/* A guarded descriptor of the same file with an open file description of its
 * own, which no mapping shares: a mapping that a child inherits keeps the
 * description it was made with, and the locks on it, alive. Needs /proc. */
int dxi_descriptor_reopen_guarded(int fd);

/* pread(2), EINTR retried. */
ssize_t dxi_descriptor_read(int fd, void *to, size_t bytes, off_t at);

/* pwrite(2) of all bytes, EINTR retried; false and errno, ENOSPC when it is cut short. */
bool dxi_descriptor_write(int fd, const void *from, size_t bytes, off_t at);

/* Close a guarded one. In a child, where it is closed already, nothing. */
void dxi_descriptor_close_guarded(int fd);

#endif
