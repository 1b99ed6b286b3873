/* SPDX-License-Identifier: MIT */
/* What the tests of the block share: unique names, one usual config, images of
 * blocks as plain bytes, and children that do one thing and are gone.
 */
#ifndef SHM_FIXTURE_H
#define SHM_FIXTURE_H

#include <dxh/block.h>

#include "shm/layout.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct telemetry {
	_Atomic uint64_t frames;
	double gain;
	char source[16];
};
DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"),
           DXH_FIELD(gain, "amplifier gain", "dB"), DXH_FIELD(source));

struct position {
	int32_t x, y;
	uint64_t stamps[2];
};
DXH_SCHEMA(position, DXH_FIELD(x), DXH_FIELD(y), DXH_FIELD(stamps));

/* The payload of ticket t, so that a torn one is seen. */
enum { ITEM_WORDS = 16 };
struct item {
	uint64_t words[ITEM_WORDS];
};
DXH_SCHEMA(item, DXH_FIELD(words));

static inline struct item item_of(uint64_t ticket)
{
	struct item item;

	for (uint64_t i = 0; i < ITEM_WORDS; i++)
		item.words[i] = ticket * UINT64_C(0x9e3779b97f4a7c15) + i;
	return item;
}

static inline int is_item_of(uint64_t ticket, const struct item *item)
{
	struct item wanted = item_of(ticket);

	return memcmp(&wanted, item, sizeof wanted) == 0;
}

static inline const char *new_name(void)
{
	static char name[32];
	static unsigned count;

	snprintf(name, sizeof name, "t%d.%u", (int)getpid(), count++);
	return name;
}

static inline const char *shm_directory(void)
{
	const char *directory = getenv("DXH_SHM_DIR");

	return directory && directory[0] ? directory : "/dev/shm";
}

static inline const char *file_of(const char *name, const char *suffix)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s%s", shm_directory(), name, suffix);
	return path;
}

static inline dxh_block_config usual_config(void)
{
	return (dxh_block_config){
		.zones = {DXH_ZONE(telemetry), DXH_LATCH(position), DXH_ZONE_RAW("notes", 100)},
		.slot = DXH_SLOT(item),
		.slot_count = 4,
	};
}

#define expect_status(call, wanted)                                                                \
	do {                                                                                       \
		dxh_status got_ = (call);                                                          \
		cr_expect_eq(got_, wanted, "%s gave %s, not %s: %s", #call, dxh_status_name(got_), \
		             #wanted, dxh_last_error());                                           \
	} while (0)
#define must(call)                                                                                 \
	do {                                                                                       \
		dxh_status got_ = (call);                                                          \
		cr_assert_eq(got_, DXH_OK, "%s gave %s", #call, dxh_last_error());                 \
	} while (0)
#define expect_error_says(text)                                                                    \
	cr_expect(strstr(dxh_last_error(), text), "no \"%s\" in: %s", text, dxh_last_error())

static inline dxh_producer *open_producer(const char *name, dxh_block_config config)
{
	dxh_producer *producer = NULL;

	must(dxh_producer_open(name, &config, &producer));
	return producer;
}

static inline dxh_consumer *open_consumer(const char *name, dxh_consumer_config config)
{
	dxh_consumer *consumer = NULL;

	must(dxh_consumer_open(name, &config, &consumer));
	return consumer;
}

static inline void publish_items(dxh_producer *producer, uint64_t first, uint64_t count)
{
	for (uint64_t ticket = first; ticket < first + count; ticket++) {
		struct item item = item_of(ticket);

		must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	}
}

/* read + lost + skipped == next_ticket - start, always. */
static inline void expect_exact(dxh_consumer *consumer, uint64_t start)
{
	dxh_consumer_stats stats;

	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.read + stats.lost + stats.skipped, stats.next_ticket - start);
}

/* ---- images ---- */

typedef struct image {
	unsigned char *bytes;
	size_t length;
} image;

static inline image load_image(const char *name)
{
	image it = {0};
	struct stat found;
	int fd = open(file_of(name, ".dxh"), O_RDONLY);

	cr_assert(fd != -1 && fstat(fd, &found) == 0);
	it.length = (size_t)found.st_size;
	it.bytes = malloc(it.length);
	cr_assert(it.bytes && read(fd, it.bytes, it.length) == found.st_size);
	close(fd);
	return it;
}

/* Replaces what is there, without the courtesies of a producer. */
static inline void store_image(const char *name, const void *bytes, size_t length)
{
	int fd = open(file_of(name, ".dxh"), O_RDWR | O_CREAT, 0600);

	cr_assert(fd != -1 && ftruncate(fd, (off_t)length) == 0 &&
	          pwrite(fd, bytes, length, 0) == (ssize_t)length);
	close(fd);
}

static inline struct dxi_layout_header *header_of(image it)
{
	return (struct dxi_layout_header *)it.bytes;
}

static inline struct dxi_layout_slot *slot_of(image it, uint64_t index)
{
	return (struct dxi_layout_slot *)(it.bytes + header_of(it)->slots_offset +
	                                  index * header_of(it)->slot_stride_bytes);
}

/* ---- children ---- */

/* Run `act` in a child and return how it ended, as waitpid() says. */
static inline int run_child(void (*act)(const char *name), const char *name)
{
	pid_t child = fork();
	int status = -1;

	cr_assert(child != -1);
	if (child == 0) {
		act(name);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static inline void die_here(void)
{
	kill(getpid(), SIGKILL);
	_exit(99); /* not reached */
}

#endif
