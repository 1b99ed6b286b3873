/* SPDX-License-Identifier: MIT */
/* A report in the making: what was found, counted and kept up to a limit. */
#ifndef DXI_REPORT_H
#define DXI_REPORT_H

#include <dxh/inspect.h>

typedef struct dxi_report {
	dxh_report told;
	dxh_finding *findings;
	size_t capacity;
	dxh_status failed; /* DXH_ENOMEM: told once, at the end */
} dxi_report;

dxi_report *dxi_report_new(void);

/* Add a finding with the severity of its rule. Returns it, or NULL when it was only
 * counted. The pointer holds until the next one is added. */
dxh_finding *dxi_report_add(dxi_report *report, dxh_rule rule, const char *file, uint64_t offset,
                            const char *format, ...) DXH_PRINTF(5, 6);

/* Make the last one weigh so much instead; `finding` may be NULL. */
void dxi_report_weigh(dxi_report *report, dxh_finding *finding, dxh_severity severity);

/* Hand it over. Frees it, and hands over nothing, unless `status` is DXH_OK. */
dxh_status dxi_report_finish(dxi_report *report, dxh_status status, dxh_report **told);

#endif
