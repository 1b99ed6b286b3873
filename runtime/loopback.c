/* SPDX-License-Identifier: MIT */
/* Two queues of letters between a caller and a listener of the same hub. Both are looked
 * at by one thread in turn, so they stay short: what cannot be sent yet waits in the
 * lanes, where it can be overtaken, cancelled and can expire. */
#include "runtime/loopback.h"

#include "base/status.h"
#include "runtime/endpoint.h"
#include "runtime/letters.h"
#include "runtime/security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS_MIN = 8 };

struct caller;
struct listener;

/* Lives until both ends have closed it, and the listener has read what was sent. */
struct connection {
	struct caller *caller;     /* NULL: closed */
	struct listener *listener; /* NULL: closed */
	dxi_letters to_listener, to_caller;
	struct connection *next; /* in the listener's queue of those with letters */
	bool is_queued;
	uint64_t id; /* as the listener knows it */
};

struct caller {
	dxi_link link;
	struct connection *connection; /* NULL: nobody listened */
};

struct listener {
	dxi_link link;
	struct listener *next;
	struct connection **connections; /* by the low half of their ids; NULL: free */
	uint32_t capacity;
	uint32_t all_taken; /* of the connections below this */
	uint32_t opened;    /* so far; the high half of an id */
	struct connection *first, *last;
	char endpoint[DXI_ENDPOINT_BYTES_MAX + 1];
};

struct dxi_loopbacks {
	struct listener *listeners;
	dxi_letter *received; /* last */
	uint64_t sender;      /* of that */
};

static struct caller *caller_of(dxi_link *link)
{
	return (struct caller *)link;
}

static struct listener *listener_of(dxi_link *link)
{
	return (struct listener *)link;
}

/* It is valid until the next one is received on this hub. */
static void deliver(dxi_loopbacks *loopbacks, dxi_letter *delivered, dxi_message *message)
{
	dxi_letter_free(loopbacks->received);
	loopbacks->received = delivered;
	message->frame = delivered->bytes;
	message->bytes = delivered->frame_bytes;
	message->body = delivered->body;
	message->body_bytes = delivered->body_bytes;
	message->owner = delivered->owner;
}

/* ---- connections -------------------------------------------------------------------- */

static struct connection **place_of(const struct listener *listener, uint64_t id)
{
	return &listener->connections[(uint32_t)id];
}

static void free_place(struct listener *listener, uint64_t id)
{
	*place_of(listener, id) = NULL;
	if ((uint32_t)id < listener->all_taken)
		listener->all_taken = (uint32_t)id;
}

static bool grow(struct listener *listener)
{
	uint32_t capacity = listener->capacity ? listener->capacity * 2 : CONNECTIONS_MIN;
	struct connection **grown = realloc(listener->connections, capacity * sizeof *grown);

	if (!grown)
		return false;
	memset(grown + listener->capacity, 0, (capacity - listener->capacity) * sizeof *grown);
	listener->connections = grown;
	listener->capacity = capacity;
	return true;
}

/* NULL: no memory. */
static struct connection *connect_them(struct caller *caller, struct listener *listener)
{
	struct connection *made = calloc(1, sizeof *made);
	uint32_t place = listener->all_taken;

	if (!made)
		return NULL;
	while (place < listener->capacity && listener->connections[place])
		place++;
	if (place == listener->capacity && !grow(listener)) {
		free(made);
		return NULL;
	}
	listener->connections[place] = made;
	listener->all_taken = place + 1;
	made->id = (uint64_t)++listener->opened << 32 | place;
	made->caller = caller;
	made->listener = listener;
	return made;
}

/* The one with this id; NULL: it is gone, or its caller is. */
static struct connection *
find(const struct listener *listener, const void *client, size_t client_bytes)
{
	struct connection *found;
	uint64_t id;

	if (client_bytes != sizeof id)
		return NULL;
	memcpy(&id, client, sizeof id);
	found = (uint32_t)id < listener->capacity ? *place_of(listener, id) : NULL;
	return found && found->id == id && found->caller ? found : NULL;
}

static void enqueue(struct listener *listener, struct connection *connection)
{
	if (connection->is_queued)
		return;
	connection->is_queued = true;
	connection->next = NULL;
	*(listener->last ? &listener->last->next : &listener->first) = connection;
	listener->last = connection;
}

static struct connection *dequeue(struct listener *listener)
{
	struct connection *taken = listener->first;

	if (!taken)
		return NULL;
	listener->first = taken->next;
	if (!listener->first)
		listener->last = NULL;
	taken->is_queued = false;
	return taken;
}

