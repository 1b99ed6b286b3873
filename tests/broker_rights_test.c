/* SPDX-License-Identifier: MIT */
/* Rights by key: the file, line by line, and what a broker does with it. */
#include "tests/support/channels.h"

#include "runtime/broker/rights.h"

#include <dxh/security.h>
#include <dxh/watch.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of its own for each test; two clients beside the broker. */
static char folder[128], broker_key[160], keys[2][160], rights_file[160];
static char broker_public[DXH_KEY_BYTES], publics[2][DXH_KEY_BYTES];
enum { CAMERA = 0, VIEWER = 1 };

static void write_rights(const char *text)
{
	char next[176];
	FILE *file;

	/* Renamed into place: another file, so that it is seen whatever the clock says. */
	snprintf(next, sizeof next, "%s.next", rights_file);
	file = fopen(next, "w");
	cr_assert(file && fputs(text, file) >= 0 && fchmod(fileno(file), 0644) == 0 &&
	          fclose(file) == 0);
	cr_assert_eq(rename(next, rights_file), 0);
}

static void setup(void)
{
	const char *temporary = getenv("TMPDIR");

	snprintf(folder, sizeof folder, "%s/dxh-check-rights-%d", temporary ? temporary : "/tmp",
	         (int)getpid());
	cr_assert(mkdir(folder, 0700) == 0 || errno == EEXIST);
	snprintf(broker_key, sizeof broker_key, "%s/broker", folder);
	snprintf(rights_file, sizeof rights_file, "%s/rights", folder);
	must(dxh_key_make(broker_key, broker_public));
	for (int i = 0; i < 2; i++) {
		snprintf(keys[i], sizeof keys[i], "%s/client%d", folder, i);
		must(dxh_key_make(keys[i], publics[i]));
	}
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	unlink(broker_key);
	unlink(keys[0]);
	unlink(keys[1]);
	unlink(rights_file);
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(broker_rights, .init = setup, .fini = teardown, .timeout = 60);

/* ---- the file ---- */

static void must_refuse(const char *text, const char *says)
{
	dxi_rights *rights = NULL;

	write_rights(text);
	must_be(dxi_rights_open(rights_file, &rights), DXH_EINVAL, says);
}

Test(broker_rights, mistakes_are_told_by_line)
{
	must_refuse("# remark\n\nnokey produce a\n", "rights:3: the first word is no public key");
	must_refuse("*\n", "rights:1: a key without rights");
	must_refuse("* watch a\n", "rights:1: rights are produce, consume and admin");
	must_refuse("* produce,,consume a\n", "rights:1: rights are");
	must_refuse("* produce\n", "rights:1: rights without channels");
	must_refuse("* produce /a\n", "rights:1: the third word is no begin of channel names");
}

Test(broker_rights, a_rule_is_for_its_key_its_rights_and_its_prefix)
{
	dxi_rights *rights;
	char text[256];

	snprintf(text, sizeof text, "%s produce,consume camera/  the front one\n* consume public\n",
	         publics[CAMERA]);
	write_rights(text);
	must(dxi_rights_open(rights_file, &rights));
	must(dxi_rights_check(rights, publics[CAMERA], DXI_MAY_PRODUCE, "camera/front"));
	must_be(dxi_rights_check(rights, publics[CAMERA], DXI_MAY_PRODUCE, "camera"), DXH_EACCESS,
	        "produce 'camera'");
	must_be(dxi_rights_check(rights, publics[CAMERA], DXI_MAY_ADMINISTER, "camera/front"),
	        DXH_EACCESS, "administer");
	must_be(dxi_rights_check(rights, publics[VIEWER], DXI_MAY_CONSUME, "camera/front"),
	        DXH_EACCESS, publics[VIEWER]);
	must(dxi_rights_check(rights, publics[VIEWER], DXI_MAY_CONSUME, "public/news"));
	must(dxi_rights_check(rights, "", DXI_MAY_CONSUME, "public"));
	cr_expect(dxi_rights_any(rights, publics[CAMERA], "camera/x"));
	cr_expect_not(dxi_rights_any(rights, publics[VIEWER], "camera/x"));
	dxi_rights_close(rights);
	must(dxi_rights_check(NULL, "", DXI_MAY_ADMINISTER, ""));
}

Test(broker_rights, a_changed_file_counts_and_a_spoiled_one_changes_nothing)
{
	dxi_rights *rights;
	int64_t deadline_ns = SOON;

	write_rights("* consume a\n");
	must(dxi_rights_open(rights_file, &rights));
	write_rights("* consume b\n");
	while (dxi_rights_check(rights, "", DXI_MAY_CONSUME, "b") != DXH_OK)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	cr_expect_eq(dxi_rights_check(rights, "", DXI_MAY_CONSUME, "a"), DXH_EACCESS);
	write_rights("* nonsense\n");
	for (int64_t until_ns = dxh_in_ms(300); dxh_now_ns() < until_ns;)
		must(dxi_rights_check(rights, "", DXI_MAY_CONSUME, "b"));
	dxi_rights_close(rights);
}

Test(broker_rights, a_file_that_anybody_may_write_or_that_is_none_is_refused)
{
	dxi_rights *rights;
	static const char nul[] = "* consume a\n* consume b\0 produce\n* consume c\n";
	FILE *file;

	write_rights("* consume a\n");
	cr_assert_eq(chmod(rights_file, 0646), 0);
	must_be(dxi_rights_open(rights_file, &rights), DXH_EACCESS, "mode 0646, so anybody may");
	cr_assert_eq(unlink(rights_file), 0);
	must_be(dxi_rights_open(rights_file, &rights), DXH_ENOTFOUND, "the rights in");
	cr_assert_eq(mkfifo(rights_file, 0600), 0);
	must_be(dxi_rights_open(rights_file, &rights), DXH_EACCESS, "no regular file");
	write_rights("");
	file = fopen(rights_file, "w");
	cr_assert(file && fwrite(nul, 1, sizeof nul - 1, file) == sizeof nul - 1);
	fclose(file);
	must_be(dxi_rights_open(rights_file, &rights), DXH_EINVAL, "rights:2: longer than");
}

static unsigned complaints;

static void count_complaint(void *context, dxh_log_level level, const char *text)
{
	(void)context;
	complaints += level == DXH_LOG_ERROR && strstr(text, "rights stay as they were") != NULL;
}

static void ask_for_a_while(dxi_rights *rights)
{
	for (int64_t until_ns = dxh_in_ms(700); dxh_now_ns() < until_ns;)
		must(dxi_rights_check(rights, "", DXI_MAY_CONSUME, "a"));
}

Test(broker_rights, a_file_that_is_taken_away_or_opened_to_all_changes_nothing_and_is_told_once)
{
	dxi_rights *rights;

	write_rights("* consume a\n");
	must(dxi_rights_open(rights_file, &rights));
	dxh_log_set(DXH_LOG_ERROR, count_complaint, NULL);
	cr_assert_eq(chmod(rights_file, 0666), 0);
	ask_for_a_while(rights);
	cr_expect_eq(complaints, 1, "%u complaints", complaints);
	cr_assert_eq(unlink(rights_file), 0);
	ask_for_a_while(rights);
	cr_expect_eq(complaints, 2, "%u complaints", complaints);
	write_rights("* produce b\n");
	for (int64_t deadline_ns = SOON;
	     dxi_rights_check(rights, "", DXI_MAY_PRODUCE, "b") != DXH_OK;)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	dxi_rights_close(rights);
}

/* ---- a broker ---- */

static struct {
	dxh_hub *hub;
	dxh_broker *broker;
	dxh_peer *peers[2];
} guarded;

static void open_guarded(const char *text)
{
	write_rights(text);
	must(dxh_hub_open(NULL, &guarded.hub));
	must(dxh_broker_start(guarded.hub, test_endpoint(),
	                      &(dxh_broker_config){.key_file = broker_key,
	                                           .allow_any = 1,
	                                           .rights_file = rights_file},
	                      &guarded.broker));
	for (int i = 0; i < 2; i++)
		must(dxh_peer_connect(
			guarded.hub, dxh_broker_endpoint(guarded.broker),
			&(dxh_peer_config){.server_key = broker_public, .key_file = keys[i]},
			&guarded.peers[i]));
}

static void close_guarded(void)
{
	must(dxh_peer_close(&guarded.peers[0]));
	must(dxh_peer_close(&guarded.peers[1]));
	must(dxh_broker_stop(&guarded.broker));
	must(dxh_hub_close(&guarded.hub));
}

static void open_camera_and_viewer(void)
{
	char text[256];

	snprintf(text, sizeof text, "%s produce c\n%s consume c\n", publics[CAMERA],
	         publics[VIEWER]);
	open_guarded(text);
}

Test(broker_rights, rights_without_keys_or_with_mistakes_do_not_start)
{
	dxh_broker *broker;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must_be(dxh_broker_start(hub, test_endpoint(),
	                         &(dxh_broker_config){.rights_file = rights_file}, &broker),
	        DXH_EINVAL, "set key_file too");
	write_rights("?\n");
	must_be(dxh_broker_start(hub, test_endpoint(),
	                         &(dxh_broker_config){.key_file = broker_key,
	                                              .allow_any = 1,
	                                              .rights_file = rights_file},
	                         &broker),
	        DXH_EINVAL, "rights:1:");
	must(dxh_hub_close(&hub));
}

Test(broker_rights, who_may_produce_does_and_who_may_not_is_told_why)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_channel_info info;
	const char *name;
	size_t count, total;

	open_camera_and_viewer();
	name = new_name(); /* it begins with c */
	must_be(dxh_produce(guarded.peers[VIEWER], name, &config, SOON, &producer), DXH_EACCESS,
	        publics[VIEWER]);
	must(dxh_produce(guarded.peers[CAMERA], name, &config, SOON, &producer));
	must_be(dxh_discover(guarded.peers[CAMERA], name, SOON, &info), DXH_EACCESS, "consume");
	must(dxh_consume(guarded.peers[VIEWER], name, NULL, SOON, &consumer));
	must_be(dxh_discover(guarded.peers[VIEWER], "other", SOON, &info), DXH_EACCESS, "'other'");
	must(dxh_list(guarded.peers[VIEWER], NULL, SOON, &info, 1, &count, &total));
	cr_expect_eq(total, 1);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	close_guarded();
}

