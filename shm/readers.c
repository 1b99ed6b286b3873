/* SPDX-License-Identifier: MIT */
/* Who reads a block, as far as it is known: those who have a row. What a row says is its
 * reader's word; only that somebody holds its lock is the kernel's.
 */
#include "shm/readers.h"

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/lease.h"
#include "shm/producer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static uint64_t head_of(const dxi_block *block)
{
	/* Pairs with the release in write.c: the slots below are published. */
	return atomic_load_explicit(&dxi_block_header(block)->head, memory_order_acquire);
}

uint64_t dxi_lag(const dxi_block *block, uint64_t next)
{
	uint64_t head = head_of(block);

	return head > next ? head - next : 0;
}

int64_t dxi_lag_ns(const dxi_block *block, uint64_t next)
{
	uint64_t head = head_of(block), kept = block->ring.kept;
	int64_t published_ns, now_ns = dxh_now_ns();

	if (kept == 0 || head <= next || head >= DXI_TICKET_MAX)
		return 0;
	if (head - next > kept)
		next = head - kept;
	published_ns = dxi_slot_published_ns(&block->ring, next);
	return published_ns > 0 && published_ns < now_ns ? now_ns - published_ns : 0;
}

static void describe(const dxi_block *block, uint32_t index, const struct dxi_layout_row *row,
                     dxh_reader_info *reader)
{
	/* Pairs with the release in hold.c. */
	uint64_t mark = atomic_load_explicit(&block->marks[index].evicted, memory_order_acquire);

	*reader = (dxh_reader_info){
		.row = index,
		.pid = row->pid,
		.uid = row->uid,
		.next_ticket = row->cursor,
		.read = row->read,
		.lost = row->lost,
		.retries = row->retries,
		.lag = dxi_lag(block, row->cursor),
		.lag_ns = dxi_lag_ns(block, row->cursor),
		.evicted = mark == row->generation,
	};
}

static dxh_status check(const dxh_reader_info *readers, size_t max, const size_t *count)
{
	if (!count || (!readers && max > 0))
		return dxi_fail(DXH_EINVAL, "%s is NULL", count ? "readers" : "count");
	return DXH_OK;
}

static dxh_status
list(const dxi_block *block, int fd, dxh_reader_info *readers, size_t max, size_t *count)
{
	struct dxi_layout_row row;
	dxh_status status;

	*count = 0;
	for (uint32_t i = 0; i < block->fixed.row_count; i++) {
		status = dxi_read_at(fd, &row, sizeof row,
		                     sizeof(struct dxi_layout_control) + i * sizeof row);
		if (status != DXH_OK)
			return status;
		if (row.generation == 0 || !dxi_byte_has_writer(fd, i))
			continue;
		if (*count < max)
			describe(block, i, &row, &readers[*count]);
		++*count;
	}
	return DXH_OK;
}

dxh_status
dxh_producer_readers(dxh_producer *producer, dxh_reader_info *readers, size_t max, size_t *count)
{
	dxh_status status = dxi_producer_check(producer);

	if (status == DXH_OK)
		status = check(readers, max, count);
	if (status != DXH_OK)
		return status;
	return list(&producer->block, producer->hold.fd, readers, max, count);
}

static dxh_status
list_by_path(const dxi_block *block, dxh_reader_info *readers, size_t max, size_t *count)
{
	dxh_status status;
	int fd;

	*count = 0;
	if (block->fixed.row_count == 0)
		return DXH_OK;
	fd = dxi_descriptor_open(block->paths.control, O_RDONLY, 0);
	if (fd == -1)
		return dxi_fail_errno(errno, "opening %s", block->paths.control);
	status = dxi_control_check(fd, block);
	if (status == DXH_OK)
		status = list(block, fd, readers, max, count);
	close(fd);
	return status;
}

dxh_status dxh_block_readers(const char *directory, const char *name, dxh_reader_info *readers,
                             size_t max, size_t *count)
{
	dxi_paths paths;
	dxi_block block;
	dxh_status status = check(readers, max, count);

	if (status != DXH_OK || (status = dxi_paths_of(directory, name, &paths)) != DXH_OK ||
	    (status = dxi_segment_attach(&paths, DXI_ACCESS_READ, 0, &block)) != DXH_OK)
		return status;
	status = list_by_path(&block, readers, max, count);
	dxi_segment_detach(&block);
	return status;
}
