/* SPDX-License-Identifier: MIT */
/* Handlers by subject, on two worker threads; what nobody handles is answered by
 * itself. */
#include <dxh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 2 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

static void on_name(void *name, dxh_request *request)
{
	dxh_request_reply(request, name, 5);
}

/* Several of these run at once. */
static void on_double(void *unused, dxh_request *request)
{
	size_t bytes;
	const int *number = dxh_request_body(request, &bytes);
	int twice;

	(void)unused;
	if (bytes != sizeof twice) {
		dxh_request_reject(request, DXH_EINVAL, "an int is asked for");
		return;
	}
	twice = *number * 2;
	dxh_request_reply(request, &twice, sizeof twice);
}

static void *work(void *service)
{
	while (dxh_service_dispatch(service, 32, DXH_FOREVER, NULL) == DXH_OK)
		;
	return NULL;
}

int main(void)
{
	char endpoint[64], name[16];
	int number = 21, twice = 0;
	pthread_t workers[WORKERS];
	dxh_hub *hub;
	dxh_service *service;
	dxh_peer *peer;
	dxh_status status;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-dispatch-%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_service_bind(hub, endpoint, NULL, &service));
	check(dxh_service_handle(service, "name", on_name, "meter"));
	check(dxh_service_handle(service, "double", on_double, NULL));
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, work, service);

	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_request_sync(peer, "name", NULL, 0, dxh_in_ms(5000), name, sizeof name, NULL));
	check(dxh_request_sync(peer, "double", &number, sizeof number, dxh_in_ms(5000), &twice,
	                       sizeof twice, NULL));
	printf("the %.5s says: twice %d is %d\n", name, number, twice);
	status = dxh_request_sync(peer, "treble", NULL, 0, dxh_in_ms(5000), NULL, 0, NULL);
	printf("treble: %s\n", dxh_status_name(status));

	check(dxh_service_stop(service));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	check(dxh_hub_close(&hub));
	return 0;
}
