/* SPDX-License-Identifier: MIT */
/* Who consumes a channel, as its broker knows them, for people and for programs. */
#include "channel.h"

#include "json.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

void channel_show_consumers(const dxh_channel_facts *facts, int indent)
{
	for (size_t i = 0; i < facts->consumer_count; i++) {
		const dxh_channel_consumer *consumer = &facts->consumers[i];

		printf("%*sconsumer %" PRId64 " %s, %s: read %" PRIu64 ", %" PRIu64
		       " behind, lost %" PRIu64 "\n",
		       indent, "", consumer->pid, tool_shown(consumer->name).s,
		       channel_discipline_text(consumer->discipline), consumer->read, consumer->lag,
		       consumer->lost);
	}
}

void channel_tell_consumers(struct json *json, const char *key,
                            const dxh_channel_consumer *consumers, size_t count)
{
	json_array(json, key);
	for (size_t i = 0; i < count; i++) {
		const dxh_channel_consumer *consumer = &consumers[i];

		json_object(json, NULL);
		json_text(json, "name", consumer->name);
		json_integer(json, "pid", consumer->pid);
		json_text(json, "discipline", channel_discipline_text(consumer->discipline));
		json_number(json, "read", consumer->read);
		json_number(json, "lag", consumer->lag);
		json_number(json, "lost", consumer->lost);
		json_number(json, "corrupt", consumer->corrupt);
		json_number(json, "silent_ms", consumer->silent_ms);
		json_end_object(json);
	}
	json_end_array(json);
}
