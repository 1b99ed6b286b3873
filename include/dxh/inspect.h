/* SPDX-License-Identifier: MIT */
/* Looking at blocks, also at broken ones, and putting in order what a crash left.
 *
 * Nothing here changes a byte unless its config says `apply`. Files are read, never
 * mapped: no content, and nobody who truncates a file meanwhile, can harm who
 * looks. A live producer is never disturbed.
 *
 *	dxh_block_diagnose  is the block as it should be? header, tables, tickets,
 *	                    control, zones and lock file, rows of readers, producer
 *	dxh_block_validate  is what it carries what was written? the sums of all items, and
 *	                    the digests of zones in the data file
 *	dxh_block_check     both
 *	dxh_block_facts     what is it, who produces and who reads it, what was counted
 */
#ifndef DXH_INSPECT_H
#define DXH_INSPECT_H

#include <dxh/block.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dxh_severity {
	DXH_NOTE = 1,    /* as the design means it to be: nothing has to be done */
	DXH_WARNING = 2, /* somebody should act, users go on meanwhile */
	DXH_ERROR = 3    /* a rule is broken: attaching is refused, or items are lost */
} dxh_severity;

/* What can be found: X(rule, name, severity, what it means, what to do). */
#define DXH_RULE_LIST(X)                                                                           \
	X(DXH_RULE_NO_BLOCK, "no-block", DXH_ERROR, "the file does not begin like a block",        \
	  "it is none, or its begin is lost: nothing here touches it")                             \
	X(DXH_RULE_VERSION, "version", DXH_ERROR,                                                  \
	  "the block was made by another version or on another kind of machine",                   \
	  "use the matching version, or remove the block with dxh_block_unlink()")                 \
	X(DXH_RULE_FILE_SIZE, "file-size", DXH_ERROR,                                              \
	  "the file is not as long as its header says, so nobody can attach",                      \
	  "copy the file if it is worth it, then remove the block: dxh_block_unlink(), dxh gc")    \
	X(DXH_RULE_HEADER_CHECKSUM, "header-checksum", DXH_ERROR,                                  \
	  "the part of the header that never changes has changed, so nobody can attach",           \
	  "copy the file if it is worth it, then remove the block: dxh_block_unlink(), dxh gc")    \
	X(DXH_RULE_HEADER, "header", DXH_ERROR,                                                    \
	  "a number in the header breaks a rule, so nobody can attach",                            \
	  "copy the file if it is worth it, then remove the block: dxh_block_unlink(), dxh gc")    \
	X(DXH_RULE_TABLES, "tables", DXH_ERROR,                                                    \
	  "zone table or schema are not what the header says, so nobody can attach",               \
	  "copy the file if it is worth it, then remove the block: dxh_block_unlink(), dxh gc")    \
	X(DXH_RULE_SLOT_SEQ, "slot-seq", DXH_ERROR,                                                \
	  "a slot says that it holds a ticket which cannot be there",                              \
	  "readers step over it; no producer can take over: remove the block in the end")          \
	X(DXH_RULE_HEAD_AHEAD, "head-ahead", DXH_ERROR,                                            \
	  "more tickets are announced than the slots hold",                                        \
	  "readers step over them; no producer can take over: remove the block in the end")        \
	X(DXH_RULE_SLOT_CONTENT, "slot-content", DXH_ERROR,                                        \
	  "length or flags of an item cannot be", "readers count it as lost and go on")            \
	X(DXH_RULE_ITEM_CHECKSUM, "item-checksum", DXH_ERROR,                                      \
	  "an item is not what its writer published, or the copy was made while it was written",   \
	  "readers count it as lost and go on; look for who writes there")                         \
	X(DXH_RULE_SLOT_UNFINISHED, "slot-unfinished", DXH_NOTE,                                   \
	  "the producer died, or the copy was made, while this ticket was written",                \
	  "nothing: readers do not see it, the next producer writes it again")                     \
	X(DXH_RULE_HEAD_LAGS, "head-lags", DXH_WARNING,                                            \
	  "the producer died between publishing and announcing it",                                \
	  "recover, or start a producer")                                                          \
	X(DXH_RULE_COPY_MOVED, "copy-moved", DXH_WARNING,                                          \
	  "the copy was made while its producer wrote: slots are of different moments",            \
	  "trust items with checksums only, or copy while no producer lives")                      \
	X(DXH_RULE_PRODUCER_DEAD, "producer-dead", DXH_NOTE,                                       \
	  "the producer died; what it published can be read",                                      \
	  "start a producer: it goes on where the dead one stopped")                               \
	X(DXH_RULE_BEACON_SQUATTED, "beacon-squatted", DXH_WARNING,                                \
	  "a reader holds a lock on the data file: consumers cannot tell who lives",               \
	  "find it in /proc/locks and stop it")                                                    \
	X(DXH_RULE_BEACON_STALE, "beacon-stale", DXH_WARNING,                                      \
	  "a producer that could not show that it lives is gone, consumers do not know it",        \
	  "recover, or start a producer")                                                          \
	X(DXH_RULE_WAIT_STALE, "wait-stale", DXH_NOTE,                                             \
	  "the producer died while it waited for a lossless reader",                               \
	  "nothing: recover or the next producer clears it")                                       \
	X(DXH_RULE_CONTROL_MISSING, "control-missing", DXH_WARNING,                                \
	  "the control file is gone: no lossless reader can come",                                 \
	  "restart the producer if one lives; else recover, or start one")                         \
	X(DXH_RULE_CONTROL_BROKEN, "control-broken", DXH_WARNING,                                  \
	  "the control file is not that of this block: no lossless reader can come",               \
	  "restart the producer if one lives; else recover, or start one")                         \
	X(DXH_RULE_ROW_STALE, "row-stale", DXH_NOTE,                                               \
	  "a lossless reader died; its row holds nobody back",                                     \
	  "nothing: the next reader takes the row, or recover clears it")                          \
	X(DXH_RULE_READER_EVICTED, "reader-evicted", DXH_NOTE,                                     \
	  "the producer went on without a reader, who was not back yet",                           \
	  "nothing: the reader is told with its next call")                                        \
	X(DXH_RULE_LOCK_MISSING, "lock-missing", DXH_WARNING,                                      \
	  "the lock file is gone; while its producer lives, a second one could start",             \
	  "stop the producer if one lives; recover, or start one")                                 \
	X(DXH_RULE_LOCK_FOREIGN, "lock-foreign", DXH_WARNING,                                      \
	  "the lock file is no file of the block's owner: no producer can take over",              \
	  "remove it as its owner or as root, while no producer lives")                            \
	X(DXH_RULE_UNREADABLE, "unreadable", DXH_WARNING, "something could not be looked at",      \
	  "see why, and ask again as who may read it")                                             \
	X(DXH_RULE_ZONES_MISSING, "zones-missing", DXH_ERROR,                                      \
	  "the file with the zones that consumers may write is gone, so nobody can attach",        \
	  "stop the producer if one lives, and remove the block: dxh_block_unlink(), dxh gc; the " \
	  "next producer makes it anew")                                                           \
	X(DXH_RULE_ZONES_BROKEN, "zones-broken", DXH_ERROR,                                        \
	  "the zones file is not that of this block, so nobody can attach",                        \
	  "restart the producer, who makes its head anew; if that is not enough, stop it, remove " \
	  "the block: dxh_block_unlink(), dxh gc")                                                 \
	X(DXH_RULE_ZONE_DIGEST, "zone-digest", DXH_WARNING,                                        \
	  "a zone is not what it was when its digest was set",                                     \
	  "its writer sets the digest anew with each change; if none did, look for who writes "    \
	  "there")

