/* SPDX-License-Identifier: MIT */
/* Post and cancel many times while the I/O thread is awake, between two system calls
 * that a tracer recognizes: getppid().
 *
 *	post [plant]     "plant" makes three system calls of its own in between
 */
#include <dxh.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POSTS = 3000 };

static _Atomic int held, go_on;
static dxh_completion done[POSTS];

#define must(call)                                                                                 \
	do {                                                                                       \
		if ((call) != DXH_OK) {                                                            \
			fprintf(stderr, "%s: %s\n", #call, dxh_last_error());                      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* In a callback the I/O thread is awake for certain, and sees nothing of the posts. */
static void hold_io_thread(void *hold, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	(void)peer, (void)reason;
	if (!hold || state != DXH_PEER_WAITING || held)
		return;
	held = 1;
	while (!go_on)
		;
}

static void post_all(dxh_peer *peer)
{
	for (int i = 0; i < POSTS; i++)
		must(dxh_post(peer, "subject", "01234567", 8, dxh_in_ms(60000), &done[i]));
}

static void give_all_back(dxh_peer *peer)
{
	must(dxh_peer_close(&peer));
	for (int i = 0; i < POSTS; i++)
		must(dxh_release(done[i]));
}

int main(int argc, char **argv)
{
	dxh_peer_config config = {.on_state = hold_io_thread};
	dxh_peer *peer;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	/* The slots are made once and stay. */
	must(dxh_peer_connect(hub, "ipc://@dxh-syscalls-nobody", &config, &peer));
	post_all(peer);
	give_all_back(peer);

	config.context = hub;
	must(dxh_peer_connect(hub, "ipc://@dxh-syscalls-nobody", &config, &peer));
	while (!held)
		;
	syscall(SYS_getppid);
	post_all(peer);
	for (int i = 0; i < POSTS; i++)
		must(dxh_cancel(done[i], NULL));
	for (int i = 0; argc > 1 && strcmp(argv[1], "plant") == 0 && i < 3; i++)
		syscall(SYS_getpid);
	syscall(SYS_getppid);
	go_on = 1;
	give_all_back(peer);
	must(dxh_hub_close(&hub));
	return 0;
}
