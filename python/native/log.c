/* SPDX-License-Identifier: MIT */
/* The log of the library, handed on to a function of Python's as errands. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct line {
	dxn_errand errand;
	int level;
	char text[];
} line;

static PyObject *write_line; /* write(level, text) */

static void run_line(dxn_errand *errand)
{
	line *self = (line *)errand;
	PyObject *text = dxn_str(self->text);

	if (text)
		Py_XDECREF(PyObject_CallFunction(write_line, "iO", self->level, text));
	Py_XDECREF(text);
	free(self);
}

/* On any thread, also the I/O thread: never Python. What cannot be handed on is not lost. */
static void take_line(void *unused, dxh_log_level level, const char *text)
{
	size_t bytes = strlen(text) + 1;
	line *made = malloc(sizeof *made + bytes);

	(void)unused;
	if (made) {
		*made = (line){.errand = {.run = run_line}, .level = (int)level};
		memcpy(made->text, text, bytes);
		if (dxn_errand_leave(&made->errand))
			return;
		free(made);
	}
	if (level <= DXH_LOG_WARNING)
		fprintf(stderr, "dxh: %s\n", text);
}

/* log_to(write): once, before the first hub is opened. */
PyObject *dxn_log_to(PyObject *module, PyObject *write)
{
	(void)module;
	Py_INCREF(write);
	Py_XSETREF(write_line, write);
	dxh_log_set(DXH_LOG_DEBUG, take_line, NULL);
	Py_RETURN_NONE;
}
