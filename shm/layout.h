/* SPDX-License-Identifier: MIT */
/* Format 1 of a block, byte for byte; nothing here does anything.
 * docs/block-format.md is the same in prose.
 *
 * All numbers are little-endian. Words that different parties or different
 * moments write stand 128 bytes apart, so that no two share a pair of lines.
 */
#ifndef DXI_LAYOUT_H
#define DXI_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || ATOMIC_LLONG_LOCK_FREE != 2
#error "format 1 needs a little-endian machine with lock-free 64-bit atomics"
#endif

enum {
	DXI_LAYOUT_MAJOR = 1,
	DXI_LAYOUT_MINOR = 0,
	DXI_LAYOUT_HEADER_BYTES = 1024,
	DXI_LAYOUT_ZONE_BYTES = 128,       /* one entry of the zone table */
	DXI_LAYOUT_SLOT_HEADER_BYTES = 64, /* in front of each payload */
	DXI_LAYOUT_LINE_BYTES = 128,       /* distance of words written independently */
	DXI_LAYOUT_ALIGN = 64,             /* of everything that has an offset */
	DXI_LAYOUT_ABI = 0x18,             /* high digit 1: little-endian; low: 8-byte words */
	DXI_LAYOUT_SPARE_SLOTS = 2,        /* so that one whole item always exists */
	DXI_LAYOUT_NAME_BYTES = 64,        /* with the NUL */
};

static const uint32_t DXI_LAYOUT_MAGIC = 0x42485844;  /* "DXHB" */
static const uint32_t DXI_CONTROL_MAGIC = 0x43485844; /* "DXHC" */
static const uint32_t DXI_LOCK_MAGIC = 0x4c485844;    /* "DXHL" */
static const uint32_t DXI_ZONES_MAGIC = 0x5a485844;   /* "DXHZ" */

/* header.features_required */
enum {
	DXI_FEATURE_ZONES_FILE = 1, /* there are zones of kind DXI_ZONE_SHARED, in NAME.zones */
	DXI_FEATURES_KNOWN = DXI_FEATURE_ZONES_FILE,
};

/* header.features_optional */
enum {
	DXI_FEATURE_NO_TIMESTAMPS = 1, /* slot.timestamp_ns is 0: it says nothing */
};

/* header.wake_mode: how a publish wakes sleepers. */
enum dxi_layout_wake {
	DXI_WAKE_NONE = 0,   /* not at all: consumers look in short timed steps */
	DXI_WAKE_ALWAYS = 1, /* one FUTEX_WAKE per publish */
};

/* header.policy: what the slots are. */
enum dxi_layout_policy {
	DXI_POLICY_NO_SLOTS = 0,
	DXI_POLICY_RING = 1,   /* keeps its newest 4 .. 65536 items */
	DXI_POLICY_SINGLE = 2, /* keeps 1 */
	DXI_POLICY_DOUBLE = 3, /* keeps 2 */
};

/* header.checksum_kind: what slot.checksum holds. */
enum dxi_layout_checksum {
	DXI_CHECKSUM_NONE = 0,
	DXI_CHECKSUM_XXH3 = 1,         /* XXH3, 64 bits, of the payload; seed: the ticket */
	DXI_CHECKSUM_CRC32C = 2,       /* of ticket, length (8 bytes each) and payload */
	DXI_CHECKSUM_BLAKE2B = 3,      /* BLAKE2b-256 of the same */
	DXI_CHECKSUM_BLAKE2B_KEYED = 4 /* with a key of 32 bytes */
};

/* header.checksum_mode: which slots carry one. */
enum dxi_layout_checksum_mode {
	DXI_CHECKSUM_ENFORCED = 0, /* every item; one without is broken */
	DXI_CHECKSUM_MANUAL = 1,   /* those that are flagged */
};

/* producer.state */
enum dxi_layout_state {
	DXI_STATE_OPEN = 1,
	DXI_STATE_CLOSED = 2, /* the last producer went in good order */
	DXI_STATE_UNLIT = 3,  /* open, but a reader squats on the beacon: its lock tells nothing */
};

/* Who produces, for humans and for consumers that find the lock free.
 *
 *   field     written by         read by      order
 *   epoch     takeover           consumers    release / acquire
 *   state     takeover, close    consumers    release / acquire
 *   the rest  takeover           tools        relaxed: shown, never acted on */
