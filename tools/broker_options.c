/* SPDX-License-Identifier: MIT */
#include "broker_options.h"
#include "tool.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char name[] = "broker";

static int take_number(const char *where, const char *value, uint64_t most, uint32_t *number)
{
	uint64_t taken;

	if (!tool_number(name, where, value, 1, most, &taken))
		return TOOL_USAGE;
	*number = (uint32_t)taken;
	return TOOL_OK;
}

static int take_text(const char *where, const char *value, char *text, size_t capacity)
{
	if (strlen(value) >= capacity)
		return tool_usage(name, "%s takes at most %zu characters", where, capacity - 1);
	strcpy(text, value);
	return TOOL_OK;
}

static int take_path(const char *where, const char *value, char *text, const char **path)
{
	*path = text;
	return take_text(where, value, text, BROKER_PATH_BYTES);
}

static const struct number {
	const char *option;
	size_t offset; /* of a uint32_t in the config */
	uint64_t most;
} numbers[] = {
	{"clients", offsetof(dxh_broker_config, clients_max), 16384},
	{"channels", offsetof(dxh_broker_config, channels_max), 1000000},
	{"consumers", offsetof(dxh_broker_config, consumers_max), 1000000},
	{"client-channels", offsetof(dxh_broker_config, client_channels), 1000000},
	{"client-consumers", offsetof(dxh_broker_config, client_consumers), 1000000},
	{"beat-ms", offsetof(dxh_broker_config, beat_ms), 3600000},
	{"beats-missed", offsetof(dxh_broker_config, beats_missed), 1000},
	{"beats-kept", offsetof(dxh_broker_config, beats_kept), 1000000},
};

static const struct number *number_of(const char *option)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(option, numbers[i].option) == 0)
			return &numbers[i];
	return NULL;
}

static int *flag_of(struct broker_options *options, const char *option)
{
	if (strcmp(option, "allow-any") == 0)
		return &options->config.allow_any;
	return strcmp(option, "insecure") == 0 ? &options->config.insecure : NULL;
}

int broker_option_set(struct broker_options *options, const char *where, const char *option,
                      const char *value)
{
	const struct number *number = number_of(option);
	dxh_broker_config *config = &options->config;
	int *flag = flag_of(options, option);

	if (flag) {
		*flag = !value || strcmp(value, "yes") == 0;
		return *flag || strcmp(value, "no") == 0
		               ? TOOL_OK
		               : tool_usage(name, "%s is yes or no, not \"%s\"", where, value);
	}
	if (number)
		return take_number(where, value, number->most,
		                   (uint32_t *)((char *)config + number->offset));
	if (strcmp(option, "endpoint") == 0)
		return take_text(where, value, options->endpoint, sizeof options->endpoint);
	if (strcmp(option, "key") == 0)
		return take_path(where, value, options->key, &config->key_file);
	if (strcmp(option, "allow") == 0)
		return take_path(where, value, options->allow, &config->allow_file);
	if (strcmp(option, "rights") == 0)
		return take_path(where, value, options->rights, &config->rights_file);
	return tool_usage(name, "%s: there is no such option", where);
}

/* Blanks around a word go. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t\r\n");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		text[--length] = '\0';
	return text;
}

static int take_line(struct broker_options *options, const char *path, unsigned number, char *line)
{
	char where[BROKER_PATH_BYTES + 64];
	char *option = trim(line), *value = strchr(option, '=');

	if (option[0] == '\0' || option[0] == '#')
		return TOOL_OK;
	if (!value)
		return tool_usage(name, "%s:%u: no \"option = value\"", path, number);
	*value++ = '\0';
	option = trim(option);
	snprintf(where, sizeof where, "%s:%u: %s", path, number, option);
	return broker_option_set(options, where, option, trim(value));
}

int broker_options_read(struct broker_options *options, const char *path)
{
	char line[2 * BROKER_PATH_BYTES];
	unsigned number = 0;
	int code = TOOL_OK;
	FILE *file = fopen(path, "re");

	if (!file)
		return tool_fail(name, "cannot read %s: %s", path, strerror(errno));
	/* Bounded by the file. */
	while (code == TOOL_OK && fgets(line, sizeof line, file)) {
		number++;
		if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
			code = tool_usage(name, "%s:%u: the line is too long", path, number);
		else
			code = take_line(options, path, number, line);
	}
	/* A folder, for one, opens and cannot be read: a broker without its rights. */
	if (code == TOOL_OK && ferror(file))
		code = tool_fail(name, "cannot read %s: %s", path, strerror(errno));
	fclose(file);
	return code;
}
