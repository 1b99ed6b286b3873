/* SPDX-License-Identifier: MIT */
/* The block: bytes in shared memory that outlive a process.
 *
 * A block has two independent tables; either may be absent, not both.
 * Table 1: up to 16 named zones, the user's own structs. Table 2: a ring of
 * slots with one producer and many consumers, numbered by tickets 0, 1, 2, ...
 * Here is what both sides share, and the producer's; dxh/consumer.h has the other.
 *
 * Consumers map the block read-only; the kernel enforces it. Whoever may write
 * the file can truncate it, which gives SIGBUS to those that have it mapped: give
 * write permission only to producers. No lock is ever
 * held in the data path: a process killed at any instruction stops nobody. A
 * dead producer's place is taken with dxh_producer_open() by any process that
 * may write the block; consumers stay attached.
 *
 * A block NAME is 1..63 characters of [A-Za-z0-9._-] and '/', which does not
 * begin with '.' or '/'. It is stored as NAME.dxh, NAME.lock and, with
 * readers_max or zones_writable, NAME.ctl and NAME.zones ('/' becomes '+') in a
 * directory: the configured one, else $DXH_SHM_DIR, else /dev/shm.
 *
 * Thread words: a producer and a consumer belong to one thread at a time
 * (owner), but for zone pointers, whose atomics any thread may use. An owner may hand
 * one on to another thread, by whatever orders the two (a mutex, a join); two threads in
 * it at once is an error that is not noticed. Threads that want all items each open a
 * consumer each: it costs a mapping of the same memory and one descriptor, two for a
 * lossless one, and the producer nothing. Closing one releases no lock of another.
 * Children of fork() must open their own: DXH_EFORKED. What was closed is not to be used
 * again: DXH_ESTALE tells it, until a few others have been closed.
 */
#ifndef DXH_BLOCK_H
#define DXH_BLOCK_H

#include <dxh/base.h>
#include <dxh/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DXH_ZONES_MAX = 16, DXH_BLOCK_NAME_MAX = 63, DXH_READERS_MAX = 64 };

typedef struct dxh_producer dxh_producer;
typedef struct dxh_consumer dxh_consumer;

/* One zone. Fill it with DXH_ZONE(tag), DXH_LATCH(tag) or DXH_ZONE_RAW(). */
typedef struct dxh_zone_spec {
	const char *name;         /* NULL ends the list */
	const dxh_schema *schema; /* NULL: raw bytes */
	size_t bytes;
	size_t align; /* 0: 64; never more than 64 */
	int latch;    /* not 0: two copies, see dxh_latch_begin() */
	/* dxh_checksum: not 0: it can be given a digest by hand, see dxh_zone_digest_set(), and
	 * takes 64 bytes more, a latch 128. BLAKE2b is keyed where the block has a key */
	uint32_t digest;
} dxh_zone_spec;

/* What a slot carries. Fill it with DXH_SLOT(tag) or DXH_SLOT_BYTES(n). */
typedef struct dxh_slot_spec {
	const dxh_schema *schema; /* NULL: raw bytes */
	size_t bytes;             /* capacity, 1 to 2^40; rounded up to a multiple of 64 */
} dxh_slot_spec;

