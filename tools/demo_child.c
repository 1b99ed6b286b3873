/* SPDX-License-Identifier: MIT */
/* The processes of the demo: each is this program again, started with a role, so
 * that nothing is inherited but what is handed over by name. */
#include "demo_supervisor.h"

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char command[] = "demo";

bool demo_children_open(struct demo_children *children, int facts_fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1) {
		tool_fail(command, "cannot make a pipe: %s", strerror(errno));
		return false;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	children->facts_fd = facts_fd;
	children->output_fd = ends[0];
	children->input_fd = ends[1];
	return true;
}

void demo_children_close(struct demo_children *children)
{
	close(children->output_fd);
	close(children->input_fd);
}

/* SIGINT and SIGTERM stay blocked in the children as they are here: a Ctrl-C goes
 * to the whole group, and it is the supervisor that ends the demo. */
static int spawn(const struct demo_children *children, enum demo_role role, pid_t *pid)
{
	char role_text[32];
	char facts_text[32];
	char name[] = "dxh";
	char subcommand[] = "demo";
	char *arguments[] = {name, subcommand, role_text, facts_text, NULL};
	posix_spawn_file_actions_t actions;
	int error;

	snprintf(role_text, sizeof role_text, "--role=%s", demo_role_name(role));
	snprintf(facts_text, sizeof facts_text, "--facts=%d", children->facts_fd);
	error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	/* Onto itself: stays open in the child. */
	error = posix_spawn_file_actions_adddup2(&actions, children->facts_fd, children->facts_fd);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, children->input_fd,
		                                         STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, children->input_fd,
		                                         STDERR_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
		                                         O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn(pid, "/proc/self/exe", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

bool demo_child_start(struct demo_children *children, enum demo_role role)
{
	struct demo_child *child;
	int error = ENOSPC;

	if (children->count < DEMO_CHILDREN_MAX) {
		child = &children->child[children->count];
		*child = (struct demo_child){.role = role};
		error = spawn(children, role, &child->pid);
	}
	if (error != 0) {
		tool_fail(command, "cannot start the %s: %s", demo_role_name(role),
		          strerror(error));
		return false;
	}
	children->count++;
	return true;
}

struct demo_child *demo_child_find(struct demo_children *children, enum demo_role role)
{
	for (unsigned i = 0; i < children->count; i++)
		if (children->child[i].role == role && children->child[i].pid != 0)
			return &children->child[i];
	return NULL;
}

void demo_child_kill(struct demo_child *child, int signal)
{
	child->killed = child->killed || signal == SIGKILL;
	kill(child->pid, signal);
}

unsigned demo_children_reap(struct demo_children *children)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < children->count; i++) {
		struct demo_child *child = &children->child[i];
		struct rusage usage;

		if (child->pid == 0 ||
		    wait4(child->pid, &child->status, WNOHANG, &usage) != child->pid)
			continue;
		child->pid = 0;
		child->memory_kib = (uint64_t)usage.ru_maxrss;
		bad += child->status != 0 && !child->killed;
	}
	return bad;
}

/* A line is "who<tab>what"; anything else was not written by us. */
static void show(struct demo_view *view, char *line)
{
	char *tab = strchr(line, '\t');

	if (tab != NULL)
		*tab = '\0';
	demo_view_line(view, tab != NULL ? line : "?", tab != NULL ? tab + 1 : line);
}

void demo_children_listen(struct demo_children *children, struct demo_view *view)
{
	char *begin = children->partial;
	char *end;
	ssize_t count;

	while ((count = read(children->output_fd, children->partial + children->partial_bytes,
	                     sizeof children->partial - 1 - children->partial_bytes)) > 0) {
		children->partial_bytes += (size_t)count;
		children->partial[children->partial_bytes] = '\0';
		begin = children->partial;
		while ((end = strchr(begin, '\n')) != NULL) {
			*end = '\0';
			show(view, begin);
			begin = end + 1;
		}
		if (begin == children->partial &&
		    children->partial_bytes == sizeof children->partial - 1) {
			show(view, begin); /* longer than any line of ours */
			begin += children->partial_bytes;
		}
		children->partial_bytes -= (size_t)(begin - children->partial);
		memmove(children->partial, begin, children->partial_bytes + 1);
	}
}