typedef enum dxh_rule {
	DXH_RULE_NONE = 0,
#define DXH_RULE_ENUM_(rule, name, severity, meaning, advice) rule,
	DXH_RULE_LIST(DXH_RULE_ENUM_)
#undef DXH_RULE_ENUM_
} dxh_rule;

/* "head-lags", and the sentences of the list; "?" and "" for what is none.
 * Thread: any. Owner: static text. */
DXH_API const char *dxh_rule_name(dxh_rule rule);
DXH_API const char *dxh_rule_meaning(dxh_rule rule);
DXH_API const char *dxh_rule_advice(dxh_rule rule);

/* Who puts it in order. */
typedef enum dxh_repair {
	DXH_REPAIR_NONE = 0,    /* nobody, nobody needs to, or not while the producer lives */
	DXH_REPAIR_RECOVER = 1, /* dxh_block_recover() with apply, or the next producer */
	DXH_REPAIR_DONE = 2     /* this call of dxh_block_recover() did it */
} dxh_repair;

#define DXH_OFFSET_NONE UINT64_MAX

typedef struct dxh_finding {
	dxh_rule rule;
	dxh_severity severity;
	dxh_repair repair;
	const char *file; /* "data", "control", "zones" or "lock"; static text */
	uint64_t offset;  /* in that file; DXH_OFFSET_NONE where there is no place to name */
	char detail[224]; /* one line with the values */
} dxh_finding;

