/* SPDX-License-Identifier: MIT */
/* What tests of lossless readers share: a producer and a reader that it waits for. */
#ifndef SHM_LOSSLESS_FIXTURE_H
#define SHM_LOSSLESS_FIXTURE_H

#include "tests/shm_fixture.h"

#include "shm/consumer.h"
#include "shm/producer.h"

enum { SOON_MS = 20000 };

static char name[32];
static dxh_producer *producer;
static dxh_consumer *consumer;
static struct item got;
static dxh_item info;

static inline dxh_block_config lossless_config(void)
{
	dxh_block_config config = {.slot = DXH_SLOT(item), .slot_count = 4, .readers_max = 3};

	return config;
}

static const dxh_consumer_config LOSSLESS = {.discipline = DXH_LOSSLESS};

static inline void open_both(dxh_block_config config)
{
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, config);
	consumer = open_consumer(name, LOSSLESS);
}

static inline void setup(void)
{
	open_both(lossless_config());
}

static inline void teardown(void)
{
	if (consumer) {
		expect_exact(consumer, consumer->start);
		must(dxh_consumer_close(&consumer));
	}
	if (producer)
		must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

static inline dxh_status publish_one(uint64_t ticket, int64_t deadline_ns)
{
	struct item item = item_of(ticket);

	return dxh_publish(producer, &item, sizeof item, deadline_ns);
}

static inline dxh_status read_now(void)
{
	return dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info);
}

static inline void expect_items(uint64_t first, uint64_t count)
{
	for (uint64_t ticket = first; ticket < first + count; ticket++) {
		must(read_now());
		cr_expect_eq(info.ticket, ticket);
		cr_expect(is_item_of(ticket, &got));
		cr_expect_eq(info.lost, 0);
	}
}

static inline void reopen_evicting(void)
{
	dxh_block_config config = lossless_config();

	config.evict = 1;
	teardown();
	open_both(config);
}

#endif
