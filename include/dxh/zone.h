/* SPDX-License-Identifier: MIT */
/* Zones as a table: listed with all that is known of them, found by index, copied whole,
 * proven by digests.
 * dxh/block.h has zones by name and by struct; programs that know the structs need no more.
 *
 *	dxh_zone_entry zone;
 *	for (uint32_t i = 0; dxh_consumer_zone_entry(consumer, i, &zone) == DXH_OK; i++)
 *		if (zone.schema)
 *			dxh_schema_walk(zone.schema, show_member, &zone);
 *
 * Zones keep their order and with it their index for the life of a block. Three things can
 * be wrong with a zone that is asked for, and each has a status of its own: there is none
 * of that name or index (DXH_EZONE), its size or alignment is another (DXH_ESIZE), its
 * members are others (DXH_ESCHEMA, naming the first with both layouts).
 */
#ifndef DXH_ZONE_H
#define DXH_ZONE_H

#include <dxh/block.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dxh_zone_kind {
	DXH_ZONE_IS_PLAIN = 0,   /* the producer's; members are read one by one */
	DXH_ZONE_IS_LATCH = 1,   /* the producer's; a whole copy can always be had */
	DXH_ZONE_IS_WRITABLE = 2 /* plain, and consumers may write it */
} dxh_zone_kind;

typedef struct dxh_zone_entry {
	const char *name;
	const dxh_schema *schema; /* NULL: raw bytes */
	uint64_t bytes;           /* of one copy */
	uint32_t index;
	uint32_t align; /* of its first byte */
	dxh_zone_kind kind;
	dxh_checksum digest; /* what digest it can have */
} dxh_zone_entry;

/* Zone `index`, from 0 on. Facts only: a zone is listed also where it cannot be read, as
 * in a copy of a data file whose zones lie in a file of their own.
 * Thread: any. Owner: the block; texts and schema are valid until it is closed.
 * Returns: DXH_EZONE behind the last one; DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_producer_zone_entry(const dxh_producer *producer,
                                                         uint32_t index, dxh_zone_entry *entry);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone_entry(const dxh_consumer *consumer,
                                                         uint32_t index, dxh_zone_entry *entry);

/* What a slot carries, in the same words: its name is "slot", bytes is the capacity as it
 * was declared, before it was rounded up, and digest the checksum of the items.
 * Thread: any. Owner: as above. Returns: DXH_ESTATE without slots; DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_producer_slot_entry(const dxh_producer *producer,
                                                         dxh_zone_entry *entry);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_slot_entry(const dxh_consumer *consumer,
                                                         dxh_zone_entry *entry);

/* A zone by index; for the rest as dxh_producer_zone() and dxh_consumer_zone(). */
DXH_API DXH_NODISCARD dxh_status dxh_producer_zone_at(dxh_producer *producer, uint32_t index,
                                                      const dxh_schema *schema, size_t bytes,
                                                      void **zone);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone_at(dxh_consumer *consumer, uint32_t index,
                                                      const dxh_schema *schema, size_t bytes,
                                                      const void **zone);

/* The same by struct tag: dxh_zone_at(producer, 0, telemetry, &pointer). */
#define dxh_zone_at(producer, index, tag, pointer)                                                 \
	dxh_producer_zone_at(producer, index, DXH_SCHEMA_OF(tag), sizeof(struct tag),              \
	                     (void **)(1 ? (pointer) : (struct tag **)0))
#define dxh_zone_view_at(consumer, index, tag, pointer)                                            \
	dxh_consumer_zone_at(consumer, index, DXH_SCHEMA_OF(tag), sizeof(struct tag),              \
	                     (const void **)(1 ? (pointer) : (const struct tag **)0))

/* Copy a zone of any kind. Of a latch the copy is one whole value, also while its producer
 * writes or after it died. Of the others each aligned word of 8 bytes is whole, and two of
 * them may be of different moments. With a schema, `bytes` is its size and the zone must
 * hold that struct. Without, the first `bytes` bytes are copied, at most all there are.
 *
 * Thread:  owner. Blocks: no.
 * Returns: DXH_EZONE, DXH_ESIZE, DXH_ESCHEMA; DXH_EBUSY when a latch changed eight times in
 *          a row; DXH_EUNSUPPORTED when the zone lies in a file that is not at hand;
 *          DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_zone_copy(dxh_consumer *consumer, const char *name,
                                               const dxh_schema *schema, void *copy, size_t bytes);
DXH_API DXH_NODISCARD dxh_status dxh_zone_copy_at(dxh_consumer *consumer, uint32_t index,
                                                  const dxh_schema *schema, void *copy,
                                                  size_t bytes);

/* The same by struct tag: struct position now; dxh_zone_snapshot(consumer, position, &now). */
#define dxh_zone_snapshot(consumer, tag, copy)                                                     \
	dxh_zone_copy(consumer, #tag, DXH_SCHEMA_OF(tag), (1 ? (copy) : (struct tag *)0),          \
	              sizeof(struct tag))

/* ---- digests ------------------------------------------------------------ */

/* Zones have no checksums by themselves: their members are written at any time, by atomics.
 * Where a zone holds something that is written rarely and has to be right (a calibration,
 * a plan), it can be declared with a kind of digest (dxh_zone_spec.digest), which who has
 * written it sets by hand, and others, also a successor after a crash or who reads a copy
 * of the file, verify. It proves what the zone held when the digest was set: a zone that
 * was written since, even with right values, differs until the digest is set again. Of a
 * latch it belongs to the value that was current then; a later value has none. */

/* Compute the digest of what the zone holds now, and keep it with it. A consumer may do so
 * in a zone that it may write. One at a time per zone.
 * Thread:  owner. Blocks: no; reads the whole zone.
 * Returns: DXH_EZONE; DXH_ESTATE: the zone was declared without a digest, or is not this
 *          consumer's to write; DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_producer_zone_digest_set(dxh_producer *producer,
                                                              const char *name);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone_digest_set(dxh_consumer *consumer,
                                                              const char *name);

/* Is the zone what it was when its digest was set? With `copy` not NULL, into which `bytes`,
 * the size of the zone, are copied first, the copy is what was verified; else bytes is 0.
 * Thread:  owner. Blocks: no; reads the whole zone.
 * Returns: DXH_OK: it is; DXH_ECORRUPT: it differs; DXH_EEMPTY: no digest is set, or the
 *          latch holds another value since; DXH_EBUSY: value or digest changed eight times
 *          in a row meanwhile; DXH_EZONE; DXH_ESIZE; DXH_ESTATE: the zone was declared
 *          without a digest; DXH_EUNSUPPORTED as dxh_zone_copy(); DXH_EINVAL; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_producer_zone_digest_verify(dxh_producer *producer,
                                                                 const char *name, void *copy,
                                                                 size_t bytes);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone_digest_verify(dxh_consumer *consumer,
                                                                 const char *name, void *copy,
                                                                 size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