Test(broker_rights, what_one_has_no_right_to_is_not_listed)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_channel_info info;
	size_t count, total;
	char text[256];

	snprintf(text, sizeof text, "%s produce c\n%s consume d\n", publics[CAMERA],
	         publics[VIEWER]);
	open_guarded(text);
	must(dxh_produce(guarded.peers[CAMERA], new_name(), &config, SOON, &producer));
	must(dxh_list(guarded.peers[VIEWER], NULL, SOON, &info, 1, &count, &total));
	cr_expect_eq(count, 0);
	cr_expect_eq(total, 0);
	must(dxh_list(guarded.peers[CAMERA], NULL, SOON, &info, 1, &count, &total));
	cr_expect_eq(total, 1);
	must(dxh_producer_close(&producer));
	close_guarded();
}

Test(broker_rights, watching_needs_the_right_to_all_of_the_prefix)
{
	dxh_watcher *watcher;

	open_camera_and_viewer();
	must(dxh_watch(guarded.peers[VIEWER], "c", NULL, SOON, &watcher));
	must(dxh_watcher_close(&watcher));
	must(dxh_watch(guarded.peers[VIEWER], "camera/", NULL, SOON, &watcher));
	must(dxh_watcher_close(&watcher));
	must_be(dxh_watch(guarded.peers[VIEWER], "", NULL, SOON, &watcher), DXH_EACCESS, NULL);
	must_be(dxh_watch(guarded.peers[CAMERA], "c", NULL, SOON, &watcher), DXH_EACCESS, NULL);
	close_guarded();
}

Test(broker_rights, figures_are_for_administrators)
{
	dxh_broker_stats stats;
	char text[256];

	snprintf(text, sizeof text, "%s produce,consume *\n%s admin *\n", publics[CAMERA],
	         publics[VIEWER]);
	open_guarded(text);
	must_be(dxh_broker_stats_get(guarded.peers[CAMERA], SOON, &stats), DXH_EACCESS,
	        "administer '*'");
	must(dxh_broker_stats_get(guarded.peers[VIEWER], SOON, &stats));
	cr_expect_eq(stats.refused, 1);
	close_guarded();
}
