/* SPDX-License-Identifier: MIT */
/* The size of a block that does not exist: its plan, without the block. */
#include "base/status.h"
#include "shm/config.h"
#include "shm/control.h"

static void sum_up(const dxh_block_config *config, const dxi_block *planned, dxh_block_sizes *sizes)
{
	const struct dxi_layout_header *fixed = &planned->fixed;

	*sizes = (dxh_block_sizes){
		.data_bytes = fixed->bytes_total,
		.control_bytes = fixed->row_count > 0 ? dxi_control_bytes(fixed->row_count) : 0,
		.zones_bytes = dxi_geometry_zones_bytes(fixed, planned->zones),
		.lock_bytes = config->memfd ? 0 : sizeof(struct dxi_layout_lock),
		.schema_bytes = fixed->schema_bytes,
		.slots_offset = fixed->slots_offset,
		.slot_stride_bytes = fixed->slot_stride_bytes,
		.slots_in_all = fixed->slot_physical,
	};
	sizes->total_bytes =
		sizes->data_bytes + sizes->control_bytes + sizes->zones_bytes + sizes->lock_bytes;
}

dxh_status dxh_block_size_sized(size_t config_bytes, const char *name,
                                const dxh_block_config *config, dxh_block_sizes *sizes)
{
	dxi_block planned = DXI_BLOCK_NONE;
	dxh_block_config own;
	dxh_status status;

	if (!config || !sizes)
		return dxi_fail(DXH_EINVAL, "%s is NULL", config ? "sizes" : "config");
	if ((status = dxi_config_read(&own, sizeof own, config, config_bytes)) != DXH_OK ||
	    (status = dxi_block_config_check(&own)) != DXH_OK ||
	    (status = dxi_paths_of_memory(name, &planned.paths)) != DXH_OK)
		return status;
	status = dxi_segment_plan(&own, &planned);
	if (status == DXH_OK)
		sum_up(&own, &planned, sizes);
	dxi_segment_detach(&planned);
	return status;
}
