/* SPDX-License-Identifier: MIT */
/* Who subscribed to what: prefixes, and those that a topic begins with. Pure: a
 * table with one owner, no I/O.
 *
 * A topic has at most 255 bytes, so at most 256 prefixes: each length that occurs
 * is looked up once. The cost of a topic does not grow with the subscriptions
 * that do not match.
 */
#ifndef DXI_TOPICS_H
#define DXI_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DXI_TOPIC_BYTES_MAX = 255, DXI_TOPIC_BUCKETS = 256 };

/* One subscription; embedded in what it belongs to. */
typedef struct dxi_topic {
	struct dxi_topic *previous, *next; /* in its bucket */
	uint32_t hash;
	uint8_t prefix_bytes;
	char prefix[DXI_TOPIC_BYTES_MAX];
} dxi_topic;

typedef struct dxi_topics {
	dxi_topic *buckets[DXI_TOPIC_BUCKETS];
	uint32_t of_length[DXI_TOPIC_BYTES_MAX + 1]; /* how many prefixes are so long */
	uint32_t count;
} dxi_topics;

/* bytes <= DXI_TOPIC_BYTES_MAX */
void dxi_topics_add(dxi_topics *topics, dxi_topic *topic, const char *prefix, size_t bytes);
void dxi_topics_remove(dxi_topics *topics, dxi_topic *topic);

/* Call `match` for each subscription whose prefix this topic begins with. `match`
 * must not add or remove. */
void dxi_topics_match(const dxi_topics *topics, const char *topic, size_t bytes,
                      void (*match)(void *context, dxi_topic *topic), void *context);

#endif
