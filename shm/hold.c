/* SPDX-License-Identifier: MIT */
/* The rows are looked at only when the ring has come round to the smallest cursor
 * that was seen. They are read with pread(): whoever may write the control file
 * can truncate it, and a producer must not die of that.
 *
 *   reader    cursor = c (seq_cst)          held?  then wake + 1, FUTEX_WAKE
 *   producer  held = 1 (seq_cst), fence     look at cursors, FUTEX_WAIT(wake)
 *
 * Either the producer's look sees the cursor, or the reader sees that it is waited
 * for. wake is read with the cursors, so that a wake between look and sleep is not
 * slept over.
 */
#include "shm/hold.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/probe.h"
#include "base/status.h"
#include "shm/counter.h"
#include "shm/descriptor.h"
#include "shm/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A reader that dies wakes nobody: so often its lock is asked for. */
enum { LOOK_AGAIN_NS = 2 * DXI_NS_PER_MS };

/* A private copy of what a row says. */
typedef struct row_seen {
	uint64_t generation;
	uint64_t cursor;
	uint32_t pid;
} row_seen;

static const struct dxi_layout_control *copy_of(const dxi_hold *hold)
{
	return (const struct dxi_layout_control *)(const void *)hold->copy;
}

static row_seen row_at(const dxi_hold *hold, uint32_t index)
{
	const unsigned char *row = hold->copy + sizeof(struct dxi_layout_control) +
	                           index * sizeof(struct dxi_layout_row);
	row_seen seen;

	memcpy(&seen.generation, row + offsetof(struct dxi_layout_row, generation), 8);
	memcpy(&seen.cursor, row + offsetof(struct dxi_layout_row, cursor), 8);
	memcpy(&seen.pid, row + offsetof(struct dxi_layout_row, pid), 4);
	return seen;
}

static bool is_waited_for(const dxi_block *block, uint32_t index, const row_seen *row)
{
	/* relaxed: only we write it. */
	return row->generation != 0 &&
	       row->generation !=
	               atomic_load_explicit(&block->marks[index].evicted, memory_order_relaxed);
}

/* Does this row hold ticket `next` back? Only one that lives does. */
static bool holds_back(const dxi_hold *hold, const dxi_block *block, uint64_t next, uint32_t index)
{
	row_seen row = row_at(hold, index);

	return is_waited_for(block, index, &row) && row.cursor < next &&
	       next - row.cursor >= block->ring.kept && dxi_byte_has_writer(hold->fd, index);
}

/* Copy the rows, and find the smallest cursor. A file that has become shorter has
 * no rows: nobody who truncates it is waited for. */
static void look(dxi_hold *hold, const dxi_block *block, uint64_t next)
{
	size_t bytes = dxi_control_bytes(block->fixed.row_count);
	ssize_t got;

	/* Orders `held` and head before what is read. */
	atomic_thread_fence(memory_order_seq_cst);
	do
		got = pread(hold->fd, hold->copy, bytes, 0);
	while (got == -1 && errno == EINTR);
	if (got != (ssize_t)bytes)
		memset(hold->copy, 0, bytes);
	/* And what is read before the payload that may be written because of it. */
	atomic_thread_fence(memory_order_seq_cst);
	hold->floor = next;
	for (uint32_t i = 0; i < block->fixed.row_count; i++) {
		row_seen row = row_at(hold, i);

		if (!is_waited_for(block, i, &row) || row.cursor >= hold->floor)
			continue;
		/* One that is too far back must be alive to count. */
		if (next - row.cursor < block->ring.kept || dxi_byte_has_writer(hold->fd, i))
			hold->floor = row.cursor;
	}
}

static void evict_all(dxi_hold *hold, dxi_block *block, uint64_t next)
{
	for (uint32_t i = 0; i < block->fixed.row_count; i++) {
		row_seen row = row_at(hold, i);

		if (!holds_back(hold, block, next, i))
			continue;
		/* Before anything is overwritten. Pairs with the acquire in
		 * dxi_row_is_evicted(). */
		atomic_store_explicit(&block->marks[i].evicted, row.generation,
		                      memory_order_release);
		dxi_counter_add(&dxi_block_header(block)->counters.evicted, 1);
		DXI_PROBE(evict, block->paths.name, row.pid, next - row.cursor);
		dxi_log(DXH_LOG_WARNING,
		        "block %s: went on without the reader of row %" PRIu32 ", pid %" PRIu32
		        ", which was %" PRIu64 " items behind",
		        block->paths.name, i, row.pid, next - row.cursor);
	}
}

static dxh_status go_on_without(dxi_hold *hold, dxi_block *block, uint64_t next)
{
	evict_all(hold, block, next);
	look(hold, block, next);
	/* A row that is new and holds us already is no reader's: none begins there. */
	if (!dxi_hold_is_free(hold, block, next))
		hold->floor = next;
	return DXH_OK;
}

