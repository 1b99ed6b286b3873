/* SPDX-License-Identifier: MIT */
/* `dxh top` on a terminal. */
#include "top_draw.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <string.h>

struct screen {
	const struct top_place *place;
	struct top_view view;
	struct top_sample sample;
};

/* false: the user wants to go. */
static bool take_key(struct screen *screen, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
	case 3: /* Ctrl-C */
		return false;
	case 'p':
		screen->view.paused = !screen->view.paused;
		break;
	case '+':
		screen->view.every_s = screen->view.every_s > 0.2 ? screen->view.every_s / 2 : 0.1;
		break;
	case '-':
		screen->view.every_s = screen->view.every_s < 30 ? screen->view.every_s * 2 : 60;
		break;
	case KEY_DOWN:
		screen->view.first += screen->view.first + 1 < screen->view.lines;
		break;
	case KEY_NPAGE:
		screen->view.first += LINES / 2;
		break;
	case KEY_PPAGE:
		screen->view.first -=
			screen->view.first < LINES / 2 ? screen->view.first : LINES / 2;
		break;
	case KEY_UP:
		screen->view.first -= screen->view.first > 0;
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
	int64_t due_ns = dxh_in_ns((int64_t)(screen->view.every_s * 1e9));

	for (;;) {
		int64_t left_ns = due_ns - dxh_now_ns();
		int key;

		if (left_ns <= 0) {
			if (!screen->view.paused && !sample_again(screen))
				return false;
			due_ns = dxh_in_ns((int64_t)(screen->view.every_s * 1e9));
			continue;
		}
		top_draw(&screen->view, &screen->sample);
		timeout((int)(left_ns / 1000000) + 1);
		key = getch();
		if (key != ERR && !take_key(screen, key))
			return true;
	}
}

int top_screen(const struct top_place *place, double every_s)
{
	struct screen screen = {.place = place, .view = {.every_s = every_s}};
	SCREEN *terminal;
	bool ended_well;
	int reason;

	/* What cannot be watched at all is said where it can be read. */
	if (!sample_again(&screen))
		return top_unable(place);

	setlocale(LC_CTYPE, "");
	screen.view.in_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	terminal = newterm(NULL, stdout, stdin);
	if (terminal == NULL) {
		top_free(&screen.sample);
		return tool_fail("top", "this terminal cannot be used: try --once, or another "
		                        "TERM");
	}
	raw();
	noecho();
	keypad(stdscr, TRUE);
	top_draw_begin();
	ended_well = run(&screen);
	reason = errno;
	endwin();
	delscreen(terminal);
	top_free(&screen.sample);
	errno = reason;
	return ended_well ? TOOL_OK : top_unable(place);
}
