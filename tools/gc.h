/* SPDX-License-Identifier: MIT */
/* Sockets that killed producers of channels left, for `dxh gc`. */
#ifndef GC_H
#define GC_H

#include <stdbool.h>
#include <stddef.h>

/* A socket that nobody listens to. */
struct gc_socket {
	char name[48];
	bool removed;
	char reason[96];
};

struct gc_sockets {
	struct gc_socket *list; /* in order of their names */
	size_t count, removed;
};

/* Look at the sockets of FOLDER, NULL: /tmp/dxh-UID, which need not be there; and remove those
 * that nobody listens to, if `apply`. False: errno says why not. gc_sockets_free() them. */
bool gc_sockets(const char *folder, bool apply, struct gc_sockets *sockets);
void gc_sockets_free(struct gc_sockets *sockets);

#endif
