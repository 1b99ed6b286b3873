/* SPDX-License-Identifier: MIT */
/* A call to the I/O thread that waits in there. */
#include "tests/support/pause.h"

#include "runtime/hub.h"

static dxh_status stand_still(void *context)
{
	test_pause *pause = context;

	sem_post(&pause->held);
	while (sem_wait(&pause->go) == -1)
		;
	return DXH_OK;
}

static void *call(void *context)
{
	test_pause *pause = context;

	must(dxi_hub_call(pause->hub, stand_still, pause));
	return NULL;
}

void test_pause_begin(test_pause *pause, dxh_hub *hub)
{
	pause->hub = hub;
	sem_init(&pause->held, 0, 0);
	sem_init(&pause->go, 0, 0);
	pthread_create(&pause->thread, NULL, call, pause);
	while (sem_wait(&pause->held) == -1)
		;
}

void test_pause_end(test_pause *pause)
{
	sem_post(&pause->go);
	pthread_join(pause->thread, NULL);
	sem_destroy(&pause->held);
	sem_destroy(&pause->go);
}
