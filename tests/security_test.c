/* SPDX-License-Identifier: MIT */
/* CURVE: who is let in, who is sent away, and that each is told why. */
#include "tests/support/pair.h"

#include "runtime/keys.h"

#include <dxh/security.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A folder of its own for each test. */
static char folder[128], service_key[160], client_key[160], list[160];
static char service_public[DXH_KEY_BYTES], client_public[DXH_KEY_BYTES];

static void write_list(const char *text)
{
	FILE *file = fopen(list, "w");

	cr_assert(file && fputs(text, file) >= 0 && fchmod(fileno(file), 0644) == 0 &&
	          fclose(file) == 0);
}

static void setup(void)
{
	const char *temporary = getenv("TMPDIR");

	snprintf(folder, sizeof folder, "%s/dxh-check-keys-%d", temporary ? temporary : "/tmp",
	         (int)getpid());
	cr_assert(mkdir(folder, 0700) == 0 || errno == EEXIST);
	snprintf(service_key, sizeof service_key, "%s/service", folder);
	snprintf(client_key, sizeof client_key, "%s/client", folder);
	snprintf(list, sizeof list, "%s/list", folder);
	must(dxh_key_make(service_key, service_public));
	must(dxh_key_make(client_key, client_public));
	write_list("");
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	unlink(service_key);
	unlink(client_key);
	unlink(list);
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(security, .init = setup, .fini = teardown, .timeout = 60);

/* What a peer was told last. */
static char told[256];
static _Atomic uint64_t refusals;

static void hear(void *context, dxh_peer *of, dxh_peer_state state, const char *reason)
{
	(void)context, (void)of;
	if (state != DXH_PEER_REFUSED)
		return;
	snprintf(told, sizeof told, "%s", reason);
	refusals++;
}

static dxh_service_config with_list(void)
{
	return (dxh_service_config){.key_file = service_key, .allow_file = list};
}

static dxh_peer_config with_keys(void)
{
	return (dxh_peer_config){
		.server_key = service_public, .key_file = client_key, .on_state = hear};
}

static void allow_client(void)
{
	char line[DXH_KEY_BYTES + 32];

	snprintf(line, sizeof line, "a remark\n%s the client\n", client_public);
	write_list(line);
}

/* A request of this peer is refused, and the peer knows why. */
static void expect_refusal(dxh_service_config service, dxh_peer_config config, const char *why)
{
	refusals = 0;
	open_pair("tcp://127.0.0.1:*", &service, &config);
	must_be(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL), DXH_EACCESS, why);
	test_wait_for(&refusals, 1);
	cr_expect(strstr(told, why), "'%s' does not say '%s'", told, why);
	close_pair();
}

/* ---- let in ---------------------------------------------------------------------- */

Test(security, a_client_on_the_list_is_served_encrypted)
{
	dxh_service_config service = with_list();
	dxh_peer_config config = with_keys();

	allow_client();
	open_pair("tcp://127.0.0.1:*", &service, &config);
	expect_echo("secret", 6);
	close_pair();
}

Test(security, the_same_on_ipc_and_beyond_loopback)
{
	dxh_service_config service = with_list();
	dxh_peer_config config = with_keys();
	dxh_hub *open_hub;
	dxh_service *wide;

	allow_client();
	open_pair(test_endpoint(), &service, &config);
	expect_echo("secret", 6);
	close_pair();
	/* Encrypted, so it need not be said to be insecure. */
	must(dxh_hub_open(NULL, &open_hub));
	must(dxh_service_bind(open_hub, "tcp://*:*", &service, &wide));
	must(dxh_hub_close(&open_hub));
}

Test(security, anybody_with_a_key_may_come_where_that_is_said)
{
	dxh_service_config service = {.key_file = service_key, .allow_any = 1};
	dxh_peer_config config = with_keys();

	config.key_file = NULL;
	open_pair("tcp://127.0.0.1:*", &service, &config);
	expect_echo("secret", 6);
	close_pair();
}

Test(security, a_list_that_changes_counts_at_the_next_try)
{
	dxh_service_config service = with_list();
	dxh_peer_config config = with_keys();

	refusals = 0;
	open_pair("tcp://127.0.0.1:*", &service, &config);
	must_be(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL), DXH_EACCESS, NULL);
	test_wait_for(&refusals, 1);
	cr_expect_geq(test_stats(echo.hub).clients_refused, 1);
	allow_client();
	test_wait_state(peer, DXH_PEER_READY);
	expect_echo("secret", 6);
	close_pair();
}