/* clang-format off */
#define DXH_ZONE(tag) {#tag, DXH_SCHEMA_OF(tag), sizeof(struct tag), _Alignof(struct tag), 0, 0}
#define DXH_LATCH(tag) {#tag, DXH_SCHEMA_OF(tag), sizeof(struct tag), _Alignof(struct tag), 1, 0}
#define DXH_ZONE_RAW(name, bytes) {name, NULL, bytes, 0, 0, 0}
/* The same with a digest: DXH_ZONE_DIGEST(telemetry, DXH_CHECKSUM_XXH3). */
#define DXH_ZONE_DIGEST(tag, kind)                                                                 \
	{#tag, DXH_SCHEMA_OF(tag), sizeof(struct tag), _Alignof(struct tag), 0, kind}
#define DXH_LATCH_DIGEST(tag, kind)                                                                \
	{#tag, DXH_SCHEMA_OF(tag), sizeof(struct tag), _Alignof(struct tag), 1, kind}
#define DXH_SLOT(tag) {DXH_SCHEMA_OF(tag), sizeof(struct tag)}
#define DXH_SLOT_BYTES(n) {NULL, n}
/* clang-format on */

/* What proves an item against bytes that changed by accident: a sum over its
 * ticket, length and payload. Only BLAKE2b with a key also stands against
 * somebody who changes them on purpose. */
typedef enum dxh_checksum {
	DXH_CHECKSUM_NONE = 0,
	DXH_CHECKSUM_XXH3 = 1,   /* 64 bits; the choice when nothing speaks for another */
	DXH_CHECKSUM_CRC32C = 2, /* 32 bits; what processors and hardware on the way compute */
	DXH_CHECKSUM_BLAKE2B = 3 /* BLAKE2b-256, with checksum_key keyed */
} dxh_checksum;

enum { DXH_CHECKSUM_KEY_BYTES = 32 };

typedef struct dxh_block_config {
	const char *directory; /* NULL: $DXH_SHM_DIR, else /dev/shm */
	dxh_zone_spec zones[DXH_ZONES_MAX];
	dxh_slot_spec slot;
	uint32_t slot_count;   /* items kept: 0 no slots, 1 single, 2 double, 4 .. 65536 ring */
	uint32_t mode;         /* permission bits; 0: 0640 */
	const char *group;     /* group of the files by name; NULL: the process's */
	int no_wait;           /* not 0: consumers poll, publishing makes no system call */
	int unlink_on_close;   /* not 0: dxh_producer_close() removes the block */
	int64_t owner_wait_ns; /* standby: wait so long for a live producer to go, looking
	                        * again every 5 ms at the latest */
	uint32_t checksum;     /* dxh_checksum of the items */
	int checksum_manual;   /* not 0: only of those committed with
	                        * dxh_write_commit_checked(); else of all */
	const unsigned char *checksum_key; /* DXH_CHECKSUM_KEY_BYTES, for BLAKE2b; copied */
	uint32_t readers_max;              /* lossless consumers at a time, which hold the writer
	                       * back; 0: none. Up to DXH_READERS_MAX */
	int evict;            /* not 0: a write that is held back until its deadline goes on
	                       * without those that hold it; 0: it is DXH_EWAIT */
	int memfd;            /* not 0: memory without a name, see dxh_producer_send_fds();
	                       * directory, mode, group and owner_wait_ns must be zero */
	int lock_memory;      /* not 0: lock it against swapping, as far as RLIMIT_MEMLOCK goes */
	int huge_pages;       /* not 0: in pages of 2 MiB, as far as the system has them (Linux
	                       * 6.1). What came of both: dxh_producer_stats and the log */
	int zones_writable;   /* not 0: consumers may write the zones, but for latches. They lie in
	                       * NAME.zones, writable for who may read the block */
	int no_timestamps;    /* not 0: items do not say when they were published, and with no_wait
	                       * publishing does not read the clock: 20 to 30 ns less */
	int reserved_int;     /* zero */
	uint64_t reserved[2]; /* zero: room for fields to come, as other structs embed this */
} dxh_block_config;

/* Create the block, or take over one whose producer is gone.
 *
 * A takeover needs the same zones, slot, geometry, checksum, key, no_wait and
 * no_timestamps (else DXH_ESCHEMA or DXH_ESIZE, naming the first difference; mode and
 * group stay as they are; a raw slot is the same when its bytes are, rounded up to 64);
 * it redoes the ticket that the dead producer left unfinished and goes on. The block's
 * epoch is then one higher.
 * A new block appears under its name whole or not at all. Space is reserved
 * here, so that a full disk is DXH_ENOSPACE now and not a signal later.
 *
 * Thread:  any. Owner: the caller, until dxh_producer_close().
 * Blocks:  at most config->owner_wait_ns, while another producer lives.
 * Called:  dxh_producer_open(name, config, &producer); config is required.
 * Returns: DXH_EBUSY naming the live producer, also one whose data file was removed;
 *          DXH_EINVAL; DXH_ESCHEMA;
 *          DXH_ESIZE; DXH_ENOSPACE with need and have; DXH_EACCESS;
 *          DXH_ECORRUPT when the existing block breaks a rule; DXH_EVERSION;
 *          DXH_ENOTFOUND without the directory; DXH_EUNSUPPORTED when its file
 *          system has no O_TMPFILE; DXH_EEXIST when a stranger makes the file
 *          meanwhile; DXH_ELIMIT; DXH_ESYSTEM; DXH_ENOMEM.
 */
#define dxh_producer_open(...) dxh_producer_open_sized(sizeof(dxh_block_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_producer_open_sized(size_t config_bytes, const char *name,
                                                         const dxh_block_config *config,
                                                         dxh_producer **producer);

/* What a block takes, by file. They are reserved whole; on a file system each file is
 * rounded up to pages. */
typedef struct dxh_block_sizes {
	uint64_t data_bytes;    /* NAME.dxh; dxh_block_info.block_bytes */
	uint64_t control_bytes; /* NAME.ctl; 0: none, without readers_max */
	uint64_t zones_bytes;   /* NAME.zones; 0: none, without zones_writable */
	uint64_t lock_bytes;    /* NAME.lock; 0: none, with memfd */
	uint64_t total_bytes;   /* of all four */
	/* Of the data file: */
	uint64_t schema_bytes;
	uint64_t slots_offset;      /* what comes before is header, schema, zones; 0: no slots */
	uint64_t slot_stride_bytes; /* from slot to slot: its header and the capacity */
	uint32_t slots_in_all;      /* two more than slot_count */
} dxh_block_sizes;

/* How large a block will be, exactly, before it is made. Its name counts too: it stands in
 * the schema.
 * Called:  dxh_block_size(name, config, &sizes); config as for dxh_producer_open().
 * Thread:  any. Blocks: no; nothing is made or opened.
 * Returns: DXH_EINVAL as dxh_producer_open() would; DXH_EVERSION; DXH_ENOMEM. */
#define dxh_block_size(...) dxh_block_size_sized(sizeof(dxh_block_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_block_size_sized(size_t config_bytes, const char *name,
                                                      const dxh_block_config *config,
                                                      dxh_block_sizes *sizes);

