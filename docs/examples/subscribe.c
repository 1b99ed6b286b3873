/* SPDX-License-Identifier: MIT */
/* A service publishes; a subscriber gets the topics it asked for, and knows what it
 * missed. */
#include <dxh.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

int main(void)
{
	char endpoint[64];
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_service *service;
	dxh_subscription *doors;
	const dxh_note *note;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-subscribe-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_subscribe(peer, "door.", NULL, &doors));
	check(dxh_subscription_await(doors, dxh_in_ms(5000)));

	check(dxh_service_publish(service, "door.left", "open", 4));
	check(dxh_service_publish(service, "window", "open", 4));
	check(dxh_service_publish(service, "door.right", "closed", 6));

	for (int i = 0; i < 2; i++) {
		check(dxh_subscription_receive(doors, dxh_in_ms(5000), &note));
		printf("%s: %.*s (%llu lost)\n", note->topic, (int)note->body_bytes,
		       (const char *)note->body, (unsigned long long)note->lost);
		dxh_note_release(note);
	}
	check(dxh_subscription_close(&doors));
	check(dxh_hub_close(&hub));
	return 0;
}