Test(security, two_services_of_a_hub_have_lists_of_their_own)
{
	dxh_service_config service = with_list(), open = {.key_file = service_key, .allow_any = 1};
	dxh_peer_config config = with_keys();
	dxh_service *second;
	dxh_peer *other;

	open_pair("tcp://127.0.0.1:*", &service, &config);
	must(dxh_service_bind(echo.hub, "tcp://127.0.0.1:*", &open, &second));
	must(dxh_peer_connect(hub, dxh_service_endpoint(second), &config, &other));
	test_wait_state(other, DXH_PEER_READY);
	test_wait_state(peer, DXH_PEER_REFUSED);
	must(dxh_peer_close(&other));
	must(dxh_service_close(&second));
	close_pair();
}

/* ---- sent away --------------------------------------------------------------------- */

Test(security, a_client_that_is_not_on_the_list_is_told_so)
{
	expect_refusal(with_list(), with_keys(), "refused our key");
}

Test(security, a_list_that_is_missing_lets_nobody_in)
{
	dxh_service_config service = with_list();

	service.allow_file = "/nonexistent/list";
	expect_refusal(service, with_keys(), "refused our key");
}

Test(security, a_list_that_anybody_may_write_lets_nobody_in)
{
	write_list(client_public);
	cr_assert_eq(chmod(list, 0646), 0);
	must_be(dxi_key_is_allowed(list, client_public), DXH_EACCESS, "mode 0646, so anybody may");
	cr_assert_eq(chmod(list, 0644), 0);
	must(dxi_key_is_allowed(list, client_public));
}

Test(security, a_client_in_the_clear_is_told_that_keys_are_wanted)
{
	dxh_peer_config config = {.on_state = hear};

	expect_refusal(with_list(), config, "wants CURVE");
}

Test(security, a_service_in_the_clear_is_not_talked_to)
{
	expect_refusal((dxh_service_config){0}, with_keys(), "does not know CURVE");
}

Test(security, a_service_with_another_key_is_not_talked_to)
{
	dxh_service_config service = {.key_file = service_key, .allow_any = 1};
	dxh_peer_config config = with_keys();
	dxh_status status;

	config.server_key = client_public; /* a key, but not the service's */
	open_pair("tcp://127.0.0.1:*", &service, &config);
	status = dxh_request_sync(peer, "echo", "", 0, dxh_in_ms(300), NULL, 0, NULL);
	cr_expect(status == DXH_EACCESS || status == DXH_EEXPIRED, "%s", dxh_last_error());
	cr_expect(strstr(dxh_last_error(), "server_key"), "%s", dxh_last_error());
	cr_expect_eq(test_stats(echo.hub).requests_received, 0);
	close_pair();
}

/* ---- a listener that hangs up in each handshake, as one may that does not want our keys ---- */

static _Atomic int hangs_up = -1; /* the listening socket */

static void *hang_up_on_all(void *unused)
{
	int caller;

	while ((caller = accept(hangs_up, NULL, NULL)) != -1)
		close(caller);
	return unused;
}

static void listen_abstract(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", name);

	hangs_up = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(hangs_up, (struct sockaddr *)&address,
	                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)),
	             0);
	cr_assert_eq(listen(hangs_up, 8), 0);
}

Test(security, who_hangs_up_in_each_handshake_does_not_want_our_keys)
{
	dxh_peer_config config = with_keys();
	char name[48], endpoint[64];
	dxh_completion done;
	pthread_t thread;
	dxh_reply reply;

	snprintf(name, sizeof name, "dxh-test-%d-hang-up", (int)getpid());
	snprintf(endpoint, sizeof endpoint, "ipc://@%s", name);
	listen_abstract(name);
	pthread_create(&thread, NULL, hang_up_on_all, NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, &config, &peer));
	must(dxh_post(peer, "x", NULL, 0, DXH_FOREVER, &done));
	must_be(dxh_await(done, SOON, &reply), DXH_EACCESS, "server_key");
	cr_expect_eq(reply.certainty, DXH_NOT_SENT);
	must(dxh_release(done));
	must(dxh_hub_close(&hub));
	shutdown(hangs_up, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(hangs_up);
}

