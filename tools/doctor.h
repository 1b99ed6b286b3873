/* SPDX-License-Identifier: MIT */
/* What `dxh doctor` looks at: one function each, in one or two sentences for people. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum symptom {
	SYMPTOM_FINE,
	SYMPTOM_NOTE,  /* something works in another way, or is not here */
	SYMPTOM_WARN,  /* it works, and will hurt under load */
	SYMPTOM_BROKEN /* something does not work before it is changed */
};

struct examination {
	enum symptom symptom;
	char found[192];
	char advice[320]; /* "": nothing to do */
};

struct organ {
	const char *name;
	void (*examine)(struct examination *examination);
};

extern const struct organ organs[];
extern const size_t organ_count;

#endif
