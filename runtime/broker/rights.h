/* SPDX-License-Identifier: MIT */
/* Who may do what with which channels: a file of lines, each with a key, rights, and the
 * prefix of the channels they are for.
 *
 *	# key                                     rights           channels
 *	rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 produce,consume  camera/   the front camera
 *	*                                        consume          public/
 *	Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID admin            *
 *
 * A key is that of a client, or * for any; channels are all that begin with the prefix, or
 * * for all. What follows is a remark, and so is a line whose first word is #. The file is
 * read again when it changes; one that cannot be read, or has a mistake, changes nothing.
 * Thread: any.
 */
#ifndef DXI_RIGHTS_H
#define DXI_RIGHTS_H

#include <dxh/message.h>

#include <stdbool.h>

typedef enum dxi_right {
	DXI_MAY_PRODUCE = 1,
	DXI_MAY_CONSUME = 2,
	DXI_MAY_ADMINISTER = 4 /* the other two with it */
} dxi_right;

typedef struct dxi_rights dxi_rights;

/* Returns: DXH_EINVAL naming file, line and what is wrong with it; DXH_ENOTFOUND,
 * DXH_EACCESS; DXH_ELIMIT: too many lines; DXH_ENOMEM. */
dxh_status dxi_rights_open(const char *path, dxi_rights **rights);
void dxi_rights_close(dxi_rights *rights);

/* `channels` is a channel, or the prefix of all that are meant. Without rights at all
 * (NULL) everybody may do everything.
 * Returns: DXH_EACCESS naming key, right and channels. */
dxh_status
dxi_rights_check(dxi_rights *rights, const char *key, dxi_right right, const char *channels);

/* Any right to it? */
bool dxi_rights_any(dxi_rights *rights, const char *key, const char *channel);

#endif
