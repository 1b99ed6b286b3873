/* SPDX-License-Identifier: MIT */
/* What tests of blocks between processes share: a block with a reader, and what children do
 * with it. */
#ifndef SHM_PROCESS_FIXTURE_H
#define SHM_PROCESS_FIXTURE_H

#include "tests/shm_fixture.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/producer.h"

#include <sys/prctl.h>

static dxh_consumer *consumer;
static struct item got;
static dxh_item info;

static inline dxh_status read_until(int64_t deadline_ns)
{
	return dxh_read_next(consumer, &got, sizeof got, deadline_ns, &info);
}

static inline void expect_item(uint64_t ticket)
{
	dxh_status status;

	/* The producer may not have come yet. */
	do
		status = read_until(dxh_in_ms(4000));
	while (status == DXH_ECLOSED || status == DXH_EDEAD);
	must(status);
	cr_expect_eq(info.ticket, ticket);
	cr_expect(is_item_of(ticket, &got));
}

/* A block with two items in it, and a reader. */
static inline void make_block(const char *name)
{
	dxh_producer *producer = open_producer(name, usual_config());

	publish_items(producer, 0, 2);
	must(dxh_producer_close(&producer));
	consumer = open_consumer(name, (dxh_consumer_config){0});
	expect_item(0);
	expect_item(1);
}

static inline void remove_block(const char *name)
{
	if (consumer)
		must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
}

/* ---- in children: no asserts, an exit code ---- */

static inline void child_publish(dxh_producer *producer, uint64_t ticket)
{
	struct item item = item_of(ticket);

	if (dxh_publish(producer, &item, sizeof item, DXH_NOW) != DXH_OK)
		_exit(50);
}

static inline dxh_producer *child_open(const char *name)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	if (dxh_producer_open(name, &config, &producer) != DXH_OK)
		_exit(51);
	return producer;
}

static inline uint64_t next_of(dxh_producer *producer)
{
	dxh_producer_stats stats;

	if (dxh_producer_stats_get(producer, &stats) != DXH_OK)
		_exit(52);
	return stats.next_ticket;
}

static inline void die_after_takeover(const char *name)
{
	child_open(name);
	die_here();
}

static inline void expect_killed(void (*act)(const char *), const char *name)
{
	int status = run_child(act, name);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended otherwise");
}

static inline void hold_until_killed(const char *name)
{
	dxh_producer *producer = child_open(name);

	/* Who has read it knows that the takeover is complete. */
	child_publish(producer, next_of(producer));
	for (;;)
		pause();
}

static inline pid_t start(void (*act)(const char *), const char *name)
{
	pid_t child = fork();

	cr_assert(child != -1);
	if (child == 0) {
		/* A test that fails must not leave it running. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act(name);
		_exit(0);
	}
	return child;
}

static inline void reap(pid_t child)
{
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

#endif
