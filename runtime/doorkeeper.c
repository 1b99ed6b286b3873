/* SPDX-License-Identifier: MIT */
/* A key is looked up at each handshake, in the file as it is then. */
#include "runtime/doorkeeper.h"

#include "base/status.h"
#include "runtime/service.h"
#include "runtime/socket.h"

#include <string.h>

/* Codes of ZAP. */
enum { ADMITTED = 200, SENT_AWAY = 400 };

static dxh_service *service_of(dxh_hub *hub, const char *domain)
{
	dxh_service *service = hub->services;

	while (service && strcmp(service->curve.domain, domain) != 0)
		service = service->next;
	return service;
}

static int admit(void *owner, const char *domain, const char *address, const char *public_key)
{
	dxh_hub *hub = owner;
	dxh_service *service = service_of(hub, domain);

	/* It may have been closed meanwhile. */
	if (!service)
		return SENT_AWAY;
	if (!service->allow_file || dxi_key_is_allowed(service->allow_file, public_key) == DXH_OK)
		return ADMITTED;
	dxi_count(&hub->metrics->clients_refused, 1);
	dxi_log(DXH_LOG_WARNING, "'%s' sent a client from %.64s away: %s", service->endpoint,
	        address, dxh_last_error());
	return SENT_AWAY;
}

static size_t on_ready(void *owner, bool can_receive, bool can_send, bool fired)
{
	dxh_hub *hub = owner;

	(void)can_send, (void)fired;
	return can_receive ? dxi_zap_answer(dxi_socket_zmq(hub->doorkeeper), admit, hub) : 0;
}

dxh_status dxi_doorkeeper_open(dxh_hub *hub)
{
	dxi_link_config config = {.ready = on_ready, .owner = hub};

	if (hub->doorkeeper)
		return DXH_OK;
	return dxi_socket_bind_zap(hub->links.sockets, &config, &hub->doorkeeper);
}

void dxi_doorkeeper_close(dxh_hub *hub)
{
	if (hub->doorkeeper)
		dxi_link_close(hub->doorkeeper, 0);
	hub->doorkeeper = NULL;
}
