/* SPDX-License-Identifier: MIT */
/* The lock byte says that a row is alive, its generation which life it is, its
 * cursor how far the reader is. All three are the reader's; the producer only
 * looks, and says by a mark of its own whom it does not wait for any more.
 */
#include "shm/row.h"

#include "base/futex.h"
#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/lease.h"
#include "shm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dxi_layout_row *row_of(const dxi_row *row)
{
	return dxi_control_row(row->control, row->index);
}

static dxh_status fail_for_pass(const dxi_block *block)
{
	return dxi_fail(DXH_EACCESS,
	                "the reader rows of \"%s\" were not passed with its data: ask for both, "
	                "or follow without holding the writer back",
	                block->paths.name);
}

static dxh_status open_passed(const dxi_block *block, dxi_row *row)
{
	dxh_status status = dxi_memory_check_control(block->control_fd);

	if (status != DXH_OK)
		return status;
	row->fd = dxi_descriptor_reopen_guarded(block->control_fd);
	if (row->fd == -1)
		return dxi_fail_errno(errno, "opening %s again", block->paths.control);
	return dxi_control_check(row->fd, block);
}

static dxh_status open_control(const dxi_block *block, dxi_row *row)
{
	if (block->paths.is_memory)
		return block->control_fd == -1 ? fail_for_pass(block) : open_passed(block, row);
	/* A description of its own: a mapping that a child of fork() keeps must
	 * not keep our lock. */
	row->fd = dxi_descriptor_open_guarded(block->paths.control, O_RDWR, 0);
	if (row->fd == -1 && errno == EACCES)
		return dxi_fail(DXH_EACCESS,
		                "a lossless reader writes to %s, which you may not: ask for its "
		                "group or mode, or follow without holding the writer back",
		                block->paths.control);
	if (row->fd == -1)
		return dxi_fail_errno(errno, "opening %s", block->paths.control);
	return dxi_control_check(row->fd, block);
}

/* Another description than that of the lock. */
static dxh_status open_to_map(const dxi_block *block, int *fd)
{
	if (block->paths.is_memory)
		return dxi_memory_reopen(block->control_fd, O_RDWR, fd);
	*fd = dxi_descriptor_open(block->paths.control, O_RDWR, 0);
	return *fd == -1 ? dxi_fail_errno(errno, "opening %s", block->paths.control) : DXH_OK;
}

static dxh_status map_control(const dxi_block *block, dxi_row *row)
{
	size_t bytes = dxi_control_bytes(block->fixed.row_count);
	dxh_status status;
	void *map;
	int fd;

	status = open_to_map(block, &fd);
	if (status != DXH_OK)
		return status;
	status = dxi_control_check(fd, block);
	map = status == DXH_OK ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
	                       : MAP_FAILED;
	if (status == DXH_OK && map == MAP_FAILED)
		status = dxi_fail_errno(errno, "mapping %s", block->paths.control);
	close(fd);
	if (status == DXH_OK)
		row->control = map;
	return status;
}

static dxh_status lock_free_row(const dxi_block *block, dxi_row *row)
{
	int error;

	for (uint32_t i = 0; i < block->fixed.row_count; i++) {
		if (dxi_byte_lock(row->fd, i, &error)) {
			row->index = i;
			return DXH_OK;
		}
		if (error != EAGAIN && error != EACCES) /* those mean: another has it */
			return dxi_fail_errno(error, "locking a row of %s", block->paths.control);
	}
	return dxi_fail(DXH_ELIMIT,
	                "all %" PRIu32 " reader rows of \"%s\" are taken: raise readers_max, or "
	                "follow without holding the writer back",
	                block->fixed.row_count, block->paths.name);
}

void dxi_row_advance(dxi_row *row, const dxi_block *block, uint64_t cursor)
{
	struct dxi_layout_control *control = row->control;

	if (cursor == row->cursor)
		return;
	row->cursor = cursor;
	/* Behind the last use of what it lets go. seq_cst, as the load below: either
	 * the writer's scan sees this, or we see that it waits. See hold.c. */
	atomic_store(&row_of(row)->cursor, cursor);
	if (atomic_load(&dxi_block_header(block)->held) == 0)
		return;
	atomic_fetch_add(&control->wake, 1);
	dxi_futex_wake(&control->wake, INT_MAX, DXI_FUTEX_SHARED);
}

