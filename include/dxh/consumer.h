/* SPDX-License-Identifier: MIT */
/* The reading side of a block: attaching, reading items by copy or where they lie, waiting
 * for them in an event loop. A consumer holds nobody back, unless it is lossless, and maps
 * the block read-only.
 *
 *	dxh_consumer_open("camera/front", NULL, &consumer);
 *	while (dxh_read_next(consumer, frame, sizeof frame, DXH_FOREVER, &item) == DXH_OK)
 *		show(frame, item.bytes);
 *
 * Zones, and what both sides share, are in dxh/block.h, which also says what threads may do.
 */
#ifndef DXH_CONSUMER_H
#define DXH_CONSUMER_H

#include <dxh/block.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dxh_discipline {
	DXH_FOLLOW = 0, /* every item in order; overwritten ones are counted exactly */
	DXH_LATEST = 1, /* the newest item; those passed over are counted in lost */
	/* Every item in order; the writer waits for this consumer. Needs a block with
	 * readers_max, and write permission on NAME.ctl. What is published from the
	 * return of dxh_consumer_open() on is never lost, unless the consumer is
	 * evicted, or a successor of the producer had to make NAME.ctl anew: then DXH_EEVICTED
	 * tells how much, and it goes on behind that. A consumer that dies holds nobody back. */
	DXH_LOSSLESS = 2
} dxh_discipline;

typedef enum dxh_start {
	DXH_START_OLDEST = 0, /* the oldest item still whole */
	DXH_START_NEWEST = 1, /* the newest item */
	DXH_START_NEXT = 2,   /* the first item published from now on */
	DXH_START_TICKET = 3  /* config->start_ticket; what is gone of it counts as lost */
} dxh_start;

typedef struct dxh_consumer_config {
	const char *directory;
	dxh_discipline discipline;
	dxh_start start;
	uint64_t start_ticket;
	dxh_slot_spec slot;                /* expected payload; all zero: any */
	uint32_t owner_uid_plus1;          /* accept a block of this other user: uid + 1 */
	const unsigned char *checksum_key; /* of a block with keyed checksums; copied */
	/* Attach to exactly this data file instead, for example a copy: name and
	 * directory must then be NULL, no control and no lock file are looked at, and
	 * the block has the name it was made with. Links are followed below /proc alone:
	 * /proc/PID/fd/N is how to look at a block whose name is gone, or never was. */
	const char *file;
	int write_zones; /* not 0: dxh_zone_writable() works, on a block with zones_writable whose
	                  * NAME.zones this user may write; else DXH_ESTATE, DXH_EACCESS */
	/* Expected zones, in order, as in dxh_block_config: a NULL name or the 16th ends the
	 * list. They are compared at once, so that no later dxh_zone_view() can fail. NULL: any;
	 * then each is compared when it is asked for. Not kept. */
	const dxh_zone_spec *zones;
	/* Not 0: a block of a later version of the program is good, too, as long as it was only
	 * appended to. Slots and zones may then have more members behind the last one that this
	 * program knows, and there may be more zones behind those listed; all it knows is at the
	 * same place, of the same type, count and unit. Anything else is DXH_ESCHEMA as ever,
	 * naming the first difference: a member inserted, removed, renamed or changed; one
	 * appended within a nested struct; one that this program knows and the block lacks.
	 * Items are then longer than the program's struct: read into room for
	 * dxh_block_info.slot_bytes, or peek. Raw slots and zones have no members that could
	 * show what was appended, and must have their size. Producers never take over a block
	 * with another schema. */
	int accept_appended;
	/* Not 0: when nobody produces any more, all is read, and the name belongs to another
	 * block (the old one was removed and made anew), go on there: the call that finds it
	 * returns DXH_EMOVED. The new one must be what slot, zones and discipline ask for; else
	 * reading tells why not, once at once, then at each deadline, until there is a better
	 * one. Not for `file`, nor for blocks that were passed. dxh_consume() always does so. */
	int follow_name;
} dxh_consumer_config;

/* One item, or the report of a loss. */
typedef struct dxh_item {
	uint64_t ticket;
	size_t bytes;
	int64_t timestamp_ns; /* CLOCK_MONOTONIC at commit; 0 on blocks with no_timestamps */
	uint64_t epoch;       /* of the producer, at the time of reading */
	uint64_t lost;        /* items lost since the last call; 0 mostly */
	uint64_t lost_first;  /* first and last ticket of that loss */
	uint64_t lost_last;
} dxh_item;

