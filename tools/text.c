/* SPDX-License-Identifier: MIT */
/* Numbers as people read them: three digits and a unit. Texts of others, made harmless. */
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct tool_text scaled(double value, double step, const char *const *units, unsigned count)
{
	struct tool_text text;
	unsigned i = 0;

	while (i + 1 < count && value >= 0.9995 * step) {
		value /= step;
		i++;
	}
	snprintf(text.s, sizeof text.s, "%.*f%s",
	         i == 0 || value >= 99.95 ? 0
	         : value >= 9.995         ? 1
	                                  : 2,
	         value, units[i]);
	return text;
}

struct tool_text tool_text_ns(uint64_t ns)
{
	static const char *const units[] = {" ns", " us", " ms", " s"};

	return scaled((double)ns, 1000, units, 4);
}

struct tool_text tool_text_bytes(double bytes)
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};

	return scaled(bytes < 0 ? 0 : bytes, 1024, units, 5);
}

struct tool_text tool_text_count(double count)
{
	static const char *const units[] = {"", " k", " M", " G"};

	return scaled(count < 0 ? 0 : count, 1000, units, 4);
}

/* All digits, in groups of three. */
struct tool_text tool_text_plain(uint64_t count)
{
	struct tool_text text;
	char digits[24];
	size_t length;
	size_t used = 0;

	length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
	for (size_t i = 0; i < length && used < sizeof text.s - 2; i++) {
		if (i > 0 && (length - i) % 3 == 0 && length > 4)
			text.s[used++] = ' ';
		text.s[used++] = digits[i];
	}
	text.s[used] = '\0';
	return text;
}

struct tool_text tool_text_duration(int64_t ns)
{
	static const struct unit {
		const char *name;
		int64_t seconds;
	} units[] = {{"days", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
	int64_t seconds = ns / 1000000000;
	struct tool_text text;
	size_t i = 0;

	if (seconds < 60)
		return tool_text_ns(ns > 0 ? (uint64_t)ns : 0);
	while (seconds < units[i].seconds)
		i++;
	snprintf(text.s, sizeof text.s, "%" PRId64 " %s %" PRId64 " %s", seconds / units[i].seconds,
	         units[i].name, seconds % units[i].seconds / units[i + 1].seconds,
	         units[i + 1].name);
	return text;
}

int64_t tool_realtime_ns(int64_t stamp_ns, int64_t offset_ns)
{
	int64_t sum;

	if (stamp_ns <= 0 || offset_ns == 0 || __builtin_add_overflow(stamp_ns, offset_ns, &sum))
		return 0;
	return sum > 0 ? sum : 0;
}

struct tool_text tool_text_date(int64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / 1000000000);
	struct tool_text text;
	struct tm broken;

	if (localtime_r(&seconds, &broken) == NULL ||
	    strftime(text.s, sizeof text.s, "%Y-%m-%d %H:%M:%S", &broken) == 0)
		snprintf(text.s, sizeof text.s, "no date");
	return text;
}

struct tool_shown tool_shown(const char *text)
{
	enum { ESCAPED = 4, END = 4 };
	struct tool_shown shown;
	size_t used = 0;

	for (; *text != '\0' && used < sizeof shown.s - ESCAPED - END; text++) {
		bool plain = *text >= 0x20 && *text < 0x7f && *text != '\\';

		used += (size_t)snprintf(shown.s + used, ESCAPED + 1, plain ? "%c" : "\\x%02x",
		                         (unsigned char)*text);
	}
	strcpy(shown.s + used, *text != '\0' ? "..." : "");
	return shown;
}

static bool has_colour(void)
{
	const char *term = getenv("TERM"), *forbidden = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0 && (forbidden == NULL || forbidden[0] == '\0');
}

const char *tool_tone(enum tool_tone tone)
{
	static const char *const codes[] = {
		[TOOL_PLAIN] = "\033[0m",   [TOOL_BOLD] = "\033[1m",   [TOOL_RED] = "\033[1;31m",
		[TOOL_YELLOW] = "\033[33m", [TOOL_GREEN] = "\033[32m",
	};

	return has_colour() ? codes[tone] : "";
}
