/* SPDX-License-Identifier: MIT */
/* Names that a broker knows: whom to ask, where a channel's block lies, who consumes it. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "tool.h"

#include <dxh/describe.h>
#include <dxh/hub.h>

/* The broker that names are looked up at: the one given with --broker, else $DXH_BROKER; or
 * NULL, and names are those of blocks. */
const char *channel_broker(const char *given);

/* Connect to a broker: in the clear, or with the keys of $DXH_BROKER_KEY and $DXH_KEY_FILE.
 * Returns: as dxh_peer_connect(). */
dxh_status channel_connect_peer(dxh_hub *hub, const char *endpoint, dxh_peer **peer);

/* A connection to it, for one question after the other. */
struct channel_asker {
	const char *endpoint;
	dxh_hub *hub;
	dxh_peer *peer;
};

/* False: it is said why, by `command`. */
bool channel_connect(const char *command, const char *endpoint, struct channel_asker *asker);
void channel_disconnect(struct channel_asker *asker);

/* Was it not answered because nobody is there? */
bool channel_is_away(dxh_status status);

/* Say why a question was not answered, and what to do about it; TOOL_FAILED. */
int channel_unanswered(const char *command, const struct channel_asker *asker, dxh_status status);

/* The directory of a channel's block. False: it is said why. */
bool channel_find(const char *command, const char *broker, const char *name,
                  char directory[DXH_ENDPOINT_MAX + 1]);

/* All that a broker knows of a channel; NULL: it is said why. Free it. */
dxh_channel_facts *channel_describe(const char *command, const char *broker, const char *name);

/* Its consumers: a line each, or an array. */
struct json;
void channel_show_consumers(const dxh_channel_facts *facts, int indent);
void channel_tell_consumers(struct json *json, const char *key,
                            const dxh_channel_consumer *consumers, size_t count);

const char *channel_state_text(dxh_channel_state state);
const char *channel_discipline_text(dxh_discipline discipline);

#endif