/* Attach to a block, read-only. Every byte of its header is checked.
 * A copy of a data file can be read like the block itself, see config->file: its
 * producer is DXH_PRODUCER_CLOSED if it was that, else unknown, since a copy does
 * not tell whether the original lives.
 *
 * Called:  dxh_consumer_open(name, config, &consumer); config NULL: all defaults.
 * Thread:  any. Owner: the caller, until dxh_consumer_close().
 * Returns: DXH_ENOTFOUND; DXH_EACCESS, also for a block of another user than
 *          the caller, root or the configured one; DXH_ECORRUPT with the offset
 *          and the rule it breaks; DXH_EVERSION; DXH_ESCHEMA or DXH_ESIZE when
 *          config->slot differs; DXH_ESTATE or DXH_ELIMIT when a lossless consumer
 *          finds no row, or all taken, DXH_ESTATE when a discipline other than DXH_FOLLOW
 *          is asked of a block without slots; DXH_EINVAL; DXH_ENOMEM; DXH_ESYSTEM.
 */
#define dxh_consumer_open(...) dxh_consumer_open_sized(sizeof(dxh_consumer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_consumer_open_sized(size_t config_bytes, const char *name,
                                                         const dxh_consumer_config *config,
                                                         dxh_consumer **consumer);

/* Attach to a block without a name whose descriptors were passed, as dxh_producer_fds()
 * gives them. They are the library's from here on and closed in every case. config as
 * above, but directory and file must be NULL. What was not sealed as it should be, and
 * could be truncated, is refused.
 * Returns: as dxh_consumer_open(); DXH_EACCESS also for what is not sealed, and for a
 *          lossless consumer without the reader rows. */
