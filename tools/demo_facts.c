/* SPDX-License-Identifier: MIT */
/* The common memory of the demo, and the one way to speak to its supervisor. */
#include "demo.h"

#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char command[] = "demo";

struct demo_facts *demo_facts_map(int fd)
{
	struct stat found;
	void *memory;

	if (fstat(fd, &found) == -1 || found.st_size != (off_t)sizeof(struct demo_facts)) {
		tool_fail(command, "descriptor %d does not hold the facts of a demo", fd);
		return NULL;
	}
	memory = mmap(NULL, sizeof(struct demo_facts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		tool_fail(command, "cannot map the facts: %s", strerror(errno));
		return NULL;
	}
	return memory;
}

struct demo_facts *demo_facts_create(int *fd)
{
	struct demo_facts *facts;

	*fd = memfd_create("dxh-demo-facts", MFD_CLOEXEC);
	if (*fd == -1 || ftruncate(*fd, (off_t)sizeof(struct demo_facts)) == -1) {
		tool_fail(command, "cannot make the common memory: %s", strerror(errno));
	} else {
		facts = demo_facts_map(*fd);
		if (facts != NULL)
			return facts;
	}
	if (*fd != -1)
		close(*fd);
	return NULL;
}

static const char *speaker = "demo";
static int speaker_fd = STDERR_FILENO;

void demo_say(const char *format, ...)
{
	char line[512];
	va_list values;
	int used = snprintf(line, sizeof line, "%s\t", speaker);
	int length;

	va_start(values, format);
	length = vsnprintf(line + used, sizeof line - (size_t)used, format, values);
	va_end(values);
	if (length < 0)
		return;
	length += used;
	if ((size_t)length > sizeof line - 2)
		length = (int)sizeof line - 2;
	line[length] = '\n';
	/* Less than PIPE_BUF: whole or not at all. A supervisor that is gone takes
	 * its children with it, so there is nobody to tell of a failure. */
	if (write(speaker_fd, line, (size_t)length + 1) == -1)
		return;
}

static void say_log(void *context, dxh_log_level level, const char *line)
{
	(void)context;
	(void)level;
	demo_say("%s", line);
}

void demo_speak_as(const char *who, int fd, dxh_log_level level)
{
	speaker = who;
	speaker_fd = fd;
	dxh_log_set(level, say_log, NULL);
}

const char *demo_role_name(enum demo_role role)
{
	static const char *const names[DEMO_ROLES] = {"broker",   "producer", "standby",
	                                              "follower", "slow",     "client"};

	return role < DEMO_ROLES ? names[role] : "?";
}

const char *demo_reader_name(enum demo_reader reader)
{
	static const char *const names[DEMO_READERS] = {"latest", "follower", "slow"};

	return reader < DEMO_READERS ? names[reader] : "?";
}
