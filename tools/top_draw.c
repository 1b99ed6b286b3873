/* SPDX-License-Identifier: MIT */
/* A picture of `dxh top` on a terminal, whatever its size: what does not fit is cut off. */
#include "top_draw.h"

#include "stat.h"
#include "text.h"

#include <inttypes.h>
#include <ncurses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	HEAD = 3, /* lines above the list, */
	FOOT = 1, /* and below */
	/* In a line of the list, beside the name and the history: */
	FIGURES = 52,
	NAME_LEAST = 8,
	NAME_WANTED = 24, /* before that, columns of figures are left out */
	HISTORY_WANTED = 12
};

/* What gives way to names, first to last, and how wide each is. */
enum left_out { LEFT_OUT_NONE, LEFT_OUT_WAKES, LEFT_OUT_BYTES, LEFT_OUT_PID };
static const int widths[] = {0, 8, 10, 8};

enum tone { TONE_PLAIN, TONE_GOOD, TONE_CARE, TONE_BAD };

void top_draw_begin(void)
{
	curs_set(0);
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(TONE_GOOD, COLOR_GREEN, -1);
	init_pair(TONE_CARE, COLOR_YELLOW, -1);
	init_pair(TONE_BAD, COLOR_RED, -1);
}

/* ---- one line ---- */

/* Text of one byte a column, as far as the line goes. */
DXH_PRINTF(3, 4) static void put(struct top_view *view, enum tone tone, const char *format, ...)
{
	char text[512];
	va_list values;
	int room = COLS - view->column, length;

	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	length = (int)strlen(text);
	if (length > room)
		length = room;
	if (length <= 0)
		return;
	if (has_colors())
		attron(COLOR_PAIR(tone));
	addnstr(text, length);
	if (has_colors())
		attroff(COLOR_PAIR(tone));
	view->column += length;
}

/* A sign of one column, in letters where the terminal has no such sign. */
static void put_sign(struct top_view *view, const char *sign, char letter)
{
	if (view->column >= COLS)
		return;
	if (view->in_utf8)
		addstr(sign);
	else
		addch((unsigned char)letter);
	view->column++;
}

static bool go_to(struct top_view *view, int line)
{
	view->column = 0;
	return move(line, 0) == OK;
}

/* On to the next line of the list; false: it is not on the screen. */
static bool next_line(struct top_view *view)
{
	int at = HEAD + view->lines++ - view->first;

	return at >= HEAD && at < LINES - FOOT && go_to(view, at);
}

/* The same for one that belongs to the one before. */
static bool next_below(struct top_view *view)
{
	if (!next_line(view))
		return false;
	put(view, TONE_PLAIN, "  ");
	put_sign(view, "└", '`');
	put(view, TONE_PLAIN, " ");
	return true;
}

/* ---- the list ---- */

/* A bar of eight heights for each value, the largest full; the newest of them. */
static void put_history(struct top_view *view, const double *history)
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char letters[] = " .,-~+*%#";
	int count = view->history_columns;
	double most = 0;

	history += TOP_HISTORY - count;
	for (int i = 0; i < count; i++)
		most = history[i] > most ? history[i] : most;
	for (int i = 0; i < count; i++) {
		int height = most > 0 && history[i] > 0 ? 1 + (int)(history[i] / most * 7) : 0;

		put_sign(view, bars[height], letters[height]);
	}
}

static enum tone tone_of(const struct top_block *block)
{
	if (block->error[0] != '\0' || block->producer == DXH_PRODUCER_DEAD)
		return TONE_BAD;
	return block->producer == DXH_PRODUCER_ALIVE ? TONE_GOOD : TONE_CARE;
}

static double percent(uint64_t lag, uint64_t slots)
{
	return slots > 0 ? 100 * (double)lag / (double)slots : 0;
}

