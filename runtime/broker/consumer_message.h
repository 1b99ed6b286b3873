/* SPDX-License-Identifier: MIT */
/* What consumers and the broker say to each other. As message.h. */
#ifndef DXI_CONSUMER_MESSAGE_H
#define DXI_CONSUMER_MESSAGE_H

#include "runtime/broker/message.h"

#define DXI_SUBJECT_CONSUMER_REGISTER "consumer.register"
#define DXI_SUBJECT_CONSUMER_DEREGISTER "consumer.deregister"
#define DXI_SUBJECT_CHECKSUM_ERROR "channel.checksum_error"

enum { DXI_CONSUMER_WIRE_MAX = 512 /* one consumer in a message never needs more */ };

/* consumer.register: somebody reads a channel. Its figures are of the last beat. The
 * answer is dxi_terms. */
typedef struct dxi_reader_claim {
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	dxh_channel_consumer info;
	unsigned char schema_hash[32]; /* of the block it reads */
	uint64_t holder;               /* does not travel, see holdings.h */
} dxi_reader_claim;

size_t dxi_reader_claim_write(const dxi_reader_claim *claim, void *bytes, size_t capacity);
dxh_status dxi_reader_claim_read(const void *bytes, size_t length, dxi_reader_claim *claim);

/* consumer.deregister, presence.heartbeat of a consumer, channel.checksum_error: one
 * consumer speaks of itself. */
typedef struct dxi_reader_word {
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	uint64_t consumer;
	int64_t pid; /* deregister only */
	/* heartbeat only */
	uint64_t progress; /* changes while its work goes on */
	uint64_t next_ticket, read, lost, lag;
	uint64_t tells_block; /* 1: the following is the block it reads; 0: as before */
	unsigned char block_uuid[16];
	/* checksum_error only: broken items it has met, in all */
	uint64_t corrupt;
	uint64_t holder; /* does not travel: whose client speaks, see holdings.h */
} dxi_reader_word;

size_t dxi_reader_leave_write(const dxi_reader_word *word, void *bytes, size_t capacity);
dxh_status dxi_reader_leave_read(const void *bytes, size_t length, dxi_reader_word *word);
size_t dxi_reader_beat_write(const dxi_reader_word *word, void *bytes, size_t capacity);
dxh_status dxi_reader_beat_read(const void *bytes, size_t length, dxi_reader_word *word);
size_t dxi_checksum_error_write(const dxi_reader_word *word, void *bytes, size_t capacity);
dxh_status dxi_checksum_error_read(const void *bytes, size_t length, dxi_reader_word *word);

/* A beat is a consumer's if it names one, else a producer's. */
bool dxi_beat_is_of_reader(const void *bytes, size_t length);

/* One consumer as part of a message. */
void dxi_consumer_put(dxi_writer *writer, const dxh_channel_consumer *consumer);
void dxi_consumer_take(dxi_fields *fields, dxh_channel_consumer *consumer);

#endif
