/* SPDX-License-Identifier: MIT */
/* A block's description, read back into what makes such a block: for programs that know no
 * struct of it, such as one that plays back what another recorded.
 *
 *	dxh_description *read;
 *	dxh_block_config config = {.slot_count = 16};
 *
 *	dxh_description_read(bytes, count, &read);
 *	dxh_description_apply(read, &config);
 *	dxh_producer_open("again", &config, &producer);
 *	dxh_description_free(&read);
 */
#ifndef DXH_DESCRIPTION_H
#define DXH_DESCRIPTION_H

#include <dxh/block.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_description {
	const char *name; /* of the block it was made for */
	dxh_zone_spec zones[DXH_ZONES_MAX];
	uint32_t zone_count;
	int has_slot;
	dxh_slot_spec slot;
} dxh_description;

/* Read what dxh_consumer_schema() and dxh_producer_schema() give: MessagePack, of which every
 * byte is checked, as docs/block-format.md tells it.
 * Thread: any. Owner: the caller, until dxh_description_free(); the bytes are copied.
 * Returns: DXH_ECORRUPT with the offset and the rule it breaks; DXH_EVERSION; DXH_ENOMEM;
 *          DXH_EINVAL.
 */
DXH_API DXH_NODISCARD dxh_status dxh_description_read(const void *bytes, size_t count,
                                                      dxh_description **description);

/* Ask for the same zones and slots in a config, whose other members stay as they are. The
 * config is good as long as the description.
 * Thread: any. Returns: DXH_EINVAL. */
DXH_API dxh_status dxh_description_apply(const dxh_description *description,
                                         dxh_block_config *config);

/* Thread: any. Sets *description to NULL; NULL is nothing to free. */
DXH_API void dxh_description_free(dxh_description **description);

#ifdef __cplusplus
}
#endif
#endif
