/* SPDX-License-Identifier: MIT */
/* shm/kept: pointers into memory whose producer or consumer was closed. */
#include "tests/shm_fixture.h"

static const dxh_block_config CONFIG = {
	.zones = {DXH_ZONE(telemetry)}, .slot = DXH_SLOT(item), .slot_count = 4};

static void read_first(const char *name, struct item *item)
{
	dxh_consumer *consumer;
	dxh_item told;

	must(dxh_consumer_open(name, NULL, &consumer));
	must(dxh_read_next(consumer, item, sizeof *item, DXH_NOW, &told));
	dxh_consumer_close(&consumer);
}

Test(kept, a_write_into_a_closed_producers_slot_harms_nobody, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer, *successor;
	dxh_memory *memory = NULL;
	dxh_write_slot slot;
	struct telemetry *zone;
	struct item item = item_of(0);

	must(dxh_producer_open(name, &CONFIG, &producer));
	must(dxh_zone(producer, telemetry, &zone));
	zone->gain = 1.5;
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	memcpy(slot.data, &item, sizeof item);
	must(dxh_write_commit(&slot, sizeof item));

	must(dxh_producer_close_keeping(&producer, &memory));
	cr_expect_null(producer);
	cr_expect(is_item_of(0, slot.data), "what was there still is");
	cr_expect_eq(zone->gain, 1.5);
	memset(slot.data, 0xff, sizeof item);
	must(dxh_producer_open(name, &CONFIG, &successor)); /* the place is free */
	read_first(name, &item);
	cr_expect(is_item_of(0, &item), "nobody else sees what was written too late");
	dxh_memory_free(&memory);
	cr_expect_null(memory);
	must(dxh_producer_close(&successor));
	must(dxh_block_unlink(NULL, name));
}

Test(kept, what_a_consumer_looked_at_stays, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_memory *memory = NULL;
	dxh_peek peek;
	struct item item = item_of(0);

	must(dxh_producer_open(name, &CONFIG, &producer));
	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	must(dxh_consumer_open(name, NULL, &consumer));
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	must(dxh_consumer_close_keeping(&consumer, &memory));
	cr_expect(is_item_of(0, peek.data));
	dxh_memory_free(&memory);
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

Test(kept, what_is_missing_is_told_and_closes_nothing, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer = NULL;
	dxh_consumer *consumer = NULL;
	dxh_memory *memory = NULL;

	cr_expect_eq(dxh_producer_close_keeping(&producer, &memory), DXH_EINVAL);
	cr_expect_eq(dxh_consumer_close_keeping(&consumer, &memory), DXH_EINVAL);
	must(dxh_producer_open(name, &CONFIG, &producer));
	must(dxh_consumer_open(name, NULL, &consumer));
	cr_expect_eq(dxh_producer_close_keeping(&producer, NULL), DXH_EINVAL);
	cr_expect_eq(dxh_consumer_close_keeping(&consumer, NULL), DXH_EINVAL);
	cr_expect_not_null(producer);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	dxh_memory_free(NULL);
	dxh_memory_free(&memory);
}