struct dxi_layout_producer {
	_Atomic uint64_t epoch;       /*  0: takeovers so far */
	_Atomic uint32_t state;       /*  8: dxi_layout_state */
	_Atomic uint32_t pid;         /* 12: in the producer's pid namespace */
	_Atomic uint64_t start_ticks; /* 16: field 22 of /proc/PID/stat */
	_Atomic uint64_t boot_id[2];  /* 24: /proc/sys/kernel/random/boot_id */
	uint8_t reserved[88];         /* 40 */
};
static_assert(sizeof(struct dxi_layout_producer) == 128, "format 1");
static_assert(offsetof(struct dxi_layout_producer, start_ticks) == 16, "format 1");
static_assert(offsetof(struct dxi_layout_producer, boot_id) == 24, "format 1");

/* All written by who holds the producer's lock, read by anybody; relaxed, because they are
 * counters for humans and nothing is decided by them. */
struct dxi_layout_counters {
	_Atomic uint64_t items;        /*  0: tickets committed */
	_Atomic uint64_t bytes;        /*  8: of their payload */
	_Atomic uint64_t aborted;      /* 16: tickets aborted */
	_Atomic uint64_t wakes;        /* 24: FUTEX_WAKE calls */
	_Atomic uint64_t recoveries;   /* 32: repairs, of takeovers and of recoveries */
	_Atomic uint64_t write_max_ns; /* 40: begin to commit, one in 64 measured */
	_Atomic uint64_t held;         /* 48: writes that lossless readers held back */
	_Atomic uint64_t evicted;      /* 56: readers that the producer went on without */
	_Atomic int64_t recovered_ns;  /* 64: CLOCK_REALTIME of the last repair; 0: none yet */
	_Atomic uint32_t recovered_by; /* 72: pid of who made it */
	uint8_t reserved_by[4];        /* 76 */
	_Atomic uint64_t locked_bytes; /* 80: that the last producer locked in memory */
	_Atomic uint64_t huge_bytes;   /* 88: of its mapping that were in huge pages */
	uint8_t reserved[32];          /* 96 */
};
static_assert(offsetof(struct dxi_layout_counters, recovered_ns) == 64, "format 1");
static_assert(offsetof(struct dxi_layout_counters, locked_bytes) == 80, "format 1");
static_assert(sizeof(struct dxi_layout_counters) == 128, "format 1");

/*   field      written by            read by     order
 *   magic      creator, last         attach      release / (read before the link: see docs)
 *   4 .. 255   creator, never again  attach      plain, published by magic and the link
 *   wake       publish, close        consumers   seq_cst / acquire
 *   loud       publish               consumers   relaxed: ordered by wake, see wake.c
 *   head       publish, takeover     consumers   release / acquire
 *   clock      producer, each second tools       relaxed: shown, never acted on
 *   held       producer              lossless    seq_cst: with a row's cursor a
 *                                    readers     Dekker pair, see hold.c */
