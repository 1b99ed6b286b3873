/* SPDX-License-Identifier: MIT */
/* Which call fails next, and what has to hold after each. */
#include "tests/fault/fault.h"

#include "tests/support/support.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A subject that never stops to hit one kind is no subject. */
enum { TURNS_MAX = 300, PATIENCE_MS = 2000, GROWTHS_MAX = 4 };

typedef struct fault {
	fault_kind kind;
	int error;
	dxh_status right; /* DXH_OK: it has to succeed all the same */
} fault;

/* What the system may say, and what then has to come back, if the call fails. */
static const fault faults[] = {
	{FAULT_malloc, ENOMEM, DXH_ENOMEM},
	{FAULT_calloc, ENOMEM, DXH_ENOMEM},
	{FAULT_realloc, ENOMEM, DXH_ENOMEM},
	{FAULT_aligned_alloc, ENOMEM, DXH_ENOMEM},
	{FAULT_strdup, ENOMEM, DXH_ENOMEM},
	{FAULT_realpath, ENOMEM, DXH_ENOMEM},
	{FAULT_mmap, ENOMEM, DXH_ENOMEM},
	{FAULT_open, EMFILE, DXH_ELIMIT},
	{FAULT_open, ENOMEM, DXH_ENOMEM},
	{FAULT_open, EINTR, DXH_OK},
	{FAULT_read, EIO, DXH_ESYSTEM},
	{FAULT_read, EINTR, DXH_OK},
	{FAULT_write, ENOSPC, DXH_ENOSPACE},
	{FAULT_write, EINTR, DXH_OK},
	{FAULT_doorbell, EINTR, DXH_OK},
	{FAULT_pread, EIO, DXH_ESYSTEM},
	{FAULT_pread, EINTR, DXH_OK},
	{FAULT_pwrite, ENOSPC, DXH_ENOSPACE},
	{FAULT_pwrite, EINTR, DXH_OK},
	{FAULT_fstat, EIO, DXH_ESYSTEM},
	{FAULT_lstat, ENOMEM, DXH_ENOMEM},
	{FAULT_fcntl, ENOLCK, DXH_ESYSTEM},
	{FAULT_fcntl, EINTR, DXH_OK},
	{FAULT_fchmod, EPERM, DXH_EACCESS},
	{FAULT_fsync, EIO, DXH_ESYSTEM},
	{FAULT_linkat, ENOSPC, DXH_ENOSPACE},
	{FAULT_linkat, EEXIST, DXH_EEXIST},
	{FAULT_unlink, EPERM, DXH_EACCESS},
	{FAULT_posix_fallocate, ENOSPC, DXH_ENOSPACE},
	{FAULT_posix_fallocate, EINTR, DXH_OK},
	{FAULT_fstatvfs, ENOSYS, DXH_OK},
	{FAULT_getrandom, ENOSYS, DXH_ESYSTEM},
	{FAULT_getrlimit, EPERM, DXH_EACCESS},
	{FAULT_setrlimit, EPERM, DXH_ELIMIT},
	{FAULT_fopen, EMFILE, DXH_ELIMIT},
	{FAULT_opendir, EMFILE, DXH_ELIMIT},
	{FAULT_eventfd, EMFILE, DXH_ELIMIT},
	{FAULT_epoll_create1, EMFILE, DXH_ELIMIT},
	{FAULT_epoll_ctl, ENOSPC, DXH_ENOSPACE},
	{FAULT_epoll_ctl, ENOMEM, DXH_ENOMEM},
	{FAULT_epoll_pwait2, EINTR, DXH_OK},
	{FAULT_socket, EMFILE, DXH_ELIMIT},
	{FAULT_connect, EAGAIN, DXH_EBUSY},
	{FAULT_sendmsg, EIO, DXH_ESYSTEM},
	{FAULT_sendmsg, ETOOMANYREFS, DXH_ELIMIT},
	{FAULT_sendmsg, EINTR, DXH_OK},
	{FAULT_recvmsg, EIO, DXH_ESYSTEM},
	{FAULT_recvmsg, EINTR, DXH_OK},
	{FAULT_pthread_create, EAGAIN, DXH_ELIMIT},
	{FAULT_syscall, EINTR, DXH_OK},
	{FAULT_zmq_ctx_new, ENOMEM, DXH_ENOMEM},
	{FAULT_zmq_socket, EMFILE, DXH_ELIMIT},
	{FAULT_zmq_socket, ENOMEM, DXH_ENOMEM},
	{FAULT_zmq_socket_monitor, EMFILE, DXH_ELIMIT},
	{FAULT_zmq_bind, EMFILE, DXH_ELIMIT},
	{FAULT_zmq_bind, EADDRINUSE, DXH_EBUSY},
	{FAULT_zmq_connect, EMFILE, DXH_ELIMIT},
	{FAULT_zmq_getsockopt, EINTR, DXH_ESYSTEM},
	{FAULT_zmq_msg_recv, EINTR, DXH_OK},
	{FAULT_zmq_msg_init_size, ENOMEM, DXH_ENOMEM},
	{FAULT_zmq_msg_init_data, ENOMEM, DXH_ENOMEM},
};

static const char *const kind_names[] = {
#define FAULT_NAME(name) #name,
	FAULT_KINDS(FAULT_NAME)
#undef FAULT_NAME
		"eventfd"};

