/* SPDX-License-Identifier: MIT */
/* The screen: a table that is redrawn in place, or plain lines. Knows how to put
 * text somewhere, not what it says. */
#include "demo_supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool terminal_size(unsigned *columns, unsigned *rows)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}

void demo_view_open(struct demo_view *view, bool json_on_stdout)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	unsigned columns;
	unsigned rows;

	view->out = json_on_stdout ? stderr : stdout;
	view->live = !json_on_stdout && isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' &&
	             strcmp(term, "dumb") != 0 && terminal_size(&columns, &rows) &&
	             rows > DEMO_PICTURE_LINES + 2 && columns >= 60;
	view->color = view->live && (no_color == NULL || no_color[0] == '\0');
	view->began_ns = dxh_now_ns();
	if (view->live)
		fputs("\033[?25l", view->out);
}

/* The cursor stands below the table; go to its first line and clear from there. */
static void wipe(struct demo_view *view)
{
	if (view->drawn > 0)
		fprintf(view->out, "\033[%uA\r\033[J", view->drawn);
	view->drawn = 0;
}

/* Bytes of `text` that fill at most `columns`; what is shown is ASCII. */
static int fit(const char *text, unsigned columns)
{
	size_t length = strlen(text);

	return (int)(length < columns ? length : columns);
}

static void paint(struct demo_view *view)
{
	unsigned columns = 80;
	unsigned rows = 24;

	terminal_size(&columns, &rows);
	for (unsigned i = 0; i < view->picture.lines; i++) {
		const char *line = view->picture.line[i];
		bool bold = view->color && i == 0;

		fprintf(view->out, "%s%.*s%s\033[K\n", bold ? "\033[1m" : "",
		        fit(line, columns - 1), line, bold ? "\033[0m" : "");
	}
	view->drawn = view->picture.lines;
}

void demo_view_line(struct demo_view *view, const char *who, const char *text)
{
	double elapsed = (double)(dxh_now_ns() - view->began_ns) / 1e9;

	if (view->live)
		wipe(view);
	fprintf(view->out, "%7.2f s  %-9s %s\n", elapsed, who, text);
	if (view->live)
		paint(view);
	fflush(view->out);
}

void demo_view_draw(struct demo_view *view, const struct demo_picture *picture)
{
	if (!view->live) {
		demo_view_line(view, "demo", picture->plain);
		return;
	}
	wipe(view);
	view->picture = *picture;
	paint(view);
	fflush(view->out);
}

void demo_view_close(struct demo_view *view)
{
	if (!view->live)
		return;
	wipe(view);
	view->picture.lines = 0;
	view->live = false;
	fputs("\033[?25h", view->out);
	fflush(view->out);
}