/* ---- blocks without a name ---------------------------------------------- */

/* A block made with config->memfd lies in no directory: only who is handed its
 * descriptors can read it, and when the last process that has it is gone, so is the
 * block. `name` is then only what it is called. The kernel seals it: nobody can resize it
 * or map the data for writing again, not even its producer. So there is no takeover:
 * that its producer died (DXH_EDEAD) or closed (DXH_ECLOSED) is final, and told at once by
 * each call that finds nothing. */

enum { DXH_BLOCK_FDS = 3 };

/* Hand it to the process at the other end of a connected unix socket (stream or
 * seqpacket), which calls dxh_consumer_receive_fds(). The message is 8 bytes with one to
 * three descriptors; what a program says on the same socket before and after is its own.
 * Works any number of times.
 *
 * Thread:  owner. Units: deadline_ns absolute.
 * Blocks:  until the socket takes it or the deadline passes.
 * Returns: DXH_EACCESS when the other end is a user (SO_PEERCRED) other than this one,
 *          root, and peer_uid_plus1 - 1; DXH_ESTATE for a block with a name; DXH_EINVAL for
 *          what is no unix socket; DXH_ECLOSED; DXH_EWAIT; DXH_ELIMIT; DXH_ESYSTEM.
 */
DXH_API DXH_NODISCARD dxh_status dxh_producer_send_fds(dxh_producer *producer, int socket,
                                                       uint32_t peer_uid_plus1,
                                                       int64_t deadline_ns);

/* For programs that pass descriptors in a message of their own: fds[0] is the data, to be
 * read only. Behind it come, on blocks with readers_max, the reader rows, without which the
 * receiver cannot be DXH_LOSSLESS, and, on blocks with zones_writable, the zones, without
 * which it cannot attach. *count says how many.
 * Thread: owner. Owner: the caller, who closes them once they are sent.
 * Returns: DXH_ESTATE for a block with a name; DXH_EINVAL; DXH_ELIMIT. */
DXH_API DXH_NODISCARD dxh_status dxh_producer_fds(dxh_producer *producer, int fds[DXH_BLOCK_FDS],
                                                  size_t *count);

/* ---- the end ------------------------------------------------------------ */

/* Stop producing. An open write is aborted. Consumers read what is left and
 * then get DXH_ECLOSED until a successor opens the block.
 * Thread: owner. Sets *producer to NULL; DXH_EINVAL when it is NULL already. */
