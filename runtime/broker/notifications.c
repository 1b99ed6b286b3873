/* SPDX-License-Identifier: MIT */
/* One function per notification. Nobody is answered, so whoever is not registered, or has
 * no right to be, is not even noticed. */
#include "runtime/broker/broker.h"

#include "base/status.h"

#include <inttypes.h>
#include <string.h>

static dxh_status fail_as_stray(const char *channel, uint64_t uid)
{
	return dxi_fail(DXH_ENOTFOUND,
	                "a word of %016" PRIx64 ", whom this client has not registered at "
	                "channel '%s'",
	                uid, channel);
}

static dxh_status take_producers_beat(dxh_broker *broker, const void *body, size_t bytes)
{
	dxi_owner owner;
	dxh_status status = dxi_heartbeat_read(body, bytes, &owner);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_PRODUCE, owner.channel);
	if (status != DXH_OK)
		return status;
	owner.holder = dxi_broker_holder(broker);
	return dxi_registry_beat(&broker->registry, &owner, broker->now_ns)
	               ? DXH_OK
	               : fail_as_stray(owner.channel, owner.producer);
}

static dxh_status take_consumers_beat(dxh_broker *broker, const void *body, size_t bytes)
{
	dxi_reader_word word;
	dxh_status status = dxi_reader_beat_read(body, bytes, &word);

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, word.channel);
	if (status != DXH_OK)
		return status;
	word.holder = dxi_broker_holder(broker);
	return dxi_consumers_beat(&broker->consumers, &word, broker->now_ns)
	               ? DXH_OK
	               : fail_as_stray(word.channel, word.consumer);
}

static dxh_status take_beat(dxh_broker *broker, const void *body, size_t bytes)
{
	dxh_status status = dxi_beat_is_of_reader(body, bytes)
	                            ? take_consumers_beat(broker, body, bytes)
	                            : take_producers_beat(broker, body, bytes);

	broker->stats.beats += status == DXH_OK;
	return status;
}

static dxh_status take_checksum_error(dxh_broker *broker, const void *body, size_t bytes)
{
	dxi_reader_word word;
	dxh_status status = dxi_checksum_error_read(body, bytes, &word);
	uint64_t more;

	if (status == DXH_OK)
		status = dxi_broker_allows(broker, DXI_MAY_CONSUME, word.channel);
	if (status != DXH_OK)
		return status;
	word.holder = dxi_broker_holder(broker);
	more = dxi_consumers_broken(&broker->consumers, &word);
	broker->stats.checksum_errors = dxi_sum(broker->stats.checksum_errors, more);
	dxi_registry_broken(&broker->registry, word.channel, more, broker->now_ns);
	return DXH_OK;
}

dxh_status dxi_broker_take(dxh_broker *broker, const dxh_request *notification)
{
	const char *subject = dxh_request_subject(notification);
	size_t bytes;
	const void *body = dxh_request_body(notification, &bytes);
	dxh_status status;

	if (strcmp(subject, DXI_SUBJECT_HEARTBEAT) == 0)
		status = take_beat(broker, body, bytes);
	else if (strcmp(subject, DXI_SUBJECT_CHECKSUM_ERROR) == 0)
		status = take_checksum_error(broker, body, bytes);
	else
		status = dxi_fail(DXH_EUNKNOWN, "the notification '%.64s'", subject);
	broker->stats.beats_stray += status != DXH_OK;
	return status;
}