static dxh_status fail_for_hold(const dxi_hold *hold, const dxi_block *block, uint64_t next)
{
	for (uint32_t i = 0; i < block->fixed.row_count; i++) {
		row_seen row = row_at(hold, i);

		if (holds_back(hold, block, next, i))
			return dxi_fail(
				DXH_EWAIT,
				"ticket %" PRIu64 " of \"%s\" is held back by the reader of "
				"row %" PRIu32 ", pid %" PRIu32 ", %" PRIu64 " items behind",
				next, block->paths.name, i, row.pid, next - row.cursor);
	}
	return dxi_fail(DXH_EWAIT, "ticket %" PRIu64 " of \"%s\" was held back: write again", next,
	                block->paths.name);
}

/* Held back: look, sleep, look. */
static dxh_status
wait_for_readers(dxi_hold *hold, dxi_block *block, uint64_t next, int64_t deadline_ns, bool evict)
{
	int64_t now_ns, step_ns;

	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		look(hold, block, next);
		if (dxi_hold_is_free(hold, block, next))
			return DXH_OK;
		now_ns = dxh_now_ns();
		if (now_ns >= deadline_ns)
			return evict ? go_on_without(hold, block, next)
			             : fail_for_hold(hold, block, next);
		step_ns = now_ns + LOOK_AGAIN_NS;
		dxi_futex_wait(&hold->control->wake,
		               atomic_load_explicit(&copy_of(hold)->wake, memory_order_relaxed),
		               step_ns < deadline_ns ? step_ns : deadline_ns, DXI_FUTEX_SHARED);
	}
}

dxh_status
dxi_hold_wait(dxi_hold *hold, dxi_block *block, uint64_t next, int64_t deadline_ns, bool evict)
{
	struct dxi_layout_header *header = dxi_block_header(block);
	dxh_status status;

	look(hold, block, next);
	if (dxi_hold_is_free(hold, block, next))
		return DXH_OK;
	dxi_counter_add(&header->counters.held, 1);
	/* seq_cst: see above. */
	atomic_store(&header->held, 1);
	status = wait_for_readers(hold, block, next, deadline_ns, evict);
	atomic_store_explicit(&header->held, 0, memory_order_relaxed);
	return status;
}

/* ---- opening and closing ---- */

/* It may be whole, only we cannot open it now: readers may live by it. */
static bool is_our_own_trouble(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

static dxh_status open_of_dead(const dxi_block *block, int *fd)
{
	dxh_status status;

	*fd = dxi_descriptor_open(block->paths.control, O_RDWR, 0);
	if (*fd == -1 && is_our_own_trouble(errno))
		return dxi_fail_errno(errno, "opening %s", block->paths.control);
	status = *fd == -1 ? DXH_ENOTFOUND : dxi_control_check(*fd, block);
	if (status == DXH_OK)
		return DXH_OK;
	if (*fd != -1)
		close(*fd);
	*fd = -1;
	if (status != DXH_ENOTFOUND && status != DXH_ECORRUPT)
		return status;
	dxi_log(DXH_LOG_WARNING, "block %s: %s is missing or broken and is made anew",
	        block->paths.name, block->paths.control);
	return dxi_control_replace(block, fd);
}

dxh_status dxi_hold_open(dxi_hold *hold, const dxi_block *block, int fd)
{
	size_t bytes = dxi_control_bytes(block->fixed.row_count);
	dxh_status status = DXH_OK;
	void *map;

	*hold = DXI_HOLD_NONE;
	if (block->fixed.row_count == 0)
		return DXH_OK;
	if (fd == -1)
		status = open_of_dead(block, &fd);
	if (status != DXH_OK)
		return status;
	hold->fd = fd;
	hold->copy = calloc(1, bytes);
	if (!hold->copy)
		status = dxi_fail(DXH_ENOMEM, "no memory for %zu bytes of reader rows", bytes);
	map = status == DXH_OK ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (status == DXH_OK && map == MAP_FAILED)
		status = dxi_fail_errno(errno, "mapping %s", block->paths.control);
	if (status != DXH_OK) {
		dxi_hold_close(hold, block);
		return status;
	}
	hold->control = map;
	/* 0: the first write that the ring comes round to looks. */
	return DXH_OK;
}

void dxi_hold_close(dxi_hold *hold, const dxi_block *block)
{
	if (hold->control)
		munmap(hold->control, dxi_control_bytes(block->fixed.row_count));
	if (hold->fd != -1)
		close(hold->fd);
	free(hold->copy);
	*hold = DXI_HOLD_NONE;
}
