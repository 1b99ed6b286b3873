/* SPDX-License-Identifier: MIT */
/* Events of a monitor, read and worded. */
#include "runtime/monitor.h"

#include "runtime/socket_parts.h"

#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

int dxi_monitor_begin(void *socket, const char *endpoint, bool listens)
{
	const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
	                   ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
	                   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
	                   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

	return zmq_socket_monitor(socket, endpoint, listens ? ZMQ_EVENT_ACCEPTED : events);
}

/* What libzmq tells. */
typedef struct raw {
	uint16_t event; /* ZMQ_EVENT_* */
	uint32_t value;
} raw;

/* Keys that do not fit: trying again will not help. */
static bool is_refusal(raw what)
{
	switch (what.event) {
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		return true;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		return what.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ||
		       what.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
	default:
		return false;
	}
}

static const char *reason_of(raw what, bool encrypted)
{
	switch (what.event) {
	case ZMQ_EVENT_DISCONNECTED:
		return encrypted ? "the other side ended the connection; if it never stood: it has "
		                   "another key than server_key"
		                 : "the other side ended the connection";
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		return "the other side refused our key: have it put on the list of the service";
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		if (is_refusal(what))
			return encrypted
			               ? "the other side does not know CURVE, or has another key "
			                 "than server_key"
			               : "the other side wants CURVE: set server_key and key_file";
		/* fall through */
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		return encrypted ? "the handshake failed: the service does not know CURVE, has "
		                   "another key than server_key, or is none of dxhub"
		                 : "the handshake failed: what listens there wants CURVE (set "
		                   "server_key and key_file), or is no dxhub service";
	case ZMQ_EVENT_CONNECTED:
		return "nobody listens there: the connection led back to itself";
	default:
		return "nobody listens there";
	}
}

/* On one host, where nobody listens, TCP connects a socket to itself if the port it got is the
 * one it asks for. While that stands nobody can listen there, and for a minute behind it
 * unless it is reset. */
static bool leads_back(int fd)
{
	const struct linger reset = {.l_onoff = 1};
	struct sockaddr_storage own = {0}, other = {0};
	socklen_t own_bytes = sizeof own, other_bytes = sizeof other;

	if (getsockname(fd, (struct sockaddr *)&own, &own_bytes) == -1 ||
	    getpeername(fd, (struct sockaddr *)&other, &other_bytes) == -1 ||
	    (own.ss_family != AF_INET && own.ss_family != AF_INET6) ||
	    memcmp(&own, &other, sizeof own) != 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	return true;
}

/* Read one event of the monitor: 16 bits of event, 32 bits of value. */
static bool read_event(void *pair, raw *what)
{
	zmq_msg_t part;
	bool got;

	*what = (raw){0};
	zmq_msg_init(&part);
	got = dxi_part_receive(&part, pair);
	if (got && zmq_msg_size(&part) >= sizeof what->event + sizeof what->value) {
		const unsigned char *bytes = zmq_msg_data(&part);

		memcpy(&what->event, bytes, sizeof what->event);
		memcpy(&what->value, bytes + sizeof what->event, sizeof what->value);
	}
	while (got && zmq_msg_more(&part) && dxi_part_receive(&part, pair))
		;
	zmq_msg_close(&part);
	return got;
}

static dxi_connection_event kind_of(raw what)
{
	if (what.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
		return DXI_CONNECTED;
	if (what.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
		return DXI_UNEXPLAINED;
	return is_refusal(what) ? DXI_REFUSED : DXI_DISCONNECTED;
}

bool dxi_monitor_read(void *pair, bool encrypted, dxi_told *told)
{
	raw what;

	do
		if (!read_event(pair, &what))
			return false;
	while (what.event == ZMQ_EVENT_CONNECTED && !leads_back((int)what.value));
	told->accepted = what.event == ZMQ_EVENT_ACCEPTED ? (int)what.value : -1;
	told->event = kind_of(what);
	told->reason = told->event == DXI_CONNECTED ? "" : reason_of(what, encrypted);
	return true;
}
