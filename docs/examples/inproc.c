/* SPDX-License-Identifier: MIT */
/* Parts of one program that talk as programs do: inproc stays within the hub, so no
 * socket is opened and nothing is encrypted. The day the motor moves to a process of its own,
 * its endpoint becomes an ipc one, and nothing else changes. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char endpoint[] = "inproc://motor";

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

/* The one thread that touches the motor: no lock, and no race. */
static void *drive(void *service)
{
	dxh_request *request;
	int32_t position = 0, step;
	size_t bytes;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		const void *body = dxh_request_body(request, &bytes);

		if (bytes != sizeof step) {
			dxh_request_reject(request, DXH_EINVAL, "a step is an int32_t");
			continue;
		}
		memcpy(&step, body, sizeof step);
		position += step;
		dxh_request_reply(request, &position, sizeof position);
	}
	return NULL;
}

static int32_t move(dxh_peer *motor, int32_t step)
{
	int32_t position;

	check(dxh_request_sync(motor, "move", &step, sizeof step, dxh_in_ms(5000), &position,
	                       sizeof position, NULL));
	return position;
}

static void *jog(void *motor)
{
	for (int i = 0; i < 1000; i++)
		move(motor, 1);
	return NULL;
}

int main(void)
{
	pthread_t driver, joggers[4];
	dxh_hub *hub;
	dxh_peer *motor;
	dxh_service *service;

	check(dxh_hub_open(NULL, &hub));
	check(dxh_peer_connect(hub, endpoint, NULL, &motor)); /* may come first */
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	pthread_create(&driver, NULL, drive, service);

	for (int i = 0; i < 4; i++)
		pthread_create(&joggers[i], NULL, jog, motor);
	for (int i = 0; i < 4; i++)
		pthread_join(joggers[i], NULL);
	printf("at %d, ", (int)move(motor, 0));
	printf("and back at %d\n", (int)move(motor, -4000));

	dxh_service_stop(service);
	pthread_join(driver, NULL);
	check(dxh_hub_close(&hub));
	return 0;
}