/* ---- configs and files ------------------------------------------------------------------ */

static dxh_status bind_with(dxh_service_config config)
{
	dxh_hub *own;
	dxh_service *service = NULL;
	dxh_status status;

	must(dxh_hub_open(NULL, &own));
	status = dxh_service_bind(own, test_endpoint(), &config, &service);
	must(dxh_hub_close(&own));
	return status;
}

static dxh_status connect_with(dxh_peer_config config)
{
	dxh_hub *own;
	dxh_peer *made = NULL;
	dxh_status status;

	must(dxh_hub_open(NULL, &own));
	status = dxh_peer_connect(own, "tcp://127.0.0.1:1", &config, &made);
	must(dxh_hub_close(&own));
	return status;
}

Test(security, configs_that_do_not_go_together_are_refused)
{
	must_be(bind_with((dxh_service_config){.key_file = service_key}), DXH_EINVAL, "allow_file");
	must_be(bind_with((dxh_service_config){.allow_any = 1}), DXH_EINVAL, "key_file");
	must_be(bind_with((dxh_service_config){.allow_file = list}), DXH_EINVAL, "key_file");
	must_be(bind_with((dxh_service_config){
			.key_file = service_key, .allow_file = list, .allow_any = 1}),
	        DXH_EINVAL, NULL);
	must_be(connect_with((dxh_peer_config){.key_file = client_key}), DXH_EINVAL, "server_key");
	must_be(connect_with((dxh_peer_config){.server_key = "short"}), DXH_EINVAL, "40 char");
}

Test(security, a_secret_that_others_may_read_is_refused)
{
	dxh_service_config config = {.key_file = service_key, .allow_any = 1};
	char key[DXH_KEY_BYTES];

	cr_assert_eq(chmod(service_key, 0640), 0);
	must_be(bind_with(config), DXH_EACCESS, "mode 0640");
	must_be(dxh_key_public(service_key, key), DXH_EACCESS, "mode 0640");
	cr_assert_eq(chmod(service_key, 0600), 0);
	must(dxh_key_public(service_key, key));
	cr_expect_str_eq(key, service_public);
	if (geteuid() == 0) {
		cr_assert_eq(chown(service_key, 65534, (gid_t)-1), 0);
		must_be(bind_with(config), DXH_EACCESS, "belongs to user 65534");
	}
	config.key_file = folder;
	must_be(bind_with(config), DXH_EACCESS, "regular file");
	config.key_file = "/nonexistent/key";
	must_be(bind_with(config), DXH_ENOTFOUND, "/nonexistent/key");
	cr_assert_eq(truncate(client_key, 17), 0);
	config.key_file = client_key;
	must_be(bind_with(config), DXH_EINVAL, "no secret key");
}

Test(security, keys_are_made_once_and_for_the_owner_alone)
{
	struct stat found;
	char key[DXH_KEY_BYTES];

	cr_assert_eq(stat(service_key, &found), 0);
	cr_expect_eq(found.st_mode & 07777, 0600);
	cr_expect_eq(strlen(service_public), 40);
	must_be(dxh_key_make(service_key, key), DXH_EEXIST, NULL);
	must_be(dxh_key_make("/nonexistent/key", key), DXH_ENOTFOUND, NULL);
	must_be(dxh_key_make(NULL, key), DXH_EINVAL, NULL);
	must_be(dxh_key_public(NULL, key), DXH_EINVAL, NULL);
}

Test(security, a_list_is_read_line_by_line)
{
	char text[512], hash[DXH_KEY_BYTES];

	/* '#' is a character of Z85: a key may begin with it. */
	memset(hash, '#', sizeof hash - 1);
	hash[sizeof hash - 1] = '\0';
	snprintf(text, sizeof text, "# who may come\n%s\t the lab\n\n%s", hash, client_public);
	write_list(text);
	must(dxi_key_is_allowed(list, client_public));
	must(dxi_key_is_allowed(list, hash));
	must_be(dxi_key_is_allowed(list, service_public), DXH_EACCESS, "is not in");
	snprintf(text, sizeof text, "%.39s\nx%s\n%sx\n", client_public, client_public,
	         client_public);
	write_list(text);
	must_be(dxi_key_is_allowed(list, client_public), DXH_EACCESS, NULL);
}
