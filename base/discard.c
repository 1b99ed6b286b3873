/* SPDX-License-Identifier: MIT */
/* A thread for each, which ends with it. */
#include "base/discard.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

static void *free_it(void *memory)
{
	free(memory);
	return NULL;
}

/* Signals are for the program's own threads. */
static bool start(void *memory)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (!error)
		error = pthread_create(&thread, &attributes, free_it, memory);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return !error;
}

void dxi_discard(void *memory, size_t bytes)
{
	if (bytes < DXI_DISCARD_APART_MIN || !start(memory))
		free(memory);
}