struct dxi_layout_header {
	_Atomic uint32_t magic;              /*   0: zero until all below is complete */
	uint16_t version_major;              /*   4: differs: refuse to attach */
	uint16_t version_minor;              /*   6: differs: ignore what is new */
	uint64_t header_bytes;               /*   8: 1024; more in a later minor version */
	uint64_t bytes_total;                /*  16: the size of the file */
	uint64_t features_required;          /*  24: an unknown bit: refuse to attach */
	uint64_t features_optional;          /*  32: an unknown bit: ignore it */
	uint8_t abi;                         /*  40: DXI_LAYOUT_ABI */
	uint8_t wake_mode;                   /*  41: dxi_layout_wake */
	uint8_t policy;                      /*  42: dxi_layout_policy */
	uint8_t checksum_kind;               /*  43: dxi_layout_checksum */
	uint32_t line_bytes;                 /*  44: DXI_LAYOUT_LINE_BYTES */
	uint8_t uuid[16];                    /*  48: random, of this block */
	uint64_t zones_offset;               /*  64: the zone table */
	uint32_t zone_count;                 /*  72: 0 .. 16 */
	uint32_t zone_entry_bytes;           /*  76: DXI_LAYOUT_ZONE_BYTES */
	uint64_t slots_offset;               /*  80: the first slot; 0 without slots */
	uint64_t slot_stride_bytes;          /*  88: slot header and payload */
	uint64_t slot_bytes;                 /*  96: capacity of a payload, a multiple of 64 */
	uint32_t slot_count;                 /* 104: items kept: 0, 1, 2, or 4 .. 65536 */
	uint32_t slot_physical;              /* 108: slot_count + 2 */
	uint64_t schema_offset;              /* 112: the schema, MessagePack */
	uint32_t schema_bytes;               /* 120 */
	uint32_t slot_header_bytes;          /* 124: DXI_LAYOUT_SLOT_HEADER_BYTES */
	uint8_t schema_hash[32];             /* 128: BLAKE2b-256 of the schema bytes */
	uint8_t layout_hash[32];             /* 160: of bytes 64 .. 127 and the zone table */
	uint8_t checksum_mode;               /* 192: dxi_layout_checksum_mode */
	uint8_t reserved_mode[7];            /* 193: zero */
	uint8_t checksum_key_id[8];          /* 200: tells keys apart; 0 without one */
	uint64_t marks_offset;               /* 208: of dxi_layout_mark; 0 without rows */
	uint32_t row_count;                  /* 216: rows for lossless readers: 0 .. 64 */
	uint8_t reserved_fixed[4];           /* 220: zero */
	uint8_t fixed_checksum[32];          /* 224: BLAKE2b-256 of bytes 4 .. 223 */
	_Atomic uint32_t wake;               /* 256: futex word, +1 per wake */
	_Atomic uint32_t loud;               /* 260: epoch + 1: each publish calls */
	uint8_t reserved_wake[120];          /* 264 */
	_Atomic uint64_t head;               /* 384: tickets published */
	uint8_t reserved_head[120];          /* 392 */
	struct dxi_layout_producer producer; /* 512 */
	_Atomic int64_t clock_offset_ns;     /* 640: CLOCK_REALTIME - CLOCK_MONOTONIC */
	uint8_t reserved_clock[120];         /* 648 */
	struct dxi_layout_counters counters; /* 768 */
	_Atomic uint32_t held;               /* 896: not 0: the producer waits for readers */
	uint8_t reserved_end[124];           /* 900 */
};
static_assert(offsetof(struct dxi_layout_header, bytes_total) == 16, "format 1");
static_assert(offsetof(struct dxi_layout_header, abi) == 40, "format 1");
static_assert(offsetof(struct dxi_layout_header, uuid) == 48, "format 1");
static_assert(offsetof(struct dxi_layout_header, zones_offset) == 64, "format 1");
static_assert(offsetof(struct dxi_layout_header, slots_offset) == 80, "format 1");
static_assert(offsetof(struct dxi_layout_header, schema_offset) == 112, "format 1");
static_assert(offsetof(struct dxi_layout_header, schema_hash) == 128, "format 1");
static_assert(offsetof(struct dxi_layout_header, layout_hash) == 160, "format 1");
static_assert(offsetof(struct dxi_layout_header, checksum_mode) == 192, "format 1");
static_assert(offsetof(struct dxi_layout_header, checksum_key_id) == 200, "format 1");
static_assert(offsetof(struct dxi_layout_header, marks_offset) == 208, "format 1");
static_assert(offsetof(struct dxi_layout_header, row_count) == 216, "format 1");
static_assert(offsetof(struct dxi_layout_header, held) == 896, "format 1");
static_assert(offsetof(struct dxi_layout_header, fixed_checksum) == 224, "format 1");
static_assert(offsetof(struct dxi_layout_header, wake) == 256, "format 1");
static_assert(offsetof(struct dxi_layout_header, head) == 384, "format 1");
static_assert(offsetof(struct dxi_layout_header, producer) == 512, "format 1");
static_assert(offsetof(struct dxi_layout_header, clock_offset_ns) == 640, "format 1");
static_assert(offsetof(struct dxi_layout_header, counters) == 768, "format 1");
static_assert(sizeof(struct dxi_layout_header) == DXI_LAYOUT_HEADER_BYTES, "format 1");

