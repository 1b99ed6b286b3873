/* SPDX-License-Identifier: MIT */
/* scene SITUATION NAME: bring a block into a situation that the tests of the tools need:
 * made well, left by the dead, in use. What lives stays until standard input ends, and
 * says "ready" before.
 */
#include <dxh.h>

#include "shm/copy.h"
#include "shm/producer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct telemetry {
	_Atomic uint64_t frames;
	double gain;
};
DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"), DXH_FIELD(gain, "", "dB"));

struct sample {
	uint64_t value;
	double reading[7];
};
DXH_SCHEMA(sample, DXH_FIELD(value), DXH_FIELD(reading));

enum { ITEMS = 9, KEPT = 8, FOLLOWERS = 2 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "scene: %s\n", dxh_last_error());
	exit(1);
}

static void publish(dxh_producer *producer, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct sample sample = {.value = i};

		check(dxh_publish(producer, &sample, sizeof sample, dxh_in_ms(5000)));
	}
}

static dxh_producer *produce(const char *name, uint64_t count)
{
	dxh_block_config config = {
		.zones = {DXH_ZONE(telemetry), DXH_ZONE_RAW("notes", 100)},
		.slot = DXH_SLOT(sample),
		.slot_count = KEPT,
		.checksum = DXH_CHECKSUM_XXH3,
		.readers_max = 3,
	};
	dxh_producer *producer;

	check(dxh_producer_open(name, &config, &producer));
	publish(producer, count);
	return producer;
}

static dxh_consumer *consume(const char *name, dxh_discipline discipline)
{
	dxh_consumer *consumer;

	check(dxh_consumer_open(name, &(dxh_consumer_config){.discipline = discipline}, &consumer));
	return consumer;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static void wait_for_end(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static void stay(void)
{
	puts("ready");
	fflush(stdout);
	wait_for_end();
}

/* ---- the situations ---- */

static void closed(const char *name)
{
	dxh_producer *producer = produce(name, ITEMS);

	check(dxh_producer_close(&producer));
}

/* With zones in a file of their own. */
static void closed_shared(const char *name)
{
	dxh_block_config config = {.zones = {DXH_ZONE(telemetry)}, .zones_writable = 1};
	dxh_producer *producer;

	check(dxh_producer_open(name, &config, &producer));
	check(dxh_producer_close(&producer));
}

static void died(const char *name)
{
	produce(name, ITEMS);
	die();
}

static void died_writing(const char *name)
{
	dxh_producer *producer = produce(name, ITEMS);
	dxh_write_slot slot;

	check(dxh_write_begin(producer, DXH_NOW, &slot));
	die();
}

/* Between publishing a slot and storing head. */
static void died_announcing(const char *name)
{
	dxh_producer *producer = produce(name, ITEMS);
	const dxi_ring *ring = &producer->block.ring;
	uint64_t sum[DXI_CHECKSUM_WORDS];
	struct sample sample = {.value = ITEMS};

	dxi_checksum_of(&ring->checksum, ITEMS, &sample, sizeof sample, sum);
	dxi_copy_item_in(dxi_slot_begin(ring, dxi_slot_at(ring, ITEMS), ITEMS), &sample,
	                 sizeof sample);
	dxi_slot_commit(ring, dxi_slot_at(ring, ITEMS), ITEMS, sizeof sample, 0, dxh_now_ns(), sum);
	die();
}

/* Beside a producer that is gone too. */
static void reader_died(const char *name)
{
	dxh_producer *producer = produce(name, ITEMS);

	check(dxh_producer_close(&producer));
	consume(name, DXH_LOSSLESS);
	die();
}

static void alive(const char *name)
{
	dxh_producer *producer = produce(name, ITEMS);

	stay();
	check(dxh_producer_close(&producer));
}

/* Publishes as much as it keeps when it is told to. */
static void alive_empty(const char *name)
{
	dxh_producer *producer = produce(name, 0);
	char byte;

	puts("ready");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) == 1) {
		publish(producer, KEPT);
		puts("done");
		fflush(stdout);
		wait_for_end();
	}
	check(dxh_producer_close(&producer));
}

static void reader(const char *name)
{
	dxh_consumer *lossless = consume(name, DXH_LOSSLESS);

	stay();
	check(dxh_consumer_close(&lossless));
}

/* A lock on the byte by which a producer shows that it lives. */
static void squatter(const char *name)
{
	struct flock lock = {.l_type = F_RDLCK, .l_len = 1};
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s.dxh", getenv("DXH_SHM_DIR"), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || fcntl(fd, F_OFD_SETLK, &lock) == -1) {
		perror(path);
		exit(1);
	}
	stay();
	close(fd);
}

static void alive_for_a_lagging_reader(const char *name)
{
	dxh_producer *producer = produce(name, 0);
	dxh_consumer *lossless = consume(name, DXH_LOSSLESS);

	publish(producer, KEPT);
	stay();
	check(dxh_consumer_close(&lossless));
	check(dxh_producer_close(&producer));
}

/* The name of this process is hostile. */
static void followers(const char *name)
{
	dxh_consumer *each[FOLLOWERS];

	prctl(PR_SET_NAME, "\033[31mred\"");
	for (int i = 0; i < FOLLOWERS; i++)
		each[i] = consume(name, DXH_FOLLOW);
	stay();
	for (int i = 0; i < FOLLOWERS; i++)
		check(dxh_consumer_close(&each[i]));
}

/* More than there is room for. */
static void too_large(const char *name)
{
	dxh_producer *producer;

	check(dxh_producer_open(
		name,
		&(dxh_block_config){.slot = DXH_SLOT_BYTES(UINT64_C(1) << 39), .slot_count = 64},
		&producer));
}

static const struct situation {
	const char *name;
	void (*make)(const char *block);
} situations[] = {
	{"closed", closed},
	{"closed-shared", closed_shared},
	{"died", died},
	{"died-writing", died_writing},
	{"died-announcing", died_announcing},
	{"reader-died", reader_died},
	{"alive", alive},
	{"alive-empty", alive_empty},
	{"reader", reader},
	{"squatter", squatter},
	{"lagging", alive_for_a_lagging_reader},
	{"followers", followers},
	{"too-large", too_large},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof situations / sizeof situations[0]; i++)
		if (strcmp(situations[i].name, argv[1]) == 0) {
			situations[i].make(argv[2]);
			return 0;
		}
	fprintf(stderr, "usage: scene SITUATION NAME\n");
	return 2;
}
