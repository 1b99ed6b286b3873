/* SPDX-License-Identifier: MIT */
/* Who sent a request: what the service is told of it, and for how long. */
#include "tests/support/support.h"

#include <dxh/security.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static dxh_hub *service_hub, *client_hub;
static dxh_service *service;
static dxh_peer *peer;

static void open_pair(const char *endpoint, const dxh_service_config *service_config,
                      const dxh_peer_config *peer_config)
{
	must(test_hub_open(NULL, &service_hub));
	must(dxh_service_bind(service_hub, endpoint, service_config, &service));
	must(test_hub_open(&(dxh_hub_config){.name = "the\033 client"}, &client_hub));
	must(dxh_peer_connect(client_hub, endpoint, peer_config, &peer));
}

static void close_pair(void)
{
	must(dxh_service_close(&service));
	if (client_hub)
		must(test_hub_close(&client_hub));
	must(test_hub_close(&service_hub));
}

static dxh_request *receive(dxh_client_info *info)
{
	dxh_request *request = NULL;

	must(dxh_service_receive(service, SOON, &request));
	must(dxh_request_client(request, info));
	return request;
}

Test(caller, requests_and_notifications_tell_who_sent_them, .timeout = 60)
{
	dxh_client_info of_request, of_notification;
	dxh_completion done;
	char expected[64];

	test_needs_sockets();
	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_post(peer, "a", NULL, 0, SOON, &done));
	must(dxh_request_reply(receive(&of_request), NULL, 0));
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	must(dxh_notify(peer, "b", NULL, 0));
	dxh_request_release(receive(&of_notification));
	cr_expect_str_eq(of_request.name, "the? client", "%s", of_request.name);
	cr_expect_str_empty(of_request.key);
	snprintf(expected, sizeof expected, "localhost:%u:%u:%d", (unsigned)getuid(),
	         (unsigned)getgid(), (int)getpid());
	cr_expect_str_eq(of_request.address, expected);
	cr_expect_neq(of_request.incarnation, 0);
	cr_expect_eq(memcmp(&of_request, &of_notification, sizeof of_request), 0);
	close_pair();
}

Test(caller, it_is_known_as_long_as_the_request_also_when_the_client_is_gone, .timeout = 60)
{
	dxh_client_info before, after;
	dxh_request *request, *notification;
	dxh_completion done;

	test_needs_sockets();
	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_post(peer, "a", NULL, 0, SOON, &done));
	request = receive(&before);
	must(dxh_notify(peer, "b", NULL, 0));
	notification = receive(&after);
	must(test_hub_close(&client_hub));
	(void)dxh_release(done);
	while (!dxh_request_canceled(request))
		; /* until the service knows that it is gone */
	must(dxh_request_client(request, &after));
	cr_expect_eq(memcmp(&before, &after, sizeof before), 0);
	must(dxh_request_client(notification, &after));
	cr_expect_eq(memcmp(&before, &after, sizeof before), 0);
	dxh_request_release(notification);
	(void)dxh_request_reply(request, NULL, 0);
	must_be(dxh_request_client(NULL, &after), DXH_EINVAL, "dxh_request_client");
	close_pair();
}

Test(caller, a_key_that_was_proved_is_told, .timeout = 60)
{
	char folder[128], keys[2][160], publics[2][DXH_KEY_BYTES];
	const char *temporary = getenv("TMPDIR");
	dxh_client_info info;

	test_needs_sockets();
	snprintf(folder, sizeof folder, "%s/dxh-check-caller-%d", temporary ? temporary : "/tmp",
	         (int)getpid());
	cr_assert_eq(mkdir(folder, 0700), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(keys[i], sizeof keys[i], "%s/%d", folder, i);
		must(dxh_key_make(keys[i], publics[i]));
	}
	open_pair(test_endpoint(), &(dxh_service_config){.key_file = keys[0], .allow_any = 1},
	          &(dxh_peer_config){.server_key = publics[0], .key_file = keys[1]});
	must(dxh_notify(peer, "a", NULL, 0));
	dxh_request_release(receive(&info));
	cr_expect_str_eq(info.key, publics[1]);
	close_pair();
	unlink(keys[0]);
	unlink(keys[1]);
	cr_expect_eq(rmdir(folder), 0);
}

Test(caller, within_a_hub_there_is_no_address, .timeout = 60)
{
	dxh_client_info info;

	must(dxh_hub_open(NULL, &service_hub));
	must(dxh_service_bind(service_hub, "inproc://caller", NULL, &service));
	must(dxh_peer_connect(service_hub, "inproc://caller", NULL, &peer));
	must(dxh_notify(peer, "a", NULL, 0));
	dxh_request_release(receive(&info));
	cr_expect_str_empty(info.address);
	cr_expect_str_empty(info.key);
	must(dxh_service_close(&service));
	must(dxh_hub_close(&service_hub));
}
