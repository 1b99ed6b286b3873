/* SPDX-License-Identifier: MIT */
/* The other language: a producer and a consumer in C, whose structs the Python tests know.
 *
 * c_side produce NAME   makes the block, publishes four items, says so, and goes when its
 *                       standard input ends
 * c_side consume NAME   attaches to what Python made and checks it
 * c_side letters NAME ENDPOINT
 *                       says all it says in Latin-1, which no UTF-8 is: what members are, who it
 *                       is, its subject, its topic
 */
#include <dxh.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct axis {
	float gain;
	int16_t steps;
};
DXH_SCHEMA(axis, DXH_FIELD(gain, "per volt", "V"), DXH_FIELD(steps));

struct stage {
	_Atomic uint64_t moves;
	double matrix[2][3];
	struct axis axes[3];
	char name[16];
	_Bool homed;
};
DXH_SCHEMA(stage, DXH_FIELD(moves, "since start"), DXH_FIELD(matrix),
           DXH_NESTED(axes, axis, "x, y and z"), DXH_FIELD(name), DXH_FIELD(homed));

struct pose {
	double x, y;
};
DXH_SCHEMA(pose, DXH_FIELD(x), DXH_FIELD(y));

struct sample {
	uint32_t number;
	float values[4];
};
DXH_SCHEMA(sample, DXH_FIELD(number), DXH_FIELD(values, "measured", "V"));

static const dxh_block_config CONFIG = {
	.zones = {DXH_ZONE(stage), DXH_LATCH(pose)}, .slot = DXH_SLOT(sample), .slot_count = 8};

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	exit(1);
}
#define MUST(condition) must(condition, #condition)

static void fill(struct stage *stage)
{
	stage->moves = 7;
	stage->matrix[1][2] = 2.5;
	stage->axes[2] = (struct axis){0.5f, -3};
	strcpy(stage->name, "table");
	stage->homed = 1;
}

static void produce(const char *name)
{
	struct pose pose = {1.0, -1.0};
	struct stage *stage;
	dxh_producer *producer;
	void *spare;

	check(dxh_producer_open(name, &CONFIG, &producer));
	check(dxh_zone(producer, stage, &stage));
	fill(stage);
	check(dxh_latch_begin(producer, "pose", sizeof pose, &spare));
	memcpy(spare, &pose, sizeof pose);
	check(dxh_latch_commit(producer, "pose"));
	for (uint32_t i = 0; i < 4; i++) {
		struct sample sample = {i, {(float)i, 0, 0, 0.25f}};

		check(dxh_publish(producer, &sample, sizeof sample, DXH_NOW));
	}
	puts("published");
	fflush(stdout);
	while (getchar() != EOF)
		;
	check(dxh_producer_close(&producer));
	check(dxh_block_unlink(NULL, name));
}

static void consume(const char *name)
{
	const struct stage *stage;
	struct sample sample;
	struct pose pose;
	dxh_consumer *consumer;
	dxh_item item;

	/* Whole: layouts, units and atomics are compared with ours. */
	check(dxh_consumer_open(name, &(dxh_consumer_config){.slot = DXH_SLOT(sample)}, &consumer));
	check(dxh_zone_view(consumer, stage, &stage));
	MUST(stage->moves == 7);
	MUST(stage->matrix[1][2] == 2.5);
	MUST(stage->axes[2].gain == 0.5f && stage->axes[2].steps == -3);
	MUST(strcmp(stage->name, "table") == 0);
	MUST(stage->homed);
	check(dxh_latch_read(consumer, "pose", &pose, sizeof pose));
	MUST(pose.x == 1.0 && pose.y == -1.0);
	for (uint32_t i = 0; i < 4; i++) {
		check(dxh_read_next(consumer, &sample, sizeof sample, DXH_NOW, &item));
		MUST(sample.number == i && sample.values[0] == (float)i);
		MUST(sample.values[3] == 0.25f);
	}
	check(dxh_consumer_close(&consumer));
	puts("as it should be");
}

struct latin {
	double gain;
};
DXH_SCHEMA(latin, DXH_FIELD(gain, "verst\xe4rkt", "\xb5V"));

/* Listens on ENDPOINT with "-c" behind it, and publishes when it is asked to. */
static dxh_service *serve(dxh_hub *hub, const char *endpoint)
{
	char ours[128];
	dxh_service *service;

	snprintf(ours, sizeof ours, "%s-c", endpoint);
	check(dxh_service_bind(hub, ours, NULL, &service));
	return service;
}

static void letters(const char *name, const char *endpoint)
{
	dxh_block_config config = {.zones = {DXH_ZONE(latin)}, .unlink_on_close = 1};
	dxh_producer *producer;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_service *service;
	dxh_request *request;

	check(dxh_producer_open(name, &config, &producer));
	check(dxh_hub_open(&(dxh_hub_config){.name = "gr\xfcn"}, &hub));
	service = serve(hub, endpoint);
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));
	check(dxh_notify(peer, "wei\xdf", NULL, 0));
	check(dxh_service_receive(service, DXH_FOREVER, &request));
	check(dxh_service_publish(service, "t\xf6n", NULL, 0));
	check(dxh_request_reply(request, NULL, 0));
	while (getchar() != EOF)
		;
	check(dxh_hub_close(&hub));
	check(dxh_producer_close(&producer));
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "letters") == 0)
		return letters(argv[2], argv[3]), 0;
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "produce") == 0)
		produce(argv[2]);
	else
		consume(argv[2]);
	return 0;
}