#define dxh_consumer_open_fds(...)                                                                 \
	dxh_consumer_open_fds_sized(sizeof(dxh_consumer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_consumer_open_fds_sized(size_t config_bytes, const int *fds,
                                                             size_t count,
                                                             const dxh_consumer_config *config,
                                                             dxh_consumer **consumer);

/* Take from a unix socket what dxh_producer_send_fds() sent, and attach.
 * Called:  dxh_consumer_receive_fds(socket, deadline_ns, config, &consumer).
 * Thread:  one a socket. Units: deadline_ns absolute.
 * Blocks:  until a message comes or the deadline passes.
 * Returns: DXH_EACCESS when the other end is a user other than this one, root, and
 *          config->owner_uid_plus1 - 1; DXH_EWAIT; DXH_ECLOSED: the socket ended; DXH_EPROTO:
 *          something else came; DXH_EVERSION; DXH_ELIMIT: no descriptor is free;
 *          DXH_EINVAL; else as dxh_consumer_open_fds(). */
#define dxh_consumer_receive_fds(...)                                                              \
	dxh_consumer_receive_fds_sized(sizeof(dxh_consumer_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_consumer_receive_fds_sized(size_t config_bytes, int socket,
                                                                int64_t deadline_ns,
                                                                const dxh_consumer_config *config,
                                                                dxh_consumer **consumer);

/* Thread: owner. Sets *consumer to NULL; DXH_EINVAL when it is NULL already. */
DXH_API dxh_status dxh_consumer_close(dxh_consumer **consumer);

/* Copy the next item, according to the discipline, into `copy`.
 *
 * Only whole items are ever delivered: what changed during the copy counts as
 * lost; unless DXH_OK is returned, `copy` may hold anything. Waiting makes no
 * busy loop: the caller sleeps until the producer wakes it or, with no_wait, in
 * steps of 50 us to 1.6 ms; ten times a second it asks the kernel whether the
 * producer lives, and before DXH_EWAIT (two system calls; with DXH_NOW for 16 calls a
 * kernel tick at most, so that who looks all the time makes none mostly).
 *
 * Thread:  owner. Units: deadline_ns absolute; DXH_NOW polls.
 * Blocks:  until an item comes, the deadline passes or the producer dies.
 * Returns: DXH_OK: item and copy are filled.
 *          DXH_ELAPPED (follow only): item->lost items, lost_first..lost_last,
 *          were overwritten before they were read; the next call goes on with
 *          the oldest item kept. A reader that is overtaken again and again,
 *          with no item in between, is set ever nearer to the newest one.
 *          DXH_EEVICTED (lossless only): item->lost items are lost, the next call
 *          goes on behind them, and from there the writer waits again. It went on
 *          without this consumer, after its deadline or because a successor made
 *          NAME.ctl anew; or the consumer began at, or sought, a ticket that was gone.
 *          DXH_ELIMIT, DXH_EACCESS, DXH_ECORRUPT (lossless only) of
 *          NAME.ctl: it was made anew, and there is no row in it for this consumer, which
 *          nobody waits for now. Each call tries again.
 *          DXH_EWAIT: nothing new, the producer lives (or none was ever there).
 *          DXH_EDEAD: nothing new and the producer died. Told once at once, then
 *          at the deadline of each further call, until a successor publishes.
 *          DXH_ECLOSED: nothing new and the producer closed in good order. Told
 *          like DXH_EDEAD: once at once, then at each further deadline. Of a file
 *          attached as such it says that nobody writes to it.
 *          DXH_EUNLINKED: no producer, and the name was removed: no successor
 *          will come to this memory, attach again by name. Told at once, always; with
 *          follow_name once at once, then at each further deadline.
 *          DXH_EMOVED (follow_name only), behind one of the three: from here on this is
 *          another block. Its tickets begin at 0, and what is gone of them counts as lost.
 *          Zones are to be asked for again; pointers to the old ones stay good until the
 *          consumer is closed, and show what was there last. dxh_consumer_info() tells of
 *          the new one. With DXH_ESCHEMA, DXH_ESIZE, DXH_ESTATE, DXH_EACCESS, ... there is
 *          another one that cannot be gone on in, as dxh_consumer_open() would say.
 *          DXH_ESIZE: capacity is less than item->bytes; the item is not
 *          consumed. DXH_ESTATE: the block has no ring.
 *          DXH_ECORRUPT: this slot breaks a rule, its checksum among them; it is
 *          counted as lost and the next call goes on.
 */
DXH_API DXH_NODISCARD dxh_status dxh_read_next(dxh_consumer *consumer, void *copy,
                                               size_t capacity_bytes, int64_t deadline_ns,
                                               dxh_item *item);

/* Copy up to `max` items that are there, the i-th to copies + i * stride_bytes;
 * wait for the first as dxh_read_next() does, for no other. A loss behind them is
 * told by the next call.
 * Thread: owner. Returns: DXH_OK: *count >= 1 items; else as dxh_read_next(), and
 * items[0] tells what it says of item; DXH_EINVAL. */
DXH_API DXH_NODISCARD dxh_status dxh_read_n(dxh_consumer *consumer, void *copies,
                                            size_t stride_bytes, size_t max, int64_t deadline_ns,
                                            dxh_item *items, size_t *count);

/* What reading would tell besides items, without reading: for blocks without slots, and for
 * who looks at zones alone. A few system calls where the producer is gone, one else.
 * Thread:  owner. Blocks: no.
 * Returns: DXH_OK: the producer lives (or none was ever there), or there is something to
 *          read; DXH_EDEAD; DXH_ECLOSED; DXH_EUNLINKED; DXH_EMOVED and what keeps from it
 *          as dxh_read_next(), but only when all is read; DXH_ESTATE while an item is being
 *          looked at; DXH_EINVAL; DXH_ESTALE; DXH_EFORKED. */
DXH_API DXH_NODISCARD dxh_status dxh_consumer_check(dxh_consumer *consumer);

/* A descriptor for epoll, poll and what is built on them. It is readable when there may
 * be something to read, or when the state of the producer has changed: it died, closed,
 * a successor came, the block was unlinked. Then read (or peek) with DXH_NOW until a
 * call says that nothing is there: DXH_EWAIT, DXH_EDEAD, DXH_ECLOSED or DXH_EUNLINKED. That
 * makes it unreadable until the next news; none is missed in between. As long as no call
 * has said so it stays readable, also for who reads one item a turn; it may be readable
 * once for nothing.
 *
 * One thread of the process, made with the first descriptor and ended with the last,
 * sleeps on the wake words of all of them; a death is noticed within about a tenth of a
 * second. Where the kernel cannot sleep on many words (before Linux 5.16) it looks each
 * millisecond instead, and only while a descriptor waits.
 *
 * Thread:  owner. Owner: the consumer; never read, write or close it. The same at each
 *          call. It is closed with the consumer: take it out of the loop before.
 * Blocks:  no.
 * Returns: DXH_ESTATE: the block was made with no_wait, or has no ring; DXH_ELIMIT: no
 *          descriptor or thread is to be had; DXH_ENOMEM; DXH_EINVAL; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_consumer_fd(dxh_consumer *consumer, int *fd);

/* Go on at another place; `ticket` for DXH_START_TICKET, else 0. A loss that was
 * not told yet is told with the next item. What is passed over or read again by
 * seeking counts as neither read nor lost, also by an eviction not yet told.
 * Thread: owner. Returns: DXH_EINVAL; DXH_ESTATE; DXH_ECORRUPT. */
DXH_API DXH_NODISCARD dxh_status dxh_consumer_seek(dxh_consumer *consumer, dxh_start start,
                                                   uint64_t ticket);

/* An item where it lies, without a copy. */
typedef struct dxh_peek {
	const void *data; /* item.bytes of them; provisional until dxh_peek_end() */
	dxh_item item;
	dxh_consumer *consumer;
	uint64_t serial; /* the library's: tells whose it is */
} dxh_peek;

/* Look at the next item in place. The writer does not wait: what is read may
 * change under the reader's eyes, so keep nothing of it, and act on nothing, until
 * end has said DXH_OK; dxh_peek_holds() asks in between (not 0: good until now).
 * For a lossless consumer the writer does wait: the item is borrowed, and stays
 * as it is until end, or until the consumer is evicted, which end then tells.
 * With checksums the item is verified at begin.
 *
 * Thread:  owner; one at a time, nothing else is read meanwhile.
 * Returns: begin: as dxh_read_next(), but DXH_ESIZE; DXH_ESTATE when one is open.
 *          end: DXH_ELAPPED, or DXH_EEVICTED for a lossless consumer: it was
 *          overwritten, discard what was derived from it; it counts as lost and
 *          not as read. DXH_ESTATE when this one is not open: ended before, or
 *          another consumer's.
 */
DXH_API DXH_NODISCARD dxh_status dxh_peek_begin(dxh_consumer *consumer, int64_t deadline_ns,
                                                dxh_peek *peek);
DXH_API int dxh_peek_holds(const dxh_peek *peek);
DXH_API DXH_NODISCARD dxh_status dxh_peek_end(dxh_peek *peek);

/* `data` is provisional: the caller of dxh_with_read() learns whether it held. */
typedef dxh_status (*dxh_use_fn)(void *context, const void *data, const dxh_item *item);

/* Peek, use, validate in one call.
 * Thread: owner. Returns: what `use` returned; DXH_ELAPPED when the item did not
 * hold, whatever it returned; as dxh_peek_begin() when it was not called. */
DXH_API DXH_NODISCARD dxh_status dxh_with_read(dxh_consumer *consumer, int64_t deadline_ns,
                                               dxh_use_fn use, void *context);

typedef struct dxh_consumer_stats {
	uint64_t read;       /* items delivered */
	uint64_t read_bytes; /* of their payload */
	uint64_t lost; /* tickets lost or passed over, exactly; see dxh_write_begin() for aborts */
	uint64_t skipped;     /* aborted tickets stepped over */
	uint64_t retries;     /* copies thrown away because the writer was faster */
	uint64_t corrupt;     /* slots that broke a rule (contained in lost) */
	uint64_t lag;         /* tickets published and not yet read, now */
	uint64_t next_ticket; /* the next one this consumer will look at */
	uint64_t head;        /* tickets published so far */
	uint64_t epoch;
	uint64_t
		evicted; /* times the writer went on without this consumer, or was past its place */
	int64_t lag_ns;  /* since when the oldest of `lag` that is kept has been there; 0: none is,
	                 * or the block has no_timestamps */
	uint64_t lost_first; /* the first and the last ticket that were ever lost; both 0 */
	uint64_t lost_last;  /* while `lost` is */
} dxh_consumer_stats;

/* read + lost + skipped == next_ticket - the ticket started at, always.
 * Thread: owner. */
DXH_API dxh_status dxh_consumer_stats_get(const dxh_consumer *consumer, dxh_consumer_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
