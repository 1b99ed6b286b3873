/* SPDX-License-Identifier: MIT */
/* What `dxh cat` shows of a block that is open: zones and slots, on standard output. */
#ifndef CAT_H
#define CAT_H

#include "json.h"
#include "value.h"

#include <dxh/block.h>

enum {
	/* Of a larger zone or item only so much is looked at: to look at holes of a file fills
	 * them. */
	CAT_BYTES_MAX = 16 << 20,
	/* An array shows so many elements unless told otherwise: to people, to programs. */
	CAT_SHOWN = 64,
	CAT_TOLD = 65536
};

struct cat {
	dxh_consumer *consumer;
	bool as_json;
	struct json json; /* on standard output, if so */
	bool zones;       /* all of them */
	const char *zone; /* or this one; NULL: none by name */
	uint64_t last;    /* so many of the newest items */
	bool by_ticket;   /* or the item of this ticket */
	uint64_t ticket;
	uint32_t elements; /* of an array, and bytes of a text */
	unsigned missing;  /* zones and items that could not be shown, and it was said why */
	bool cut;          /* something was left out, see elements */
};

/* Show what is asked for. Returns why nothing could be shown; DXH_EZONE: there is no such
 * zone; DXH_EEMPTY: there is no such item. */
dxh_status cat_block(struct cat *cat);

#endif
