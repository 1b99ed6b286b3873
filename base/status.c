/* SPDX-License-Identifier: MIT */
/* Words for failures: status texts, the last error of each thread, the log. */
#include "base/status.h"

#include "base/ratelimit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DXI_ERROR_BYTES = 512 };

static const char unknown_name[] = "DXH_E?";

static _Thread_local char last_error[DXI_ERROR_BYTES];

static void log_to_stderr(void *context, dxh_log_level level, const char *line);

static struct {
	dxh_log_fn fn;
	void *context;
	dxh_log_level level;
} log_sink = {log_to_stderr, NULL, DXH_LOG_WARNING};

static void log_to_stderr(void *context, dxh_log_level level, const char *line)
{
	(void)context;
	fprintf(stderr, "dxh: %s%s\n", level == DXH_LOG_ERROR ? "error: " : "", line);
}

static dxh_status status_of_errno(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS:
		return DXH_EACCESS;
	case ENOENT:
		return DXH_ENOTFOUND;
	case EEXIST:
		return DXH_EEXIST;
	case ENOMEM:
		return DXH_ENOMEM;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return DXH_ENOSPACE;
	case EMFILE:
	case ENFILE:
	case EAGAIN: /* of threads, processes or locked memory */
		return DXH_ELIMIT;
	default:
		return DXH_ESYSTEM;
	}
}

void dxi_make_printable(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

static void set_last_error(dxh_status status, const char *format, va_list values, int error)
{
	size_t used =
		(size_t)snprintf(last_error, sizeof last_error, "%s: ", dxh_status_name(status));

	vsnprintf(last_error + used, sizeof last_error - used, format, values);
	dxi_make_printable(last_error);
	if (error == 0)
		return;
	used = strlen(last_error);
	snprintf(last_error + used, sizeof last_error - used, ": %s", strerror(error));
}

dxh_status dxi_fail(dxh_status status, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	set_last_error(status, format, values, 0);
	va_end(values);
	return status;
}

dxh_status dxi_fail_errno(int error, const char *format, ...)
{
	dxh_status status = status_of_errno(error);
	va_list values;

	va_start(values, format);
	set_last_error(status, format, values, error);
	va_end(values);
	return status;
}

void dxi_fail_as(const char *text)
{
	size_t length = strnlen(text, sizeof last_error - 1);

	/* May be last_error itself. */
	memmove(last_error, text, length);
	last_error[length] = 0;
}

void dxi_log(dxh_log_level level, const char *format, ...)
{
	char line[DXI_ERROR_BYTES];
	va_list values;
	uint64_t left_out;
	size_t length;

	if (!log_sink.fn || level > log_sink.level)
		return;
	/* What a stranger sends must not fill a disk. */
	if (!dxi_ratelimit_pass(format, dxh_now_ns(), &left_out))
		return;
	va_start(values, format);
	vsnprintf(line, sizeof line, format, values);
	va_end(values);
	length = strlen(line);
	if (left_out > 0)
		snprintf(line + length, sizeof line - length, " (%llu more such lines left out)",
		         (unsigned long long)left_out);
	dxi_make_printable(line);
	log_sink.fn(log_sink.context, level, line);
}

dxh_status dxi_config_read(void *config, size_t own, const void *given_config, size_t given)
{
	const unsigned char *bytes = given_config;

	memset(config, 0, own);
	if (!given_config)
		return DXH_OK;
	memcpy(config, given_config, given < own ? given : own);
	for (size_t i = own; i < given; i++)
		if (bytes[i] != 0)
			return dxi_fail(DXH_EVERSION,
			                "the config sets a field (byte %zu) that this library, "
			                "version %s, does not know: install the newer one",
			                i, dxh_version());
	return DXH_OK;
}

const char *dxh_status_name(dxh_status status)
{
	switch (status) {
#define DXI_NAME(name, code, text, advice)                                                         \
	case name:                                                                                 \
		return #name;
		DXH_STATUS_LIST(DXI_NAME)
#undef DXI_NAME
	}
	return unknown_name;
}

bool dxi_status_is_known(int32_t code)
{
	return strcmp(dxh_status_name((dxh_status)code), unknown_name) != 0;
}

const char *dxh_status_text(dxh_status status)
{
	switch (status) {
#define DXI_TEXT(name, code, text, advice)                                                         \
	case name:                                                                                 \
		return text;
		DXH_STATUS_LIST(DXI_TEXT)
#undef DXI_TEXT
	}
	return "a status of a newer version";
}

const char *dxh_status_advice(dxh_status status)
{
	switch (status) {
#define DXI_ADVICE(name, code, text, advice)                                                       \
	case name:                                                                                 \
		return advice;
		DXH_STATUS_LIST(DXI_ADVICE)
#undef DXI_ADVICE
	}
	return "update the library to learn its meaning";
}

const char *dxh_last_error(void)
{
	return last_error;
}

#define DXI_STRING(x) DXI_STRING_(x)
#define DXI_STRING_(x) #x

const char *dxh_version(void)
{
	return DXI_STRING(DXH_VERSION_MAJOR) "." DXI_STRING(DXH_VERSION_MINOR) "." DXI_STRING(
		DXH_VERSION_PATCH);
}

void dxh_log_set(dxh_log_level level, dxh_log_fn fn, void *context)
{
	log_sink.fn = fn;
	log_sink.context = context;
	log_sink.level = level;
}