/* What was seen; made by the library, which may add members at the end. Findings
 * stand in the order of the file. */
typedef struct dxh_report {
	int readable;         /* 0: the header is broken, and `block` is zero but for the name */
	dxh_block_info block; /* of a file: its producer as dxh_consumer_config.file says */
	uint32_t errors, warnings, notes;
	size_t finding_count; /* at most 1000 are kept; the rest is counted above */
	const dxh_finding *findings;
	uint64_t items_verified;   /* by their checksums */
	uint64_t items_unverified; /* those without one, or keyed when no key was given, or
	                            * overwritten while they were read */
	uint64_t recoveries;       /* repairs that takeovers and recoveries made, ever */
	int64_t recovered_ns;      /* CLOCK_REALTIME of the last; 0: none */
} dxh_report;

typedef struct dxh_inspect_config {
	const char *directory;             /* as in dxh_block_config */
	const char *file;                  /* as in dxh_consumer_config: exactly this file */
	uint32_t owner_uid_plus1;          /* accept a block of this other user: uid + 1 */
	const unsigned char *checksum_key; /* for items with keyed checksums */
} dxh_inspect_config;

/* Look at a block. DXH_OK says that it could be looked at, the report what was seen;
 * a block without errors and warnings is in order.
 *
 * Called:  dxh_block_check(name, config, &report); config NULL: all defaults; name
 *          NULL when config->file is set.
 * Thread:  any. Owner: dxh_report_free() the report.
 * Blocks:  no; reads the whole file to validate, 64 bytes a slot to diagnose.
 * Returns: DXH_ENOTFOUND; DXH_EACCESS, also for a block of another user than the
 *          caller, root or the configured one; DXH_EINVAL; DXH_ENOMEM; DXH_ESYSTEM.
 */
#define dxh_block_diagnose(...) dxh_block_diagnose_sized(sizeof(dxh_inspect_config), __VA_ARGS__)
#define dxh_block_validate(...) dxh_block_validate_sized(sizeof(dxh_inspect_config), __VA_ARGS__)
#define dxh_block_check(...) dxh_block_check_sized(sizeof(dxh_inspect_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_block_diagnose_sized(size_t config_bytes, const char *name,
                                                          const dxh_inspect_config *config,
                                                          dxh_report **report);
DXH_API DXH_NODISCARD dxh_status dxh_block_validate_sized(size_t config_bytes, const char *name,
                                                          const dxh_inspect_config *config,
                                                          dxh_report **report);
DXH_API DXH_NODISCARD dxh_status dxh_block_check_sized(size_t config_bytes, const char *name,
                                                       const dxh_inspect_config *config,
                                                       dxh_report **report);

typedef struct dxh_recover_config {
	const char *directory;    /* as in dxh_block_config */
	int apply;                /* 0: only tell what would be done */
	uint32_t owner_uid_plus1; /* accept a block of this other user: uid + 1 */
} dxh_recover_config;

/* Put in order what a crash left, without becoming the producer: the findings of
 * dxh_block_diagnose() that are marked DXH_REPAIR_RECOVER. The next producer does the
 * same by itself; this is for blocks that wait for one. With `apply` they are marked
 * DXH_REPAIR_DONE, one by one, each is counted in the header, and consumers are woken.
 * May be killed at any point and run again; what is in order is not touched.
 *
 * An item that was being written is left to the next producer: nobody else can tell
 * what it should have been. A block whose header or tickets are broken cannot be put
 * in order by anybody; its report says so.
 *
 * Called:  dxh_block_recover(name, config, &report); config NULL: all defaults.
 * Thread:  any. Owner: dxh_report_free() the report.
 * Blocks:  no; with `apply` it holds the locks of the producer meanwhile.
 * Returns: DXH_EBUSY naming the live producer, or who recovers it just now;
 *          DXH_ENOTFOUND; DXH_EACCESS; DXH_EINVAL; DXH_ENOSPACE; DXH_ENOMEM; DXH_ESYSTEM.
 *          What was done before a failure stays done.
 */
