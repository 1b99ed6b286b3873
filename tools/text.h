/* SPDX-License-Identifier: MIT */
/* Numbers, times and strangers' words, as people read them. */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

/* Returned by value: it lives until the end of the statement. */
struct tool_text {
	char s[32];
};

struct tool_text tool_text_ns(uint64_t ns);       /* "12.3 us" */
struct tool_text tool_text_bytes(double bytes);   /* "1.2 MiB" */
struct tool_text tool_text_count(double count);   /* "6.81 k" */
struct tool_text tool_text_plain(uint64_t count); /* "6 810" */

/* "2 days 3 h", "4 min 5 s": for what takes long. */
struct tool_text tool_text_duration(int64_t ns);

/* CLOCK_REALTIME as "2024-05-06 07:08:09", local time. */
/* The time of day of a stamp of CLOCK_MONOTONIC, with its offset; 0: not known. */
int64_t tool_realtime_ns(int64_t stamp_ns, int64_t offset_ns);

struct tool_text tool_text_date(int64_t realtime_ns);

/* What somebody else wrote, so that it cannot move a cursor, change a colour or end a line:
 * all but printable ASCII as \xNN; what is too long ends in "...". */
struct tool_shown {
	char s[1024];
};
struct tool_shown tool_shown(const char *text);

/* Colour, if standard output is a terminal that has any and NO_COLOR is not set; else "". */
enum tool_tone { TOOL_PLAIN, TOOL_BOLD, TOOL_RED, TOOL_YELLOW, TOOL_GREEN };
const char *tool_tone(enum tool_tone tone);

#endif
