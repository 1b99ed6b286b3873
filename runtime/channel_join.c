/* SPDX-License-Identifier: MIT */
/* A consumer is registered at the broker: who it is, and at each beat how it does. */
#include "runtime/channel.h"

#include "base/status.h"
#include "runtime/broker/registration.h"
#include "runtime/peer.h"
#include "shm/consumer.h"
#include "shm/identity.h"
#include "shm/readers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* I/O thread. While the block is being exchanged for another, nothing is said about it. */
static void look(const void *context, dxi_reader_word *word)
{
	dxh_consumer *consumer = (dxh_consumer *)(uintptr_t)context;
	dxi_observer *shown = &consumer->observer;

	/* relaxed: see dxi_observer. */
	word->next_ticket = atomic_load_explicit(&shown->next, memory_order_relaxed);
	word->read = atomic_load_explicit(&shown->read, memory_order_relaxed);
	word->lost = atomic_load_explicit(&shown->lost, memory_order_relaxed);
	word->corrupt = atomic_load_explicit(&shown->corrupt, memory_order_relaxed);
	word->progress = word->next_ticket;
	word->lag = word->tells_block = 0;
	if (pthread_mutex_trylock(&shown->lock) != 0)
		return;
	word->lag = dxi_lag(&consumer->block, word->next_ticket);
	word->tells_block = 1;
	memcpy(word->block_uuid, consumer->block.fixed.uuid, sizeof word->block_uuid);
	pthread_mutex_unlock(&shown->lock);
}

static void leave(void *registration)
{
	dxi_registration_close(registration);
}

/* When this process began; 0: the system does not tell. */
static uint64_t start_of_process(void)
{
	struct dxi_layout_producer self;

	memset(&self, 0, sizeof self);
	dxi_identity_write(&self);
	return atomic_load_explicit(&self.start_ticks, memory_order_relaxed);
}

static dxh_status describe(dxh_peer *broker, const dxh_consumer *consumer, dxi_reader_claim *claim)
{
	dxh_block_info block;
	dxh_status status = dxh_consumer_info(consumer, &block);

	if (status != DXH_OK)
		return status;
	*claim = (dxi_reader_claim){.info = {.pid = getpid(),
	                                     .start = start_of_process(),
	                                     .discipline = consumer->discipline}};
	if (getrandom(&claim->info.uid, sizeof claim->info.uid, 0) == -1)
		return dxi_fail_errno(errno, "the system gives no random numbers");
	claim->info.uid |= 1; /* never 0 */
	snprintf(claim->channel, sizeof claim->channel, "%s", block.name);
	snprintf(claim->info.name, sizeof claim->info.name, "%s", dxi_peer_hub(broker)->name);
	memcpy(claim->info.block_uuid, block.uuid, sizeof claim->info.block_uuid);
	memcpy(claim->schema_hash, block.schema_hash, sizeof claim->schema_hash);
	return DXH_OK;
}

dxh_status dxi_channel_join(dxh_peer *broker, const char *name, dxh_consumer *consumer)
{
	dxi_reader_claim claim;
	dxi_registration_config config = {
		.broker = broker, .reader = &claim, .figures = look, .context = consumer};
	dxi_registration *registration;
	dxh_status status = describe(broker, consumer, &claim);

	if (status != DXH_OK)
		return status;
	snprintf(claim.channel, sizeof claim.channel, "%s", name);
	/* Before the registration begins to look. */
	dxi_consumer_observe(consumer, leave, NULL);
	/* Nobody waits for the broker's answer: reading goes on without it. */
	status = dxi_registration_open(&config, DXH_NOW, &registration);
	if (status == DXH_OK)
		consumer->observer.context = registration;
	else
		dxi_consumer_unobserve(consumer);
	return status;
}
