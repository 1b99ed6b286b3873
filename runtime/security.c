/* SPDX-License-Identifier: MIT */
/* The other file that calls libzmq: its keys, and its questions (ZeroMQ RFC 27). The
 * session of a client waits for the answer inside libzmq, so nothing blocks here. */
#include "runtime/security.h"

#include "base/status.h"
#include "runtime/socket_parts.h"

#include <dxh/security.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* ---- keys ------------------------------------------------------------------------ */

static dxh_status check_curve(void)
{
	if (zmq_has("curve"))
		return DXH_OK;
	return dxi_fail(DXH_EUNSUPPORTED, "this libzmq was built without CURVE");
}

static dxh_status derive_public(dxi_curve *curve)
{
	if (zmq_curve_public(curve->public_key, curve->secret) == 0)
		return DXH_OK;
	return dxi_fail(DXH_EINVAL, "the secret key is none");
}

dxh_status dxi_curve_of_service(const dxh_service_config *config, dxi_curve *curve)
{
	static _Atomic unsigned count;
	dxh_status status;

	*curve = (dxi_curve){.is_server = true};
	if (!config->key_file) {
		if (config->allow_file || config->allow_any)
			return dxi_fail(DXH_EINVAL,
			                "who is allowed is known by keys: set key_file too");
		return DXH_OK;
	}
	if (!config->allow_file == !config->allow_any)
		return dxi_fail(DXH_EINVAL,
		                "with key_file, set allow_file to let in the clients it "
		                "names, or allow_any to let in every key");
	if ((status = check_curve()) != DXH_OK ||
	    (status = dxi_key_load(config->key_file, curve->secret)) != DXH_OK ||
	    (status = derive_public(curve)) != DXH_OK)
		return status;
	curve->enabled = true;
	snprintf(curve->domain, sizeof curve->domain, "dxh-%u", ++count);
	return DXH_OK;
}

dxh_status dxi_curve_of_peer(const dxh_peer_config *config, dxi_curve *curve)
{
	dxh_status status;

	*curve = (dxi_curve){.is_server = false};
	if (!config->server_key)
		return config->key_file
		               ? dxi_fail(DXH_EINVAL,
		                          "key_file is set: set server_key too, the public "
		                          "key of the service")
		               : DXH_OK;
	if (!dxi_key_is_text(config->server_key))
		return dxi_fail(DXH_EINVAL, "server_key is no public key: 40 characters, as `dxh "
		                            "keygen` prints them");
	status = check_curve();
	if (status == DXH_OK && config->key_file)
		status = dxi_key_load(config->key_file, curve->secret);
	if (status == DXH_OK && config->key_file)
		status = derive_public(curve);
	/* Without a key of its own the client is nobody in particular. */
	if (status == DXH_OK && !config->key_file &&
	    zmq_curve_keypair(curve->public_key, curve->secret) != 0)
		status = dxi_fail(DXH_ESYSTEM, "cannot make a key pair");
	if (status != DXH_OK)
		return status;
	memcpy(curve->server_key, config->server_key, DXI_KEY_TEXT_BYTES);
	curve->enabled = true;
	return DXH_OK;
}

void dxi_curve_wipe(dxi_curve *curve)
{
	explicit_bzero(curve, sizeof *curve);
}

static_assert((int)DXH_KEY_BYTES == (int)DXI_KEY_TEXT_BYTES, "one size of a key");

dxh_status dxh_key_make(const char *secret_path, char public_key[DXH_KEY_BYTES])
{
	char secret[DXI_KEY_TEXT_BYTES];
	dxh_status status;

	if (!secret_path || !public_key)
		return dxi_fail(DXH_EINVAL, "dxh_key_make needs a path and room for a key");
	status = check_curve();
	if (status == DXH_OK && zmq_curve_keypair(public_key, secret) != 0)
		status = dxi_fail(DXH_ESYSTEM, "cannot make a key pair");
	if (status == DXH_OK)
		status = dxi_key_store(secret_path, secret);
	explicit_bzero(secret, sizeof secret);
	return status;
}

dxh_status dxh_key_public(const char *secret_path, char public_key[DXH_KEY_BYTES])
{
	dxi_curve curve = {.enabled = false};
	dxh_status status;

	if (!secret_path || !public_key)
		return dxi_fail(DXH_EINVAL, "dxh_key_public needs a path and room for a key");
	if ((status = check_curve()) == DXH_OK &&
	    (status = dxi_key_load(secret_path, curve.secret)) == DXH_OK &&
	    (status = derive_public(&curve)) == DXH_OK)
		memcpy(public_key, curve.public_key, DXH_KEY_BYTES);
	dxi_curve_wipe(&curve);
	return status;
}

