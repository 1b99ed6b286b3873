/* SPDX-License-Identifier: MIT */
/* x86-64: a breakpoint is one byte, a step is the trap flag, `syscall` is two bytes. */
#include "tests/kill/stepper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the kill matrix steps x86-64 instructions"
#endif

static void give_up(const char *what)
{
	fprintf(stderr, "kill: %s: %s\n", what, strerror(errno));
	exit(2);
}

static long trace_call(enum __ptrace_request request, pid_t victim, uint64_t address, uint64_t data)
{
	return ptrace(request, victim, address, data);
}

/* Did it stop by a trap? */
static bool wait_for_trap(pid_t victim)
{
	int status;

	if (waitpid(victim, &status, 0) != victim)
		give_up("waiting for the victim");
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

static uint64_t ip_of(pid_t victim)
{
	return (uint64_t)trace_call(PTRACE_PEEKUSER, victim, offsetof(struct user, regs.rip), 0);
}

static bool step(pid_t victim)
{
	return trace_call(PTRACE_SINGLESTEP, victim, 0, 0) != -1 && wait_for_trap(victim);
}

pid_t stepper_fork(void (*run)(void))
{
	int status;
	pid_t victim = fork();

	if (victim == -1)
		give_up("fork");
	if (victim == 0) {
		if (trace_call(PTRACE_TRACEME, 0, 0, 0) == -1)
			give_up("PTRACE_TRACEME");
		raise(SIGSTOP);
		run();
		_exit(3); /* behind its end: nobody stopped it */
	}
	if (waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status))
		give_up("the victim did not start");
	trace_call(PTRACE_SETOPTIONS, victim, 0, PTRACE_O_EXITKILL);
	return victim;
}

bool stepper_run_to(pid_t victim, uint64_t ip)
{
	uint64_t word = (uint64_t)trace_call(PTRACE_PEEKTEXT, victim, ip, 0);

	trace_call(PTRACE_POKETEXT, victim, ip, (word & ~UINT64_C(0xff)) | 0xcc);
	if (trace_call(PTRACE_CONT, victim, 0, 0) == -1 || !wait_for_trap(victim))
		return false;
	trace_call(PTRACE_POKETEXT, victim, ip, word);
	if (ip_of(victim) != ip + 1)
		return false;
	trace_call(PTRACE_POKEUSER, victim, offsetof(struct user, regs.rip), ip);
	return true;
}

/* ---- what others can see: the files that the victim has open ---- */

typedef struct seen_file {
	ino_t inode;
	size_t bytes;
	unsigned char *map, *before;
} seen_file;

enum { FILES_MAX = 8 };
static seen_file files[FILES_MAX];
static size_t file_count;

static void see_file(const char *path)
{
	struct stat found;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	seen_file *file = files;

	if (fd == -1)
		return;
	if (fstat(fd, &found) == -1 || !S_ISREG(found.st_mode) || found.st_size == 0) {
		close(fd);
		return;
	}
	while (file < files + file_count && file->inode != found.st_ino)
		file++;
	if (file == files + FILES_MAX) {
		errno = ENOMEM;
		give_up("too many files");
	}
	if (file == files + file_count || file->bytes != (size_t)found.st_size) {
		file_count += file == files + file_count;
		file->inode = found.st_ino;
		file->bytes = (size_t)found.st_size;
		file->map = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
		file->before = malloc(file->bytes);
		if (file->map == MAP_FAILED || !file->before)
			give_up("mapping a file of the victim");
		memcpy(file->before, file->map, file->bytes);
	}
	close(fd);
}

static void see_files(pid_t victim, const char *directory)
{
	char path[64], link[64 + 256], target[256];
	struct dirent *entry;
	ssize_t length;
	DIR *open_files;

	if (!directory)
		return;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)victim);
	open_files = opendir(path);
	if (!open_files)
		give_up(path);
	while ((entry = readdir(open_files))) {
		snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
		length = readlink(link, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (strncmp(target, directory, strlen(directory)) == 0)
			see_file(link);
	}
	closedir(open_files);
}

static bool files_changed(void)
{
	bool changed = false;

	for (seen_file *file = files; file < files + file_count; file++)
		if (memcmp(file->before, file->map, file->bytes) != 0) {
			memcpy(file->before, file->map, file->bytes);
			changed = true;
		}
	return changed;
}

/* ---- recording ---- */

/* A set of instruction pointers; the low bits of neighbours differ. */
enum { SET_SIZE = 1 << 17 };
static uint64_t set[SET_SIZE];
static bool set_is_call[SET_SIZE];

/* Its place; *is_new when it was not there. */
static size_t set_find(uint64_t ip, bool *is_new)
{
	size_t at = (ip * UINT64_C(0x9e3779b97f4a7c15)) >> 47;

	while (set[at] != 0 && set[at] != ip)
		at = (at + 1) % SET_SIZE;
	*is_new = set[at] == 0;
	set[at] = ip;
	return at;
}

static bool is_system_call(pid_t victim, uint64_t ip)
{
	return ((uint64_t)trace_call(PTRACE_PEEKTEXT, victim, ip, 0) & 0xffff) == 0x050f;
}

void stepper_record(pid_t victim, uint64_t end, const char *directory, trace_record *trace)
{
	bool is_new, was_call = true;
	size_t place;

	see_files(victim, directory);
	trace->complete = false;
	trace->system_calls = 0;
	for (trace->count = 0; trace->count < TRACE_MAX; trace->count++) {
		size_t n = trace->count;

		trace->ip[n] = ip_of(victim);
		place = set_find(trace->ip[n], &is_new);
		if (is_new)
			set_is_call[place] = is_system_call(victim, trace->ip[n]);
		trace->via[n] = is_new || n == 0 ? (uint32_t)n : trace->via[n - 1];
		trace->distinct[n] = files_changed() || was_call;
		trace->system_calls += was_call && n > 0;
		trace->calls[n] = (uint32_t)trace->system_calls;
		trace->called[n] = was_call ? (uint32_t)n : trace->called[n - 1];
		if (trace->ip[n] == end) {
			trace->complete = true;
			trace->count++;
			break;
		}
		was_call = set_is_call[place];
		if (!step(victim))
			break;
		if (was_call)
			see_files(victim, directory);
	}
}

/* It stops where each begins and where it ends. */
static bool run_over_calls(pid_t victim, size_t calls)
{
	bool there = true;

	for (size_t i = 0; there && i < 2 * calls; i++)
		there = trace_call(PTRACE_SYSCALL, victim, 0, 0) != -1 && wait_for_trap(victim);
	return there;
}

bool stepper_kill_at(pid_t victim, const trace_record *trace, size_t n)
{
	bool by_calls = trace->called[n] > trace->via[n];
	size_t via = by_calls ? trace->called[n] : trace->via[n];
	bool there = via == 0 || (by_calls ? run_over_calls(victim, trace->calls[n])
	                                   : stepper_run_to(victim, trace->ip[via]));
	int status;

	for (size_t i = via; there && i < n; i++)
		there = step(victim);
	there = there && ip_of(victim) == trace->ip[n];
	kill(victim, SIGKILL);
	/* It may have ended by itself; then this fails, and there is false. */
	while (waitpid(victim, &status, 0) == victim && !WIFSIGNALED(status) && !WIFEXITED(status))
		;
	return there;
}
