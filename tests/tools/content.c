/* SPDX-License-Identifier: MIT */
/* content SITUATION NAME: a block whose zones and items hold something of every type, made
 * and left, or with a producer that lives or writes until standard input ends. Public
 * headers only.
 */
#include <dxh.h>

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <unistd.h>

struct axis {
	float position;
	float speed;
	char label[8];
};
DXH_SCHEMA(axis, DXH_FIELD(position, "where it is", "mm"), DXH_FIELD(speed, NULL, "mm/s"),
           DXH_FIELD(label));

struct everything {
	_Atomic uint64_t moves;
	uint8_t u8;
	int8_t i8;
	uint16_t u16;
	int16_t i16;
	uint32_t u32;
	int32_t i32;
	int64_t i64;
	float f32;
	double f64;
	double odd[3];
	_Bool on;
	_Bool flags[3];
	char text[12];
	char names[2][6];
	int16_t grid[2][3];
	struct axis axes[2];
	struct axis cells[2][2];
	struct {
		int a, b;
	} opaque;
};
DXH_SCHEMA(everything, DXH_FIELD(moves, "moves since start"), DXH_FIELD(u8), DXH_FIELD(i8),
           DXH_FIELD(u16), DXH_FIELD(i16), DXH_FIELD(u32), DXH_FIELD(i32), DXH_FIELD(i64),
           DXH_FIELD(f32), DXH_FIELD(f64, "", "K"), DXH_FIELD(odd), DXH_FIELD(on), DXH_FIELD(flags),
           DXH_FIELD(text), DXH_FIELD(names), DXH_FIELD(grid), DXH_NESTED(axes, axis),
           DXH_NESTED(cells, axis), DXH_FIELD(opaque));

/* Torn if they are not all the same. */
struct even {
	uint64_t words[64];
};
DXH_SCHEMA(even, DXH_FIELD(words));

static const unsigned char KEY[DXH_CHECKSUM_KEY_BYTES] = "0123456789abcdef0123456789abcde";

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "content: %s\n", dxh_last_error());
	exit(1);
}

static void fill(struct everything *value, uint64_t count)
{
	memset((void *)value, 0, sizeof *value);
	value->moves = count;
	value->u8 = UINT8_MAX;
	value->i8 = INT8_MIN;
	value->u16 = UINT16_MAX;
	value->i16 = INT16_MIN;
	value->u32 = UINT32_MAX;
	value->i32 = INT32_MIN;
	value->i64 = INT64_MIN;
	value->f32 = 0.1F;
	value->f64 = 0.1;
	value->odd[0] = (double)NAN;
	value->odd[1] = (double)-INFINITY;
	value->odd[2] = 1e300;
	value->on = 1;
	value->flags[1] = 1;
	memcpy(value->text, "a\033[31m\n\"\xff\xc3\xa9", 11);
	strcpy(value->names[0], "one");
	strcpy(value->names[1], "two");
	for (int i = 0; i < 6; i++)
		value->grid[i / 3][i % 3] = (int16_t)(i - 2);
	for (int i = 0; i < 2; i++)
		snprintf(value->axes[i].label, sizeof value->axes[i].label, "axis %c",
		         (char)('0' + i));
	value->axes[1].position = 1.5F;
	value->cells[1][0].speed = -2;
	value->opaque.a = 0x01020304;
}

/* The last item is shorter than its struct, and behind it one was aborted. */
static void publish(dxh_producer *producer, uint64_t count)
{
	struct everything value;
	dxh_write_slot slot;

	for (uint64_t i = 0; i < count; i++) {
		fill(&value, i);
		check(dxh_publish(producer, &value, i + 1 == count ? 40 : sizeof value, DXH_NOW));
	}
	check(dxh_write_begin(producer, DXH_NOW, &slot));
	check(dxh_write_abort(&slot));
}

static void fill_zones(dxh_producer *producer)
{
	struct everything *zone;
	struct axis *latch;
	char *notes;

	check(dxh_zone(producer, everything, &zone));
	fill(zone, 42);
	check(dxh_producer_zone_digest_set(producer, "everything"));
	check(dxh_producer_zone(producer, "notes", NULL, 100, (void **)&notes));
	strcpy(notes, "raw \033[2J");
	for (int i = 1; i < 4; i++) {
		check(dxh_latch_begin(producer, "axis", sizeof *latch, (void **)&latch));
		latch->position = (float)i;
		check(dxh_latch_commit(producer, "axis"));
	}
}

