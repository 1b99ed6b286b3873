/* SPDX-License-Identifier: MIT */
/* `dxh top` on a terminal. */
#include "top.h"

#include "stat.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

struct screen {
	const struct top_place *place;
	double every_s;
	bool paused;
	int first; /* line that stands at the top, of all there are */
	int lines; /* that there are */
	struct top_sample sample;
};

enum tone { TONE_PLAIN, TONE_GOOD, TONE_CARE, TONE_BAD };

/* A bar of eight heights for each value, the largest full. */
static void put_history(const double *history)
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double most = 0;

	for (int i = 0; i < TOP_HISTORY; i++)
		most = history[i] > most ? history[i] : most;
	for (int i = 0; i < TOP_HISTORY; i++)
		addstr(bars[most > 0 && history[i] > 0 ? 1 + (int)(history[i] / most * 7) : 0]);
}

static enum tone tone_of(const struct top_block *block)
{
	if (block->error[0] != '\0' || block->producer == DXH_PRODUCER_DEAD)
		return TONE_BAD;
	return block->producer == DXH_PRODUCER_ALIVE ? TONE_GOOD : TONE_CARE;
}

static void put_toned(enum tone tone, const char *text)
{
	if (has_colors())
		attron(COLOR_PAIR(tone));
	addstr(text);
	if (has_colors())
		attroff(COLOR_PAIR(tone));
}

/* Put the cursor on the next line of the list; false: it is not on the screen. */
static bool next_line(struct screen *screen)
{
	enum { HEAD = 3, FOOT = 1 };
	int at = HEAD + screen->lines++ - screen->first;

	if (at < HEAD || at >= LINES - FOOT)
		return false;
	move(at, 0);
	return true;
}

static void show_reader(struct screen *screen, const struct top_block *block, size_t index)
{
	const dxh_reader_row *row = &block->readers[index];
	double full = block->slot_count > 0
	                      ? 100 * (double)row->reader.lag / (double)block->slot_count
	                      : 0;

	if (!next_line(screen))
		return;
	printw("  └ reader %-8" PRIu32 " ", row->reader.pid);
	put_toned(row->state == DXH_READER_ACTIVE    ? TONE_GOOD
	          : row->state == DXH_READER_LAGGING ? TONE_CARE
	                                             : TONE_BAD,
	          stat_reader_state(row->state));
	printw("  %" PRIu64 " behind (%.0f %% of the ring), %s, lost %" PRIu64, row->reader.lag,
	       full, tool_text_ns((uint64_t)row->reader.lag_ns).s, row->reader.lost);
}

static void show_consumer(struct screen *screen, const struct top_block *block, size_t index)
{
	const dxh_channel_consumer *consumer = &block->consumers[index];
	double full =
		block->slot_count > 0 ? 100 * (double)consumer->lag / (double)block->slot_count : 0;

	if (!next_line(screen))
		return;
	printw("  └ consumer %-8" PRId64 " ", consumer->pid);
	put_toned(consumer->lost > 0 ? TONE_CARE : TONE_GOOD,
	          channel_discipline_text(consumer->discipline));
	printw("  %" PRIu64 " behind (%.0f %% of the ring), lost %" PRIu64 "  %.24s", consumer->lag,
	       full, consumer->lost, tool_shown(consumer->name).s);
}

static void show_hub(struct screen *screen, const struct top_block *block)
{
	const dxh_latency *service = &block->metrics.latency[DXH_STAGE_SERVICE];

	if (!next_line(screen))
		return;
	printw("  └ hub %.24s: %s posted/s  %s done/s  %s notes/s  %" PRIu64
	       " open  %s wake-ups/s  p50 %s  p99 %s",
	       tool_shown(block->metrics.hub).s, tool_text_count(block->posted_s).s,
	       tool_text_count(block->done_s).s, tool_text_count(block->notified_s).s,
	       block->metrics.stats.open_now, tool_text_count(block->wakeups_s).s,
	       tool_text_ns(service->p50_ns).s, tool_text_ns(service->p99_ns).s);
}

