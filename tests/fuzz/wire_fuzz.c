/* SPDX-License-Identifier: MIT */
/* Any bytes as a frame: it is refused, or every record of it lies within it; and what
 * was read can be written again, to the same bytes but for what no record says. */
#include "runtime/wire.h"

#include <stdlib.h>
#include <string.h>

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool lies_within(const void *part, size_t bytes, const uint8_t *data, size_t size)
{
	const uint8_t *begin = part;

	return bytes == 0 || (begin >= data && begin + bytes <= data + size);
}

/* What lies behind the bytes that a frame announces is the message part behind it. */
static size_t announced(const uint8_t *data, size_t size)
{
	size_t bytes = size < DXI_FRAME_HEADER_BYTES
	                       ? size
	                       : data[8] | (size_t)data[9] << 8 | (size_t)data[10] << 16;

	return bytes < size ? bytes : size;
}

static void read_message(const uint8_t *data, size_t size)
{
	static unsigned char again[DXI_MESSAGE_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(again, sizeof again);
	dxi_frame_reader reader;
	dxi_record record;
	dxh_status status;
	uint32_t records = 0;
	size_t frame_bytes = announced(data, size);
	const uint8_t *body = frame_bytes < size ? data + frame_bytes : NULL;

	if (dxi_message_open(&reader, data, frame_bytes, body, size - frame_bytes) != DXH_OK)
		return;
	while ((status = dxi_frame_next(&reader, &record)) == DXH_OK) {
		must(lies_within(record.subject, record.subject_bytes, data, size));
		must(lies_within(record.body, record.body_bytes, data, size));
		must(record.kind >= DXI_HELLO && record.kind <= DXI_KIND_LAST);
		must(!memchr(record.subject, '\0', record.subject_bytes));
		must(dxi_frame_append(&writer, &record));
		records++;
		if (record.kind == DXI_HELLO || record.kind == DXI_WELCOME) {
			dxi_hello hello;

			if (dxi_hello_read(record.body, record.body_bytes, &hello) == DXH_OK)
				must(memchr(hello.name, '\0', sizeof hello.name));
		}
	}
	must(status == DXH_EEMPTY); /* what open accepted, next reads to its end */
	if (records > 0 && reader.skipped == 0) {
		must(dxi_frame_end(&writer) == frame_bytes);
		must(memcmp(again, data, frame_bytes) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	dxi_hello hello;

	read_message(data, size);
	(void)dxi_hello_read(data, size, &hello);
	return 0;
}
