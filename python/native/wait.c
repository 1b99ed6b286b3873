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

bool dxn_wait(dxn_step step, void *context, int64_t deadline_ns, dxh_status *status)
{
	bool in_steps = true;
	int64_t until_ns;

	/* Bounded by the deadline; each turn sleeps. */
	for (bool first = true;; first = false) {
		if (!first)
			in_steps = is_main_thread();
		until_ns = in_steps ? dxh_in_ns(STEP_NS) : deadline_ns;
		if (until_ns > deadline_ns)
			until_ns = deadline_ns;
		Py_BEGIN_ALLOW_THREADS *status = step(context, until_ns);
		Py_END_ALLOW_THREADS if (*status != DXH_EWAIT ||
		                         until_ns == deadline_ns) return true;
		if (PyErr_CheckSignals() == -1)
			return false;
	}
}
