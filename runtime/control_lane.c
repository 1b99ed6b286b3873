/* SPDX-License-Identifier: MIT */
/* Control records in the order they came, in one buffer that never grows. */
#include "runtime/control_lane.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

void dxi_control_lane_fini(dxi_control_lane *control)
{
	free(control->bytes);
	*control = (dxi_control_lane){.used = 0};
}

bool dxi_control_lane_put(dxi_control_lane *control, const dxi_record *record)
{
	size_t bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);

	if (bytes > DXI_CONTROL_LANE_BYTES - control->used)
		return false;
	if (!control->bytes)
		control->bytes = malloc(DXI_CONTROL_LANE_BYTES);
	if (!control->bytes)
		return false;
	dxi_record_encode(control->bytes + control->used, record);
	control->used += bytes;
	return true;
}

/* What the record there occupies, padding included: we wrote it ourselves. */
static size_t bytes_at(const dxi_control_lane *control, size_t at)
{
	uint32_t bytes;

	memcpy(&bytes, control->bytes + at, sizeof bytes);
	return (le32toh(bytes) + DXI_RECORD_ALIGN - 1) / DXI_RECORD_ALIGN * DXI_RECORD_ALIGN;
}

void dxi_control_lane_encode(dxi_control_lane *control, dxi_frame_writer *writer)
{
	control->in_frame = 0;
	while (control->in_frame < control->used) {
		size_t bytes = bytes_at(control, control->in_frame);

		if (!dxi_frame_append_encoded(writer, control->bytes + control->in_frame, bytes))
			return;
		control->in_frame += bytes;
	}
}

void dxi_control_lane_sent(dxi_control_lane *control)
{
	if (control->in_frame == 0)
		return;
	control->used -= control->in_frame;
	memmove(control->bytes, control->bytes + control->in_frame, control->used);
	control->in_frame = 0;
}

size_t dxi_control_lane_count(const dxi_control_lane *control)
{
	size_t count = 0;

	for (size_t at = 0; at < control->used; at += bytes_at(control, at))
		count++;
	return count;
}

void dxi_control_lane_clear(dxi_control_lane *control)
{
	control->used = control->in_frame = 0;
}
