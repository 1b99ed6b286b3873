/* SPDX-License-Identifier: MIT */
/* Reads the state of the machine out of /proc, a thousand times a second. */
#ifndef DEMO_PROC_H
#define DEMO_PROC_H

#include "demo_sample.h"

enum proc_file {
	PROC_STAT,
	PROC_MEMINFO,
	PROC_NET_DEV,
	PROC_DISKSTATS,
	PROC_SCHEDSTAT,
	PROC_FILES
};

/* "/proc/stat" and so on. */
const char *demo_proc_path(enum proc_file file);

struct demo_proc;

/* Open what exists; the rest is left out. NULL without memory. */
struct demo_proc *demo_proc_open(void);
void demo_proc_close(struct demo_proc *proc);

/* Bits of enum proc_file. */
uint32_t demo_proc_present(const struct demo_proc *proc);

/* Fill the fields that come from /proc. */
void demo_proc_read(struct demo_proc *proc, struct sample *sample);

#endif
