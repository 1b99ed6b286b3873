/* SPDX-License-Identifier: MIT */
/* The handshake as MessagePack: the body of HELLO and of WELCOME. Pure, as all of wire.h. */
#include "runtime/wire.h"

#include "base/pack.h"
#include "base/status.h"
#include "runtime/fields.h"

#include <string.h>

/* The greatest number of values a HELLO may hold: room for keys of newer minors. */
enum { HELLO_ELEMENTS_MAX = 256, HELLO_KEYS = 11 };

size_t dxi_hello_write(const dxi_hello *hello, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, HELLO_KEYS);
	dxi_write_text(&writer, "connection");
	dxi_write_uint(&writer, hello->connection);
	dxi_write_text(&writer, "features");
	dxi_write_uint(&writer, hello->features);
	dxi_write_text(&writer, "frame_bytes");
	dxi_write_uint(&writer, hello->frame_bytes);
	dxi_write_text(&writer, "incarnation");
	dxi_write_uint(&writer, hello->incarnation);
	dxi_write_text(&writer, "major");
	dxi_write_uint(&writer, hello->major);
	dxi_write_text(&writer, "memory");
	dxi_write_uint(&writer, hello->memory);
	dxi_write_text(&writer, "minor");
	dxi_write_uint(&writer, hello->minor);
	dxi_write_text(&writer, "name");
	dxi_write_text_n(&writer, hello->name, strnlen(hello->name, sizeof hello->name - 1));
	dxi_write_text(&writer, "notify_bytes");
	dxi_write_uint(&writer, hello->notify_bytes);
	dxi_write_text(&writer, "window_bytes");
	dxi_write_uint(&writer, hello->window_bytes);
	dxi_write_text(&writer, "window_records");
	dxi_write_uint(&writer, hello->window_records);
	return writer.overflow ? 0 : writer.used;
}

dxh_status dxi_hello_read(const void *bytes, size_t length, dxi_hello *hello)
{
	dxi_fields fields = dxi_fields_of(bytes, length, HELLO_ELEMENTS_MAX, "HELLO", DXH_EPROTO);
	dxi_hello read = {0};

	/* Of another major nothing else is read: its keys may mean anything. */
	dxi_fields_u16(&fields, "major", &read.major);
	if (fields.status == DXH_OK && read.major != DXI_PROTOCOL_MAJOR)
		return dxi_fail(DXH_EVERSION,
		                "the peer speaks protocol %d, this side %d: install versions "
		                "that match",
		                read.major, DXI_PROTOCOL_MAJOR);
	dxi_fields_u16(&fields, "minor", &read.minor);
	dxi_fields_u64(&fields, "incarnation", UINT64_MAX, &read.incarnation);
	dxi_fields_text(&fields, "name", read.name, sizeof read.name);
	dxi_fields_u32(&fields, "frame_bytes", &read.frame_bytes);
	dxi_fields_u32(&fields, "features", &read.features);
	dxi_fields_u32(&fields, "window_records", &read.window_records);
	dxi_fields_u64(&fields, "window_bytes", UINT64_MAX, &read.window_bytes);
	if (dxi_fields_has(&fields, "connection"))
		dxi_fields_u64(&fields, "connection", UINT64_MAX, &read.connection);
	if (dxi_fields_has(&fields, "notify_bytes"))
		dxi_fields_u64(&fields, "notify_bytes", UINT64_MAX, &read.notify_bytes);
	if (dxi_fields_has(&fields, "memory"))
		dxi_fields_u64(&fields, "memory", UINT64_MAX, &read.memory);
	if (fields.status == DXH_OK)
		*hello = read;
	return fields.status;
}
