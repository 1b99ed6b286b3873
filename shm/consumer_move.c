/* SPDX-License-Identifier: MIT */
/* A consumer leaves its block for the one that has its name now. Looked for only where nobody
 * produces and nothing is left to read, so it costs the reading of items nothing.
 */
#include "shm/consumer.h"
#include "shm/liveness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct exchange {
	dxh_consumer *consumer;
	dxh_consumer *opened;
	const char *directory; /* NULL: the same */
} exchange;

/* While nobody looks: see dxi_watch_change(). */
static void exchange_blocks(void *context)
{
	const exchange *call = context;
	dxh_consumer *consumer = call->consumer, *opened = call->opened;
	dxi_follow *follow = consumer->follow;
	dxi_block block = consumer->block;
	dxi_row row = consumer->row;

	dxi_consumer_hide_block(consumer);
	consumer->block = opened->block;
	consumer->place_ticket = consumer->place_index = 0;
	consumer->row = opened->row;
	opened->block = block;
	opened->row = row;
	dxi_consumer_show_block(consumer);
	if (call->directory)
		snprintf(follow->directory, sizeof follow->directory, "%s", call->directory);
	strcpy(follow->data, consumer->block.paths.data);
	/* relaxed: a hint. */
	atomic_store_explicit(&follow->waits, 0, memory_order_relaxed);
	atomic_store_explicit(&follow->refused, 0, memory_order_relaxed);
}

/* The account goes on as if it had always begun so far from here. */
static void begin_anew(dxh_consumer *consumer, uint64_t next)
{
	consumer->next = next;
	consumer->start = next - consumer->read - consumer->lost - consumer->skipped;
	consumer->told = DXH_OK;
	consumer->kept = DXH_OK;
	consumer->overtaken = 0;
	dxi_consumer_show(consumer);
}

static dxh_status move(dxh_consumer *consumer, dxh_consumer *opened, const char *directory)
{
	exchange call = {consumer, opened, directory};
	dxi_left *left = calloc(1, sizeof *left);
	const char *name = opened->block.paths.name;

	if (!left || (consumer->watch && opened->block.fixed.wake_mode == DXI_WAKE_NONE)) {
		free(left);
		(void)dxh_consumer_close(&opened);
		return left ? dxi_fail(DXH_ESTATE,
		                       "\"%s\" was made anew with no_wait, which no descriptor "
		                       "can wait for: close the consumer, and read on a timer",
		                       name)
		            : dxi_fail(DXH_ENOMEM, "no memory to leave a block");
	}
	dxi_watch_change(consumer->watch, exchange_blocks, &call);
	begin_anew(consumer, opened->next);
	dxi_row_leave(&opened->row, &opened->block);
	left->block = opened->block;
	dxi_follow_keep(consumer->follow, left);
	free(opened);
	return dxi_fail(DXH_EMOVED,
	                "\"%s\" goes on in another block, in %s: what was known of its zones and "
	                "its schema is to be asked for again",
	                consumer->block.paths.name, consumer->block.paths.directory);
}

/* Does it break a rule, or is it only not to be had just now? */
static bool stays_refused(dxh_status status)
{
	switch (status) {
	case DXH_ESCHEMA:
	case DXH_ESIZE:
	case DXH_ESTATE:
	case DXH_EVERSION:
	case DXH_ECORRUPT:
	case DXH_EACCESS:
		return true;
	default:
		return false;
	}
}

static void remember_refusal(dxi_follow *follow, uint64_t file, dxh_status status)
{
	if (!stays_refused(status))
		file = 0;
	follow->refusal = status;
	snprintf(follow->refusal_text, sizeof follow->refusal_text, "%s", dxh_last_error());
	/* relaxed: a hint for the bridge. */
	atomic_store_explicit(&follow->refused, file, memory_order_relaxed);
}

/* The broker is a moment behind, or was told of the same block in other words. */
static bool is_same(const dxh_consumer *consumer, const dxh_consumer *opened)
{
	return memcmp(consumer->block.fixed.uuid, opened->block.fixed.uuid,
	              sizeof opened->block.fixed.uuid) == 0;
}

static dxh_status try_file(dxh_consumer *consumer, uint64_t file)
{
	dxi_follow *follow = consumer->follow;
	dxh_consumer *opened;
	dxh_status status = dxh_consumer_open(follow->name, &follow->config, &opened);

	if (status == DXH_ENOTFOUND)
		return DXH_OK;
	if (status == DXH_OK)
		status = move(consumer, opened, NULL);
	if (status != DXH_EMOVED)
		remember_refusal(follow, file, status);
	return status;
}

static dxh_status try_directory(dxh_consumer *consumer, const char *directory)
{
	dxh_consumer_config config = consumer->follow->config;
	dxh_consumer *opened;

	config.directory = directory;
	/* What cannot be attached there is told of again. */
	if (dxh_consumer_open(consumer->follow->name, &config, &opened) != DXH_OK)
		return DXH_OK;
	if (!is_same(consumer, opened))
		return move(consumer, opened, directory);
	(void)dxh_consumer_close(&opened);
	return DXH_OK;
}

dxh_status dxi_consumer_follow(dxh_consumer *consumer)
{
	dxi_follow *follow = consumer->follow;
	dxh_status status = DXH_OK;
	char *directory;
	uint64_t file;

	if (!follow)
		return DXH_OK;
	/* relaxed: a hint for who asks a broker. */
	atomic_store_explicit(&follow->waits, 1, memory_order_relaxed);
	file = dxi_follow_file(follow, &consumer->block);
	if (file != 0 && file == atomic_load_explicit(&follow->refused, memory_order_relaxed)) {
		dxi_fail_as(follow->refusal_text);
		return follow->refusal;
	}
	if (file != 0)
		return try_file(consumer, file);
	directory = dxi_follow_told(follow);
	if (directory)
		status = try_directory(consumer, directory);
	free(directory);
	return status;
}

dxh_status dxh_consumer_check(dxh_consumer *consumer)
{
	dxh_status status = dxi_consumer_check(consumer), why;

	if (status != DXH_OK)
		return status;
	if (consumer->peeking)
		return dxi_fail(DXH_ESTATE, "an item is being looked at: dxh_peek_end() first");
	why = dxi_liveness_explain(&consumer->block);
	if (why == DXH_EWAIT || dxi_consumer_has_news(consumer))
		return DXH_OK;
	if (dxi_consumer_is_told(consumer, why))
		status = dxi_consumer_follow(consumer);
	return status == DXH_OK ? dxi_consumer_fail_for_nothing(consumer, why) : status;
}
