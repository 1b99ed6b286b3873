/* SPDX-License-Identifier: MIT */
/* Zones are copied, latches whole; items are looked at in place and copied before it is
 * known that they held: so nothing torn is ever shown. Sizes that a stranger wrote are
 * limited before memory is asked for.
 */
#include "cat.h"

#include "block.h"
#include "text.h"

#include <dxh/zone.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A latch that changes eight times during each of so many copies is told as busy. */
enum { LATCH_TRIES_MAX = 1000, LEAVES_PER_ELEMENT = 16, LEAVES_MIN = 1024 };

static struct value_limits limits_of(const struct cat *cat)
{
	return (struct value_limits){.elements = cat->elements,
	                             .left = LEAVES_MIN +
	                                     (uint64_t)LEAVES_PER_ELEMENT * cat->elements};
}

/* Why a zone or an item is not shown, in its place. */
static void miss(struct cat *cat, const char *why)
{
	cat->missing++;
	if (cat->as_json)
		json_text(&cat->json, "missing", why);
	else
		printf("  not shown: %s\n", tool_shown(why).s);
}

static void show_value(struct cat *cat, const struct value *value)
{
	struct value_limits limits = limits_of(cat);

	if (!cat->as_json) {
		value_show(value, &limits);
		if (limits.cut)
			printf("  ... and more: see --elements\n");
	} else {
		value_tell(&cat->json, "value", value, &limits);
		if (value->schema != NULL)
			value_tell_units(&cat->json, "units", value->schema);
		if (limits.cut)
			json_bool(&cat->json, "cut", true);
	}
	cat->cut |= limits.cut;
}

/* ---- zones ---- */

static const char *kind_text(dxh_zone_kind kind)
{
	switch (kind) {
	case DXH_ZONE_IS_LATCH:
		return "latch";
	case DXH_ZONE_IS_WRITABLE:
		return "writable";
	case DXH_ZONE_IS_PLAIN:
		break;
	}
	return "plain";
}

static const char *digest_text(dxh_status verified)
{
	switch (verified) {
	case DXH_OK:
		return "right";
	case DXH_ECORRUPT:
		return "wrong";
	case DXH_EEMPTY:
		return "not set";
	default:
		return "unknown";
	}
}

/* "" for a zone that has none. */
static const char *digest_of(struct cat *cat, const dxh_zone_entry *zone)
{
	dxh_status verified;

	if (zone->digest == DXH_CHECKSUM_NONE)
		return "";
	if (zone->bytes > CAT_BYTES_MAX)
		return "not verified";
	verified = dxh_consumer_zone_digest_verify(cat->consumer, zone->name, NULL, 0);
	cat->missing += verified == DXH_ECORRUPT; /* it is shown, but broken */
	return digest_text(verified);
}

static void open_zone(struct cat *cat, const dxh_zone_entry *zone)
{
	const char *of = zone->schema != NULL ? zone->schema->name : "", *digest;

	digest = digest_of(cat, zone);
	if (cat->as_json) {
		json_object(&cat->json, NULL);
		json_text(&cat->json, "name", zone->name);
		json_text(&cat->json, "kind", kind_text(zone->kind));
		json_text(&cat->json, "struct", of);
		json_number(&cat->json, "bytes", zone->bytes);
		if (digest[0] != '\0')
			json_text(&cat->json, "digest", digest);
		return;
	}
	printf("%szone %s%s  %s, %" PRIu64 " bytes", tool_tone(TOOL_BOLD), tool_shown(zone->name).s,
	       tool_tone(TOOL_PLAIN), kind_text(zone->kind), zone->bytes);
	printf(of[0] != '\0' ? ", struct %s" : ", raw%s", tool_shown(of).s);
	printf("%s%s\n", digest[0] != '\0' ? ", digest " : "", digest);
}

static void close_part(struct cat *cat)
{
	if (cat->as_json)
		json_end_object(&cat->json);
}

static dxh_status copy_zone(struct cat *cat, const dxh_zone_entry *zone, void *copy, size_t bytes)
{
	dxh_status status = DXH_EBUSY;

	for (int i = 0; i < LATCH_TRIES_MAX && status == DXH_EBUSY; i++)
		status = dxh_zone_copy_at(cat->consumer, zone->index, NULL, copy, bytes);
	return status;
}