static bool set_text(void *zmq, int option, const char *text)
{
	return zmq_setsockopt(zmq, option, text, strlen(text)) == 0;
}

static bool set_key(void *zmq, int option, const char *key)
{
	return zmq_setsockopt(zmq, option, key, DXI_KEY_TEXT_BYTES) == 0;
}

dxh_status dxi_curve_apply(const dxi_curve *curve, void *zmq)
{
	const int yes = 1;
	bool set;

	if (!curve || !curve->enabled)
		return DXH_OK;
	if (curve->is_server)
		set = zmq_setsockopt(zmq, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0 &&
		      set_key(zmq, ZMQ_CURVE_SECRETKEY, curve->secret) &&
		      set_text(zmq, ZMQ_ZAP_DOMAIN, curve->domain);
	else
		set = set_key(zmq, ZMQ_CURVE_SERVERKEY, curve->server_key) &&
		      set_key(zmq, ZMQ_CURVE_PUBLICKEY, curve->public_key) &&
		      set_key(zmq, ZMQ_CURVE_SECRETKEY, curve->secret);
	if (set)
		return DXH_OK;
	return dxi_fail(DXH_EINVAL, "libzmq refuses the keys: %s", zmq_strerror(zmq_errno()));
}

/* ---- questions ---------------------------------------------------------------------- */

enum { PARTS_MAX = 16, PART_BYTES = 256 };

/* One question: routing id, empty, version, request id, domain, address, identity,
 * mechanism, credentials. */
enum { ROUTING, EMPTY, VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY, PARTS };

typedef struct part {
	unsigned char bytes[PART_BYTES];
	size_t length;
} part;

/* Read one message; longer parts and more of them are cut, which no libzmq sends. */
static bool read_question(void *zmq, part parts[PARTS_MAX], int *count)
{
	zmq_msg_t message;
	bool more = true;

	*count = 0;
	zmq_msg_init(&message);
	while (more && dxi_part_receive(&message, zmq)) {
		size_t length = zmq_msg_size(&message);

		if (*count < PARTS_MAX) {
			part *read = &parts[(*count)++];

			read->length = length < PART_BYTES - 1 ? length : PART_BYTES - 1;
			memcpy(read->bytes, zmq_msg_data(&message), read->length);
			read->bytes[read->length] = '\0';
		}
		more = zmq_msg_more(&message);
	}
	zmq_msg_close(&message);
	return *count > 0;
}

static void send_part(void *zmq, const void *bytes, size_t length, int flags)
{
	/* To a session that waits for it: an inproc pipe with room for one answer. */
	zmq_send(zmq, bytes, length, ZMQ_DONTWAIT | flags);
}

/* Who is let in is known by its key from then on, see dxi_link_sender(). */
static void send_answer(void *zmq, const part parts[PARTS_MAX], int code, const char *key)
{
	char text[8];

	snprintf(text, sizeof text, "%03d", code);
	send_part(zmq, parts[ROUTING].bytes, parts[ROUTING].length, ZMQ_SNDMORE);
	send_part(zmq, "", 0, ZMQ_SNDMORE);
	send_part(zmq, parts[VERSION].bytes, parts[VERSION].length, ZMQ_SNDMORE);
	send_part(zmq, parts[REQUEST].bytes, parts[REQUEST].length, ZMQ_SNDMORE);
	send_part(zmq, text, 3, ZMQ_SNDMORE);
	send_part(zmq, code == 200 ? "OK" : "no", 2, ZMQ_SNDMORE);
	send_part(zmq, key, code == 200 ? strlen(key) : 0, ZMQ_SNDMORE);
	send_part(zmq, "", 0, 0);
}

static bool is_curve(const part parts[PARTS_MAX], int count)
{
	return count == PARTS && parts[KEY].length == DXI_KEY_BYTES &&
	       strcmp((const char *)parts[MECHANISM].bytes, "CURVE") == 0;
}

size_t dxi_zap_answer(void *zmq, dxi_admit admit, void *owner)
{
	char key[DXI_KEY_TEXT_BYTES] = "";
	part parts[PARTS_MAX];
	size_t work = 0;
	int count;

	/* Each turn answers one session that waits. */
	for (; read_question(zmq, parts, &count); work++) {
		int code = 400;

		if (count < PARTS - 1)
			continue; /* nobody could be told */
		if (is_curve(parts, count) && zmq_z85_encode(key, parts[KEY].bytes, DXI_KEY_BYTES))
			code = admit(owner, (const char *)parts[DOMAIN].bytes,
			             (const char *)parts[ADDRESS].bytes, key);
		send_answer(zmq, parts, code, key);
	}
	return work;
}
