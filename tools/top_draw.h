/* SPDX-License-Identifier: MIT */
/* What `dxh top` shows on a terminal at one moment. */
#ifndef TOP_DRAW_H
#define TOP_DRAW_H

#include "top.h"

struct top_view {
	double every_s;
	bool paused;
	bool in_utf8; /* what the terminal understands */
	int first;    /* line that stands at the top, of all there are */
	int lines;    /* that there are, as it was drawn last */

	int column; /* where the next sign goes */
	int name_columns, history_columns, left_out;
};

/* Once, when ncurses has the terminal. */
void top_draw_begin(void);

void top_draw(struct top_view *view, const struct top_sample *sample);

#endif
