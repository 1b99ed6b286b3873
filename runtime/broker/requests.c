/* SPDX-License-Identifier: MIT */
/* One function per request: read, ask for the right, ask registry or consumers, write. */
#include "runtime/broker/broker.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/status.h"
#include "runtime/broker/parts.h"
#include "runtime/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

dxh_status dxi_broker_allows(dxh_broker *broker, dxi_right right, const char *channels)
{
	return dxi_rights_check(broker->rights, broker->client.key, right, channels);
}

uint64_t dxi_broker_holder(const dxh_broker *broker)
{
	unsigned char hash[DXI_HASH_BYTES];
	uint64_t holder;

	if (broker->client.key[0] == '\0')
		return broker->client.incarnation;
	dxi_hash(broker->client.key, strlen(broker->client.key), hash);
	memcpy(&holder, hash, sizeof holder);
	return holder;
}

/* What was asked with, and the answer. */
typedef struct question {
	const void *body;
	size_t bytes;
	size_t answered; /* bytes of broker->answer */
} question;

/* ---- producers ---- */

static dxh_status on_register(dxh_broker *broker, question *asked)
{
	dxi_claim claim;
	dxh_status status = dxi_claim_read(asked->body, asked->bytes, &claim);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_PRODUCE, claim.info.name);
	if (status == DXH_OK) {
		claim.holder = dxi_broker_holder(broker);
		status = dxi_registry_register(&broker->registry, &claim, broker->now_ns);
	}
	asked->answered = dxi_terms_write(&broker->terms, broker->answer, sizeof broker->answer);
	return status;
}

static dxh_status on_deregister(dxh_broker *broker, question *asked)
{
	dxi_owner owner;
	dxh_status status = dxi_deregister_read(asked->body, asked->bytes, &owner);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_PRODUCE, owner.channel);
	owner.holder = dxi_broker_holder(broker);
	if (status == DXH_OK)
		status = dxi_registry_deregister(&broker->registry, &owner, broker->now_ns);
	asked->answered = dxi_done_write(broker->answer, sizeof broker->answer);
	return status;
}

/* ---- consumers ---- */

/* A consumer of another block than the broker knows waits for its producer; one that says
 * another schema of the very same block cannot be right. */
static dxh_status check_schema(const dxh_broker *broker, const dxi_reader_claim *claim)
{
	if (!dxi_registry_contradicts(&broker->registry, &claim->info, claim->channel,
	                              claim->schema_hash))
		return DXH_OK;
	return dxi_fail(DXH_ESCHEMA,
	                "consumer.register: the block of channel '%s' has another schema than key "
	                "'schema_hash' says",
	                claim->channel);
}

static dxh_status on_consumer_register(dxh_broker *broker, question *asked)
{
	dxi_reader_claim claim;
	dxh_status status = dxi_reader_claim_read(asked->body, asked->bytes, &claim);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, claim.channel);
	if (status == DXH_OK)
		status = check_schema(broker, &claim);
	if (status == DXH_OK) {
		claim.holder = dxi_broker_holder(broker);
		status = dxi_consumers_register(&broker->consumers, &claim, broker->now_ns);
	}
	asked->answered = dxi_terms_write(&broker->terms, broker->answer, sizeof broker->answer);
	return status;
}

static dxh_status on_consumer_deregister(dxh_broker *broker, question *asked)
{
	dxi_reader_word word;
	dxh_status status = dxi_reader_leave_read(asked->body, asked->bytes, &word);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, word.channel);
	word.holder = dxi_broker_holder(broker);
	if (status == DXH_OK)
		status = dxi_consumers_deregister(&broker->consumers, &word);
	asked->answered = dxi_done_write(broker->answer, sizeof broker->answer);
	return status;
}

/* ---- whoever asks ---- */

