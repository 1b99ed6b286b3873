/* SPDX-License-Identifier: MIT */
/* A report on a block, as `dxh check` and `dxh recover` tell it. */
#ifndef FINDING_H
#define FINDING_H

#include "json.h"

#include <dxh/inspect.h>

void finding_show(const dxh_finding *finding);

/* The findings as an array "findings", and how many there are of which weight. */
void findings_tell(struct json *json, const dxh_report *report);

/* How many are put in order by dxh_block_recover(), or were. */
size_t findings_count(const dxh_report *report, dxh_repair repair);

#endif