DXH_API dxh_status dxh_producer_close(dxh_producer **producer);

/* Memory that was mapped, of what is closed: for languages in which somebody may still have a
 * pointer into it. It stays where it is; what is written to it, zones apart, nobody sees. */
typedef struct dxh_memory dxh_memory;

/* dxh_producer_close() and dxh_consumer_close(), but the memory stays until dxh_memory_free().
 * Thread: owner; memory: any. Owner: the caller, of *memory.
 * Returns: as those two, *memory set in any case; but DXH_EINVAL, DXH_ENOMEM: nothing was
 * closed. */
DXH_API dxh_status dxh_producer_close_keeping(dxh_producer **producer, dxh_memory **memory);
DXH_API dxh_status dxh_consumer_close_keeping(dxh_consumer **consumer, dxh_memory **memory);
DXH_API void dxh_memory_free(dxh_memory **memory);

/* Remove a block that no producer holds, also a corrupt one. Attached consumers
 * keep their memory and learn it as DXH_EUNLINKED.
 * Thread: any. Returns: DXH_ENOTFOUND; DXH_EBUSY naming the live producer. */
DXH_API DXH_NODISCARD dxh_status dxh_block_unlink(const char *directory, const char *name);

/* ---- writing ------------------------------------------------------------ */

/* A slot being written. `data` is valid until commit or abort. */
typedef struct dxh_write_slot {
	void *data;
	size_t capacity_bytes;
	uint64_t ticket;
	dxh_producer *producer;
	uint64_t serial; /* the library's: tells whose it is */
} dxh_write_slot;

/* Take the next slot, fill slot->data, commit or abort.
 *
 * The ring overwrites its oldest item and waits for nobody but lossless
 * consumers, on blocks that have rows for them: there the deadline says for how
 * long, and config->evict what comes then.
 * Commit publishes the first `bytes` bytes and wakes consumers. Abort leaves a
 * ticket that consumers skip: who comes to it counts it as neither read nor lost. What
 * was overwritten, or passed over by a DXH_LATEST consumer on its way to a newer item, has
 * not been looked at: such tickets count as lost, aborted or not.
 *
 * Thread:  owner. Units: deadline_ns absolute.
 * Returns: begin: DXH_ESTATE when a write is open or the block has no ring;
 *          DXH_EWAIT naming the lossless consumer that held it back.
 *          commit: DXH_ESIZE when bytes > capacity (the write stays open);
 *          DXH_ESTATE when this slot is not open (committed or aborted before);
 *          DXH_ESTALE when it was begun on another producer.
 *          abort: as commit, but DXH_ESIZE.
 */
DXH_API DXH_NODISCARD dxh_status dxh_write_begin(dxh_producer *producer, int64_t deadline_ns,
                                                 dxh_write_slot *slot);
DXH_API DXH_NODISCARD dxh_status dxh_write_commit(dxh_write_slot *slot, size_t bytes);

/* The same with a checksum, on a block where these are manual; where they are
 * enforced every commit has one.
 * Returns: also DXH_ESTATE on a block without checksums (the write stays open). */
DXH_API DXH_NODISCARD dxh_status dxh_write_commit_checked(dxh_write_slot *slot, size_t bytes);
DXH_API dxh_status dxh_write_abort(dxh_write_slot *slot);

/* Begin, copy, commit in one call; free of data races in the sense of C11.
 * Thread: owner. Returns: DXH_ESIZE when it does not fit; as dxh_write_begin(). */
DXH_API DXH_NODISCARD dxh_status dxh_publish(dxh_producer *producer, const void *data, size_t bytes,
                                             int64_t deadline_ns);

typedef struct dxh_publish_item {
	const void *data;
	size_t bytes;
} dxh_publish_item;

/* Publish many items, each with a ticket of its own, and wake consumers once:
 * for small items that is several times faster than one by one. Nothing is
 * published unless all of them fit. They share a time stamp.
 * Thread: owner. Returns: as dxh_publish(); *published (may be NULL) of them are,
 * fewer than all only when the writer was held back. */
DXH_API DXH_NODISCARD dxh_status dxh_publish_n(dxh_producer *producer,
                                               const dxh_publish_item *items, size_t item_count,
                                               int64_t deadline_ns, size_t *published);