static dxh_status on_discover(dxh_broker *broker, question *asked)
{
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	dxh_channel_info *info = &broker->page[0];
	dxh_status status = dxi_discover_read(asked->body, asked->bytes, channel);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, channel);
	if (status != DXH_OK)
		return status;
	dxi_registry_discover(&broker->registry, channel, broker->now_ns, info);
	info->consumers = dxi_consumers_count(&broker->consumers, channel);
	asked->answered = dxi_channel_write(info, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static dxh_status on_describe(dxh_broker *broker, question *asked)
{
	dxi_describe_request request;
	dxh_channel_facts facts;
	bool more;
	dxh_status status = dxi_describe_request_read(asked->body, asked->bytes, &request);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, request.channel);
	if (status != DXH_OK)
		return status;
	dxi_registry_describe(&broker->registry, request.channel, broker->now_ns, &facts);
	if (request.after != 0)
		facts.schema = NULL; /* it went with the first page */
	facts.consumers = broker->consumer_page;
	facts.consumer_count = dxi_consumers_page(
		&broker->consumers, request.channel, request.after, broker->now_ns,
		broker->consumer_page, DXI_CONSUMERS_PAGE_MAX, &more);
	facts.channel.consumers = dxi_consumers_count(&broker->consumers, request.channel);
	asked->answered = dxi_describe_write(&facts, more, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static bool is_visible(const void *context, const char *channel)
{
	const dxh_broker *broker = context;

	return dxi_rights_any(broker->rights, broker->client.key, channel);
}

static dxh_status on_list(dxh_broker *broker, question *asked)
{
	dxi_list_request request;
	dxi_list_page page;
	dxh_status status = dxi_list_request_read(asked->body, asked->bytes, &request);

	if (status != DXH_OK)
		return status;
	page = dxi_registry_list(&broker->registry, request.after, broker->now_ns,
	                         broker->rights ? is_visible : NULL, broker, broker->page,
	                         request.max < DXI_LIST_PAGE_MAX ? request.max : DXI_LIST_PAGE_MAX);
	for (size_t i = 0; i < page.count; i++)
		broker->page[i].consumers =
			dxi_consumers_count(&broker->consumers, broker->page[i].name);
	asked->answered =
		dxi_list_write(&page, broker->page, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static dxh_status on_metrics(dxh_broker *broker, question *asked)
{
	dxh_broker_stats now = broker->stats;
	dxh_status status = dxi_broker_allows(broker, DXI_MAY_ADMINISTER, "");

	if (status != DXH_OK)
		return status;
	now.uptime_ms = (uint64_t)(broker->now_ns - broker->started_ns) / DXI_NS_PER_MS;
	now.events = broker->announcer.number;
	now.channels_now = broker->registry.count;
	now.channels_live_now = broker->registry.live;
	now.consumers_now = broker->consumers.count;
	now.schema_bytes_now = broker->registry.schema_bytes;
	/* relaxed: a figure for people. */
	now.watchers_now =
		atomic_load_explicit(&broker->service->subscribers, memory_order_relaxed);
	asked->answered = dxi_broker_stats_write(&now, broker->answer, sizeof broker->answer);
	return DXH_OK;
}

static const struct {
	const char *subject;
	dxh_status (*answer)(dxh_broker *, question *);
	size_t count; /* in the figures */
} requests[] = {
#define COUNTED(name) offsetof(dxh_broker_stats, name)
	{DXI_SUBJECT_REGISTER, on_register, COUNTED(registrations)},
	{DXI_SUBJECT_DEREGISTER, on_deregister, COUNTED(deregistrations)},
	{DXI_SUBJECT_DISCOVER, on_discover, COUNTED(discoveries)},
	{DXI_SUBJECT_LIST, on_list, COUNTED(lists)},
	{DXI_SUBJECT_DESCRIBE, on_describe, COUNTED(descriptions)},
	{DXI_SUBJECT_CONSUMER_REGISTER, on_consumer_register, COUNTED(consumer_registrations)},
	{DXI_SUBJECT_CONSUMER_DEREGISTER, on_consumer_deregister,
         COUNTED(consumer_deregistrations)},
	{DXI_SUBJECT_METRICS, on_metrics, COUNTED(metrics)},
#undef COUNTED
};

static dxh_status fail_unknown(const char *subject)
{
	char shown[65];

	snprintf(shown, sizeof shown, "%s", subject);
	dxi_make_shown(shown);
	return dxi_fail(DXH_EUNKNOWN,
	                "a broker answers channel.register, .deregister, .discover, .list and "
	                ".describe, consumer.register and .deregister, and broker.metrics, not "
	                "'%s'",
	                shown);
}

dxh_status dxi_broker_answer(dxh_broker *broker, const dxh_request *request, size_t *length)
{
	const char *subject = dxh_request_subject(request);
	question asked = {.answered = 0};
	dxh_status status;

	asked.body = dxh_request_body(request, &asked.bytes);
	broker->stats.requests++;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		if (strcmp(subject, requests[i].subject) != 0)
			continue;
		++*(uint64_t *)((char *)&broker->stats + requests[i].count);
		status = requests[i].answer(broker, &asked);
		*length = asked.answered;
		return status;
	}
	return fail_unknown(subject);
}
