/* SPDX-License-Identifier: MIT */
/* Which kind of link an endpoint asks for, and whose turn it is to be looked at. */
#include "runtime/link.h"

#include "runtime/endpoint.h"
#include "runtime/loopback.h"
#include "runtime/socket.h"

#include <stdlib.h>

dxh_status dxi_links_open(dxi_links *links, dxi_context *context, int epoll)
{
	dxh_status status = dxi_sockets_open(links, context, epoll, &links->sockets);

	return status == DXH_OK ? dxi_loopbacks_open(&links->loopbacks) : status;
}

/* Those that are still touched are freed at a later look. */
static void free_closed(dxi_links *links)
{
	dxi_link **at = &links->closing;

	while (*at) {
		dxi_link *link = *at;

		if (link->sources_touched > 0) {
			at = &link->next_closing;
			continue;
		}
		*at = link->next_closing;
		free(link);
	}
}

void dxi_links_close(dxi_links *links)
{
	for (dxi_source *left = links->touched; left; left = left->next_touched)
		left->link->sources_touched--;
	links->touched = NULL;
	free_closed(links);
	dxi_sockets_free(links->sockets);
	dxi_loopbacks_free(links->loopbacks);
}

dxh_status dxi_link_connect(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                            dxi_link **link)
{
	return dxi_endpoint_is_inproc(endpoint)
	               ? dxi_loopback_connect(links, config, endpoint, link)
	               : dxi_socket_connect(links->sockets, config, endpoint, link);
}

dxh_status dxi_link_bind(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                         char *bound, size_t capacity, dxi_link **link)
{
	return dxi_endpoint_is_inproc(endpoint)
	               ? dxi_loopback_bind(links, config, endpoint, bound, capacity, link)
	               : dxi_socket_bind(links->sockets, config, endpoint, bound, capacity, link);
}

/* While it is looked at, what comes last decides. */
static void use(dxi_link *link)
{
	link->used = true;
	if (link->links->looked_at != link)
		dxi_link_touch(link);
}

void dxi_link_unlisten(dxi_link *link, const char *endpoint)
{
	link->kind->unlisten(link, endpoint);
	use(link);
}

dxh_status dxi_link_listen(dxi_link *link, const char *endpoint)
{
	use(link);
	return link->kind->listen(link, endpoint);
}

void dxi_link_close(dxi_link *link, int linger_ms)
{
	dxi_links *links = link->links;

	link->source.look = NULL;
	link->kind->close(link, linger_ms);
	/* It may be touched, or being looked at. */
	link->next_closing = links->closing;
	links->closing = link;
}

dxi_sent dxi_link_send(dxi_link *link, const dxi_outgoing *message)
{
	use(link);
	return link->kind->send(link, message);
}

dxi_sent dxi_link_send_to(dxi_link *link, const void *client, size_t client_bytes,
                          dxi_encode encode, void *context)
{
	use(link);
	return link->kind->send_to(link, client, client_bytes, encode, context);
}

bool dxi_link_receive(dxi_link *link, dxi_message *message)
{
	*message = (dxi_message){.malformed = false};
	link->used = false;
	if (!link->kind->receive(link, message))
		return false;
	use(link);
	return true;
}

void dxi_link_touch(dxi_link *link)
{
	dxi_source_touch(&link->source);
}

/* ---- looking ---------------------------------------------------------------------- */

void dxi_source_touch(dxi_source *source)
{
	dxi_links *links = source->link->links;

	if (source->touched || !source->look)
		return;
	source->touched = true;
	source->link->sources_touched++;
	source->next_touched = links->touched;
	links->touched = source;
}

void dxi_source_fire(dxi_source *source)
{
	source->fired = true;
	dxi_source_touch(source);
}

bool dxi_links_quiet(const dxi_links *links)
{
	return !links->touched;
}

static size_t look_at(dxi_source *source)
{
	dxi_link *link = source->link;
	bool fired = source->fired;
	size_t work = 0;

	source->fired = false;
	if (!source->look)
		return 0;
	link->links->looked_at = link;
	work = source->look(source, fired);
	link->links->looked_at = NULL;
	if (link->used)
		dxi_link_touch(link);
	return work;
}

size_t dxi_link_is_ready(dxi_link *link, bool can_receive, bool can_send, bool fired)
{
	if (!can_receive)
		link->used = false;
	return link->config.ready(link->config.owner, can_receive, can_send, fired);
}

size_t dxi_links_look(dxi_links *links)
{
	dxi_source *looked = links->touched;
	size_t work = 0;

	links->touched = NULL;
	while (looked) {
		dxi_source *next = looked->next_touched;

		/* Before looking: what is used while it is looked at is touched again. */
		looked->touched = false;
		looked->link->sources_touched--;
		work += look_at(looked);
		looked = next;
	}
	dxi_loopbacks_settle(links->loopbacks);
	free_closed(links);
	return work;
}

dxi_sender dxi_link_sender(dxi_link *link)
{
	return link->kind->sender ? link->kind->sender(link)
	                          : (dxi_sender){.key = "", .address = ""};
}
