/* SPDX-License-Identifier: MIT */
/* The facts of a block, for people. */
#include "stat.h"

#include "text.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct tool_text user_text(uint32_t uid)
{
	const struct passwd *user = getpwuid(uid);
	struct tool_text text;

	snprintf(text.s, sizeof text.s, "%u", uid);
	if (user != NULL && strlen(user->pw_name) < sizeof text.s)
		snprintf(text.s, sizeof text.s, "%s", user->pw_name);
	return text;
}

static void title(const char *text)
{
	printf("%s%-10s%s", tool_tone(TOOL_BOLD), text, tool_tone(TOOL_PLAIN));
}

static void show_block(const dxh_facts *facts)
{
	title("block");
	printf("%s  %s\n", tool_shown(facts->block.name).s, tool_shown(facts->path).s);
	printf("%10s%s, owner %s, mode %04o, takeovers %llu\n", "",
	       tool_text_bytes((double)facts->block.block_bytes).s, user_text(facts->uid).s,
	       facts->mode, (unsigned long long)facts->block.epoch);
	if (facts->block.unlinked)
		printf("%10s%sits name was removed%s: nobody else finds it; restart its producer\n",
		       "", tool_tone(TOOL_RED), tool_tone(TOOL_PLAIN));
}

static void show_producer(const dxh_facts *facts)
{
	int64_t started_ns = stat_producer_started_ns(facts);
	bool alive = facts->block.producer == DXH_PRODUCER_ALIVE;
	bool dead = facts->block.producer == DXH_PRODUCER_DEAD;

	title("producer");
	printf("%s%s%s, pid %lld",
	       tool_tone(alive  ? TOOL_GREEN
	                 : dead ? TOOL_RED
	                        : TOOL_YELLOW),
	       block_liveness(facts->block.producer), tool_tone(TOOL_PLAIN),
	       (long long)facts->block.producer_pid);
	if (started_ns != 0)
		printf(", started %s", tool_text_date(started_ns).s);
	else if (facts->producer_boot_id[0] != '\0' && !facts->same_boot)
		printf(", of another machine or boot");
	putchar('\n');
	if (dead)
		printf("%10sstart a producer: it goes on where this one stopped\n", "");
}

static void show_zones(const dxh_facts *facts)
{
	title("zones");
	printf("%u%s\n", facts->block.zone_count, facts->zones_writable ? ", in NAME.zones" : "");
	for (uint32_t i = 0; i < facts->block.zone_count; i++) {
		const dxh_zone_info *zone = &facts->zones[i];

		printf("%10s%-16s %8s  %-6s  %s%s\n", "", tool_shown(zone->name).s,
		       tool_text_bytes((double)zone->bytes).s, stat_zone_kind(zone),
		       zone->schema[0] != '\0' ? "struct " : "raw", tool_shown(zone->schema).s);
	}
}

static void show_ring(const dxh_facts *facts)
{
	title("ring");
	if (facts->policy == DXH_POLICY_NO_SLOTS) {
		puts("none");
		return;
	}
	printf("%s, keeps %u of %s (%u slots), %s%s\n", stat_policy(facts->policy),
	       facts->block.slot_count, tool_text_bytes((double)facts->block.slot_bytes).s,
	       facts->slots_physical, facts->slot_schema[0] != '\0' ? "struct " : "raw",
	       tool_shown(facts->slot_schema).s);
	printf("%10schecksums: %s%s; %s%s\n", "", stat_checksum(facts),
	       facts->checksum_manual ? ", where asked for" : "",
	       facts->no_wait ? "readers poll" : "readers are woken",
	       facts->no_timestamps ? "; no time stamps" : "");
}

static void show_when(const char *what, const dxh_facts *facts, int64_t published_ns)
{
	int64_t age = stat_age_ns(facts, published_ns),
		date = stat_realtime_ns(facts, published_ns);

	if (age > 0)
		printf(", %s %s ago", what, tool_text_duration(age).s);
	else if (date > 0)
		printf(", %s %s", what, tool_text_date(date).s);
}

static void show_tickets(const dxh_facts *facts)
{
	if (facts->policy == DXH_POLICY_NO_SLOTS)
		return;
	title("tickets");
	printf("head %llu", (unsigned long long)facts->block.head);
	if (facts->oldest < facts->block.head)
		printf(", oldest whole %llu", (unsigned long long)facts->oldest);
	show_when("oldest", facts, facts->oldest_ns);
	show_when("newest", facts, facts->newest_ns);
	putchar('\n');
	title("counted");
	printf("%s items, %s, %s aborted, %s wakes\n", tool_text_plain(facts->items).s,
	       tool_text_bytes((double)facts->bytes).s, tool_text_plain(facts->aborted).s,
	       tool_text_plain(facts->wakes).s);
	printf("%10slongest write %s (one in 64 measured)\n", "",
	       tool_text_ns(facts->write_max_ns).s);
	if (facts->readers_max > 0)
		printf("%10s%s writes held back, %s readers evicted\n", "",
		       tool_text_plain(facts->held).s, tool_text_plain(facts->evicted).s);
}

