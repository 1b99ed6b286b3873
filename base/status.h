/* SPDX-License-Identifier: MIT */
/* Failing with a reason: this thread's last error, and the log.
 *
 * A failure is worded once, at the place that knows the values; callers above
 * pass the status on and say nothing.
 */
#ifndef DXI_STATUS_H
#define DXI_STATUS_H

#include <dxh/base.h>

#include <stdbool.h>

/* For what each item goes through. */
#define DXI_INLINE inline __attribute__((always_inline))

/* The compiler keeps what leads to a failure out of the way. */
#define DXI_COLD __attribute__((cold))

/* Keep "DXH_Exxx: <text>" as this thread's last error; returns `status`. */
DXI_COLD dxh_status dxi_fail(dxh_status status, const char *format, ...) DXH_PRINTF(2, 3);

/* The same with ": <strerror(error)>" behind, and the status that fits `error`
 * (an errno value): EACCES is DXH_EACCESS, ENOSPC DXH_ENOSPACE, ... */
DXI_COLD dxh_status dxi_fail_errno(int error, const char *format, ...) DXH_PRINTF(2, 3);

/* Is this number one of DXH_STATUS_LIST? */
bool dxi_status_is_known(int32_t code);

/* What others sent may stand in a line; it must not steer a terminal. */
void dxi_make_printable(char *line);

/* Take over the last error of another thread, as dxh_last_error() gave it there. */
void dxi_fail_as(const char *last_error);

/* One line to the log callback; of one format at most DXI_LINES_PER_S a second, the
 * next then says how many were left out. */
DXI_COLD void dxi_log(dxh_log_level level, const char *format, ...) DXH_PRINTF(2, 3);

/* Copy a caller's config of `given` bytes into ours of `own` bytes. A shorter
 * one (older header) leaves zeros; a longer one (newer header) must hold zeros
 * beyond what we know, else DXH_EVERSION. NULL gives all zeros. */
dxh_status dxi_config_read(void *config, size_t own, const void *given_config, size_t given);

#endif
