/* SPDX-License-Identifier: MIT */
/* Keys of CURVE, the encryption of ZeroMQ: 40 characters of Z85 each. Where they are
 * used: dxh_service_config, dxh_peer_config, dxh_broker_config; docs/security.md
 * tells the whole. */
#ifndef DXH_SECURITY_H
#define DXH_SECURITY_H

#include <dxh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key as text with its NUL. */
enum { DXH_KEY_BYTES = 41 };

/* Make a key pair and write the secret half to a new file of mode 0600, which must
 * not exist.
 * Thread: any. Returns: DXH_EEXIST; DXH_EACCESS; DXH_ENOTFOUND without the folder;
 * DXH_EUNSUPPORTED when libzmq has no CURVE; DXH_ENOSPACE; DXH_EINVAL. */
DXH_API DXH_NODISCARD dxh_status dxh_key_make(const char *secret_path,
                                              char public_key[DXH_KEY_BYTES]);

/* The public key that belongs to the secret one in a file, which must be the caller's
 * own and of mode 0600.
 * Thread: any. Returns: DXH_ENOTFOUND; DXH_EACCESS; DXH_EINVAL; DXH_EUNSUPPORTED. */
DXH_API DXH_NODISCARD dxh_status dxh_key_public(const char *secret_path,
                                                char public_key[DXH_KEY_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
