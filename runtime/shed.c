/* SPDX-License-Identifier: MIT */
/* Away from the last descriptors, and back when strangers have left. */
#include "runtime/shed.h"

#include "base/status.h"
#include "runtime/descriptors.h"
#include "runtime/service.h"

#include <string.h>

enum {
	LOOK_NS = 250000000,
	/* So far below the ceiling it comes back: a sixteenth, so that it does not come and go
	 * with each connection. */
	BELOW = 16
};

static void come_back(void *context);

static bool is_hidden_by_name(const dxh_service *service)
{
	return service->file.inode != 0;
}

static void arm(dxh_service *service)
{
	dxi_wheel_arm(&service->hub->ticks, &service->shed.look.timer,
	              dxi_hub_after(service->hub, LOOK_NS));
}

bool dxi_shed_is_for(const char *endpoint)
{
	return strncmp(endpoint, "ipc://", strlen("ipc://")) == 0;
}

void dxi_shed_begin(dxh_service *service)
{
	service->shed = (dxi_shed){
		.ceiling = dxi_descriptors_ceiling(service->config.clients_max),
		.look = {.fn = come_back, .context = service},
	};
}

static void go_away(dxh_service *service, int descriptor)
{
	service->shed.away = true;
	if (is_hidden_by_name(service))
		(void)dxi_endpoint_file_hide(service->endpoint, service->file);
	else
		dxi_link_unlisten(service->link, service->endpoint);
	arm(service);
	dxi_log(DXH_LOG_WARNING,
	        "'%s' takes no more connections, %u of which are clients: descriptor %d is in use, "
	        "and the limit is near; it listens again when there are fewer: find who connects "
	        "without end, or raise the limit (`ulimit -Hn`, LimitNOFILE=)",
	        service->endpoint, service->client_count, descriptor);
}

static bool listens_again(dxh_service *service)
{
	if (is_hidden_by_name(service))
		return dxi_endpoint_file_show(service->endpoint, service->file);
	return dxi_link_listen(service->link, service->endpoint) == DXH_OK;
}

static void come_back(void *context)
{
	dxh_service *service = context;
	dxi_shed *shed = &service->shed;

	if (dxi_descriptors_next() >= shed->ceiling - shed->ceiling / BELOW ||
	    !listens_again(service)) {
		arm(service);
		return;
	}
	shed->away = false;
	dxi_log(DXH_LOG_WARNING, "'%s' takes connections again", service->endpoint);
}

void dxi_shed_accepted(dxh_service *service, int descriptor)
{
	if (!service->shed.away && descriptor >= service->shed.ceiling)
		go_away(service, descriptor);
}

void dxi_shed_end(dxh_service *service)
{
	dxi_wheel_disarm(&service->hub->ticks, &service->shed.look.timer);
}