static void show_zone(struct cat *cat, const dxh_zone_entry *zone)
{
	size_t bytes = zone->bytes < CAT_BYTES_MAX ? (size_t)zone->bytes : CAT_BYTES_MAX;
	unsigned char *copy = malloc(bytes);
	struct value value = {zone->schema, copy, zone->bytes, bytes};

	open_zone(cat, zone);
	if (copy == NULL)
		miss(cat, "no memory for a copy");
	else if (copy_zone(cat, zone, copy, bytes) != DXH_OK)
		miss(cat, dxh_last_error());
	else
		show_value(cat, &value);
	close_part(cat);
	free(copy);
}

static dxh_status find_zone(struct cat *cat, dxh_zone_entry *zone)
{
	const void *none;

	for (uint32_t i = 0; dxh_consumer_zone_entry(cat->consumer, i, zone) == DXH_OK; i++)
		if (strcmp(zone->name, cat->zone) == 0)
			return DXH_OK;
	/* The sentence that lists those there are. */
	return dxh_consumer_zone(cat->consumer, cat->zone, NULL, 0, &none);
}

static void show_zones(struct cat *cat)
{
	dxh_zone_entry zone;

	if (cat->as_json)
		json_array(&cat->json, "zones");
	for (uint32_t i = 0; dxh_consumer_zone_entry(cat->consumer, i, &zone) == DXH_OK; i++)
		if (cat->zones || (cat->zone != NULL && strcmp(zone.name, cat->zone) == 0))
			show_zone(cat, &zone);
	if (cat->as_json)
		json_end_array(&cat->json);
}

/* ---- slots ---- */

struct slots {
	struct cat *cat;
	dxh_block_info block;
	dxh_zone_entry entry;
	unsigned char *copy;
};

static void open_slot(const struct slots *slots, const dxh_item *item)
{
	struct cat *cat = slots->cat;
	/* Unsigned: a stranger may have written anything. 0: it does not say when. */
	int64_t realtime_ns = item->timestamp_ns == 0
	                              ? 0
	                              : (int64_t)((uint64_t)item->timestamp_ns +
	                                          (uint64_t)slots->block.clock_offset_ns);

	if (cat->as_json) {
		json_object(&cat->json, NULL);
		json_number(&cat->json, "ticket", item->ticket);
		json_number(&cat->json, "bytes", item->bytes);
		json_integer(&cat->json, "timestamp_ns", item->timestamp_ns);
		json_integer(&cat->json, "realtime_ns", realtime_ns);
		return;
	}
	printf("%sticket %" PRIu64 "%s  %zu bytes", tool_tone(TOOL_BOLD), item->ticket,
	       tool_tone(TOOL_PLAIN), item->bytes);
	if (slots->entry.schema != NULL)
		printf(", struct %s", tool_shown(slots->entry.schema->name).s);
	if (realtime_ns != 0)
		printf(", published %s", tool_text_date(realtime_ns).s);
	putchar('\n');
}

static void show_slot(struct slots *slots, const dxh_item *item)
{
	size_t bytes = item->bytes < CAT_BYTES_MAX ? item->bytes : CAT_BYTES_MAX;
	struct value value = {slots->entry.schema, slots->copy, item->bytes, bytes};

	open_slot(slots, item);
	show_value(slots->cat, &value);
	close_part(slots->cat);
}

/* The item of exactly this ticket, whole. DXH_EEMPTY when it is not there, or was aborted. */
static dxh_status take_slot(struct slots *slots, uint64_t ticket, dxh_item *item)
{
	dxh_consumer *consumer = slots->cat->consumer;
	dxh_status status;
	dxh_peek peek;
	size_t bytes;

	status = dxh_consumer_seek(consumer, DXH_START_TICKET, ticket);
	if (status == DXH_OK)
		status = dxh_peek_begin(consumer, DXH_NOW, &peek);
	if (status != DXH_OK)
		return status == DXH_ECORRUPT ? status : DXH_EEMPTY;
	*item = peek.item;
	bytes = item->bytes < CAT_BYTES_MAX ? item->bytes : CAT_BYTES_MAX;
	memcpy(slots->copy, peek.data, bytes);
	/* What was aborted is stepped over, to a later ticket. */
	if (dxh_peek_end(&peek) != DXH_OK || item->ticket != ticket)
		return DXH_EEMPTY;
	return DXH_OK;
}

