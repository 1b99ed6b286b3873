/* SPDX-License-Identifier: MIT */
/* Any bytes as the data file of a block: attached, listed, walked, copied, read, checked and
 * printed as `dxh cat` does, or refused. Hashes and the size of the file are made right, so
 * that what lies behind them is reached, unless the reserved bytes 193 and 194 say not to.
 */
#include "shm/geometry.h"
#include "tools/cat.h"
#include "tools/channel.h"
#include "tools/tool.h"

#include <dxh/inspect.h>
#include <dxh/zone.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAVE_HASHES = 193, LEAVE_SIZE = 194, MEMBERS_MAX = 10000, READS_MAX = 12 };

static char path[256];

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* ---- what only a command line needs ---- */

int tool_usage(const char *command, const char *format, ...)
{
	(void)command;
	(void)format;
	abort();
}

int tool_fail(const char *command, const char *format, ...)
{
	(void)command;
	(void)format;
	abort();
}

bool tool_number(const char *command, const char *option, const char *text, uint64_t least,
                 uint64_t most, uint64_t *number)
{
	(void)command;
	(void)option;
	(void)text;
	*number = least < most ? least : most;
	abort();
}

const char *channel_broker(const char *given)
{
	(void)given;
	abort();
}

bool channel_find(const char *command, const char *broker, const char *name,
                  char directory[DXH_ENDPOINT_MAX + 1])
{
	(void)command;
	(void)broker;
	(void)name;
	directory[0] = '\0';
	abort();
}

/* ---- the file ---- */

static void forget_file(void)
{
	unlink(path);
}

