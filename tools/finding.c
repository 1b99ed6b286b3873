/* SPDX-License-Identifier: MIT */
/* Findings, one by one: what, where, what it means, what to do. */
#include "finding.h"

#include "text.h"

#include <inttypes.h>
#include <stdio.h>

static const char *severity_text(dxh_severity severity)
{
	switch (severity) {
	case DXH_ERROR:
		return "error";
	case DXH_WARNING:
		return "warning";
	case DXH_NOTE:
		break;
	}
	return "note";
}

static enum tool_tone tone_of(dxh_severity severity)
{
	return severity == DXH_ERROR     ? TOOL_RED
	       : severity == DXH_WARNING ? TOOL_YELLOW
	                                 : TOOL_PLAIN;
}

static const char *repair_text(dxh_repair repair)
{
	switch (repair) {
	case DXH_REPAIR_RECOVER:
		return "recover";
	case DXH_REPAIR_DONE:
		return "done";
	case DXH_REPAIR_NONE:
		break;
	}
	return "none";
}

void finding_show(const dxh_finding *finding)
{
	printf("%s%-8s%s %s, %s file", tool_tone(tone_of(finding->severity)),
	       severity_text(finding->severity), tool_tone(TOOL_PLAIN),
	       dxh_rule_name(finding->rule), finding->file);
	if (finding->offset != DXH_OFFSET_NONE)
		printf(" at %" PRIu64, finding->offset);
	printf(": %s\n", tool_shown(finding->detail).s);
	printf("         %s\n", dxh_rule_meaning(finding->rule));
	if (finding->repair == DXH_REPAIR_DONE)
		printf("         %srepaired%s\n", tool_tone(TOOL_GREEN), tool_tone(TOOL_PLAIN));
	else
		printf("         -> %s\n", dxh_rule_advice(finding->rule));
}

void findings_tell(struct json *json, const dxh_report *report)
{
	json_number(json, "errors", report->errors);
	json_number(json, "warnings", report->warnings);
	json_number(json, "notes", report->notes);
	json_array(json, "findings");
	for (size_t i = 0; i < report->finding_count; i++) {
		const dxh_finding *finding = &report->findings[i];

		json_object(json, NULL);
		json_text(json, "rule", dxh_rule_name(finding->rule));
		json_text(json, "severity", severity_text(finding->severity));
		json_text(json, "repair", repair_text(finding->repair));
		json_text(json, "file", finding->file);
		if (finding->offset != DXH_OFFSET_NONE)
			json_number(json, "offset", finding->offset);
		json_text(json, "detail", finding->detail);
		json_text(json, "meaning", dxh_rule_meaning(finding->rule));
		json_text(json, "advice", dxh_rule_advice(finding->rule));
		json_end_object(json);
	}
	json_end_array(json);
}

size_t findings_count(const dxh_report *report, dxh_repair repair)
{
	size_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++)
		count += report->findings[i].repair == repair;
	return count;
}