static void show_reader(struct top_view *view, const struct top_block *block, size_t index)
{
	const dxh_reader_row *row = &block->readers[index];

	if (!next_below(view))
		return;
	put(view, TONE_PLAIN, "reader %-8" PRIu32 " ", row->reader.pid);
	put(view,
	    row->state == DXH_READER_ACTIVE    ? TONE_GOOD
	    : row->state == DXH_READER_LAGGING ? TONE_CARE
	                                       : TONE_BAD,
	    "%s", stat_reader_state(row->state));
	put(view, TONE_PLAIN, "  %" PRIu64 " behind (%.0f %% of the ring), %s, lost %" PRIu64,
	    row->reader.lag, percent(row->reader.lag, block->slot_count),
	    tool_text_ns((uint64_t)row->reader.lag_ns).s, row->reader.lost);
}

static void show_consumer(struct top_view *view, const struct top_block *block, size_t index)
{
	const dxh_channel_consumer *consumer = &block->consumers[index];

	if (!next_below(view))
		return;
	put(view, TONE_PLAIN, "consumer %-8" PRId64 " ", consumer->pid);
	put(view, consumer->lost > 0 ? TONE_CARE : TONE_GOOD, "%s",
	    channel_discipline_text(consumer->discipline));
	put(view, TONE_PLAIN, "  %" PRIu64 " behind (%.0f %% of the ring), lost %" PRIu64 "  %.24s",
	    consumer->lag, percent(consumer->lag, block->slot_count), consumer->lost,
	    tool_shown(consumer->name).s);
}

static void show_more(struct top_view *view, size_t count, const char *whom)
{
	if (count > TOP_READERS && next_below(view))
		put(view, TONE_PLAIN, "and %zu %s more", count - TOP_READERS, whom);
}

static void show_hub(struct top_view *view, const struct top_block *block)
{
	const dxh_latency *service = &block->metrics.latency[DXH_STAGE_SERVICE];

	if (next_below(view))
		put(view, TONE_PLAIN, "hub %.24s: %s posted/s  %s done/s  %s notes/s",
		    tool_shown(block->metrics.hub).s, tool_text_count(block->posted_s).s,
		    tool_text_count(block->done_s).s, tool_text_count(block->notified_s).s);
	if (next_line(view))
		put(view, TONE_PLAIN,
		    "      %" PRIu64 " open  %s wake-ups/s  service p50 %s  p90 %s  p99 %s",
		    block->metrics.stats.open_now, tool_text_count(block->wakeups_s).s,
		    tool_text_ns(service->p50_ns).s, tool_text_ns(service->p90_ns).s,
		    tool_text_ns(service->p99_ns).s);
}

/* As far as there is room: of a long one begin and end, which is where most differ. */
static void put_name(struct top_view *view, const char *name)
{
	int length = (int)strlen(name), room = view->name_columns;
	int end = (room - 1) / 2, begin = room - 1 - end;

	if (length <= room) {
		put(view, TONE_PLAIN, "%-*s ", room, name);
		return;
	}
	put(view, TONE_PLAIN, "%.*s", begin, name);
	put_sign(view, "…", '~');
	put(view, TONE_PLAIN, "%s ", name + length - end);
}

static void show_figures(struct top_view *view, const struct top_block *block)
{
	char readers[24];

	put_name(view, tool_shown(block->name).s);
	put(view, tone_of(block), "%-8s", top_state(block));
	if (block->error[0] != '\0') {
		put(view, TONE_PLAIN, " %s", tool_shown(block->error).s);
		return;
	}
	snprintf(readers, sizeof readers, "%zu+%u", block->reader_count, block->followers);
	if (view->left_out < LEFT_OUT_PID)
		put(view, TONE_PLAIN, " %7" PRId64, block->pid);
	put(view, TONE_PLAIN, " %7s", tool_text_count(block->items_s).s);
	if (view->left_out < LEFT_OUT_BYTES)
		put(view, TONE_PLAIN, " %9s", tool_text_bytes(block->bytes_s).s);
	if (view->left_out < LEFT_OUT_WAKES)
		put(view, TONE_PLAIN, " %7s", tool_text_count(block->wakes_s).s);
	put(view, TONE_PLAIN, " %7s ", readers);
	put_history(view, block->history);
}

