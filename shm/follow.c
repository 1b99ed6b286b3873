/* SPDX-License-Identifier: MIT */
/* What it takes to attach again, and what stays of a block that was left: pointers into its
 * zones were handed out, and nobody can be asked whether they are still used. So the zones
 * become a private copy in the same place, the slots go, and with them the file.
 */
#include "shm/follow.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what was expected ---- */

static uint32_t copy_zones(const dxh_zone_spec *from, dxh_zone_spec *to)
{
	uint32_t count = 0;

	for (; from && count < DXH_ZONES_MAX && from[count].name; count++)
		to[count] = from[count];
	return count;
}

/* The caller's schemas need not outlive the call: as a block's description they are ours. */
static dxh_status keep_expected(dxi_follow *follow, const dxh_consumer_config *given)
{
	dxh_block_config wanted = {.slot = given->slot, .slot_count = given->slot.bytes > 0};
	uint32_t count = copy_zones(given->zones, wanted.zones);
	unsigned char *bytes = NULL;
	size_t length;
	dxh_status status;

	copy_zones(given->zones, follow->zones);
	if (given->zones)
		follow->config.zones = follow->zones;
	if (count == 0 && !given->slot.schema)
		return DXH_OK;
	status = dxi_schema_write(follow->name, &wanted, &bytes, &length);
	if (status == DXH_OK)
		status = dxh_description_read(bytes, length, &follow->expected);
	free(bytes);
	if (status != DXH_OK)
		return status;
	for (uint32_t i = 0; i < count; i++) {
		follow->zones[i].name = follow->expected->zones[i].name;
		follow->zones[i].schema = follow->expected->zones[i].schema;
	}
	follow->config.slot.schema = follow->expected->slot.schema;
	return DXH_OK;
}

static dxh_status
keep_config(dxi_follow *follow, const char *name, const dxh_consumer_config *config)
{
	dxi_paths paths;
	dxh_status status = dxi_paths_of(config->directory, name, &paths);

	if (status != DXH_OK)
		return status;
	follow->config = *config;
	follow->config.follow_name = 0;
	follow->config.directory = follow->directory;
	/* Of another block nothing was seen: what is gone of it is lost. */
	follow->config.start = DXH_START_TICKET;
	follow->config.start_ticket = 0;
	strcpy(follow->name, paths.name);
	strcpy(follow->directory, paths.directory);
	strcpy(follow->data, paths.data);
	if (config->checksum_key) {
		memcpy(follow->key, config->checksum_key, sizeof follow->key);
		follow->config.checksum_key = follow->key;
	}
	return keep_expected(follow, config);
}

dxh_status dxi_follow_new(const char *name, const dxh_consumer_config *config, dxi_follow **follow)
{
	dxi_follow *made;
	dxh_status status;

	if (!name || config->file)
		return dxi_fail(DXH_EINVAL, "follow_name is set, but what was opened has no name "
		                            "that could be followed: it is a file, or was passed");
	made = calloc(1, sizeof *made);
	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a consumer");
	status = keep_config(made, name, config);
	if (status == DXH_OK)
		*follow = made;
	else
		dxi_follow_free(made);
	return status;
}

void dxi_follow_free(dxi_follow *follow)
{
	if (!follow)
		return;
	dxi_left_free(follow->left);
	dxh_description_free(&follow->expected);
	free(atomic_load_explicit(&follow->elsewhere, memory_order_acquire));
	explicit_bzero(follow->key, sizeof follow->key);
	free(follow);
}

/* ---- where it may be ---- */

uint64_t dxi_follow_file(const dxi_follow *follow, const dxi_block *block)
{
	struct stat there, here;

	if (stat(follow->data, &there) == -1 || fstat(block->fd, &here) == -1 ||
	    (there.st_ino == here.st_ino && there.st_dev == here.st_dev))
		return 0;
	return there.st_ino;
}

bool dxi_follow_sees(const dxi_follow *follow, const dxi_block *block)
{
	uint64_t file = dxi_follow_file(follow, block);

	/* relaxed: a hint, looked at again by the consumer itself. */
	return atomic_load_explicit(&follow->elsewhere, memory_order_relaxed) ||
	       (file != 0 && file != atomic_load_explicit(&follow->refused, memory_order_relaxed));
}

void dxi_follow_tell(dxi_follow *follow, const char *directory)
{
	/* Without memory it is told again. Publishes the text. Pairs with dxi_follow_told(). */
	free(atomic_exchange_explicit(&follow->elsewhere, strdup(directory), memory_order_acq_rel));
}

char *dxi_follow_told(dxi_follow *follow)
{
	return atomic_exchange_explicit(&follow->elsewhere, NULL, memory_order_acq_rel);
}

/* ---- what is left ---- */

/* In one step: nobody finds a hole there. Without memory for it, it stays what it is, which
 * costs the memory of the file and harms nobody. */
static void make_private(unsigned char *base, size_t bytes, int protection)
{
	void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return;
	memcpy(copy, base, bytes);
	if (mprotect(copy, bytes, protection) == -1 ||
	    mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, base) == MAP_FAILED)
		munmap(copy, bytes);
}

static size_t round_up_to_pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static void keep_zones_only(dxi_block *block)
{
	size_t bytes = block->fixed.slots_offset > 0 ? block->fixed.slots_offset : block->bytes;

	bytes = round_up_to_pages(bytes);
	if (bytes < block->bytes) {
		munmap(block->base + bytes, block->bytes - bytes);
		block->bytes = bytes;
	}
	make_private(block->base, round_up_to_pages(block->bytes), PROT_READ);
	if (block->zones_base)
		make_private(block->zones_base, round_up_to_pages(block->zones_bytes),
		             block->zones_are_writable ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void dxi_follow_keep(dxi_follow *follow, dxi_left *left)
{
	keep_zones_only(&left->block);
	close_fd(&left->block.fd);
	close_fd(&left->block.control_fd);
	close_fd(&left->block.zones_fd);
	left->next = follow->left;
	follow->left = left;
}

void dxi_left_free(dxi_left *left)
{
	while (left) {
		dxi_left *next = left->next;

		dxi_segment_detach(&left->block);
		free(left);
		left = next;
	}
}
