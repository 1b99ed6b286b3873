/* SPDX-License-Identifier: MIT */
#include "runtime/broker/announce.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

enum { PAUSE_NS = DXI_NS_PER_MS, PAUSES_MAX = 10000 };

dxh_status dxi_announcer_init(dxi_announcer *announcer, dxh_service *service)
{
	*announcer = (dxi_announcer){.service = service};
	if (getrandom(&announcer->broker, sizeof announcer->broker, 0) == -1)
		return dxi_fail_errno(errno, "the system gives no random numbers");
	return DXH_OK;
}

void dxi_announce(void *context, const dxh_watch_event *event)
{
	dxi_announcer *announcer = context;
	struct timespec pause = dxi_timespec(PAUSE_NS);
	unsigned char body[DXI_EVENT_WIRE_MAX];
	char topic[DXI_TOPIC_BYTES];
	dxh_watch_event numbered = *event;
	dxh_status status = DXH_EFULL;
	size_t bytes;

	numbered.broker = announcer->broker;
	numbered.number = ++announcer->number;
	bytes = dxi_event_write(&numbered, body, sizeof body);
	dxi_event_topic(event->channel, topic);
	/* The I/O thread hands on thousands in a millisecond, so a pause or two will do;
	 * without memory for seconds there is nothing left but to say so. */
	for (int i = 0; (status == DXH_EFULL || status == DXH_ENOMEM) && i < PAUSES_MAX; i++) {
		if (i > 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		status = dxh_service_publish(announcer->service, topic, body, bytes);
	}
	if (status != DXH_OK && status != DXH_ECLOSED && status != DXH_EDRAINING)
		dxi_log(DXH_LOG_ERROR, "broker: event %" PRIu64 " is not told to anybody: %s",
		        numbered.number, dxh_last_error());
}