static dxh_block_config rich_config(void)
{
	dxh_block_config config = {
		.zones = {DXH_ZONE_DIGEST(everything, DXH_CHECKSUM_XXH3),
	                  DXH_ZONE_RAW("notes", 100), DXH_LATCH(axis)},
		.slot = DXH_SLOT(everything),
		.slot_count = 8,
	};

	return config;
}

static dxh_producer *make(const char *name, dxh_block_config config)
{
	dxh_producer *producer;

	check(dxh_producer_open(name, &config, &producer));
	fill_zones(producer);
	publish(producer, 11);
	return producer;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void stay(void)
{
	char byte;

	ready();
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static bool may_go_on(void)
{
	struct pollfd input = {.fd = STDIN_FILENO};

	return poll(&input, 1, 0) == 0;
}

/* ---- the situations ---- */

static void rich(const char *name)
{
	dxh_producer *producer = make(name, rich_config());

	check(dxh_producer_close(&producer));
}

static void live(const char *name)
{
	dxh_producer *producer = make(name, rich_config());

	stay();
	check(dxh_producer_close(&producer));
}

static void keyed(const char *name)
{
	dxh_block_config config = rich_config();
	dxh_producer *producer;

	config.checksum = DXH_CHECKSUM_BLAKE2B;
	config.checksum_key = KEY;
	producer = make(name, config);
	check(dxh_producer_close(&producer));
}

static void writable(const char *name)
{
	dxh_block_config config = rich_config();
	dxh_producer *producer;

	config.zones_writable = 1;
	config.readers_max = 2;
	producer = make(name, config);
	check(dxh_producer_close(&producer));
}

static void raw(const char *name)
{
	dxh_block_config config = {
		.zones = {DXH_ZONE_RAW("telemetry", 256),
	                  {.name = "metadata", .bytes = 1024, .latch = 1},
	                  {.name = "plan", .bytes = 10, .digest = DXH_CHECKSUM_XXH3}},
		.slot = DXH_SLOT_BYTES(100),
		.slot_count = 4,
		.readers_max = 3};
	dxh_producer *producer;
	unsigned char item[100];

	check(dxh_producer_open(name, &config, &producer));
	memset(item, 0xab, sizeof item);
	check(dxh_publish(producer, item, sizeof item, DXH_NOW));
	check(dxh_producer_close(&producer));
}

static void zones_only(const char *name)
{
	dxh_block_config config = {.zones = {DXH_ZONE(axis)}};
	dxh_producer *producer;

	check(dxh_producer_open(name, &config, &producer));
	check(dxh_producer_close(&producer));
}

/* Within a write of the latch, and of an item. */
static void died(const char *name)
{
	dxh_producer *producer = make(name, rich_config());
	dxh_write_slot slot;
	struct axis *latch;

	check(dxh_latch_begin(producer, "axis", sizeof *latch, (void **)&latch));
	memset(latch, 0x77, sizeof *latch);
	check(dxh_write_begin(producer, DXH_NOW, &slot));
	memset(slot.data, 0x77, slot.capacity_bytes);
	kill(getpid(), SIGKILL);
}

/* Latch and items all the time, each of equal words. */
static void busy(const char *name)
{
	dxh_block_config config = {.zones = {DXH_LATCH(even)},
	                           .slot = DXH_SLOT(even),
	                           .slot_count = 4,
	                           .unlink_on_close = 1};
	dxh_producer *producer;
	struct even *latch, item;

	check(dxh_producer_open(name, &config, &producer));
	ready();
	for (uint64_t i = 0; i % 1024 != 0 || may_go_on(); i++) {
		check(dxh_latch_begin(producer, "even", sizeof *latch, (void **)&latch));
		for (int word = 0; word < 64; word++)
			latch->words[word] = item.words[word] = i;
		check(dxh_latch_commit(producer, "even"));
		check(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	}
	check(dxh_producer_close(&producer));
}

static const struct situation {
	const char *name;
	void (*bring_about)(const char *block);
} situations[] = {
	{"rich", rich},         {"live", live}, {"keyed", keyed},
	{"writable", writable}, {"raw", raw},   {"zones-only", zones_only},
	{"died", died},         {"busy", busy},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof situations / sizeof situations[0]; i++)
		if (strcmp(situations[i].name, argv[1]) == 0) {
			situations[i].bring_about(argv[2]);
			return 0;
		}
	fprintf(stderr, "usage: content SITUATION NAME\n");
	return 2;
}
