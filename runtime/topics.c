/* SPDX-License-Identifier: MIT */
/* A hash table over prefixes; the hash of a topic is taken byte by byte, so that
 * the hashes of all its prefixes fall off on the way. */
#include "runtime/topics.h"

#include <string.h>

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static const uint32_t HASH_OF_NOTHING = 2166136261u;

static uint32_t hash_more(uint32_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * 16777619u;
}

static dxi_topic **bucket_of(dxi_topics *topics, uint32_t hash)
{
	return &topics->buckets[hash % DXI_TOPIC_BUCKETS];
}

void dxi_topics_add(dxi_topics *topics, dxi_topic *topic, const char *prefix, size_t bytes)
{
	dxi_topic **bucket;

	topic->hash = HASH_OF_NOTHING;
	for (size_t i = 0; i < bytes; i++)
		topic->hash = hash_more(topic->hash, prefix[i]);
	topic->prefix_bytes = (uint8_t)bytes;
	memcpy(topic->prefix, prefix, bytes);
	bucket = bucket_of(topics, topic->hash);
	topic->previous = NULL;
	topic->next = *bucket;
	if (*bucket)
		(*bucket)->previous = topic;
	*bucket = topic;
	topics->of_length[bytes]++;
	topics->count++;
}

void dxi_topics_remove(dxi_topics *topics, dxi_topic *topic)
{
	if (topic->previous)
		topic->previous->next = topic->next;
	else
		*bucket_of(topics, topic->hash) = topic->next;
	if (topic->next)
		topic->next->previous = topic->previous;
	topics->of_length[topic->prefix_bytes]--;
	topics->count--;
}

static void match_length(const dxi_topics *topics, const char *topic, size_t bytes, uint32_t hash,
                         void (*match)(void *context, dxi_topic *topic), void *context)
{
	dxi_topic *found = topics->buckets[hash % DXI_TOPIC_BUCKETS];

	for (; found; found = found->next)
		if (found->hash == hash && found->prefix_bytes == bytes &&
		    memcmp(found->prefix, topic, bytes) == 0)
			match(context, found);
}

void dxi_topics_match(const dxi_topics *topics, const char *topic, size_t bytes,
                      void (*match)(void *context, dxi_topic *topic), void *context)
{
	uint32_t hash = HASH_OF_NOTHING;

	for (size_t length = 0; length <= bytes && length <= DXI_TOPIC_BYTES_MAX; length++) {
		if (length > 0)
			hash = hash_more(hash, topic[length - 1]);
		if (topics->of_length[length] > 0)
			match_length(topics, topic, length, hash, match, context);
	}
}
