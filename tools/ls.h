/* SPDX-License-Identifier: MIT */
/* What `dxh ls` shows beside the list: what happens, and what the broker counts. */
#ifndef LS_H
#define LS_H

#include <dxh/watch.h>

#include <stdbool.h>

/* Print each event as a line, from now on, or `most` of them if that is not 0. Where some
 * may be missing, `list` is called. Returns what ended it; DXH_OK after the last. */
dxh_status ls_watch(dxh_peer *broker, int64_t deadline_ns, uint64_t most, bool as_json,
                    dxh_status (*list)(void *context), void *context);

/* Print the broker's figures. */
dxh_status ls_figures(dxh_peer *broker, int64_t deadline_ns, bool as_json);

#endif
