/* SPDX-License-Identifier: MIT */
/* Made at HELLO, let go with the last request of a client. */
#include "runtime/caller.h"

#include "base/status.h"
#include "runtime/parcel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dxi_caller *
dxi_caller_make(const char *name, const char *key, const char *address, uint64_t incarnation)
{
	dxi_caller *made = calloc(1, sizeof *made);

	if (!made)
		return NULL;
	made->references = 1;
	made->told.incarnation = incarnation;
	snprintf(made->told.name, sizeof made->told.name, "%s", name);
	snprintf(made->told.key, sizeof made->told.key, "%s", key);
	snprintf(made->told.address, sizeof made->told.address, "%s", address);
	dxi_make_printable(made->told.name);
	dxi_make_printable(made->told.address);
	return made;
}

dxi_caller *dxi_caller_acquire(dxi_caller *caller)
{
	caller->references++;
	return caller;
}

void dxi_caller_release(dxi_caller *caller)
{
	if (caller && --caller->references == 0)
		free(caller);
}

dxh_status
dxh_request_client_sized(size_t info_bytes, const dxh_request *request, dxh_client_info *info)
{
	const dxi_caller *caller;
	const dxi_note *note;

	if (!request || !info)
		return dxi_fail(DXH_EINVAL, "dxh_request_client needs a request and room for what "
		                            "is known of its client");
	note = dxi_note_of(request);
	caller = note ? note->parcel->caller : request->caller;
	memset(info, 0, info_bytes);
	memcpy(info, &caller->told,
	       info_bytes < sizeof caller->told ? info_bytes : sizeof caller->told);
	return DXH_OK;
}