static void show_block(struct screen *screen, const struct top_block *block)
{
	if (next_line(screen)) {
		printw("%-24.24s ", block->name);
		put_toned(tone_of(block), top_state(block));
		move(getcury(stdscr), 34);
		if (block->error[0] != '\0') {
			printw("%s", tool_shown(block->error).s);
		} else {
			printw("%8" PRId64 " %9s %11s %8s %3zu+%-3u ", block->pid,
			       tool_text_count(block->items_s).s, tool_text_bytes(block->bytes_s).s,
			       tool_text_count(block->wakes_s).s, block->reader_count,
			       block->followers);
			put_history(block->history);
		}
	}
	for (size_t i = 0; i < block->consumer_count && i < TOP_READERS; i++)
		show_consumer(screen, block, i);
	for (size_t i = 0; i < block->reader_count && i < TOP_READERS; i++)
		if (!top_is_consumer(block, &block->readers[i]))
			show_reader(screen, block, i);
	if (block->is_hub)
		show_hub(screen, block);
}

static void show(struct screen *screen)
{
	erase();
	attron(A_BOLD);
	mvprintw(0, 0, "dxh top  %s  %zu blocks  every %.3g s%s%s",
	         tool_shown(top_title(&screen->sample)).s, screen->sample.count, screen->every_s,
	         screen->paused ? "  paused" : "",
	         screen->sample.broker_is_away ? "  the broker does not answer" : "");
	mvprintw(2, 0, "%-24s %-8s %8s %9s %11s %8s %-7s %s", "BLOCK", "PRODUCER", "PID", "ITEMS/S",
	         "BYTES/S", "WAKES/S", "READERS", "HISTORY");
	attroff(A_BOLD);
	screen->lines = 0;
	for (size_t i = 0; i < screen->sample.count; i++)
		show_block(screen, &screen->sample.blocks[i]);
	mvprintw(LINES - 1, 0, "q quit  p pause  + - faster, slower  arrows scroll");
	refresh();
}

/* false: the user wants to go. */
static bool take_key(struct screen *screen, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
	case 3: /* Ctrl-C */
		return false;
	case 'p':
		screen->paused = !screen->paused;
		break;
	case '+':
		screen->every_s = screen->every_s > 0.2 ? screen->every_s / 2 : 0.1;
		break;
	case '-':
		screen->every_s = screen->every_s < 30 ? screen->every_s * 2 : 60;
		break;
	case KEY_DOWN:
		screen->first += screen->first + 1 < screen->lines;
		break;
	case KEY_UP:
		screen->first -= screen->first > 0;
		break;
	default:
		break;
	}
	return true;
}

static bool sample_again(struct screen *screen)
{
	struct top_sample next;

	const struct top_sample *before = screen->sample.taken_ns > 0 ? &screen->sample : NULL;

	if (!top_take(screen->place, before, &next))
		return false;
	top_free(&screen->sample);
	screen->sample = next;
	return true;
}

static bool run(struct screen *screen)
{
	int64_t due_ns = dxh_in_ns((int64_t)(screen->every_s * 1e9));

	for (;;) {
		int64_t left_ns = due_ns - dxh_now_ns();
		int key;

		if (left_ns <= 0) {
			if (!screen->paused && !sample_again(screen))
				return false;
			due_ns = dxh_in_ns((int64_t)(screen->every_s * 1e9));
			continue;
		}
		show(screen);
		timeout((int)(left_ns / 1000000) + 1);
		key = getch();
		if (key != ERR && !take_key(screen, key))
			return true;
	}
}

int top_screen(const struct top_place *place, double every_s)
{
	struct screen screen = {.place = place, .every_s = every_s};
	bool ended_well;
	int reason;

	/* What cannot be watched at all is said where it can be read. */
	if (!sample_again(&screen))
		return top_unable(place);

	setlocale(LC_CTYPE, "");
	if (initscr() == NULL)
		return tool_fail("top", "this terminal cannot be used: try --once");
	raw();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(TONE_GOOD, COLOR_GREEN, -1);
		init_pair(TONE_CARE, COLOR_YELLOW, -1);
		init_pair(TONE_BAD, COLOR_RED, -1);
	}
	ended_well = run(&screen);
	reason = errno;
	endwin();
	top_free(&screen.sample);
	errno = reason;
	return ended_well ? TOOL_OK : top_unable(place);
}
