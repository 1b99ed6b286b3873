/* SPDX-License-Identifier: MIT */
/* Only for a reply that was asked for, and is no larger than body_bytes_max, memory is
 * set aside; it becomes the completion's own when the last part has come. */
#include "runtime/reply_assembly.h"

#include "base/discard.h"
#include "runtime/peer.h"

#include <stdlib.h>
#include <string.h>

static void forget(dxh_peer *peer, dxi_assembly *assembly)
{
	dxi_count_down(&peer->hub->metrics->memory_bytes, assembly->total_bytes);
	dxi_assembly_remove(&peer->arriving, assembly);
}

static void drop(dxh_peer *peer, dxi_assembly *assembly)
{
	dxi_discard(assembly->bytes, assembly->total_bytes);
	forget(peer, assembly);
}

bool dxi_reply_parts_drop(dxh_peer *peer, uint64_t id)
{
	dxi_assembly *assembly = dxi_assembly_find(&peer->arriving, id);

	if (assembly)
		drop(peer, assembly);
	return assembly != NULL;
}

void dxi_reply_parts_interrupt(dxh_peer *peer)
{
	while (peer->arriving.first)
		drop(peer, peer->arriving.first);
}

/* The reply ends its request so; the service sends no more of it. */
static void refuse(dxi_operation *operation, dxh_status status, const char *text)
{
	dxi_peer_tell_canceled(operation->peer, dxi_operation_id(operation));
	dxi_operation_end(operation, status, DXH_REPLIED, text, strlen(text));
}

/* Set memory aside for what the first part announces. NULL: the request has ended. */
static dxi_assembly *begin(dxh_peer *peer, dxi_operation *operation, const dxi_record *part)
{
	dxi_assembly *assembly;
	void *bytes;

	if (part->total_bytes > peer->hub->config.body_bytes_max) {
		refuse(operation, DXH_ETOOBIG, "the reply exceeds this hub's body_bytes_max");
		return NULL;
	}
	if (peer->arriving.count >= DXI_PARTED_BODIES_MAX) {
		refuse(operation, DXH_EPROTO,
		       "the service sends more bodies in parts at a time than the protocol allows");
		return NULL;
	}
	bytes = malloc(part->total_bytes);
	assembly = bytes ? dxi_assembly_add(&peer->arriving, part) : NULL;
	if (!assembly) {
		free(bytes);
		refuse(operation, DXH_ENOMEM, "no memory for the reply");
		return NULL;
	}
	assembly->bytes = bytes;
	dxi_count(&peer->hub->metrics->memory_bytes, assembly->total_bytes);
	return assembly;
}

void dxi_reply_part_taken(dxh_peer *peer, dxi_operation *operation, const dxi_record *part)
{
	dxi_assembly *assembly = dxi_assembly_find(&peer->arriving, part->id);
	const char *fault;

	if (!operation || (!assembly && !dxi_part_is_first(part))) {
		dxi_count(&peer->hub->metrics->parts_dropped, 1);
		return;
	}
	fault = dxi_part_fault(part, assembly ? assembly->total_bytes : part->total_bytes,
	                       assembly ? assembly->have_bytes : 0);
	if (fault) {
		refuse(operation, DXH_EPROTO, fault);
		return;
	}
	if (!assembly)
		assembly = begin(peer, operation, part);
	if (assembly && dxi_assembly_take(assembly, part)) {
		void *bytes = assembly->bytes;
		size_t total = assembly->total_bytes;

		forget(peer, assembly);
		dxi_operation_end_with(operation, bytes, total);
	}
}
