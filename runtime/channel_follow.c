/* SPDX-License-Identifier: MIT */
/* A look that mostly finds that all is well. */
#include "runtime/channel_follow.h"

#include "base/forked.h"
#include "base/status.h"
#include "runtime/channel_question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 250 };

struct dxi_channel_follow {
	dxi_question question;
	dxi_channel_follow_config config;
	uint32_t process;
	char directory[DXH_ENDPOINT_MAX + 1]; /* told last */
};

static void look(void *context)
{
	dxi_channel_follow *follow = context;
	dxh_channel_info told;

	if (!follow->config.waits(follow->config.context)) {
		dxi_question_drop(&follow->question);
		return;
	}
	if (dxi_question_answered(&follow->question, &told) && told.state == DXH_CHANNEL_FOUND &&
	    strcmp(told.directory, follow->directory) != 0) {
		snprintf(follow->directory, sizeof follow->directory, "%s", told.directory);
		follow->config.tell(follow->config.context, told.directory);
	}
	dxi_question_ask(&follow->question);
}

dxh_status
dxi_channel_follow_open(const dxi_channel_follow_config *config, dxi_channel_follow **follow)
{
	dxi_channel_follow *made = calloc(1, sizeof *made);

	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a consumer of channel '%s'",
		                config->name);
	made->config = *config;
	made->process = dxi_process_id();
	snprintf(made->directory, sizeof made->directory, "%s", config->directory);
	dxi_question_open(&made->question, config->broker, config->name, LOOK_MS, look, made);
	*follow = made;
	return DXH_OK;
}

void dxi_channel_follow_close(dxi_channel_follow *follow)
{
	if (follow->process == dxi_process_id())
		dxi_question_close(&follow->question);
	free(follow);
}
