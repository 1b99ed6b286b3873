/* SPDX-License-Identifier: MIT */
/* Where the library binds a channel's service when its user does not care: a socket in a
 * folder of this user, named by the block. So a successor comes back to the same place, and
 * two channels never meet.
 */
#include "runtime/channel.h"

#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_BYTES = 32, PLACE_BYTES = FOLDER_BYTES + 48 };

/* Who else could write there could answer in the producer's name. */
static dxh_status own_folder(char folder[FOLDER_BYTES])
{
	struct stat found;

	snprintf(folder, FOLDER_BYTES, "/tmp/dxh-%u", (unsigned)getuid());
	if (mkdir(folder, 0700) == -1 && errno != EEXIST)
		return dxi_fail_errno(errno, "the folder %s for the sockets of channels", folder);
	if (lstat(folder, &found) == -1)
		return dxi_fail_errno(errno, "the folder %s for the sockets of channels", folder);
	if (S_ISDIR(found.st_mode) && found.st_uid == getuid() && (found.st_mode & 077) == 0)
		return DXH_OK;
	return dxi_fail(DXH_EACCESS,
	                "%s is not a folder that belongs to this user alone (mode 0700): remove "
	                "it, or give the channel an endpoint",
	                folder);
}

static dxh_status choose_place(const unsigned char uuid[16], char place[PLACE_BYTES])
{
	char folder[FOLDER_BYTES];
	dxh_status status = own_folder(folder);
	int at;

	if (status != DXH_OK)
		return status;
	at = snprintf(place, PLACE_BYTES, "ipc://%s/", folder);
	for (int i = 0; i < 16; i++)
		at += snprintf(place + at, PLACE_BYTES - (size_t)at, "%02x", uuid[i]);
	return DXH_OK;
}

dxh_status dxi_channel_serve(dxh_hub *hub, const char *endpoint, const unsigned char uuid[16],
                             dxh_service **service)
{
	char place[PLACE_BYTES];
	dxh_status status = endpoint ? DXH_OK : choose_place(uuid, place);

	if (status != DXH_OK)
		return status;
	return dxh_service_bind(hub, endpoint ? endpoint : place, NULL, service);
}
