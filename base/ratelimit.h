/* SPDX-License-Identifier: MIT */
/* So many lines of one kind a second, and how many were left out. */
#ifndef DXI_RATELIMIT_H
#define DXI_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { DXI_LINES_PER_S = 20 };

/* May a line of this kind (its format, by address) be written now? *left_out is how
 * many were not since the last that was. Thread: any; counts may be off by what
 * others do at the same moment. */
bool dxi_ratelimit_pass(const void *kind, int64_t now_ns, uint64_t *left_out);

#endif
