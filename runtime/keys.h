/* SPDX-License-Identifier: MIT */
/* Keys of CURVE as texts and files: reading secrets that nobody else may read, and
 * lists of clients that may come in. Knows no socket. */
#ifndef DXI_KEYS_H
#define DXI_KEYS_H

#include <dxh/base.h>

#include <stdbool.h>
#include <stdio.h>

/* Z85 of 32 bytes, and the NUL. */
enum { DXI_KEY_TEXT_BYTES = 41, DXI_KEY_BYTES = 32 };

/* Is this a key as text: 40 characters of Z85? */
bool dxi_key_is_text(const char *text);

/* The secret key in a file that belongs to the caller and nobody else may read or
 * write. Owner: the caller wipes it.
 * Returns: DXH_ENOTFOUND; DXH_EACCESS naming owner or mode; DXH_EINVAL. */
dxh_status dxi_key_load(const char *path, char secret[DXI_KEY_TEXT_BYTES]);

/* Write a secret key to a new file of mode 0600.
 * Returns: DXH_EEXIST; as open(2) and write(2) fail. */
dxh_status dxi_key_store(const char *path, const char *secret);

/* Open a list that says who may do what: a regular file, which not everybody may write, else
 * everybody may do everything. `what` names it for people.
 * Owner: the caller closes *list. Returns: DXH_EACCESS naming the mode; as open(2) fails. */
dxh_status dxi_list_open(const char *what, const char *path, FILE **list);

/* Does the file name this client's public key? One key a line; what follows a blank
 * is a remark, and so is a line without a key. The file is read at each question, so
 * that a change needs no restart.
 * Returns: DXH_OK; DXH_EACCESS: it does not; DXH_ENOTFOUND, DXH_EINVAL: it cannot be
 * used, which lets nobody in. */
dxh_status dxi_key_is_allowed(const char *path, const char *public_key);

#endif