/* Fill `data` and set *bytes. DXH_OK publishes; anything else aborts. */
typedef dxh_status (*dxh_fill_fn)(void *context, void *data, size_t capacity_bytes, size_t *bytes);

/* Begin, fill, commit or abort in one call that leaves no slot open.
 * Thread: owner. Returns: what `fill` returned, or why it was not called or its
 * bytes not published. */
DXH_API DXH_NODISCARD dxh_status dxh_with_write(dxh_producer *producer, int64_t deadline_ns,
                                                dxh_fill_fn fill, void *context);

typedef struct dxh_producer_stats {
	uint64_t items;        /* tickets committed, over the life of the block */
	uint64_t bytes;        /* of their payload */
	uint64_t aborted;      /* tickets aborted */
	uint64_t wakes;        /* futex wake calls made */
	uint64_t next_ticket;  /* of the next write */
	uint64_t write_max_ns; /* longest begin..commit, one in 64 measured */
	uint64_t epoch;        /* takeovers so far */
	uint64_t block_bytes;  /* size of the data file */
	uint64_t held;         /* writes that lossless consumers held back */
	uint64_t evicted;      /* consumers that were gone on without */
	uint64_t locked_bytes; /* of the block, with config->lock_memory */
	uint64_t huge_bytes;   /* of this mapping, with config->huge_pages */
} dxh_producer_stats;

/* Thread: owner. */
DXH_API dxh_status dxh_producer_stats_get(const dxh_producer *producer, dxh_producer_stats *stats);

/* ---- zones -------------------------------------------------------------- */

/* A zone by name, checked three ways: DXH_EZONE (no such zone, naming those
 * that exist), DXH_ESIZE (size or alignment), DXH_ESCHEMA (the first differing
 * field, both layouts). A latch zone is DXH_ESTATE here: use dxh_latch_*.
 * schema NULL checks size and alignment only.
 *
 * Thread: any (the pointer: any, with atomics for members that others write).
 * Owner:  the block; valid until the producer or consumer is closed.
 */
DXH_API DXH_NODISCARD dxh_status dxh_producer_zone(dxh_producer *producer, const char *name,
                                                   const dxh_schema *schema, size_t bytes,
                                                   void **zone);
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone(dxh_consumer *consumer, const char *name,
                                                   const dxh_schema *schema, size_t bytes,
                                                   const void **zone);

/* A zone for writing, on a block made with zones_writable, by a consumer opened with
 * write_zones. Others write at the same time: its members are atomics, or their writers
 * agree among themselves. Who may write the zones can write nothing else of the block.
 * But he can spoil the head of NAME.zones, so that nobody can attach before the next
 * takeover, or dxh_block_recover(), makes it right; and he can truncate the file under
 * those who have it mapped, the producer among them, which leaves it DXH_ECORRUPT until
 * dxh_block_unlink(). In blocks without a name he can do the first only, for good.
 * Thread, Owner: as above. Returns: as above; DXH_ESTATE without zones_writable or
 * write_zones. */
DXH_API DXH_NODISCARD dxh_status dxh_consumer_zone_writable(dxh_consumer *consumer,
                                                            const char *name,
                                                            const dxh_schema *schema, size_t bytes,
                                                            void **zone);
#define dxh_zone_writable(consumer, tag, pointer)                                                  \
	dxh_consumer_zone_writable(consumer, #tag, DXH_SCHEMA_OF(tag), sizeof(struct tag),         \
	                           (void **)(1 ? (pointer) : (struct tag **)0))

/* The same by struct tag: dxh_zone(producer, telemetry, &pointer). */
#define dxh_zone(producer, tag, pointer)                                                           \
	dxh_producer_zone(producer, #tag, DXH_SCHEMA_OF(tag), sizeof(struct tag),                  \
	                  (void **)(1 ? (pointer) : (struct tag **)0))
#define dxh_zone_view(consumer, tag, pointer)                                                      \
	dxh_consumer_zone(consumer, #tag, DXH_SCHEMA_OF(tag), sizeof(struct tag),                  \
	                  (const void **)(1 ? (pointer) : (const struct tag **)0))