/* Which header bytes fixed_checksum and layout_hash cover. */
enum {
	DXI_LAYOUT_FIXED_BEGIN = offsetof(struct dxi_layout_header, version_major),
	DXI_LAYOUT_FIXED_END = offsetof(struct dxi_layout_header, fixed_checksum),
	DXI_LAYOUT_GEOMETRY_BEGIN = offsetof(struct dxi_layout_header, zones_offset),
	DXI_LAYOUT_GEOMETRY_END = offsetof(struct dxi_layout_header, schema_hash),
};

enum dxi_layout_zone_kind {
	DXI_ZONE_PLAIN = 0,
	DXI_ZONE_LATCH = 1,
	DXI_ZONE_SHARED = 2, /* plain, in the zones file: consumers may write it */
};

/* One entry of the zone table; never changes. */
struct dxi_layout_zone {
	char name[DXI_LAYOUT_NAME_BYTES]; /*  0: NUL-padded */
	uint64_t offset;                  /* 64: the bytes; latch: dxi_layout_latch; shared:
	                                   *     in the zones file */
	uint64_t bytes;                   /* 72: of one copy */
	uint32_t align;                   /* 80: of one copy: 1 .. 64 */
	uint32_t kind;                    /* 84: dxi_layout_zone_kind */
	uint32_t digest;                  /* 88: dxi_layout_checksum of dxi_layout_digest */
	uint8_t reserved[36];             /* 92: zero */
};
static_assert(offsetof(struct dxi_layout_zone, offset) == 64, "format 1");
static_assert(offsetof(struct dxi_layout_zone, align) == 80, "format 1");
static_assert(offsetof(struct dxi_layout_zone, digest) == 88, "format 1");
static_assert(sizeof(struct dxi_layout_zone) == DXI_LAYOUT_ZONE_BYTES, "format 1");

/* A latch zone. Copy 0 begins behind this head, copy 1 at the next multiple of
 * 64 behind copy 0.
 *
 *   field  written by       read by        order
 *   seq    latch commit     latch read     release / acquire
 *   copies latch begin      latch read     relaxed words, validated by seq */
struct dxi_layout_latch {
	_Atomic uint64_t seq;  /*  0: copy (seq & 1) is whole */
	uint8_t reserved[120]; /*  8 */
};
static_assert(sizeof(struct dxi_layout_latch) == DXI_LAYOUT_LINE_BYTES, "format 1");

/* Behind a zone with a digest, at the next multiple of 64; a latch has two in a row, one
 * for each copy. A seqlock of its own.
 *
 *   field     written by      read by   order
 *   mark      digest set      verify    odd: relaxed + release fence; release / acquire
 *   the rest  digest set      verify    relaxed, validated by mark */
struct dxi_layout_digest {
	_Atomic uint64_t mark;   /*  0: 0 none, odd: being set, even: set */
	_Atomic uint64_t of;     /*  8: the latch's seq then; 0 of other zones */
	_Atomic uint64_t sum[4]; /* 16: as of an item, with the ticket 2^64 - 1 - index */
	uint8_t reserved[16];    /* 48 */
};
static_assert(offsetof(struct dxi_layout_digest, sum) == 16, "format 1");
static_assert(sizeof(struct dxi_layout_digest) == DXI_LAYOUT_ALIGN, "format 1");

/* slot.flags. An unknown bit of the low half makes a slot unreadable, one of
 * the high half is ignored. */
enum {
	DXI_SLOT_ABORTED = 1,
	DXI_SLOT_CHECKED = 2, /* checksum is set */
	DXI_SLOT_FLAGS_KNOWN = DXI_SLOT_ABORTED | DXI_SLOT_CHECKED,
	DXI_SLOT_FLAGS_REQUIRED = 0xffff,
};

/* In front of each payload.
 *
 *   field     written by       read by   order
 *   seq       begin, commit    readers   relaxed + release fence, release / acquire
 *   the rest  commit           readers   relaxed, validated by seq
 *   payload   the user         readers   relaxed words, validated by seq */
struct dxi_layout_slot {
	_Atomic uint64_t seq;            /*  0: 0, 2t+1: t is being written, 2t+2: published */
	_Atomic uint64_t length;         /*  8: bytes of payload in use */
	_Atomic uint32_t flags;          /* 16 */
	_Atomic uint32_t schema_version; /* 20: of the payload: 1 */
	_Atomic int64_t timestamp_ns;    /* 24: CLOCK_MONOTONIC at commit; 0: not told */
	_Atomic uint64_t checksum[4];    /* 32: see header.checksum_kind */
};
static_assert(offsetof(struct dxi_layout_slot, timestamp_ns) == 24, "format 1");
static_assert(offsetof(struct dxi_layout_slot, checksum) == 32, "format 1");
static_assert(sizeof(struct dxi_layout_slot) == DXI_LAYOUT_SLOT_HEADER_BYTES, "format 1");

