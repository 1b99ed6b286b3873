/* SPDX-License-Identifier: MIT */
/* One decoder of a single head (type, number, length) serves the scan and the
 * reader, so that both agree on every byte. msgpack-c packs; it never parses
 * here, because it allocates by the counts that a message announces.
 */
#include "base/pack.h"

#include "base/status.h"

#include <msgpack.h>
#include <string.h>

/* ---- writing ---- */

static int append(void *context, const char *bytes, size_t count)
{
	dxi_writer *writer = context;

	if (writer->overflow || count > writer->capacity - writer->used) {
		writer->overflow = true;
		return -1;
	}
	memcpy(writer->bytes + writer->used, bytes, count);
	writer->used += count;
	return 0;
}

static msgpack_packer packer_of(dxi_writer *writer)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, writer, append);
	return packer;
}

dxi_writer dxi_writer_of(void *bytes, size_t capacity)
{
	return (dxi_writer){.bytes = bytes, .capacity = capacity};
}

void dxi_write_map(dxi_writer *writer, size_t pairs)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_map(&packer, pairs);
}

void dxi_write_array(dxi_writer *writer, size_t elements)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_array(&packer, elements);
}

void dxi_write_text(dxi_writer *writer, const char *text)
{
	dxi_write_text_n(writer, text, strlen(text));
}

void dxi_write_text_n(dxi_writer *writer, const char *text, size_t bytes)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_str(&packer, bytes);
	if (bytes > 0)
		msgpack_pack_str_body(&packer, text, bytes);
}

void dxi_write_bin(dxi_writer *writer, const void *data, size_t bytes)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_bin(&packer, bytes);
	if (bytes > 0)
		msgpack_pack_bin_body(&packer, data, bytes);
}

void dxi_write_uint(dxi_writer *writer, uint64_t value)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_uint64(&packer, value);
}

void dxi_write_int(dxi_writer *writer, int64_t value)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_int64(&packer, value);
}

void dxi_write_f64(dxi_writer *writer, double value)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_double(&packer, value);
}

void dxi_write_bool(dxi_writer *writer, bool value)
{
	msgpack_packer packer = packer_of(writer);

	if (value)
		msgpack_pack_true(&packer);
	else
		msgpack_pack_false(&packer);
}

void dxi_write_nil(dxi_writer *writer)
{
	msgpack_packer packer = packer_of(writer);

	msgpack_pack_nil(&packer);
}

/* ---- one head ---- */

/* What is wrong with a head; NULL: nothing. Static text. */
typedef const char *fault;

static const char too_short[] = "the value ends beyond the last byte";

/* A big-endian number of `bytes` bytes. */
static fault take_number(dxi_reader *reader, size_t bytes, uint64_t *number)
{
	if ((size_t)(reader->end - reader->at) < bytes)
		return too_short;
	*number = 0;
	for (size_t i = 0; i < bytes; i++)
		*number = *number << 8 | *reader->at++;
	return NULL;
}

static fault take_unsigned(dxi_reader *reader, size_t bytes, dxi_value *value, bool *shortest)
{
	fault wrong = take_number(reader, bytes, &value->uint);

	value->kind = DXI_UINT;
	*shortest = bytes == 1 ? value->uint > 0x7f : value->uint >> (4 * bytes) != 0;
	return wrong;
}

static fault take_signed(dxi_reader *reader, size_t bytes, dxi_value *value, bool *shortest)
{
	unsigned unused = (unsigned)(64 - 8 * bytes);
	uint64_t number = 0;
	fault wrong = take_number(reader, bytes, &number);
	int64_t whole = (int64_t)(number << unused) >> unused;

	if (whole >= 0) {
		value->kind = DXI_UINT;
		value->uint = (uint64_t)whole;
		*shortest = false;
	} else {
		value->kind = DXI_INT;
		value->integer = whole;
		*shortest = bytes == 1 ? whole < -32 : whole < -(INT64_C(1) << (4 * bytes - 1));
	}
	return wrong;
}

static fault take_float(dxi_reader *reader, size_t bytes, dxi_value *value, bool *shortest)
{
	uint64_t bits = 0;
	uint32_t half;
	float narrow;
	fault wrong = take_number(reader, bytes, &bits);

	value->kind = DXI_F64;
	*shortest = bytes == 8;
	if (bytes == 8) {
		memcpy(&value->f64, &bits, sizeof value->f64);
	} else {
		half = (uint32_t)bits;
		memcpy(&narrow, &half, sizeof narrow);
		value->f64 = (double)narrow;
	}
	return wrong;
}

static fault take_bytes(dxi_reader *reader, dxi_kind kind, uint64_t count, dxi_value *value)
{
	if (count > (uint64_t)(reader->end - reader->at))
		return too_short;
	value->kind = kind;
	value->data = reader->at;
	value->bytes = (size_t)count;
	reader->at += count;
	return NULL;
}