static void show_block(struct top_view *view, const struct top_block *block)
{
	if (next_line(view))
		show_figures(view, block);
	for (size_t i = 0; i < block->consumer_count && i < TOP_READERS; i++)
		show_consumer(view, block, i);
	show_more(view, block->consumer_count, "consumers");
	for (size_t i = 0; i < block->reader_count && i < TOP_READERS; i++)
		if (!top_is_consumer(block, &block->readers[i]))
			show_reader(view, block, i);
	show_more(view, block->reader_count, "readers");
	if (block->is_hub)
		show_hub(view, block);
}

/* Names get what they need, the history a little before that, and on a narrow screen they get
 * what some of the figures would have. */
static void share_width(struct top_view *view, const struct top_sample *sample)
{
	int room = COLS - FIGURES - HISTORY_WANTED, longest = 16;

	for (size_t i = 0; i < sample->count; i++) {
		int length = (int)strlen(tool_shown(sample->blocks[i].name).s);

		longest = length > longest ? length : longest;
	}
	view->left_out = LEFT_OUT_NONE;
	while (room < longest && room < NAME_WANTED && view->left_out < LEFT_OUT_PID)
		room += widths[++view->left_out];
	view->name_columns = longest < room ? longest : room;
	if (view->name_columns < NAME_LEAST)
		view->name_columns = NAME_LEAST;
	view->history_columns = room + HISTORY_WANTED - view->name_columns;
	if (view->history_columns > TOP_HISTORY)
		view->history_columns = TOP_HISTORY;
	if (view->history_columns < 0)
		view->history_columns = 0;
}

static void put_count(struct top_view *view, size_t count, const char *what)
{
	if (count > 0)
		put(view, TONE_PLAIN, "  %zu %s%s", count, what, count == 1 ? "" : "s");
}

static void show_title(struct top_view *view, const struct top_sample *sample)
{
	bool of_broker = sample->place->asker.peer != NULL;
	size_t hubs = 0;

	for (size_t i = 0; i < sample->count; i++)
		hubs += sample->blocks[i].is_hub;
	put(view, TONE_PLAIN, "dxh top  %s", tool_shown(top_title(sample)).s);
	put_count(view, sample->count - hubs, of_broker ? "channel" : "block");
	put_count(view, hubs, "hub");
	put(view, TONE_PLAIN, "  every %.3g s%s%s", view->every_s, view->paused ? "  paused" : "",
	    sample->broker_is_away ? "  the broker does not answer" : "");
}

static void show_head(struct top_view *view, const struct top_sample *sample)
{
	put(view, TONE_PLAIN, "%-*s %-8s", view->name_columns,
	    sample->place->asker.peer != NULL ? "CHANNEL" : "BLOCK", "PRODUCER");
	if (view->left_out < LEFT_OUT_PID)
		put(view, TONE_PLAIN, " %7s", "PID");
	put(view, TONE_PLAIN, " %7s", "ITEMS/S");
	if (view->left_out < LEFT_OUT_BYTES)
		put(view, TONE_PLAIN, " %9s", "BYTES/S");
	if (view->left_out < LEFT_OUT_WAKES)
		put(view, TONE_PLAIN, " %7s", "WAKES/S");
	put(view, TONE_PLAIN, " %7s %s", "READERS", "HISTORY");
}

static void draw_list(struct top_view *view, const struct top_sample *sample)
{
	view->lines = 0;
	for (size_t i = 0; i < sample->count; i++)
		show_block(view, &sample->blocks[i]);
}

void top_draw(struct top_view *view, const struct top_sample *sample)
{
	int room = LINES - HEAD - FOOT, last;

	erase();
	share_width(view, sample);
	/* Not beyond the end: where much of it went, or the screen grew, the rest moves up. */
	draw_list(view, sample);
	last = room > 0 && view->lines > room ? view->lines - room : 0;
	if (view->first > last) {
		view->first = last;
		erase();
		draw_list(view, sample);
	}
	attron(A_BOLD);
	if (go_to(view, 0))
		show_title(view, sample);
	if (LINES > HEAD && go_to(view, HEAD - 1))
		show_head(view, sample);
	attroff(A_BOLD);
	if (LINES > 1 && go_to(view, LINES - 1))
		put(view, TONE_PLAIN, "q quit  p pause  + - faster, slower  arrows scroll");
	refresh();
}
