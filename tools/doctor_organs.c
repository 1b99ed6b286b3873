/* SPDX-License-Identifier: MIT */
/* The examinations of `dxh doctor`. Each tries the thing itself where it can, rather than
 * ask for its version. */
#include "doctor.h"

#include "text.h"

#include <dxh/base.h>
#include <dxh/security.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum {
	MIB = 1 << 20,
	SPACE_LEAST = 64 * MIB, /* free, for blocks of any use */
	FILES_FOR_256_PEERS = 1200,
	TMPFS = 0x01021994, /* f_type, statfs(2) */
	CLOCK_READS = 1000,
	CLOCK_SLOW_NS = 250
};

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

__attribute__((format(printf, 3, 4))) static void
find(struct examination *examination, enum symptom symptom, const char *format, ...)
{
	va_list values;

	examination->symptom = symptom;
	va_start(values, format);
	vsnprintf(examination->found, sizeof examination->found, format, values);
	va_end(values);
}

__attribute__((format(printf, 2, 3))) static void
advise(struct examination *examination, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(examination->advice, sizeof examination->advice, format, values);
	va_end(values);
}

static const char *directory(void)
{
	const char *given = getenv("DXH_SHM_DIR");

	return given != NULL && given[0] != '\0' ? given : "/dev/shm";
}

/* The first line of a file; false: there is none. */
static bool first_line(const char *path, char *line, size_t room)
{
	FILE *file = fopen(path, "re");
	bool read = file != NULL && fgets(line, (int)room, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

/* ---- shared memory ---- */

static void examine_space(struct examination *examination)
{
	struct statvfs space;
	uint64_t free_bytes, all;

	if (statvfs(directory(), &space) == -1) {
		find(examination, SYMPTOM_BROKEN, "%s: %s", directory(), strerror(errno));
		advise(examination, "make it, or name another one in DXH_SHM_DIR");
		return;
	}
	free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
	all = (uint64_t)space.f_blocks * space.f_frsize;
	find(examination, SYMPTOM_FINE, "%s has %s free of %s", directory(),
	     tool_text_bytes((double)free_bytes).s, tool_text_bytes((double)all).s);
	if (free_bytes >= SPACE_LEAST)
		return;
	examination->symptom = SYMPTOM_WARN;
	advise(examination,
	       "blocks reserve their space when they are made: see dxh gc for what nobody uses, or "
	       "mount -o remount,size=... %s (in a container: --shm-size)",
	       directory());
}

static void examine_directory(struct examination *examination)
{
	struct statfs kind;
	int fd = open(directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1) {
		find(examination, SYMPTOM_BROKEN, "no block can be made in %s: %s", directory(),
		     errno == EOPNOTSUPP ? "its file system has no O_TMPFILE" : strerror(errno));
		advise(examination, errno == EACCES || errno == EROFS
		                            ? "give this user write permission, or name another "
		                              "directory in DXH_SHM_DIR"
		                            : "use a tmpfs, ext4, xfs or btrfs");
		return;
	}
	close(fd);
	find(examination, SYMPTOM_FINE, "blocks can be made in %s", directory());
	if (statfs(directory(), &kind) == 0 && kind.f_type != TMPFS) {
		find(examination, SYMPTOM_WARN, "%s is not in memory", directory());
		advise(examination, "what is published is also written to a disk: use a tmpfs, "
		                    "as /dev/shm is");
	}
}

static void examine_locks(struct examination *examination)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = open(directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool locked = fd != -1 && fcntl(fd, F_OFD_SETLK, &lock) == 0;

	if (fd == -1)
		find(examination, SYMPTOM_NOTE, "locks were not tried: see above");
	else if (locked)
		find(examination, SYMPTOM_FINE, "locks that die with their process");
	else
		find(examination, SYMPTOM_BROKEN, "no open-file-description locks in %s: %s",
		     directory(), strerror(errno));
	if (fd != -1 && !locked)
		advise(examination, "without them nobody can tell who is alive: use a local file "
		                    "system and Linux 3.15 or later");
	if (fd != -1)
		close(fd);
}

static void examine_memfd(struct examination *examination)
{
	int fd = memfd_create("dxh-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0) {
		find(examination, SYMPTOM_FINE, "blocks without a name");
	} else {
		find(examination, SYMPTOM_NOTE, "no blocks without a name: %s", strerror(errno));
		advise(examination, "they need Linux 5.1 or later");
	}
	if (fd != -1)
		close(fd);
}

/* systemd removes what a user has in /dev/shm when he logs out. */
static bool logind_keeps_ipc(void)
{
	FILE *file = fopen("/etc/systemd/logind.conf", "re");
	char line[256];
	bool keeps = false;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "RemoveIPC=", 10) == 0)
			keeps = strncmp(line + 10, "no", 2) == 0 || line[10] == '0';
	if (file != NULL)
		fclose(file);
	return keeps;
}

static void examine_logind(struct examination *examination)
{
	enum { FIRST_OF_PEOPLE = 1000 };

	if (access("/run/systemd/seats", F_OK) != 0) {
		find(examination, SYMPTOM_FINE, "no login manager that removes blocks");
	} else if (logind_keeps_ipc()) {
		find(examination, SYMPTOM_FINE, "blocks outlive the sessions of their users");
	} else if (getuid() < FIRST_OF_PEOPLE) {
		find(examination, SYMPTOM_FINE, "blocks of this system user outlive its sessions");
	} else {
		find(examination, SYMPTOM_WARN,
		     "this user's blocks are removed when its last session ends");
		advise(examination, "set RemoveIPC=no in /etc/systemd/logind.conf, or run the "
		                    "producer as a system user");
	}
}