void dxi_row_rejoin(dxi_row *row, uint64_t cursor)
{
	struct dxi_layout_row *shared = row_of(row);

	/* Never 0 and never an earlier one, as far as 64 random bits go. */
	if (getrandom(&row->generation, sizeof row->generation, 0) != sizeof row->generation)
		row->generation += 2;
	row->generation |= 1;
	row->cursor = cursor;
	atomic_store_explicit(&shared->cursor, cursor, memory_order_relaxed);
	/* Publishes the cursor. seq_cst: before the load of head that the caller makes
	 * next. A scan that misses this row was made before, and goes no further
	 * than that head and what is kept. */
	atomic_store(&shared->generation, row->generation);
}

static uint64_t epoch_of(const dxi_block *block)
{
	/* Pairs with the release in dxi_takeover(), which comes behind the new file. */
	return atomic_load_explicit(&dxi_block_header(block)->producer.epoch, memory_order_acquire);
}

dxh_status dxi_row_claim(const dxi_block *block, uint64_t cursor, dxi_row *row)
{
	dxh_status status;

	*row = DXI_ROW_NONE;
	row->epoch = epoch_of(block); /* before the file is opened: a later one is noticed */
	if (block->fixed.row_count == 0)
		return dxi_fail(DXH_ESTATE,
		                "\"%s\" has no rows for lossless readers: make it with readers_max",
		                block->paths.name);
	if ((status = open_control(block, row)) == DXH_OK &&
	    (status = map_control(block, row)) == DXH_OK &&
	    (status = lock_free_row(block, row)) == DXH_OK) {
		dxi_row_show(row, 0, 0, 0);
		atomic_store_explicit(&row_of(row)->pid, (uint32_t)getpid(), memory_order_relaxed);
		atomic_store_explicit(&row_of(row)->uid, (uint32_t)geteuid(), memory_order_relaxed);
		dxi_row_rejoin(row, cursor);
		return DXH_OK;
	}
	dxi_row_leave(row, block);
	return status;
}

bool dxi_row_is_evicted(const dxi_row *row, const dxi_block *block)
{
	/* Pairs with the release in dxi_hold(). */
	return atomic_load_explicit(&block->marks[row->index].evicted, memory_order_acquire) ==
	       row->generation;
}

bool dxi_row_has_lost_its_file(const dxi_row *row, const dxi_block *block)
{
	struct stat ours, theirs;

	/* Without a name nothing succeeds it: whoever took over before that may use ours. */
	if (block->paths.is_memory || fstat(row->fd, &ours) == -1 ||
	    lstat(block->paths.control, &theirs) == -1)
		return false;
	return ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev;
}

bool dxi_row_is_orphan(dxi_row *row, const dxi_block *block)
{
	uint64_t epoch = epoch_of(block);

	if (epoch == row->epoch)
		return false;
	if (dxi_row_has_lost_its_file(row, block))
		return true;
	row->epoch = epoch;
	return false;
}

dxh_status dxi_row_move(dxi_row *row, const dxi_block *block, uint64_t cursor)
{
	dxi_row new_row;
	dxh_status status = dxi_row_claim(block, cursor, &new_row);

	/* Gone again meanwhile: as if it had not been there, and looked for at the next loss. */
	if (status == DXH_ENOTFOUND)
		return DXH_OK;
	if (status != DXH_OK)
		return status;
	/* Not one word more to the old file: it may have been truncated. */
	row->generation = 0;
	dxi_row_leave(row, block);
	*row = new_row;
	return DXH_OK;
}

void dxi_row_show(const dxi_row *row, uint64_t read, uint64_t lost, uint64_t retries)
{
	struct dxi_layout_row *shared = row_of(row);

	/* relaxed: figures for people. */
	atomic_store_explicit(&shared->read, read, memory_order_relaxed);
	atomic_store_explicit(&shared->lost, lost, memory_order_relaxed);
	atomic_store_explicit(&shared->retries, retries, memory_order_relaxed);
}

void dxi_row_leave(dxi_row *row, const dxi_block *block)
{
	if (row->control && row->generation != 0) {
		/* seq_cst, and a wake as for an advance beyond everything. */
		atomic_store(&row_of(row)->generation, 0);
		dxi_row_advance(row, block, UINT64_MAX);
	}
	if (row->control)
		munmap(row->control, dxi_control_bytes(block->fixed.row_count));
	if (row->fd != -1)
		dxi_descriptor_close_guarded(row->fd);
	*row = DXI_ROW_NONE;
}