static _Atomic(const fault *) armed;
static _Atomic int turns_left; /* 0: this one */
static _Atomic bool hit;

bool fault_is_due(fault_kind kind)
{
	const fault *now = armed;

	if (!now || now->kind != kind || atomic_fetch_sub(&turns_left, 1) != 0)
		return false;
	hit = true;
	errno = now->error;
	return true;
}

/* ---- what is left over ----------------------------------------------------------------- */

typedef struct left_over {
	int64_t allocated;
	unsigned descriptors, files;
} left_over;

/* A lock file without a block is in nobody's way: whoever wants the block takes it. */
static bool counts(const char *entry, const char *prefix)
{
	const char *suffix = strrchr(entry, '.');

	return strncmp(entry, prefix, strlen(prefix)) == 0 &&
	       !(suffix && strcmp(suffix, ".lock") == 0);
}

/* How many in this folder have names that begin so. */
static unsigned entries(const char *path, const char *prefix)
{
	DIR *folder = opendir(path);
	unsigned count = 0;
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		count += counts(entry->d_name, prefix);
	if (folder)
		closedir(folder);
	return count;
}

static left_over look(void)
{
	const char *blocks = getenv("DXH_SHM_DIR");
	char own[32];

	/* As the tests name their blocks. */
	snprintf(own, sizeof own, "t%d.", (int)getpid());
	return (left_over){fault_allocated, entries("/proc/self/fd", ""),
	                   entries(blocks ? blocks : "/dev/shm", own)};
}

static bool is_more(left_over now, left_over before)
{
	return now.allocated > before.allocated || now.descriptors > before.descriptors ||
	       now.files > before.files;
}

/* libzmq closes what it has at its own time. */
static left_over settle(left_over expected)
{
	int64_t patience_ns = dxh_in_ms(PATIENCE_MS);
	left_over now = look();

	while (is_more(now, expected) && dxh_now_ns() < patience_ns) {
		usleep(1000);
		now = look();
	}
	return now;
}

/* ---- one subject -------------------------------------------------------------------------- */

static char complaint[512];

#define complain(...)                                                                              \
	do {                                                                                       \
		if (!*complaint)                                                                   \
			snprintf(complaint, sizeof complaint, __VA_ARGS__);                        \
	} while (0)

static void succeed(const fault_subject *subject, const char *where)
{
	if (subject->prepare)
		subject->prepare();
	if (subject->call() == DXH_OK)
		subject->undo();
	else
		complain("%s, then without a fault: %s", where, dxh_last_error());
}

static bool is_right(dxh_status status, const fault *tried, const fault_subject *subject)
{
	return status == tried->right || status == subject->also_right[0] ||
	       status == subject->also_right[1];
}

/* The call that fails; returns whether there was one. */
static bool call_with(const fault_subject *subject, const fault *tried, int turn, const char *where)
{
	left_over prepared;
	dxh_status status;

	if (subject->prepare)
		subject->prepare();
	prepared = look();
	hit = false;
	turns_left = turn;
	armed = tried;
	status = subject->call();
	armed = NULL;
	if (status == DXH_OK)
		subject->undo();
	else if (!hit || !is_right(status, tried, subject))
		complain("%s: %s", where, dxh_last_error());
	else if (settle(prepared).files > prepared.files)
		complain("%s: a file is left", where);
	return hit;
}

/* Once more where something was left over: what is kept to be used again does not
 * grow each time. Returns whether there was such a call to fail. */
static bool
fail_point(const fault_subject *subject, const fault *tried, int turn, left_over *before)
{
	char where[160];

	snprintf(where, sizeof where, "%s, %s number %d fails: %s", subject->name,
	         kind_names[tried->kind], turn + 1, strerror(tried->error));
	for (int growths = 0; growths < GROWTHS_MAX; growths++) {
		bool was_hit = call_with(subject, tried, turn, where);
		left_over after;

		if (was_hit)
			succeed(subject, where);
		after = settle(*before);
		if (!is_more(after, *before))
			return was_hit;
		*before = after;
	}
	complain("%s: %ld allocations, %u descriptors, %u files, and more each time", where,
	         (long)before->allocated, before->descriptors, before->files);
	return false;
}

const char *fault_find(const fault_subject *subject, unsigned floor)
{
	unsigned points = 0, kinds = 0;
	left_over before;

	*complaint = '\0';
	/* Twice: what is made once and kept, and what the first one leaves for others. */
	succeed(subject, "warming up");
	succeed(subject, "warming up");
	before = look();
	for (size_t i = 0; i < sizeof faults / sizeof *faults && !*complaint; i++) {
		int turn = 0;

		while (!*complaint && turn < TURNS_MAX &&
		       fail_point(subject, &faults[i], turn, &before))
			turn++;
		if (turn == TURNS_MAX)
			complain("%s: no end of %s", subject->name, kind_names[faults[i].kind]);
		points += (unsigned)turn;
		kinds += turn > 0;
	}
	printf("%s: %u points of %u kinds hit\n", subject->name, points, kinds);
	fflush(stdout);
	if (points < floor)
		complain("%s: only %u points were hit, not %u", subject->name, points, floor);
	return *complaint ? complaint : NULL;
}

void fault_everywhere(const fault_subject *subject, unsigned floor)
{
	const char *found = fault_find(subject, floor);

	cr_assert_null(found, "%s", found);
}