static void make_path(void)
{
	const char *directory = getenv("DXH_SHM_DIR");

	snprintf(path, sizeof path, "%s/dxh-fuzz-%d.img", directory != NULL ? directory : ".",
	         (int)getpid());
	atexit(forget_file);
	must(freopen("/dev/null", "w", stdout) != NULL);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void seal(unsigned char *image, size_t size)
{
	struct dxi_layout_zone zones[DXH_ZONES_MAX] = {0};
	struct dxi_layout_header *header = (struct dxi_layout_header *)image;
	size_t table;

	if (image[LEAVE_SIZE] == 0)
		header->bytes_total = size;
	if (image[LEAVE_HASHES] != 0)
		return;
	table = header->zone_count * sizeof *zones;
	if (header->zone_count > DXH_ZONES_MAX || header->zones_offset > size ||
	    table > size - header->zones_offset || header->schema_offset > size ||
	    header->schema_bytes > size - header->schema_offset)
		return;
	memcpy(zones, image + header->zones_offset, table);
	dxi_geometry_seal(header, zones, image + header->schema_offset);
}

static void store(const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned char *image = malloc(size > 0 ? size : 1);

	must(fd != -1 && image != NULL);
	memcpy(image, data, size);
	if (size >= sizeof(struct dxi_layout_header))
		seal(image, size);
	must(write(fd, image, size) == (ssize_t)size);
	close(fd);
	free(image);
}

/* ---- every use of it ---- */

struct walk {
	uint64_t bytes; /* of the outermost struct */
	unsigned members;
};

static dxh_status visit(void *context, const char *member, const dxh_field *field, size_t offset)
{
	struct walk *walk = context;

	must(member[0] != '\0' && offset <= walk->bytes && field->bytes <= walk->bytes - offset);
	must(field->count > 0 && field->type <= DXH_TYPE_TEXT);
	return ++walk->members < MEMBERS_MAX ? DXH_OK : DXH_ELIMIT;
}

static void walk_entry(const dxh_zone_entry *entry)
{
	struct walk walk = {.bytes = entry->bytes};

	if (entry->schema != NULL)
		must(dxh_schema_walk(entry->schema, visit, &walk) == DXH_OK ||
		     walk.members == MEMBERS_MAX);
}

static void use_zone(dxh_consumer *consumer, const dxh_zone_entry *zone, size_t file_bytes)
{
	unsigned char *copy;
	const void *seen;

	walk_entry(zone);
	if (zone->kind == DXH_ZONE_IS_WRITABLE)
		return;
	must(zone->bytes <= file_bytes);
	copy = malloc((size_t)zone->bytes);
	must(dxh_zone_copy_at(consumer, zone->index, zone->schema, copy, (size_t)zone->bytes) ==
	     DXH_OK);
	(void)dxh_consumer_zone_digest_verify(consumer, zone->name, copy, (size_t)zone->bytes);
	if (dxh_consumer_zone_at(consumer, zone->index, zone->schema, (size_t)zone->bytes, &seen) ==
	    DXH_OK)
		must(memcmp(seen, copy, (size_t)zone->bytes) == 0);
	free(copy);
}

static void use_zones(dxh_consumer *consumer, size_t file_bytes)
{
	dxh_zone_entry zone;

	for (uint32_t i = 0; dxh_consumer_zone_entry(consumer, i, &zone) == DXH_OK; i++)
		use_zone(consumer, &zone, file_bytes);
}

static void use_slots(dxh_consumer *consumer, size_t file_bytes)
{
	dxh_block_info block;
	dxh_zone_entry slot;
	unsigned char *copy;
	dxh_status status = DXH_OK;
	dxh_item item;

	must(dxh_consumer_info(consumer, &block) == DXH_OK && block.slot_bytes <= file_bytes);
	if (dxh_consumer_slot_entry(consumer, &slot) != DXH_OK)
		return;
	walk_entry(&slot);
	copy = malloc((size_t)block.slot_bytes);
	for (int i = 0;
	     i < READS_MAX && (status == DXH_OK || status == DXH_ELAPPED || status == DXH_ECORRUPT);
	     i++) {
		status = dxh_read_next(consumer, copy, (size_t)block.slot_bytes, DXH_NOW, &item);
		must(status != DXH_OK || item.bytes <= block.slot_bytes);
	}
	free(copy);
}

static void print(dxh_consumer *consumer, bool as_json)
{
	struct cat cat = {.consumer = consumer,
	                  .as_json = as_json,
	                  .zones = true,
	                  .last = READS_MAX,
	                  .elements = CAT_SHOWN};

	(void)cat_block(&cat);
}

static void attach(size_t file_bytes)
{
	dxh_consumer *consumer;

	if (dxh_consumer_open(NULL, &(dxh_consumer_config){.file = path}, &consumer) != DXH_OK)
		return;
	use_zones(consumer, file_bytes);
	use_slots(consumer, file_bytes);
	print(consumer, false);
	print(consumer, true);
	must(dxh_consumer_close(&consumer) == DXH_OK);
}

static void inspect(size_t file_bytes)
{
	dxh_inspect_config config = {.file = path};
	dxh_report *report = NULL;
	dxh_facts *facts = NULL;

	must(dxh_block_check(NULL, &config, &report) == DXH_OK);
	must(report->readable || report->errors > 0);
	dxh_report_free(&report);
	if (dxh_block_facts(NULL, &config, &facts) == DXH_OK)
		for (uint32_t i = 0; i < facts->block.zone_count; i++)
			must(facts->zones[i].shared ||
			     (facts->zones[i].offset <= file_bytes &&
			      facts->zones[i].bytes <= file_bytes - facts->zones[i].offset));
	dxh_facts_free(&facts);
}

/* ---- changes that know where the numbers stand ---- */

static uint32_t draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

static uint32_t word_of(const uint8_t *data, size_t size, size_t at)
{
	uint32_t word = 0;

	if (at + sizeof word <= size)
		memcpy(&word, data + at, sizeof word);
	return word;
}

/* Where one of the numbers stands that decide about addresses; may lie behind the end. */
static size_t place_of_number(const uint8_t *data, size_t size, uint32_t *state)
{
	static const size_t header[] = {8,  16,  24,  64,  72,  76,  80,  88,
	                                96, 104, 108, 112, 120, 208, 216, 384};
	static const size_t entry[] = {64, 72, 80, 84, 88};
	static const size_t slot[] = {0, 8, 16, 24};

	switch (draw(state, 3)) {
	case 0:
		return header[draw(state, sizeof header / sizeof *header)];
	case 1:
		return word_of(data, size, 64) +
		       draw(state, word_of(data, size, 72) % DXH_ZONES_MAX + 1) *
		               sizeof(struct dxi_layout_zone) +
		       entry[draw(state, sizeof entry / sizeof *entry)];
	default:
		return word_of(data, size, 80) + (size_t)draw(state, 8) * word_of(data, size, 88) +
		       slot[draw(state, sizeof slot / sizeof *slot)];
	}
}

static uint64_t other_number(uint64_t number, uint32_t *state)
{
	switch (draw(state, 5)) {
	case 0:
		return number + draw(state, 64);
	case 1:
		return number - draw(state, 64);
	case 2:
		return number + UINT64_C(64) * draw(state, 64);
	case 3:
		return UINT64_C(1) << draw(state, 64);
	default:
		return draw(state, 1 << 16);
	}
}

static void change_number(uint8_t *data, size_t size, uint32_t *state)
{
	size_t at = place_of_number(data, size, state);
	uint64_t number;

	if (at >= size || size - at < sizeof number)
		return;
	memcpy(&number, data + at, sizeof number);
	number = other_number(number, state);
	/* Some are shorter: what stands behind them is left alone every second time. */
	memcpy(data + at, &number, draw(state, 2) == 0 ? sizeof number : sizeof(uint32_t));
}

static void change_schema(uint8_t *data, size_t size, uint32_t *state)
{
	size_t begin = word_of(data, size, 112), bytes = word_of(data, size, 120);

	if (bytes > 0 && begin < size && bytes <= size - begin) {
		uint8_t *at = data + begin + draw(state, (uint32_t)bytes);

		*at = (uint8_t)(*at + draw(state, 16) - 8);
	}
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint32_t state = seed;

	switch (draw(&state, 8)) {
	case 0:
		return LLVMFuzzerMutate(data, size, max_size);
	case 1:
	case 2:
	case 3:
		change_number(data, size, &state);
		return size;
	default:
		change_schema(data, size, &state);
		return size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (path[0] == '\0')
		make_path();
	store(data, size);
	attach(size);
	inspect(size);
	return 0;
}
