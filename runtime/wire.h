/* SPDX-License-Identifier: MIT */
/* Frames, records and the handshake as bytes: docs/wire-format.md in code.
 *
 * Pure: knows no socket, no clock, and allocates nothing. Whatever is read here
 * came from somebody else, so every rule is checked before a field is used, and
 * a failure names the offset and the rule. Numbers are little-endian and buffers
 * to be read may lie at any address.
 */
#ifndef DXI_WIRE_H
#define DXI_WIRE_H

#include <dxh/base.h>
#include <dxh/message.h>

#include <stdbool.h>

/* A major is refused unless equal; a higher minor adds record kinds, HELLO keys
 * and feature bits, all of which an older side ignores. */
enum { DXI_PROTOCOL_MAJOR = 1, DXI_PROTOCOL_MINOR = 3 };

/* Bits of HELLO and WELCOME. */
enum {
	DXI_FEATURE_SUBSCRIBE = 1,
	DXI_FEATURE_BEAT = 2,   /* a service that answers BEAT with BEAT */
	DXI_FEATURE_PARTS = 4,  /* takes records with DXI_FLAG_* */
	DXI_FEATURE_CREDIT = 8, /* notifications within notify_bytes, returned by CREDIT */
	DXI_FEATURE_KEEP = 16   /* answers that are kept until ACK, see reply_cache.h */
};

enum {
	DXI_FRAME_HEADER_BYTES = 16,
	DXI_RECORD_HEADER_BYTES = 32,
	DXI_RECORD_ALIGN = 8,
	DXI_FRAME_BYTES_MAX = 65536,     /* of a frame that packs several records */
	DXI_MESSAGE_BYTES_MAX = 1 << 20, /* of any frame: ZMQ_MAXMSGSIZE on every socket */
	DXI_HELLO_BYTES_MAX = 512,       /* dxi_hello_write() never needs more */
	/* A larger body travels in parts of at most so many bytes, each in a record of its
	 * own: what waits meanwhile waits for one part and not for the body. */
	DXI_BODY_PART_BYTES_MAX = 256 * 1024,
	/* Bodies of one connection and direction that may be under way in parts. */
	DXI_PARTED_BODIES_MAX = 16
};

/* Flags of REQUEST and REPLY, for who has said DXI_FEATURE_PARTS. */
enum {
	DXI_FLAG_PART = 1, /* the body begins with total and offset, u64 each */
	DXI_FLAG_MORE = 2, /* it is not the last part */
	/* The body, or what is behind total and offset, is the message part behind the
	 * frame; the record is the last of its frame. */
	DXI_FLAG_BODY_IN_NEXT_PART = 4
};

/* Flags of REQUEST, to who has said DXI_FEATURE_KEEP. Of a body in parts, of its first. */
enum {
	DXI_FLAG_KEEP = 8, /* it may come again: keep the answer until ACK */
	/* Only with KEEP: a repetition of what is not known for certain is refused. */
	DXI_FLAG_ONCE = 16
};

/* Codes are part of the protocol; 0 is never one. A code beyond the last comes
 * from a newer minor: the reader steps over such a record. */
enum dxi_record_kind {
	DXI_HELLO = 1,
	DXI_WELCOME,
	DXI_BEAT,
	DXI_REQUEST,
	DXI_REPLY,
	DXI_ERROR,
	DXI_NOTIFY,
	DXI_SUBSCRIBE,
	DXI_UNSUBSCRIBE,
	DXI_CANCEL,
	DXI_CREDIT,
	DXI_FLUSH,
	DXI_FLUSHED,
	DXI_GOODBYE,
	DXI_ACK,
	DXI_KIND_LAST = DXI_ACK
};

/* The name of a kind, for logs; "?" for none. */
const char *dxi_record_kind_name(unsigned kind);

typedef struct dxi_record {
	uint8_t kind;  /* dxi_record_kind */
	uint8_t flags; /* DXI_FLAG_* */
	uint16_t subject_bytes;
	uint16_t attempt; /* 0 the first time, +1 at each retry of one id */
	/* See dxi_budget_encode(). Of SUBSCRIBE, UNSUBSCRIBE, and of NOTIFY from a service:
	 * the subscription's number. */
	uint32_t budget_us;
	int32_t status; /* a dxh_status */
	uint64_t id;
	const char *subject; /* not NUL-terminated; holds no NUL */
	const void *body;
	size_t body_bytes;
	struct dxi_body *owner; /* read: of a body behind the frame, see dxi_message; or NULL */
	uint64_t total_bytes, offset; /* of a part: the whole body, and where this lies in it */
} dxi_record;

/* ---- writing: the caller keeps the limits, they are asserted here ---- */

/* What a record without flags occupies in a frame, padding included. */
size_t dxi_record_bytes(size_t subject_bytes, size_t body_bytes);