static void show_memory(const dxh_facts *facts)
{
	title("memory");
	printf("%s locked, %s in huge pages, as its producer found\n",
	       tool_text_bytes((double)facts->locked_bytes).s,
	       tool_text_bytes((double)facts->huge_bytes).s);
	title("repairs");
	printf("%llu", (unsigned long long)facts->recoveries);
	if (facts->recovered_ns > 0)
		printf(", the last %s by pid %u", tool_text_date(facts->recovered_ns).s,
		       facts->recovered_by);
	putchar('\n');
	title("schema");
	for (size_t i = 0; i < sizeof facts->block.schema_hash; i++)
		printf("%02x", facts->block.schema_hash[i]);
	putchar('\n');
}

static void show_row(const dxh_reader_row *row)
{
	const dxh_reader_info *reader = &row->reader;
	enum tool_tone tone = row->state == DXH_READER_ACTIVE ? TOOL_PLAIN : TOOL_YELLOW;

	printf("%10s%3u %8u %-10s %s%-8s%s %10llu %10llu %8llu %8llu %8llu  %s\n", "", reader->row,
	       reader->pid, user_text(reader->uid).s, tool_tone(tone),
	       stat_reader_state(row->state), tool_tone(TOOL_PLAIN),
	       (unsigned long long)reader->next_ticket, (unsigned long long)reader->read,
	       (unsigned long long)reader->lost, (unsigned long long)reader->retries,
	       (unsigned long long)reader->lag,
	       reader->lag > 0 ? tool_text_duration(reader->lag_ns).s : "-");
}

static void show_readers(const dxh_facts *facts)
{
	title("readers");
	if (facts->readers_max == 0) {
		puts("none may hold the writer back");
	} else if (facts->readers_status == DXH_ESTATE) {
		puts("a copy does not tell");
	} else if (facts->readers_status != DXH_OK) {
		printf("their rows cannot be looked at: %s; `dxh check` tells more\n",
		       dxh_status_text(facts->readers_status));
	} else {
		printf("%zu with a row, of at most %u\n", facts->reader_count, facts->readers_max);
		if (facts->reader_count > 0)
			printf("%10s%3s %8s %-10s %-8s %10s %10s %8s %8s %8s  %s\n", "", "ROW",
			       "PID", "USER", "STATE", "NEXT", "READ", "LOST", "RETRIES", "LAG",
			       "LAG TIME");
		for (size_t i = 0; i < facts->reader_count; i++)
			show_row(&facts->readers[i]);
	}
}

static void show_channel(const dxh_channel_facts *facts)
{
	const dxh_channel_info *channel = &facts->channel;

	title("channel");
	printf("%s%s%s%s%s\n", channel_state_text(channel->state),
	       channel->reason[0] != '\0' ? ": " : "", tool_shown(channel->reason).s,
	       channel->endpoint[0] != '\0' ? ", serves requests at " : ", serves no requests",
	       tool_shown(channel->endpoint).s);
	title("consumers");
	printf("%zu that the broker knows\n", facts->consumer_count);
	channel_show_consumers(facts, 10);
}

static void show_followers(const struct stat_facts *facts)
{
	const struct users *users = &facts->users;
	unsigned count = 0;

	for (size_t i = 0; i < users->count; i++)
		count += stat_followers(facts, &users->list[i]);
	title("followers");
	printf("%u unobserved: what they lose only they know\n", count);
	for (size_t i = 0; i < users->count; i++)
		if ((count = stat_followers(facts, &users->list[i])) > 0)
			printf("%10spid %ld, \"%s\": %u\n", "", users->list[i].pid,
			       tool_shown(users->list[i].command).s, count);
	if (users->hidden > 0)
		printf("%10s%zu process%s could not be looked at%s\n", "", users->hidden,
		       users->hidden == 1 ? "" : "es", geteuid() != 0 ? ": root may" : "");
	if (!users->complete)
		printf("%10snot all that there are: /proc could not be read\n", "");
}

void stat_show(const struct stat_facts *given)
{
	const dxh_facts *facts = given->block;

	show_block(facts);
	show_producer(facts);
	show_zones(facts);
	show_ring(facts);
	show_tickets(facts);
	show_memory(facts);
	show_readers(facts);
	if (given->channel != NULL)
		show_channel(given->channel);
	show_followers(given);
}
