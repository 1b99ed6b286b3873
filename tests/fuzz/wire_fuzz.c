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

static void read_frame(const uint8_t *data, size_t size)
{
	static unsigned char again[DXI_MESSAGE_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(again, sizeof again);
	dxi_frame_reader reader;
	dxi_record record;
	dxh_status status;
	uint32_t records = 0;

	if (dxi_frame_open(&reader, data, size) != DXH_OK)
		return;
	while ((status = dxi_frame_next(&reader, &record)) == DXH_OK) {
		must(lies_within(record.subject, record.subject_bytes, data, size));
		must(lies_within(record.body, record.body_bytes, data, size));
		must(record.kind >= DXI_HELLO && record.kind <= DXI_GOODBYE);
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
		must(dxi_frame_end(&writer) == size);
		must(memcmp(again, data, size) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	dxi_hello hello;

	read_frame(data, size);
	(void)dxi_hello_read(data, size, &hello);
	return 0;
}