/* Write header, subject, body and zero padding: dxi_record_bytes() bytes at a
 * multiple of 8 from the begin of the frame. With DXI_FLAG_BODY_IN_NEXT_PART the body
 * is not written, only its length is checked. */
void dxi_record_encode(void *at, const dxi_record *record);

/* Fill a buffer with one frame. begin leaves room for the header; append says
 * false, and changes nothing, when the record does not fit; end writes the
 * header and returns the bytes of the frame, 0 when nothing was appended. */
typedef struct dxi_frame_writer {
	unsigned char *bytes;
	size_t capacity; /* DXI_FRAME_HEADER_BYTES .. DXI_MESSAGE_BYTES_MAX */
	size_t used;
	uint32_t records;
} dxi_frame_writer;

dxi_frame_writer dxi_frame_begin(void *bytes, size_t capacity);
bool dxi_frame_append(dxi_frame_writer *writer, const dxi_record *record);
/* The same for one record that dxi_record_encode() wrote, with its padding. */
bool dxi_frame_append_encoded(dxi_frame_writer *writer, const void *record, size_t bytes);
size_t dxi_frame_end(dxi_frame_writer *writer);

/* Only the header, for a frame whose records were encoded in place.
 * total_bytes counts the header too. */
void dxi_frame_header(void *bytes, uint32_t records, uint32_t total_bytes);

/* ---- reading: of any bytes ---- */

typedef struct dxi_frame_reader {
	const unsigned char *at;
	const unsigned char *end;
	const unsigned char *body; /* the message part behind the frame; NULL: none */
	size_t body_bytes;
	struct dxi_body *owner; /* of that; for the caller to set, handed on as it is */
	uint32_t records_left;
	uint32_t skipped; /* records of unknown kinds stepped over so far */
} dxi_frame_reader;

/* Check a whole frame, every record of it, and stand before the first: a frame
 * that breaks a rule anywhere delivers nothing. The bytes must stay as they are until the
 * last record has been read.
 * Returns: DXH_EPROTO with the offset and the rule. */
dxh_status dxi_frame_open(dxi_frame_reader *reader, const void *bytes, size_t length);

/* The same for a message of a frame and, unless `body` is NULL, one part behind it,
 * which must be the body of the last record. */
dxh_status dxi_message_open(dxi_frame_reader *reader, const void *bytes, size_t length,
                            const void *body, size_t body_bytes);

/* The next record of a known kind; subject and body point into the frame.
 * Returns: DXH_EEMPTY at the exact end (no failure: dxh_last_error() keeps what
 * it had). */
dxh_status dxi_frame_next(dxi_frame_reader *reader, dxi_record *record);

/* ---- handshake (hello.c): the body of HELLO and of WELCOME ---- */

typedef struct dxi_hello {
	uint16_t major, minor;
	uint64_t incarnation; /* random: of the peer in HELLO, of the hub in WELCOME */
	/* HELLO: 1, 2, ... of this incarnation, for they may be read in another order than they
	 * were said. 0: not told. */
	uint64_t connection;
	char name[64];        /* for humans */
	uint32_t frame_bytes; /* at this size the sender of this closes its frames */
	uint32_t features;    /* DXI_FEATURE_* */
	/* WELCOME: what the client may have open at a time, requests and bytes of
	 * their bodies (0 bytes: not counted). HELLO: 0 and 0. */
	uint32_t window_records;
	uint64_t window_bytes;
	/* WELCOME: bytes of NOTIFY records that may be under way; 0: not counted. */
	uint64_t notify_bytes;
	uint64_t memory; /* WELCOME: see dxi_memory_token(); 0: no answers are kept */
} dxi_hello;

/* Returns the bytes written, 0 when they do not fit. */
size_t dxi_hello_write(const dxi_hello *hello, void *bytes, size_t capacity);

/* Returns: DXH_EVERSION naming both majors; DXH_EPROTO naming the key that is
 * missing or of the wrong type. Unknown keys are ignored. */
dxh_status dxi_hello_read(const void *bytes, size_t length, dxi_hello *hello);

/* ---- the body of ACK: ids, one behind the other ---- */

enum { DXI_ID_BYTES = 8 };

void dxi_ids_write(const uint64_t *ids, size_t count, void *bytes);
uint64_t dxi_ids_read(const void *bytes, size_t index);

/* ---- time ---- */

/* The time left as it travels: 0 no deadline, all ones at least that long (71
 * minutes), else microseconds, rounded down; what has expired travels as 1. */
uint32_t dxi_budget_encode(int64_t deadline_ns, int64_t now_ns);

/* The deadline on the receiver's clock, which starts now. "At least that long"
 * is DXH_FOREVER: the receiver must never be the first to give up. */
int64_t dxi_budget_decode(uint32_t budget_us, int64_t now_ns);

#endif