/* If neither end has a use for it any more. */
static void free_if_done(struct connection *connection)
{
	if (connection->caller || (connection->listener && connection->to_listener.first))
		return;
	if (connection->listener)
		free_place(connection->listener, connection->id);
	dxi_letters_drop(&connection->to_listener);
	dxi_letters_drop(&connection->to_caller);
	free(connection);
}

/* The listener is done with it; the caller reads what it was sent, and then that. */
static void hang_up(struct connection *connection)
{
	struct listener *listener = connection->listener;

	if (connection->is_queued) { /* behind those that are asked for before it */
		while (listener->first != connection)
			enqueue(listener, dequeue(listener));
		dequeue(listener);
	}
	free_place(listener, connection->id);
	dxi_letters_drop(&connection->to_listener);
	connection->listener = NULL;
	if (connection->caller)
		dxi_source_fire(&connection->caller->link.source);
	free_if_done(connection);
}

/* ---- the caller's end ------------------------------------------------------------------- */

static size_t look_at_caller(dxi_source *source, bool fired)
{
	const struct connection *connection = caller_of(source->link)->connection;
	const dxi_link_config *config = &source->link->config;

	if (connection && connection->listener)
		return dxi_link_is_ready(source->link, connection->to_caller.first != NULL,
		                         !dxi_letters_are_full(&connection->to_listener), fired);
	config->event(config->owner, DXI_DISCONNECTED,
	              connection ? "the other side ended the connection"
	                         : "nobody listens there in this hub, which inproc does not leave");
	return 1;
}

static dxi_sent send_to_listener(dxi_link *link, const dxi_outgoing *message)
{
	struct connection *connection = caller_of(link)->connection;
	dxi_letter *sent;

	if (!connection || !connection->listener || dxi_letters_are_full(&connection->to_listener))
		return DXI_SENT_LATER;
	sent = dxi_letter_make(message);
	if (!sent)
		return DXI_SENT_LATER;
	dxi_letters_put(&connection->to_listener, sent);
	enqueue(connection->listener, connection);
	dxi_source_fire(&connection->listener->link.source);
	return DXI_SENT_ALL;
}

static bool receive_from_listener(dxi_link *link, dxi_message *message)
{
	struct connection *connection = caller_of(link)->connection;
	bool was_full = connection && dxi_letters_are_full(&connection->to_caller);
	dxi_letter *received = connection ? dxi_letters_take(&connection->to_caller) : NULL;

	if (!received)
		return false;
	deliver(link->links->loopbacks, received, message);
	if (was_full && connection->listener)
		dxi_source_fire(&connection->listener->link.source);
	return true;
}

static void close_caller(dxi_link *link, int linger_ms)
{
	struct connection *connection = caller_of(link)->connection;

	(void)linger_ms; /* what was sent is at the listener, so to speak */
	if (!connection)
		return;
	connection->caller = NULL;
	dxi_letters_drop(&connection->to_caller);
	free_if_done(connection);
}

/* ---- the listener's end ----------------------------------------------------------------- */

static size_t look_at_listener(dxi_source *source, bool fired)
{
	const struct listener *listener = listener_of(source->link);

	return dxi_link_is_ready(source->link, listener->first != NULL, true, fired);
}

static dxi_sent send_to_caller(dxi_link *link, const void *client, size_t client_bytes,
                               dxi_encode encode, void *context)
{
	struct connection *connection = find(listener_of(link), client, client_bytes);
	dxi_outgoing message = {.frame = NULL};
	dxi_letter *sent;

	if (!connection)
		return DXI_SENT_NEVER;
	if (dxi_letters_are_full(&connection->to_caller))
		return DXI_SENT_LATER;
	encode(context, &message);
	sent = dxi_letter_make(&message);
	if (!sent) {
		/* What was encoded counts as sent, and is not: this client begins anew. */
		hang_up(connection);
		return DXI_SENT_NEVER;
	}
	dxi_letters_put(&connection->to_caller, sent);
	dxi_source_fire(&connection->caller->link.source);
	return DXI_SENT_ALL;
}

