/* SPDX-License-Identifier: MIT */
/* What threads of the library tell Python: they leave an errand and go on, for they must not
 * wait for the interpreter's lock. A thread that is there as long as there are errands runs
 * them in their order, with the lock.
 */
#include "native.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* So long the thread stays when there is nothing to do. */
enum { LINGER_S = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static dxn_errand *first, **last = &first;
static bool has_runner, is_running, is_closed;

/* Errands of a parent are the parent's, and so was the thread. */
static void in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&changed, NULL);
	first = NULL;
	last = &first;
	has_runner = is_running = false;
}

int dxn_errands_setup(void)
{
	static bool done;

	if (!done && pthread_atfork(NULL, NULL, in_child) != 0) {
		PyErr_NoMemory();
		return -1;
	}
	done = true;
	return 0;
}

/* The next errand, or NULL after a while without one: then there is no runner any more. */
static dxn_errand *next_errand(void)
{
	struct timespec until;
	dxn_errand *found;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LINGER_S;
	pthread_mutex_lock(&lock);
	is_running = false;
	pthread_cond_broadcast(&changed);
	while (!first && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	found = first;
	if (found) {
		first = found->next;
		if (!first)
			last = &first;
	}
	is_running = has_runner = found != NULL;
	pthread_mutex_unlock(&lock);
	return found;
}

static void *run_errands(void *unused)
{
	PyGILState_STATE state = PyGILState_Ensure();
	dxn_errand *each;

	(void)unused;
	for (;;) {
		Py_BEGIN_ALLOW_THREADS
		each = next_errand();
		Py_END_ALLOW_THREADS
		if (!each)
			break;
		each->run(each);
		if (PyErr_Occurred())
			PyErr_WriteUnraisable(NULL);
	}
	PyGILState_Release(state);
	return NULL;
}

static bool start_runner(void)
{
	pthread_attr_t detached;
	pthread_t thread;
	int failed;

	if (pthread_attr_init(&detached) != 0)
		return false;
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &detached, run_errands, NULL);
	pthread_attr_destroy(&detached);
	return failed == 0;
}

bool dxn_errand_leave(dxn_errand *errand)
{
	bool taken;

	errand->next = NULL;
	pthread_mutex_lock(&lock);
	if (!is_closed && !has_runner)
		has_runner = start_runner();
	taken = !is_closed && has_runner;
	if (taken) {
		*last = errand;
		last = &errand->next;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return taken;
}

/* errands_end(): wait, for a second at most, until those that were left are run; then refuse. */
PyObject *dxn_errands_end(PyObject *module, PyObject *unused)
{
	struct timespec until;

	(void)module;
	(void)unused;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	Py_BEGIN_ALLOW_THREADS
	pthread_mutex_lock(&lock);
	is_closed = true;
	while ((first || is_running) && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	pthread_mutex_unlock(&lock);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}
