/* SPDX-License-Identifier: MIT */
/* The words of the rules, and the list of findings. */
#include "shm/report.h"

#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A ring of nonsense has 65538 findings; the first ones tell enough. */
enum { FINDINGS_MAX = 1000 };

static const struct rule {
	const char *name, *meaning, *advice;
	dxh_severity severity;
} rules[] = {[DXH_RULE_NONE] = {"?", "", "", DXH_NOTE},
#define RULE(rule, name, severity, meaning, advice) [rule] = {name, meaning, advice, severity},
             DXH_RULE_LIST(RULE)
#undef RULE
};

static const struct rule *rule_of(dxh_rule rule)
{
	if ((size_t)rule >= sizeof rules / sizeof *rules)
		rule = DXH_RULE_NONE;
	return &rules[rule];
}

const char *dxh_rule_name(dxh_rule rule)
{
	return rule_of(rule)->name;
}

const char *dxh_rule_meaning(dxh_rule rule)
{
	return rule_of(rule)->meaning;
}

const char *dxh_rule_advice(dxh_rule rule)
{
	return rule_of(rule)->advice;
}

dxi_report *dxi_report_new(void)
{
	dxi_report *report = calloc(1, sizeof *report);

	if (!report)
		dxi_fail(DXH_ENOMEM, "no memory for a report");
	return report;
}

static uint32_t *counter_of(dxi_report *report, dxh_severity severity)
{
	switch (severity) {
	case DXH_ERROR:
		return &report->told.errors;
	case DXH_WARNING:
		return &report->told.warnings;
	case DXH_NOTE:
		break;
	}
	return &report->told.notes;
}

static bool has_room(dxi_report *report)
{
	size_t wanted = report->capacity > 0 ? 2 * report->capacity : 16;
	dxh_finding *larger;

	if (report->told.finding_count == FINDINGS_MAX)
		return false;
	if (report->told.finding_count < report->capacity)
		return true;
	larger = realloc(report->findings, wanted * sizeof *larger);
	if (!larger) {
		report->failed = DXH_ENOMEM;
		return false;
	}
	report->findings = larger;
	report->capacity = wanted;
	return true;
}

dxh_finding *dxi_report_add(dxi_report *report, dxh_rule rule, const char *file, uint64_t offset,
                            const char *format, ...)
{
	dxh_finding *finding;
	va_list values;

	++*counter_of(report, rule_of(rule)->severity);
	if (!has_room(report))
		return NULL;
	finding = &report->findings[report->told.finding_count++];
	*finding = (dxh_finding){
		.rule = rule,
		.severity = rule_of(rule)->severity,
		.file = file,
		.offset = offset,
	};
	va_start(values, format);
	vsnprintf(finding->detail, sizeof finding->detail, format, values);
	va_end(values);
	return finding;
}

void dxi_report_weigh(dxi_report *report, dxh_finding *finding, dxh_severity severity)
{
	if (!finding)
		return;
	--*counter_of(report, finding->severity);
	++*counter_of(report, severity);
	finding->severity = severity;
}

dxh_status dxi_report_finish(dxi_report *report, dxh_status status, dxh_report **told)
{
	if (status == DXH_OK && report->failed != DXH_OK)
		status = dxi_fail(report->failed, "no memory for %zu findings",
		                  2 * report->capacity);
	report->told.findings = report->findings;
	*told = &report->told;
	if (status != DXH_OK)
		dxh_report_free(told);
	return status;
}

void dxh_report_free(dxh_report **report)
{
	dxi_report *freed = report ? (dxi_report *)(void *)*report : NULL;

	if (!freed)
		return;
	*report = NULL;
	free(freed->findings);
	free(freed);
}
