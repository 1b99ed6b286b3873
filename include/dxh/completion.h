/* SPDX-License-Identifier: MIT */
/* The completion: a future for one posted operation.
 *
 * A completion is a plain 64-bit value; copy it freely. Each posted operation
 * ends in exactly one terminal event, also when its hub closes. Release every
 * completion once; until then its reply occupies memory. A handle that was
 * released, belongs to nothing, or is made up is DXH_ESTALE, never a wild
 * pointer. No call needs the hub, and all work after its hub has closed.
 */
#ifndef DXH_COMPLETION_H
#define DXH_COMPLETION_H

#include <dxh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t dxh_completion;

/* Never issued: every call answers DXH_ESTALE to it. */
#define DXH_NO_COMPLETION ((dxh_completion)0)

/* How much is known about the fate of a request. */
typedef enum dxh_certainty {
	DXH_NOT_SENT = 0,       /* it never left, or not all of it: nobody executed it */
	DXH_MAYBE_EXECUTED = 1, /* it left, and no answer tells what became of it */
	DXH_REPLIED = 2         /* the peer answered, with success or an error */
} dxh_certainty;

/* "not sent", "maybe executed", "replied". Thread: any. */
DXH_API const char *dxh_certainty_text(dxh_certainty certainty);

typedef struct dxh_reply {
	const void *body; /* of the reply, or the text of an error; never NULL */
	size_t body_bytes;
	dxh_status status; /* DXH_OK, or why there is no reply */
	dxh_certainty certainty;
} dxh_reply;

/* Wait until the operation has ended.
 *
 * Thread:  any; one waiter per completion.
 * Owner:   `done` must still be released; reply->body lives until then.
 * Units:   deadline_ns is absolute, CLOCK_MONOTONIC; DXH_NOW polls, DXH_FOREVER
 *          never passes (the operation's own deadline still ends it).
 * Blocks:  yes, without holding any lock, but for DXH_NOW; on the I/O thread
 *          DXH_EDEADLK.
 * Returns: the operation's own status (reply, which may be NULL, is filled), or
 *          DXH_EWAIT when this deadline passed first: the operation is still in
 *          flight and `done` still valid. DXH_ESTALE; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_await(dxh_completion done, int64_t deadline_ns,
                                           dxh_reply *reply);

/* Has it ended? DXH_OK: yes, whatever its result. DXH_EWAIT: not yet.
 * Thread: any. Returns: also DXH_ESTALE, DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_poll(dxh_completion done);

/* The result of an operation that has ended: dxh_await() without waiting, also
 * allowed on the I/O thread. Thread: any. Returns: as dxh_await(). */
DXH_API DXH_NODISCARD dxh_status dxh_result(dxh_completion done, dxh_reply *reply);

typedef enum dxh_cancel_answer {
	DXH_CANCELED = 0,       /* it never left; it has ended */
	DXH_CANCEL_PENDING = 1, /* the I/O thread decides; await it */
	DXH_CANCEL_TOO_LATE = 2 /* it had ended before */
} dxh_cancel_answer;

/* Ask for an operation to end as DXH_ECANCELED. One that was sent ends at once
 * with certainty DXH_MAYBE_EXECUTED; a reply that comes later is dropped.
 * Thread: any. Owner: `done` must still be released. Returns: DXH_OK with
 * *answer (may be NULL) set; DXH_ESTALE; DXH_EFORKED. */
DXH_API dxh_status dxh_cancel(dxh_completion done, dxh_cancel_answer *answer);

/* Give the completion back. Before the end it means: go on, drop the result.
 * Thread: any, also in callbacks. Returns: DXH_ESTALE the second time;
 * DXH_EFORKED. */
DXH_API dxh_status dxh_release(dxh_completion done);

#ifdef __cplusplus
}
#endif
#endif
