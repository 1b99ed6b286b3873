/* SPDX-License-Identifier: MIT */
/* Who may talk: CURVE keys on sockets, and the answer to libzmq's question (ZAP)
 * whether a client may come in. */
#ifndef DXI_SECURITY_H
#define DXI_SECURITY_H

#include "runtime/keys.h"

#include <dxh/message.h>

/* Of one endpoint. Filled by _of(), wiped by _wipe(). */
typedef struct dxi_curve {
	bool enabled;
	bool is_server;
	char secret[DXI_KEY_TEXT_BYTES];
	char public_key[DXI_KEY_TEXT_BYTES];
	char server_key[DXI_KEY_TEXT_BYTES]; /* of the other side, at a client */
	char domain[32];                     /* of a server: how ZAP names it */
} dxi_curve;

/* What a config asks for; `enabled` false when it asks for nothing.
 * Returns: DXH_EINVAL for what does not go together; as dxi_key_load();
 * DXH_EUNSUPPORTED when libzmq was built without CURVE. */
dxh_status dxi_curve_of_service(const dxh_service_config *config, dxi_curve *curve);
dxh_status dxi_curve_of_peer(const dxh_peer_config *config, dxi_curve *curve);
void dxi_curve_wipe(dxi_curve *curve);

/* Put the keys on a socket that is not connected or bound yet. I/O thread. */
dxh_status dxi_curve_apply(const dxi_curve *curve, void *zmq);

/* Whether a client with this public key may talk to the service of this domain:
 * 200, or another code of ZAP with a text for the log. */
typedef int (*dxi_admit)(void *owner, const char *domain, const char *address,
                         const char *public_key);

/* Answer what libzmq has asked on the socket of dxi_socket_bind_zap(). Returns how many answers. */
size_t dxi_zap_answer(void *zmq, dxi_admit admit, void *owner);

#endif
