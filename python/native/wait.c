/* SPDX-License-Identifier: MIT */
/* Waits that a signal can end. Python runs the handlers of signals in its main thread
 * only, between two steps of it. */
#include "native.h"

#include <sys/syscall.h>
#include <unistd.h>

/* How late KeyboardInterrupt may come; a reader of a block looks as often. */
enum { STEP_NS = 100000000 };

static bool is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

/* One step at most STEP_NS long, or to the deadline. */
static bool take_step(dxn_step step, void *context, int64_t until_ns, dxh_status *status)
{
	Py_BEGIN_ALLOW_THREADS
	*status = step(context, until_ns);
	Py_END_ALLOW_THREADS
	return *status != DXH_EWAIT;
}

static int64_t step_end(bool in_steps, int64_t deadline_ns)
{
	int64_t until_ns = in_steps ? dxh_in_ns(STEP_NS) : deadline_ns;

	return until_ns < deadline_ns ? until_ns : deadline_ns;
}

bool dxn_try(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status)
{
	*status = step(context, DXH_NOW);
	return *status != DXH_EWAIT || deadline_ns <= DXH_NOW;
}

bool dxn_wait(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status)
{
	int64_t until_ns = step_end(true, deadline_ns);

	/* Bounded by the deadline; each turn sleeps. */
	while (!take_step(step, context, until_ns, status) && until_ns < deadline_ns) {
		if (PyErr_CheckSignals() == -1)
			return false;
		until_ns = step_end(is_main_thread(), deadline_ns);
	}
	return true;
}

bool dxn_wait_at(const dxn_door *door, dxn_step step, void *context, int64_t deadline_ns,
                 dxh_status *status)
{
	int64_t until_ns = step_end(true, deadline_ns);

	/* As above. */
	while (!take_step(step, context, until_ns, status) && until_ns < deadline_ns) {
		if (PyErr_CheckSignals() == -1)
			return false;
		if (door->closing) {
			dxn_raise_text(DXH_ECLOSED, "DXH_ECLOSED: it was closed meanwhile");
			return false;
		}
		until_ns = step_end(true, deadline_ns);
	}
	return true;
}
