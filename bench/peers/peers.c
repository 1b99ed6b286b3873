/* SPDX-License-Identifier: MIT */
/* Finding the modules of rivals, and the daemons that some of them need. */
#include "bench/peers/peers.h"

#include "bench/frame.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static struct module {
	const char *name;
	const char *packages;
	bool asked;
	const bench_peer *peer;
	const char *reason;
} modules[] = {{.name = "nng", .packages = "libnng-dev"},
               {.name = "nanomsg", .packages = "libnanomsg-dev"},
               {.name = "czmq", .packages = "libczmq-dev"},
               {.name = "nats", .packages = "libnats-dev and nats-server"},
               {.name = "iceoryx", .packages = "libiceoryx-binding-c-dev and iceoryx"},
               {.name = "boost", .packages = "libboost-dev"}};

enum { MODULES = sizeof modules / sizeof *modules };

static void load(struct module *module)
{
	char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);
	void *handle;
	char *slash;

	module->asked = true;
	if (length < 0)
		return;
	path[length] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash, 64, "/peers/%s.so", module->name);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return;
	module->peer = dlsym(handle, "bench_peer_module");
	if (module->peer && module->peer->begin)
		module->reason = module->peer->begin();
}

bench_run bench_peer_find(const char *peer, const char *what, char *missing, size_t capacity)
{
	for (int i = 0; i < MODULES; i++) {
		struct module *module = &modules[i];

		if (strcmp(module->name, peer) != 0)
			continue;
		if (!module->asked)
			load(module);
		if (module->peer && !module->reason)
			for (const bench_peer_job *job = module->peer->jobs; job->what; job++)
				if (strcmp(job->what, what) == 0)
					return job->run;
		if (module->peer)
			snprintf(missing, capacity, "%s",
			         module->reason ? module->reason : "no such job");
		else
			snprintf(missing, capacity, "needs %s; make bench installs it",
			         module->packages);
		return NULL;
	}
	snprintf(missing, capacity, "no such rival");
	return NULL;
}

const char *bench_peer_used(int n, const char **version)
{
	for (int i = 0; i < MODULES; i++)
		if (modules[i].peer && !modules[i].reason && n-- == 0) {
			*version = modules[i].peer->version;
			return modules[i].name;
		}
	return NULL;
}

void bench_peers_end(void)
{
	for (int i = 0; i < MODULES; i++)
		if (modules[i].peer && modules[i].peer->end)
			modules[i].peer->end();
}

pid_t bench_daemon_start(char *const *argv)
{
	pid_t parent = getpid(), child = fork();
	int none;

	if (child != 0) {
		if (child > 0)
			bench_usage_add(child);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	none = open("/dev/null", O_RDWR);
	if (getppid() != parent || none == -1)
		_exit(127);
	dup2(none, STDIN_FILENO);
	dup2(none, STDOUT_FILENO);
	dup2(none, STDERR_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

bool bench_daemon_ended(pid_t daemon)
{
	return waitpid(daemon, NULL, WNOHANG) != 0;
}

void bench_daemon_end(pid_t daemon)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	if (daemon <= 0)
		return;
	kill(daemon, SIGTERM);
	for (int tries = 0; tries < 150 && !bench_daemon_ended(daemon); tries++)
		nanosleep(&pause, NULL);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
}