/* What the producer has to say to the reader of one row. Of the data file, so
 * that no reader can say it to another.
 *
 *   field    written by   read by      order
 *   evicted  producer     the reader   release / acquire */
struct dxi_layout_mark {
	_Atomic uint64_t evicted; /* 0: the generation that is not waited for any more */
};
static_assert(sizeof(struct dxi_layout_mark) == 8, "format 1");

/* ---- the control file: written by lossless readers, read by the producer ---- */

/*   field   written by       read by    order
 *   wake    readers          producer   seq_cst: futex word, +1 when the producer waits
 *   others  creator, once    both       plain, published by the link */
struct dxi_layout_control {
	uint32_t magic;         /*   0: DXI_CONTROL_MAGIC */
	uint16_t version_major; /*   4 */
	uint16_t version_minor; /*   6 */
	uint64_t bytes_total;   /*   8: the size of the file */
	uint8_t uuid[16];       /*  16: of the block */
	uint32_t row_count;     /*  32 */
	uint32_t row_bytes;     /*  36: 128 */
	uint8_t reserved[88];   /*  40 */
	_Atomic uint32_t wake;  /* 128 */
	uint8_t reserved_wake[124];
};
static_assert(offsetof(struct dxi_layout_control, wake) == 128, "format 1");
static_assert(sizeof(struct dxi_layout_control) == 256, "format 1");

/* One reader; row i belongs to who has byte i of the file locked for writing.
 *
 *   field       written by   read by    order
 *   generation  its reader   producer   release; 0: takes part no more
 *   cursor      its reader   producer   seq_cst, see hold.c
 *   the rest    its reader   tools      relaxed: shown, never acted on */
struct dxi_layout_row {
	_Atomic uint64_t generation; /*  0: random at each claim */
	_Atomic uint64_t cursor;     /*  8: all below are done with */
	_Atomic uint64_t read;       /* 16 */
	_Atomic uint64_t lost;       /* 24 */
	_Atomic uint64_t retries;    /* 32 */
	_Atomic uint32_t pid;        /* 40: in the reader's pid namespace */
	_Atomic uint32_t uid;        /* 44 */
	uint8_t reserved[80];        /* 48 */
};
static_assert(offsetof(struct dxi_layout_row, pid) == 40, "format 1");
static_assert(sizeof(struct dxi_layout_row) == DXI_LAYOUT_LINE_BYTES, "format 1");

/* ---- the lock file: its bytes 0 and 1 are locked, this is all it holds ---- */

struct dxi_layout_lock {
	uint32_t magic;         /* 0: DXI_LOCK_MAGIC */
	uint16_t version_major; /* 4 */
	uint16_t version_minor; /* 6 */
	uint32_t pid;           /* 8: of who locked it last */
	uint32_t has_block;     /* 12: not 0: that one has its data file at its name */
};
static_assert(offsetof(struct dxi_layout_lock, pid) == 8, "format 1");
static_assert(sizeof(struct dxi_layout_lock) == 16, "format 1");

/* ---- the zones file: written by the producer and by consumers ---- */

/* In front of the zones; all plain, written once, published by the link. */
struct dxi_layout_zones {
	uint32_t magic;         /*   0: DXI_ZONES_MAGIC */
	uint16_t version_major; /*   4 */
	uint16_t version_minor; /*   6 */
	uint64_t bytes_total;   /*   8: the size of the file */
	uint8_t uuid[16];       /*  16: of the block */
	uint8_t reserved[96];   /*  32 */
};
static_assert(sizeof(struct dxi_layout_zones) == DXI_LAYOUT_LINE_BYTES, "format 1");

/* Beyond it no ticket is believed: at a thousand million a second it takes a
 * hundred years, and 2t+2 cannot overflow. */
static const uint64_t DXI_TICKET_MAX = UINT64_C(1) << 62;

#endif