/* Each element takes a byte at least: more cannot be there. */
static fault take_container(dxi_reader *reader, dxi_kind kind, uint64_t count, dxi_value *value)
{
	uint64_t left = (uint64_t)(reader->end - reader->at);

	if (count > (kind == DXI_MAP ? left / 2 : left))
		return "more elements are announced than bytes are left";
	value->kind = kind;
	value->count = (size_t)count;
	value->data = reader->at;
	return NULL;
}

static fault
take_long(dxi_reader *reader, dxi_kind kind, size_t number_bytes, dxi_value *value, bool *shortest)
{
	uint64_t count = 0;
	fault wrong = take_number(reader, number_bytes, &count);

	if (wrong)
		return wrong;
	/* One byte of length: needed beyond 31 for text, always for bin. */
	if (number_bytes == 1)
		*shortest = kind == DXI_BIN || count > 31;
	else if (number_bytes == 2 && (kind == DXI_ARRAY || kind == DXI_MAP))
		*shortest = count > 15;
	else
		*shortest = count >> (4 * number_bytes) != 0;
	if (kind == DXI_TEXT || kind == DXI_BIN)
		return take_bytes(reader, kind, count, value);
	return take_container(reader, kind, count, value);
}

/* Read one head at the cursor; with text and bin also their bytes. */
static fault take_head(dxi_reader *reader, dxi_value *value, bool *shortest)
{
	unsigned char tag;

	memset(value, 0, sizeof *value);
	*shortest = true;
	value->begin = reader->at;
	if (reader->at == reader->end)
		return too_short;
	tag = *reader->at++;
	if (tag <= 0x7f) {
		value->kind = DXI_UINT;
		value->uint = tag;
		return NULL;
	}
	if (tag >= 0xe0) {
		value->kind = DXI_INT;
		value->integer = (int64_t)tag - 256;
		return NULL;
	}
	if (tag <= 0x8f)
		return take_container(reader, DXI_MAP, tag & 0x0fu, value);
	if (tag <= 0x9f)
		return take_container(reader, DXI_ARRAY, tag & 0x0fu, value);
	if (tag <= 0xbf)
		return take_bytes(reader, DXI_TEXT, tag & 0x1fu, value);
	switch (tag) {
	case 0xc0:
		value->kind = DXI_NIL;
		return NULL;
	case 0xc2:
	case 0xc3:
		value->kind = DXI_BOOL;
		value->boolean = tag == 0xc3;
		return NULL;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return take_long(reader, DXI_BIN, (size_t)1 << (tag - 0xc4), value, shortest);
	case 0xca:
	case 0xcb:
		return take_float(reader, (size_t)4 << (tag - 0xca), value, shortest);
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		return take_unsigned(reader, (size_t)1 << (tag - 0xcc), value, shortest);
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return take_signed(reader, (size_t)1 << (tag - 0xd0), value, shortest);
	case 0xd9:
	case 0xda:
	case 0xdb:
		return take_long(reader, DXI_TEXT, (size_t)1 << (tag - 0xd9), value, shortest);
	case 0xdc:
	case 0xdd:
		return take_long(reader, DXI_ARRAY, (size_t)2 << (tag - 0xdc), value, shortest);
	case 0xde:
	case 0xdf:
		return take_long(reader, DXI_MAP, (size_t)2 << (tag - 0xde), value, shortest);
	default:
		return "this type byte is not in use (extensions and 0xc1 are refused)";
	}
}

/* ---- checking ---- */

/* A container that the scan is inside of. */
struct level {
	size_t left; /* values still to come, keys included */
	bool is_map;
	const unsigned char *key; /* the last key, for the order */
	size_t key_bytes;
};

static fault check_key(struct level *level, const dxi_value *key)
{
	size_t common = key->bytes < level->key_bytes ? key->bytes : level->key_bytes;
	int order;

	if (key->kind != DXI_TEXT)
		return "a map key is not text";
	if (level->key) {
		order = memcmp(level->key, key->data, common);
		if (order > 0 || (order == 0 && level->key_bytes >= key->bytes))
			return "map keys are not in byte order, or one stands twice";
	}
	level->key = key->data;
	level->key_bytes = key->bytes;
	return NULL;
}

