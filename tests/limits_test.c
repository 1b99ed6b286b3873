/* SPDX-License-Identifier: MIT */
/* Little memory, few descriptors: a refusal that says so, never an abort. Each
 * world is a child process with a limit of its own. */
#include "tests/support/support.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 3;
}

/* How far a child gets that may open `extra` more descriptors: 0 not even a hub,
 * 1 a hub, 2 also a service, 3 also eight peers. 99: a refusal of another kind. */
static int reach(unsigned extra)
{
	const rlim_t limit = open_descriptors() + extra;
	dxh_service *service;
	dxh_status status;
	dxh_peer *peer;
	dxh_hub *hub;

	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, limit});
	status = dxh_hub_open(NULL, &hub);
	if (status != DXH_OK)
		return status == DXH_ELIMIT && strstr(dxh_last_error(), "the limit is") ? 0 : 99;
	status = dxh_service_bind(hub, test_endpoint(), &(dxh_service_config){.clients_max = 20},
	                          &service);
	if (status != DXH_OK)
		return status == DXH_ELIMIT ? 1 : 99;
	for (int i = 0; i < 8; i++) {
		status = dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer);
		if (status != DXH_OK)
			return status == DXH_ELIMIT ? 2 : 99;
	}
	return 3;
}

Test(limits, with_too_few_descriptors_each_object_is_refused_in_turn, .timeout = 120)
{
	int reached[4] = {0};

	for (unsigned extra = 0; extra <= 120; extra++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(reach(extra));
		waitpid(child, &status, 0);
		cr_assert(WIFEXITED(status), "died with %u descriptors: %d", extra, status);
		cr_assert_leq(WEXITSTATUS(status), 3);
		reached[WEXITSTATUS(status)]++;
	}
	for (int i = 0; i < 4; i++)
		cr_expect_gt(reached[i], 0, "stage %d was not tried", i);
}

/* Posts until there is no memory, of which `extra_bytes` are left. 0: that was told, with
 * one of the texts, and the hub works again as soon as there is some. */
static int post_until_no_memory(size_t body_bytes, size_t extra_bytes, const char *text)
{
	static char body[512 * 1024];
	dxh_completion done;
	dxh_status status;
	struct rlimit before;
	dxh_hub *hub;
	dxh_peer *peer;
	size_t pages;
	FILE *statm = fopen("/proc/self/statm", "r");

	/* A thread that begins maps 128 MiB for a heap of its own, and gives most of it back: what
	 * is counted in between would be no limit. */
	mallopt(M_ARENA_MAX, 1);
	if (dxh_hub_open(NULL, &hub) != DXH_OK ||
	    dxh_peer_connect(hub, test_endpoint(), &(dxh_peer_config){.requests_max = 65536},
	                     &peer) != DXH_OK ||
	    fscanf(statm, "%zu", &pages) != 1)
		return 1;
	fclose(statm);
	getrlimit(RLIMIT_AS, &before);
	setrlimit(RLIMIT_AS, &(struct rlimit){pages * 4096 + extra_bytes, before.rlim_max});
	do {
		status = dxh_post(peer, "x", body, body_bytes, DXH_FOREVER, &done);
		if (status == DXH_OK)
			dxh_release(done);
	} while (status == DXH_OK);
	setrlimit(RLIMIT_AS, &before);
	/* What is missing first is a matter of luck where bodies are posted, too. */
	if (status != DXH_ENOMEM ||
	    (!strstr(dxh_last_error(), text) && !strstr(dxh_last_error(), "more operations"))) {
		fprintf(stderr, "%s\n", dxh_last_error());
		return 2;
	}
	if (dxh_post(peer, "small", NULL, 0, DXH_FOREVER, &done) != DXH_OK)
		return 3;
	return dxh_hub_close(&hub) == DXH_OK ? 0 : 4;
}

static void in_a_child(size_t body_bytes, size_t extra_bytes, const char *text)
{
	int status;
	pid_t child;

#ifdef TEST_ASAN
	cr_skip("AddressSanitizer needs the whole address space");
#endif
	child = fork();
	if (child == 0)
		_exit(post_until_no_memory(body_bytes, extra_bytes, text));
	waitpid(child, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %#x", status);
}

Test(limits, without_memory_for_a_body_the_post_is_refused, .timeout = 60)
{
	in_a_child(512 * 1024, 64 << 20, "no memory for a body of 524288 bytes");
}

Test(limits, without_memory_for_a_slot_the_post_is_refused, .timeout = 60)
{
	in_a_child(0, 2 << 20, "no memory for more operations than");
}