/* ---- limits ---- */

static void examine_files(struct examination *examination)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	find(examination, SYMPTOM_FINE, "%" PRIu64 " open files, which can be raised to %" PRIu64,
	     (uint64_t)limit.rlim_cur, (uint64_t)limit.rlim_max);
	if (limit.rlim_max >= FILES_FOR_256_PEERS)
		return;
	examination->symptom = SYMPTOM_WARN;
	advise(examination,
	       "a peer takes about four, so 256 peers need %d: raise the limit (ulimit -Hn, "
	       "LimitNOFILE=)",
	       FILES_FOR_256_PEERS);
}

static void examine_memlock(struct examination *examination)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		find(examination, SYMPTOM_FINE, "any block can be locked in memory");
		return;
	}
	find(examination, SYMPTOM_NOTE, "blocks of up to %s can be locked in memory",
	     tool_text_bytes((double)limit.rlim_cur).s);
	advise(examination, "who asks for lock_memory beyond that gets less: raise it (ulimit -l, "
	                    "LimitMEMLOCK=)");
}

/* What the container, if any, may have: control group, version 2. */
static bool group_file(const char *file, char *line, size_t room)
{
	char own[256], path[400];

	if (!first_line("/proc/self/cgroup", own, sizeof own) || strncmp(own, "0::", 3) != 0)
		return false;
	snprintf(path, sizeof path, "/sys/fs/cgroup%.300s/%s", own + 3, file);
	return first_line(path, line, room);
}

static void examine_group(struct examination *examination)
{
	char line[64];

	if (!group_file("memory.max", line, sizeof line) || strcmp(line, "max") == 0) {
		find(examination, SYMPTOM_FINE, "no limit of memory by a control group");
		return;
	}
	find(examination, SYMPTOM_NOTE, "this control group may have %s of memory",
	     tool_text_bytes(strtod(line, NULL)).s);
	advise(examination, "blocks count for who made them: leave room for them");
}

/* ---- the kernel ---- */

static void examine_kernel(struct examination *examination)
{
	struct utsname system;
	bool waits_for_many, sleeps_exactly;

	uname(&system);
	/* What is there complains of its arguments. */
	waits_for_many = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) != -1 || errno != ENOSYS;
	sleeps_exactly =
		syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, 0) != -1 || errno != ENOSYS;
	find(examination, SYMPTOM_FINE, "%s %.64s", system.sysname, system.release);
	if (waits_for_many && sleeps_exactly)
		return;
	examination->symptom = SYMPTOM_NOTE;
	advise(examination, "%s%s: use Linux 5.16 or later",
	       waits_for_many ? "" : "consumers in event loops look each millisecond",
	       sleeps_exactly   ? ""
	       : waits_for_many ? "lingering is exact to a millisecond"
	                        : ", lingering is exact to a millisecond");
}

static void examine_clock(struct examination *examination)
{
	char source[64] = "unknown";
	int64_t begun_ns = dxh_now_ns(), each_ns;

	for (int i = 1; i < CLOCK_READS; i++)
		(void)dxh_now_ns();
	each_ns = (dxh_now_ns() - begun_ns) / CLOCK_READS;
	first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
	           sizeof source);
	find(examination, SYMPTOM_FINE, "reading the clock (%.40s) takes %" PRId64 " ns",
	     tool_shown(source).s, each_ns);
	if (each_ns <= CLOCK_SLOW_NS)
		return;
	examination->symptom = SYMPTOM_WARN;
	advise(examination, "each item and request reads it: a clock source that needs no system "
	                    "call (tsc, kvm-clock) is faster");
}

static void examine_cpus(struct examination *examination)
{
	cpu_set_t set;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int ours = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)online;
	char quota[64];

	find(examination, SYMPTOM_FINE, "%d CPUs of %ld", ours, online);
	if (ours == 1) {
		examination->symptom = SYMPTOM_NOTE;
		advise(examination, "with one CPU nothing spins: each wake is a switch");
	}
	if (group_file("cpu.max", quota, sizeof quota) && strncmp(quota, "max", 3) != 0) {
		examination->symptom = SYMPTOM_WARN;
		advise(examination,
		       "this control group is stopped when it has used %.32s us: "
		       "expect pauses of that length",
		       quota);
	}
}

/* ---- encryption ---- */

static void examine_curve(struct examination *examination)
{
	char folder[] = "/tmp/dxh-doctor-XXXXXX", path[64], key[41];
	dxh_status status;

	if (mkdtemp(folder) == NULL) {
		find(examination, SYMPTOM_NOTE, "/tmp: %s", strerror(errno));
		return;
	}
	snprintf(path, sizeof path, "%s/key", folder);
	status = dxh_key_make(path, key);
	unlink(path);
	rmdir(folder);
	if (status == DXH_OK) {
		find(examination, SYMPTOM_FINE, "connections can be encrypted");
		return;
	}
	find(examination, SYMPTOM_WARN, "no encrypted connections: %s", dxh_last_error());
	advise(examination, "install a libzmq that was built with CURVE, as Debian's is");
}

const struct organ organs[] = {
	{"space", examine_space},     {"directory", examine_directory}, {"locks", examine_locks},
	{"memfd", examine_memfd},     {"sessions", examine_logind},     {"files", examine_files},
	{"memlock", examine_memlock}, {"group", examine_group},         {"kernel", examine_kernel},
	{"clock", examine_clock},     {"cpus", examine_cpus},           {"curve", examine_curve},
};
const size_t organ_count = sizeof organs / sizeof organs[0];