/* An item that breaks a rule is told, and the next older one is looked at. */
static void miss_slot(struct cat *cat, uint64_t ticket)
{
	if (cat->as_json) {
		json_object(&cat->json, NULL);
		json_number(&cat->json, "ticket", ticket);
	} else {
		printf("ticket %" PRIu64 "\n", ticket);
	}
	miss(cat, dxh_last_error());
	close_part(cat);
}

/* The newest first; at most as many looks as there are slots. */
static void show_newest(struct slots *slots)
{
	uint64_t head = slots->block.head, kept = slots->block.slot_count, shown = 0;
	uint64_t oldest = head > kept ? head - kept : 0;
	dxh_item item;

	for (uint64_t ticket = head; ticket > oldest && shown < slots->cat->last; ticket--) {
		dxh_status status = take_slot(slots, ticket - 1, &item);

		if (status == DXH_ECORRUPT)
			miss_slot(slots->cat, ticket - 1);
		if (status != DXH_OK)
			continue;
		show_slot(slots, &item);
		shown++;
	}
}

static dxh_status show_ticket(struct slots *slots)
{
	dxh_item item;
	dxh_status status = take_slot(slots, slots->cat->ticket, &item);

	if (status == DXH_ECORRUPT)
		miss_slot(slots->cat, slots->cat->ticket);
	else if (status == DXH_OK)
		show_slot(slots, &item);
	return status == DXH_ECORRUPT ? DXH_OK : status;
}

static dxh_status prepare(struct slots *slots)
{
	dxh_consumer *consumer = slots->cat->consumer;
	dxh_status status = dxh_consumer_slot_entry(consumer, &slots->entry);
	size_t bytes;

	if (status == DXH_OK)
		status = dxh_consumer_info(consumer, &slots->block);
	if (status != DXH_OK)
		return status;
	bytes = slots->block.slot_bytes < CAT_BYTES_MAX ? (size_t)slots->block.slot_bytes
	                                                : CAT_BYTES_MAX;
	slots->copy = malloc(bytes);
	return slots->copy != NULL ? DXH_OK : DXH_ENOMEM;
}

/* A block without slots has none to show, unless one of them was asked for. */
static dxh_status show_slots(struct cat *cat)
{
	struct slots slots = {.cat = cat};
	dxh_status status;

	if (cat->as_json)
		json_array(&cat->json, "slots");
	status = prepare(&slots);
	if (status == DXH_OK && cat->by_ticket)
		status = show_ticket(&slots);
	else if (status == DXH_OK)
		show_newest(&slots);
	else if (status == DXH_ESTATE && cat->zones)
		status = DXH_OK;
	if (cat->as_json)
		json_end_array(&cat->json);
	free(slots.copy);
	return status;
}

/* ---- the block ---- */

static void open_block(struct cat *cat, const dxh_block_info *block)
{
	if (cat->as_json) {
		cat->json = (struct json){.out = stdout};
		json_object(&cat->json, NULL);
		json_text(&cat->json, "name", block->name);
		json_text(&cat->json, "producer", block_liveness(block->producer));
		json_number(&cat->json, "epoch", block->epoch);
		json_number(&cat->json, "head", block->head);
		return;
	}
	printf("%s%s%s  producer %s, %" PRIu64 " tickets published, %" PRIu64 " takeovers\n",
	       tool_tone(TOOL_BOLD), tool_shown(block->name).s, tool_tone(TOOL_PLAIN),
	       block_liveness(block->producer), block->head, block->epoch);
}

dxh_status cat_block(struct cat *cat)
{
	dxh_block_info block;
	dxh_zone_entry zone;
	dxh_status status = dxh_consumer_info(cat->consumer, &block);

	/* Before a word is said: a name that is none. */
	if (status == DXH_OK && cat->zone != NULL)
		status = find_zone(cat, &zone);
	if (status != DXH_OK)
		return status;
	open_block(cat, &block);
	if (cat->zones || cat->zone != NULL)
		show_zones(cat);
	if (cat->last > 0 || cat->by_ticket)
		status = show_slots(cat);
	if (cat->as_json) {
		json_end_object(&cat->json);
		json_finish(&cat->json);
	}
	return status;
}
