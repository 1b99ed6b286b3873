/* SPDX-License-Identifier: MIT */
/* One producer and one consumer of one block, for tests that need no more. */
#ifndef SHM_PAIR_H
#define SHM_PAIR_H

#include "tests/shm_fixture.h"

#include "shm/consumer.h"
#include "shm/producer.h"

static dxh_producer *producer;
static dxh_consumer *consumer;
static struct item got;
static dxh_item info;

static inline void open_both(dxh_block_config config, dxh_consumer_config reader)
{
	const char *name = new_name();

	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	consumer = open_consumer(name, reader);
}

static inline void open_usual(void)
{
	open_both(usual_config(), (dxh_consumer_config){0});
}

static inline void close_both(void)
{
	expect_exact(consumer, consumer->start);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

static inline dxh_status read_now(void)
{
	return dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info);
}

static inline void expect_item(uint64_t ticket)
{
	must(read_now());
	cr_expect_eq(info.ticket, ticket);
	cr_expect_eq(info.bytes, sizeof got);
	cr_expect(is_item_of(ticket, &got));
}

#endif
