/* SPDX-License-Identifier: MIT */
/* The broker from inside: what its thread owns. broker.c has that thread, requests.c what
 * it answers, notifications.c what it only takes. */
#ifndef DXI_BROKER_H
#define DXI_BROKER_H

#include "runtime/broker/announce.h"
#include "runtime/broker/consumers.h"
#include "runtime/broker/describe_message.h"
#include "runtime/broker/registry.h"
#include "runtime/broker/rights.h"
#include "runtime/floods.h"

#include <pthread.h>

struct dxh_broker {
	dxh_service *service;
	pthread_t thread;
	uint32_t process;
	dxi_terms terms;
	dxi_rights *rights; /* NULL: everybody may do everything */

	/* the broker's own thread alone */
	dxi_registry registry;
	dxi_consumers consumers;
	dxi_holdings holdings;
	dxi_announcer announcer;
	dxi_floods floods;
	dxh_broker_stats stats; /* but for what is counted elsewhere, and *_now */
	int64_t started_ns;
	int64_t now_ns;         /* of the message that is looked at */
	dxh_client_info client; /* who sent it */
	dxh_channel_info page[DXI_LIST_PAGE_MAX];
	dxh_channel_consumer consumer_page[DXI_CONSUMERS_PAGE_MAX];
	unsigned char answer[DXI_DESCRIBE_WIRE_MAX];
};

/* Decide a request: DXH_OK and *length bytes of broker->answer are the reply; otherwise
 * how it is refused, the reason being the last error. */
dxh_status dxi_broker_answer(dxh_broker *broker, const dxh_request *request, size_t *length);

/* Take a notification in; the reason why not is the last error. */
dxh_status dxi_broker_take(dxh_broker *broker, const dxh_request *notification);

/* May the client of this message do so? As dxi_rights_check(). */
dxh_status dxi_broker_allows(dxh_broker *broker, dxi_right right, const char *channels);

/* Whose the client's registrations are, see holdings.h. */
uint64_t dxi_broker_holder(const dxh_broker *broker);

#endif
