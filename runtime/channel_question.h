/* SPDX-License-Identifier: MIT */
/* Asking the broker for one channel from the I/O thread, where nobody may wait: a question is
 * posted, and its answer taken in at a later look. Ends with the broker's peer, if not before.
 */
#ifndef DXI_CHANNEL_QUESTION_H
#define DXI_CHANNEL_QUESTION_H

#include "runtime/peer.h"

#include <dxh/channel.h>

/* The I/O thread alone. */
typedef struct dxi_question {
	dxh_peer *broker; /* NULL: it is gone, and so may be the hub */
	dxi_peer_watch watch;
	dxi_tick tick;
	char name[DXH_CHANNEL_NAME_MAX + 1];
	dxh_completion asked; /* a question under way */
	int64_t again_ns;     /* not before */
} dxi_question;

/* Begin to look: `look` is called on the I/O thread every look_ms. Any thread. */
void dxi_question_open(dxi_question *question, dxh_peer *broker, const char *name, int64_t look_ms,
                       void (*look)(void *context), void *context);

/* `look` is not called any more when it returns. Any thread, also when the broker's peer or
 * the hub was closed before. */
void dxi_question_close(dxi_question *question);

/* From now on look so often. */
void dxi_question_pace(dxi_question *question, int64_t look_ms);

/* Post the question, unless it is under way or the last one is no pause ago. */
void dxi_question_ask(dxi_question *question);

static inline bool dxi_question_is_asked(const dxi_question *question)
{
	return question->asked != DXH_NO_COMPLETION;
}

/* Has the broker answered? Then *told is filled. A failure is no answer. */
bool dxi_question_answered(dxi_question *question, dxh_channel_info *told);

/* Nobody wants to know just now. */
void dxi_question_drop(dxi_question *question);

#endif
