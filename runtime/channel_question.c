/* SPDX-License-Identifier: MIT */
/* One question at a time, and not too many. */
#include "runtime/channel_question.h"

#include "base/clock.h"
#include "runtime/broker/message.h"

#include <stdio.h>
#include <string.h>

enum {
	PAUSE_MS = 200,    /* between two questions */
	PATIENCE_MS = 1000 /* with an answer */
};

static void on_ready(void *context, dxh_peer *broker)
{
	(void)context;
	(void)broker;
}

/* The broker's peer is closed, or the hub. */
static void on_gone(void *context)
{
	dxi_question *question = context;

	dxi_question_drop(question);
	dxi_hub_tick_stop(dxi_peer_hub(question->broker), &question->tick);
	question->broker = NULL;
}

static dxh_status start(void *context)
{
	dxi_question *question = context;

	dxi_peer_watch_add(question->broker, &question->watch);
	dxi_hub_tick_start(dxi_peer_hub(question->broker), &question->tick);
	return DXH_OK;
}

static dxh_status stop(void *context)
{
	dxi_question *question = context;

	dxi_question_drop(question);
	dxi_hub_tick_stop(dxi_peer_hub(question->broker), &question->tick);
	dxi_peer_watch_remove(question->broker, &question->watch);
	return DXH_OK;
}

void dxi_question_open(dxi_question *question, dxh_peer *broker, const char *name, int64_t look_ms,
                       void (*look)(void *context), void *context)
{
	*question = (dxi_question){.broker = broker, .asked = DXH_NO_COMPLETION};
	question->watch = (dxi_peer_watch){.ready = on_ready, .gone = on_gone, .context = question};
	question->tick =
		(dxi_tick){.interval_ns = look_ms * DXI_NS_PER_MS, .fn = look, .context = context};
	snprintf(question->name, sizeof question->name, "%s", name);
	(void)dxi_hub_call(dxi_peer_hub(broker), start, question);
}

void dxi_question_close(dxi_question *question)
{
	if (question->broker)
		(void)dxi_hub_call(dxi_peer_hub(question->broker), stop, question);
	question->broker = NULL;
}

void dxi_question_pace(dxi_question *question, int64_t look_ms)
{
	if (!question->broker || question->tick.interval_ns == look_ms * DXI_NS_PER_MS)
		return;
	question->tick.interval_ns = look_ms * DXI_NS_PER_MS;
	dxi_hub_tick_start(dxi_peer_hub(question->broker), &question->tick);
}

void dxi_question_ask(dxi_question *question)
{
	unsigned char body[DXI_SMALL_WIRE_MAX];
	size_t bytes = dxi_discover_write(question->name, body, sizeof body);

	if (dxi_question_is_asked(question) || dxh_now_ns() < question->again_ns)
		return;
	question->again_ns = dxh_in_ms(PAUSE_MS);
	/* Without credit it is asked again later. */
	if (dxh_post(question->broker, DXI_SUBJECT_DISCOVER, body, bytes, dxh_in_ms(PATIENCE_MS),
	             &question->asked) != DXH_OK)
		question->asked = DXH_NO_COMPLETION;
}

bool dxi_question_answered(dxi_question *question, dxh_channel_info *told)
{
	dxh_reply reply;
	bool answered;

	if (!dxi_question_is_asked(question) || dxh_poll(question->asked) == DXH_EWAIT)
		return false;
	answered = dxh_result(question->asked, &reply) == DXH_OK &&
	           dxi_channel_read(reply.body, reply.body_bytes, told) == DXH_OK &&
	           strcmp(told->name, question->name) == 0;
	dxi_question_drop(question);
	return answered;
}

void dxi_question_drop(dxi_question *question)
{
	if (dxi_question_is_asked(question))
		(void)dxh_release(question->asked);
	question->asked = DXH_NO_COMPLETION;
}
