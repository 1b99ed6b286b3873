/* SPDX-License-Identifier: MIT */
/* Closing is for when nobody is inside. The counts belong to the interpreter's lock; the
 * mutex here only orders a leave with the sleep of who closes. */
#include "native.h"

#include <pthread.h>

unsigned dxn_process;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static unsigned long leaves;

static void in_child(void)
{
	dxn_process++;
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&left, NULL);
}

int dxn_door_setup(void)
{
	static bool done;

	if (!done && pthread_atfork(NULL, NULL, in_child) != 0) {
		PyErr_NoMemory();
		return -1;
	}
	done = true;
	return 0;
}

void dxn_door_init(dxn_door *door)
{
	*door = (dxn_door){.process = dxn_process};
}

bool dxn_door_is_forked(const dxn_door *door)
{
	return door->process != dxn_process;
}

void dxn_door_enter(dxn_door *door)
{
	door->inside++;
}

void dxn_door_leave(dxn_door *door)
{
	door->inside--;
	if (!door->closing)
		return;
	pthread_mutex_lock(&lock);
	leaves++;
	pthread_cond_broadcast(&left);
	pthread_mutex_unlock(&lock);
}

void dxn_door_close(dxn_door *door)
{
	unsigned long seen;

	door->closing = true;
	while (door->inside > 0 && !dxn_door_is_forked(door)) {
		pthread_mutex_lock(&lock);
		seen = leaves;
		pthread_mutex_unlock(&lock);
		/* Who leaves needs the interpreter's lock, which we hold until here. */
		Py_BEGIN_ALLOW_THREADS
		pthread_mutex_lock(&lock);
		while (leaves == seen)
			pthread_cond_wait(&left, &lock);
		pthread_mutex_unlock(&lock);
		Py_END_ALLOW_THREADS
	}
}