#define dxh_block_recover(...) dxh_block_recover_sized(sizeof(dxh_recover_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_block_recover_sized(size_t config_bytes, const char *name,
                                                         const dxh_recover_config *config,
                                                         dxh_report **report);

/* Thread: any. Sets *report to NULL; NULL is no harm. */
DXH_API void dxh_report_free(dxh_report **report);

/* ---- facts -------------------------------------------------------------- */

typedef enum dxh_policy {
	DXH_POLICY_NO_SLOTS = 0, /* zones only */
	DXH_POLICY_RING = 1,
	DXH_POLICY_SINGLE = 2, /* keeps the newest item */
	DXH_POLICY_DOUBLE = 3  /* keeps the newest two */
} dxh_policy;

typedef struct dxh_zone_info {
	char name[DXH_SCHEMA_NAME_MAX + 1];
	char schema[DXH_SCHEMA_NAME_MAX + 1]; /* of its struct; "": raw bytes */
	uint64_t bytes;                       /* of one copy */
	uint64_t offset;                      /* in the data file, or NAME.zones if shared */
	uint32_t align;
	int latch;  /* not 0: two copies */
	int shared; /* not 0: consumers may write it */
} dxh_zone_info;

typedef enum dxh_reader_state {
	DXH_READER_ACTIVE = 1,  /* lives, and is less than all that is kept behind */
	DXH_READER_LAGGING = 2, /* lives, and the next write waits for it */
	DXH_READER_EVICTED = 3, /* the writer went on without it, and it does not know yet */
	DXH_READER_DEAD = 4     /* died with its row, which holds nobody back */
} dxh_reader_state;

typedef struct dxh_reader_row {
	dxh_reader_info reader; /* as dxh_block_readers() tells it */
	dxh_reader_state state;
} dxh_reader_row;

/* Made by the library, which may add members at the end. Times are CLOCK_MONOTONIC of the
 * producer's boot; with block.clock_offset_ns they are times of day. */
typedef struct dxh_facts {
	dxh_block_info block;
	char path[512]; /* of the data file */
	uint32_t uid, gid, mode;

	/* the tables */
	const dxh_zone_info *zones;                /* block.zone_count of them */
	const void *schema;                        /* block.schema_bytes of canonical MessagePack */
	char slot_schema[DXH_SCHEMA_NAME_MAX + 1]; /* of the items' struct; "": raw bytes */
	dxh_policy policy;
	uint32_t slots_physical; /* block.slot_count are kept, and some are spare */
	uint64_t oldest;         /* the oldest ticket that is whole; block.head: none is */
	int64_t oldest_ns;       /* when it was published; 0: none is, or it says nothing */
	int64_t newest_ns;       /* the same of the newest */
	dxh_checksum checksum;
	int checksum_manual; /* not 0: of some items only */
	int checksum_keyed;
	int no_wait;        /* as in dxh_block_config, as the next two */
	int zones_writable; /* not 0: there is a file NAME.zones */
	uint32_t readers_max;

	/* the producer: the last one, if none lives */
	int64_t producer_started_ns; /* CLOCK_BOOTTIME, in ticks of 10 ms mostly; 0: unknown */
	char producer_boot_id[37];   /* as /proc/sys/kernel/random/boot_id; "": unknown */
	int same_boot;         /* not 0: it is this machine's: times compare with dxh_now_ns() */
	uint64_t locked_bytes; /* that it locked in memory, */
	uint64_t huge_bytes;   /* and of its mapping that were in huge pages, as it says */

	/* over the life of the block */
	uint64_t items, bytes, aborted, wakes;
	uint64_t held, evicted; /* as in dxh_producer_stats */
	uint64_t write_max_ns;  /* longest begin..commit, one in 64 measured */
	uint64_t recoveries;    /* repairs that takeovers and recoveries made */
	int64_t recovered_ns;   /* CLOCK_REALTIME of the last; 0: none */
	uint32_t recovered_by;  /* pid of who made it */

	/* Readers that have rows. Others leave no trace in a block: how many they are is
	 * not known here. */
	dxh_status readers_status; /* DXH_OK, or why the rows could not be looked at: DXH_ESTATE
	                            * for a file that was named as such */
	size_t reader_count;
	const dxh_reader_row *readers; /* in order of their rows; the dead too */
	int no_timestamps;             /* as in dxh_block_config: oldest_ns and newest_ns are 0 */
} dxh_facts;