/* One letter of each in turn. */
static bool receive_from_callers(dxi_link *link, dxi_message *message)
{
	struct listener *listener = listener_of(link);
	dxi_loopbacks *loopbacks = link->links->loopbacks;
	struct connection *connection = dequeue(listener);
	bool was_full = connection && dxi_letters_are_full(&connection->to_listener);

	if (!connection)
		return false;
	deliver(loopbacks, dxi_letters_take(&connection->to_listener), message);
	loopbacks->sender = connection->id;
	message->client = &loopbacks->sender;
	message->client_bytes = sizeof loopbacks->sender;
	if (connection->to_listener.first)
		enqueue(listener, connection);
	if (was_full && connection->caller)
		dxi_source_fire(&connection->caller->link.source);
	free_if_done(connection);
	return true;
}

static void close_listener(dxi_link *link, int linger_ms)
{
	struct listener *closing = listener_of(link);
	struct listener **at = &link->links->loopbacks->listeners;

	(void)linger_ms;
	while (*at != closing)
		at = &(*at)->next;
	*at = closing->next;
	for (uint32_t place = 0; place < closing->capacity; place++)
		if (closing->connections[place])
			hang_up(closing->connections[place]);
	free(closing->connections);
}

/* ---- opening ------------------------------------------------------------------------------ */

static const dxi_link_kind kind_of_caller = {
	.send = send_to_listener, .receive = receive_from_listener, .close = close_caller};

static const dxi_link_kind kind_of_listener = {
	.send_to = send_to_caller, .receive = receive_from_callers, .close = close_listener};

dxh_status dxi_loopbacks_open(dxi_loopbacks **loopbacks)
{
	*loopbacks = calloc(1, sizeof **loopbacks);
	return *loopbacks ? DXH_OK : dxi_fail(DXH_ENOMEM, "no memory for the links of a hub");
}

void dxi_loopbacks_settle(dxi_loopbacks *loopbacks)
{
	dxi_letter_free(loopbacks->received);
	loopbacks->received = NULL;
}

void dxi_loopbacks_free(dxi_loopbacks *loopbacks)
{
	if (loopbacks)
		dxi_loopbacks_settle(loopbacks);
	free(loopbacks);
}

/* Keys that have no use are refused, not ignored: who sets them counts on them. */
static dxh_status check_keys(const dxi_link_config *config, const char *endpoint)
{
	if (!config->curve || !config->curve->enabled)
		return DXH_OK;
	return dxi_fail(DXH_EINVAL,
	                "'%s' does not leave the hub, so nothing is encrypted and nobody else can "
	                "come in: set no keys",
	                endpoint);
}

static struct listener *find_listener(const dxi_loopbacks *loopbacks, const char *endpoint)
{
	struct listener *found = loopbacks->listeners;

	while (found && strcmp(found->endpoint, endpoint) != 0)
		found = found->next;
	return found;
}

dxh_status dxi_loopback_connect(dxi_links *links, const dxi_link_config *config,
                                const char *endpoint, dxi_link **link)
{
	struct listener *called = find_listener(links->loopbacks, endpoint);
	dxh_status status = check_keys(config, endpoint);
	struct caller *opened;

	if (status != DXH_OK)
		return status;
	opened = calloc(1, sizeof *opened);
	if (opened && called)
		opened->connection = connect_them(opened, called);
	if (!opened || (called && !opened->connection)) {
		free(opened);
		return dxi_fail(DXH_ENOMEM, "no memory for a connection to '%s'", endpoint);
	}
	opened->link = (dxi_link){.kind = &kind_of_caller, .links = links, .config = *config};
	opened->link.source = (dxi_source){.look = look_at_caller, .link = &opened->link};
	dxi_link_touch(&opened->link);
	*link = &opened->link;
	return DXH_OK;
}

dxh_status dxi_loopback_bind(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                             char *bound, size_t capacity, dxi_link **link)
{
	dxi_loopbacks *loopbacks = links->loopbacks;
	dxh_status status = check_keys(config, endpoint);
	struct listener *opened;

	if (status != DXH_OK)
		return status;
	if (find_listener(loopbacks, endpoint))
		return dxi_fail(DXH_EBUSY,
		                "'%s' is in use: close the service of this hub that listens there, "
		                "or choose another name",
		                endpoint);
	opened = calloc(1, sizeof *opened);
	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory to listen on '%s'", endpoint);
	opened->link = (dxi_link){.kind = &kind_of_listener, .links = links, .config = *config};
	opened->link.source = (dxi_source){.look = look_at_listener, .link = &opened->link};
	snprintf(opened->endpoint, sizeof opened->endpoint, "%s", endpoint);
	snprintf(bound, capacity, "%s", endpoint);
	opened->next = loopbacks->listeners;
	loopbacks->listeners = opened;
	*link = &opened->link;
	return DXH_OK;
}