/* One value: its own rules, and its place in the container around it. */
static fault
scan_value(dxi_reader *reader, struct level levels[], size_t *depth, const dxi_scan_limits *limits)
{
	struct level *level = *depth > 0 ? &levels[*depth - 1] : NULL;
	dxi_value value;
	bool shortest;
	fault wrong = take_head(reader, &value, &shortest);

	if (!wrong && limits->canonical && !shortest)
		wrong = "not the shortest form";
	if (!wrong && limits->canonical && level && level->is_map && level->left % 2 == 0)
		wrong = check_key(level, &value);
	if (wrong)
		return wrong;
	if (level)
		level->left--;
	if (value.kind != DXI_ARRAY && value.kind != DXI_MAP)
		return NULL;
	if (*depth == DXI_SCAN_DEPTH_MAX)
		return "nested deeper than 16 levels";
	levels[(*depth)++] = (struct level){
		.left = value.kind == DXI_MAP ? 2 * value.count : value.count,
		.is_map = value.kind == DXI_MAP,
	};
	return NULL;
}

dxh_status dxi_scan(const void *bytes, size_t length, dxi_scan_limits limits)
{
	struct level levels[DXI_SCAN_DEPTH_MAX];
	dxi_reader reader = dxi_reader_of(bytes, length);
	const unsigned char *begin = reader.at;
	size_t elements = 0, depth = 0;
	fault wrong;

	do {
		size_t offset = (size_t)(reader.at - begin);

		if (elements++ == limits.elements_max)
			return dxi_fail(DXH_ECORRUPT, "offset %zu: more than %zu values", offset,
			                limits.elements_max);
		wrong = scan_value(&reader, levels, &depth, &limits);
		if (wrong)
			return dxi_fail(DXH_ECORRUPT, "offset %zu: %s", offset, wrong);
		while (depth > 0 && levels[depth - 1].left == 0)
			depth--;
	} while (depth > 0);
	if (reader.at != reader.end)
		return dxi_fail(DXH_ECORRUPT, "offset %zu: %zu bytes follow the value",
		                (size_t)(reader.at - begin), (size_t)(reader.end - reader.at));
	return DXH_OK;
}

/* ---- reading ---- */

dxi_reader dxi_reader_of(const void *bytes, size_t length)
{
	/* No bytes may come without an address; the cursor needs one. */
	const unsigned char *at = bytes ? bytes : (const unsigned char *)"";

	return (dxi_reader){.at = at, .end = at + length};
}

bool dxi_read(dxi_reader *reader, dxi_value *value)
{
	dxi_reader trial = *reader;
	bool shortest;

	if (take_head(&trial, value, &shortest))
		return false;
	*reader = trial;
	return true;
}

bool dxi_skip(dxi_reader *reader)
{
	dxi_reader trial = *reader;
	uint64_t pending = 1; /* each turn takes a byte, so the bytes bound the loop */
	dxi_value value;

	while (pending > 0) {
		if (!dxi_read(&trial, &value))
			return false;
		pending--;
		if (value.kind == DXI_ARRAY)
			pending += value.count;
		else if (value.kind == DXI_MAP)
			pending += 2 * (uint64_t)value.count;
	}
	*reader = trial;
	return true;
}

bool dxi_find(const void *bytes, size_t length, const char *key, dxi_value *value)
{
	dxi_reader reader = dxi_reader_of(bytes, length);
	size_t key_bytes = strlen(key);
	dxi_value map, name;

	if (!dxi_read(&reader, &map) || map.kind != DXI_MAP)
		return false;
	for (size_t i = 0; i < map.count; i++) {
		if (!dxi_read(&reader, &name))
			return false;
		if (name.kind == DXI_TEXT && name.bytes == key_bytes &&
		    memcmp(name.data, key, key_bytes) == 0)
			return dxi_read(&reader, value);
		/* A key of another kind may be a container: step over it whole. */
		if (name.kind == DXI_ARRAY || name.kind == DXI_MAP) {
			reader.at = name.begin;
			if (!dxi_skip(&reader))
				return false;
		}
		if (!dxi_skip(&reader))
			return false;
	}
	return false;
}

bool dxi_find_uint(const void *bytes, size_t length, const char *key, uint64_t *value)
{
	dxi_value found;

	if (!dxi_find(bytes, length, key, &found) || found.kind != DXI_UINT)
		return false;
	*value = found.uint;
	return true;
}

bool dxi_find_text(const void *bytes, size_t length, const char *key, char *text, size_t capacity)
{
	dxi_value found;

	if (!dxi_find(bytes, length, key, &found) || found.kind != DXI_TEXT ||
	    found.bytes >= capacity || memchr(found.data, '\0', found.bytes))
		return false;
	memcpy(text, found.data, found.bytes);
	text[found.bytes] = '\0';
	return true;
}

bool dxi_find_bin(const void *bytes, size_t length, const char *key, const unsigned char **data,
                  size_t *data_bytes)
{
	dxi_value found;

	if (!dxi_find(bytes, length, key, &found) || found.kind != DXI_BIN)
		return false;
	*data = found.data;
	*data_bytes = found.bytes;
	return true;
}