/* Tell what a block is and how it does, without mapping it or changing a byte; of a live
 * one, of one whose producer is gone, or of a copy (config->file). Numbers of a live one
 * are of slightly different moments.
 *
 * Called:  dxh_block_facts(name, config, &facts); as dxh_block_check().
 * Thread:  any. Owner: dxh_facts_free() the facts.
 * Blocks:  no; reads a few slots' headers.
 * Returns: DXH_ECORRUPT, with offset and rule, and DXH_EVERSION for what cannot be
 *          attached; else as dxh_block_check().
 */
#define dxh_block_facts(...) dxh_block_facts_sized(sizeof(dxh_inspect_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_block_facts_sized(size_t config_bytes, const char *name,
                                                       const dxh_inspect_config *config,
                                                       dxh_facts **facts);

/* Thread: any. Sets *facts to NULL; NULL is no harm. */
DXH_API void dxh_facts_free(dxh_facts **facts);

/* ---- garbage ------------------------------------------------------------ */

typedef enum dxh_garbage {
	DXH_GARBAGE_BLOCK = 1,    /* a block that no producer holds and nobody has open */
	DXH_GARBAGE_LEFTOVER = 2, /* control or lock file without a block */
	DXH_GARBAGE_NOT_OURS = 3  /* named like files of a block, but none: never touched */
} dxh_garbage;

typedef enum dxh_gc_verdict {
	DXH_GC_KEPT = 0,
	DXH_GC_REMOVABLE = 1, /* `apply` would remove it */
	DXH_GC_REMOVED = 2
} dxh_gc_verdict;

typedef struct dxh_gc_entry {
	char name[DXH_BLOCK_NAME_MAX + 1];
	dxh_garbage kind;
	dxh_gc_verdict verdict;
	uint64_t bytes;   /* of memory or disk that its files take */
	char reason[224]; /* one line: why it is kept, or why it may go */
} dxh_gc_entry;

/* In the order of names; made by the library, which may add members at the end. */
typedef struct dxh_gc_report {
	size_t entry_count;
	const dxh_gc_entry *entries;
	uint32_t kept, removable, removed;
	uint64_t bytes; /* of what is removable or removed */
} dxh_gc_report;

typedef struct dxh_gc_config {
	const char *directory; /* as in dxh_block_config */
	int apply;             /* 0: only tell what would be removed */
	int keep_closed;       /* not 0: blocks that were closed in good order are kept */
} dxh_gc_config;

/* Find the blocks of a directory whose producer is gone and which nobody uses, and
 * what half-made or half-removed blocks left; with `apply` remove them. Whether
 * somebody uses a block is the kernel's word: nobody else has its file open or
 * mapped. Such a block may still be wanted, by a producer that is to come back: look
 * at what would be removed first. Files that are no blocks, links, and what belongs
 * to others (unless the caller is root) are left alone. May be killed at any point
 * and run again.
 *
 * Called:  dxh_block_gc(config, &report); config NULL: all defaults.
 * Thread:  any. Owner: dxh_gc_report_free() the report.
 * Blocks:  no; who opens a block while it is removed waits for that.
 * Returns: DXH_ENOTFOUND without the directory; DXH_EACCESS when it cannot be read;
 *          DXH_EINVAL; DXH_ENOMEM; DXH_ESYSTEM. What cannot be removed is an entry
 *          that is kept, with the reason.
 */
#define dxh_block_gc(...) dxh_block_gc_sized(sizeof(dxh_gc_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_block_gc_sized(size_t config_bytes,
                                                    const dxh_gc_config *config,
                                                    dxh_gc_report **report);

/* Thread: any. Sets *report to NULL; NULL is no harm. */
DXH_API void dxh_gc_report_free(dxh_gc_report **report);

#ifdef __cplusplus
}
#endif
#endif