/* A latch zone is kept twice, so that a whole copy always exists. begin hands
 * out the spare copy, holding the current value; commit makes it current. A
 * writer that dies in between changes nothing.
 *
 * Thread:  owner. One latch write at a time per zone.
 * Returns: DXH_EZONE; DXH_ESTATE: not a latch zone, begun twice, or committed
 *          without begin. begin: also DXH_ESIZE.
 */
DXH_API DXH_NODISCARD dxh_status dxh_latch_begin(dxh_producer *producer, const char *name,
                                                 size_t bytes, void **data);
DXH_API DXH_NODISCARD dxh_status dxh_latch_commit(dxh_producer *producer, const char *name);

/* Copy a whole, untorn value of a latch zone.
 * Thread: owner. Returns: as above, or DXH_EBUSY when the writer was faster
 * eight times in a row. */
DXH_API DXH_NODISCARD dxh_status dxh_latch_read(dxh_consumer *consumer, const char *name,
                                                void *copy, size_t bytes);

/* ---- looking ------------------------------------------------------------ */

typedef enum dxh_liveness {
	DXH_PRODUCER_UNKNOWN = 0, /* the kernel's locks do not tell (a squatting reader, a copy) */
	DXH_PRODUCER_ALIVE = 1,
	DXH_PRODUCER_CLOSED = 2, /* gone in good order */
	DXH_PRODUCER_DEAD = 3    /* gone without closing */
} dxh_liveness;

typedef struct dxh_block_info {
	char name[DXH_BLOCK_NAME_MAX + 1];
	unsigned char uuid[16];
	unsigned char schema_hash[32]; /* BLAKE2b-256 of the schema bytes */
	uint64_t block_bytes;
	uint64_t epoch;
	uint64_t head; /* tickets published */
	uint64_t slot_bytes;
	uint32_t slot_count;
	uint32_t zone_count;
	uint32_t schema_bytes;
	dxh_liveness producer;
	int64_t producer_pid;    /* of the last producer; for humans */
	int unlinked;            /* not 0: the name is gone (rm, systemd RemoveIPC): who has the
	                       * block keeps it, nobody else finds it. The producer logs it */
	int64_t clock_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC, written each second in
	                          * which something is published: with timestamp_ns of an item
	                          * it gives the time of day */
} dxh_block_info;

/* Facts about a block, read-only. Thread: any. Returns: as dxh_consumer_open(). */
DXH_API DXH_NODISCARD dxh_status dxh_block_stat(const char *directory, const char *name,
                                                dxh_block_info *info);

/* A reader that has a row: a lossless one. Others leave no trace in the block. */
typedef struct dxh_reader_info {
	uint32_t row;
	uint32_t pid; /* as it says, like all that follows but lag and evicted */
	uint32_t uid;
	uint64_t next_ticket; /* all below are done with */
	uint64_t read, lost, retries;
	uint64_t lag;   /* tickets published and not yet done with */
	int64_t lag_ns; /* since when the oldest of them that is kept has been there */
	int evicted;    /* not 0: the writer has gone on without it, and it does not know yet */
} dxh_reader_info;

/* Those that live, in order of their rows: the first `max` of them, and in *count how many
 * there are. By name, read-only, or of an open block, which may have no name.
 * Thread: any; owner. Returns: DXH_EINVAL. By name: as dxh_consumer_open(), not found also
 * without the control file. */
DXH_API DXH_NODISCARD dxh_status dxh_block_readers(const char *directory, const char *name,
                                                   dxh_reader_info *readers, size_t max,
                                                   size_t *count);
DXH_API DXH_NODISCARD dxh_status dxh_producer_readers(dxh_producer *producer,
                                                      dxh_reader_info *readers, size_t max,
                                                      size_t *count);

/* Facts of an open block; and its schema, canonical MessagePack, valid until
 * the object is closed. Thread: owner. */
DXH_API dxh_status dxh_producer_info(const dxh_producer *producer, dxh_block_info *info);
DXH_API dxh_status dxh_consumer_info(const dxh_consumer *consumer, dxh_block_info *info);
DXH_API const void *dxh_producer_schema(const dxh_producer *producer, size_t *bytes);
DXH_API const void *dxh_consumer_schema(const dxh_consumer *consumer, size_t *bytes);

#ifdef __cplusplus
}
#endif

#include <dxh/consumer.h> /* who includes this one has both sides */

#endif
