/* SPDX-License-Identifier: MIT */
/* Asking a broker for channels, and the words for what it answers. */
#include "channel.h"

#include "text.h"

#include <dxh.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 2000 };

/* NULL: it is not set, or empty. */
static const char *environment(const char *variable)
{
	const char *value = getenv(variable);

	return value && value[0] ? value : NULL;
}

const char *channel_broker(const char *given)
{
	return given ? given : environment("DXH_BROKER");
}

dxh_status channel_connect_peer(dxh_hub *hub, const char *endpoint, dxh_peer **peer)
{
	dxh_peer_config config = {.server_key = environment("DXH_BROKER_KEY")};

	if (config.server_key)
		config.key_file = environment("DXH_KEY_FILE");
	return dxh_peer_connect(hub, endpoint, &config, peer);
}

bool channel_connect(const char *command, const char *endpoint, struct channel_asker *asker)
{
	*asker = (struct channel_asker){.endpoint = endpoint};
	if (!tool_broker_folder(command, endpoint, false))
		return false;
	if (dxh_hub_open(&(dxh_hub_config){.name = "dxh"}, &asker->hub) == DXH_OK &&
	    channel_connect_peer(asker->hub, endpoint, &asker->peer) == DXH_OK)
		return true;
	tool_fail(command, "%s", tool_shown(dxh_last_error()).s);
	channel_disconnect(asker);
	return false;
}

void channel_disconnect(struct channel_asker *asker)
{
	if (asker->hub)
		dxh_hub_close(&asker->hub);
	asker->peer = NULL;
}

bool channel_is_away(dxh_status status)
{
	return status == DXH_EEXPIRED || status == DXH_ELOST || status == DXH_EWAIT;
}

/* Of an ipc socket that is there, and is not for this user. */
static bool is_closed_to_us(const char *endpoint)
{
	static const char scheme[] = "ipc://";
	const char *path = endpoint + strlen(scheme);

	return strncmp(endpoint, scheme, strlen(scheme)) == 0 && path[0] == '/' &&
	       access(path, W_OK) == -1 && errno == EACCES;
}

int channel_unanswered(const char *command, const struct channel_asker *asker, dxh_status status)
{
	if (channel_is_away(status) && is_closed_to_us(asker->endpoint))
		return tool_fail(
			command,
			"this user may not connect to %s: ask as another one, or start the "
			"broker so that others may write to its socket (umask 0)",
			tool_shown(asker->endpoint).s);
	if (channel_is_away(status)) {
		bool says_why = status != DXH_EWAIT; /* that only says to wait longer */

		tool_fail(command, "no broker answers at %s%s%s", tool_shown(asker->endpoint).s,
		          says_why ? ": " : "", says_why ? tool_shown(dxh_last_error()).s : "");
		fprintf(stderr,
		        "next: start one with `dxh broker --endpoint %s`, or name another with "
		        "--broker or DXH_BROKER; blocks of this machine need none: dxh stat\n",
		        tool_shown(asker->endpoint).s);
		return TOOL_FAILED;
	}
	tool_fail(command, "%s: %s", tool_shown(asker->endpoint).s, tool_shown(dxh_last_error()).s);
	if (status == DXH_EACCESS)
		fprintf(stderr,
		        "next: DXH_BROKER_KEY is the public key of an encrypted broker, and "
		        "DXH_KEY_FILE a file with a secret key that it lets in, with the "
		        "rights it takes\n");
	return TOOL_FAILED;
}

static bool
found(const char *command, const struct channel_asker *asker, const dxh_channel_info *info)
{
	if (info->state != DXH_CHANNEL_NOT_FOUND)
		return true;
	tool_fail(
		command,
		"the broker at %s knows no channel \"%s\": `dxh ls` lists those it knows; a block "
		"that no broker knows is named with --dir DIR",
		tool_shown(asker->endpoint).s, tool_shown(info->name).s);
	return false;
}

bool channel_find(const char *command, const char *broker, const char *name,
                  char directory[DXH_ENDPOINT_MAX + 1])
{
	struct channel_asker asker;
	dxh_channel_info info;
	dxh_status status;
	bool is_found;

	if (!channel_connect(command, broker, &asker))
		return false;
	status = dxh_discover(asker.peer, name, dxh_in_ms(ANSWER_MS), &info);
	if (status != DXH_OK)
		channel_unanswered(command, &asker, status);
	is_found = status == DXH_OK && found(command, &asker, &info);
	if (is_found)
		snprintf(directory, DXH_ENDPOINT_MAX + 1, "%s", info.directory);
	channel_disconnect(&asker);
	return is_found;
}

dxh_channel_facts *channel_describe(const char *command, const char *broker, const char *name)
{
	struct channel_asker asker;
	dxh_channel_facts *facts = NULL;
	dxh_status status;

	if (!channel_connect(command, broker, &asker))
		return NULL;
	status = dxh_describe(asker.peer, name, dxh_in_ms(ANSWER_MS), &facts);
	if (status != DXH_OK)
		channel_unanswered(command, &asker, status);
	channel_disconnect(&asker);
	return facts;
}

const char *channel_state_text(dxh_channel_state state)
{
	switch (state) {
	case DXH_CHANNEL_FOUND:
		return "live";
	case DXH_CHANNEL_PENDING:
		return "pending";
	case DXH_CHANNEL_NOT_FOUND:
		break;
	}
	return "unknown";
}

const char *channel_discipline_text(dxh_discipline discipline)
{
	switch (discipline) {
	case DXH_LATEST:
		return "latest";
	case DXH_LOSSLESS:
		return "lossless";
	case DXH_FOLLOW:
		break;
	}
	return "follow";
}
