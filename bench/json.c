/* SPDX-License-Identifier: MIT */
/* All that was found, as one JSON document: conditions, blocks, sides, rounds, ratios. */
#include "bench/frame.h"
#include "bench/peers/peers.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

static void text(FILE *out, const char *key, const char *value)
{
	fprintf(out, "\"%s\": \"", key);
	for (const char *at = value; *at; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		if ((unsigned char)*at >= ' ')
			fputc(*at, out);
	}
	fputc('"', out);
}

static void conditions(FILE *out, const bench *found)
{
	int major, minor, patch, cpus[2];
	const char *name, *version;
	char machine[400];

	bench_conditions_machine(machine, sizeof machine);
	zmq_version(&major, &minor, &patch);
	fprintf(out, "  \"conditions\": {");
	text(out, "dxhub", dxh_version());
	fprintf(out, ", \"libzmq\": \"%d.%d.%d\", ", major, minor, patch);
	text(out, "compiler", __VERSION__);
	fprintf(out, ", ");
	text(out, "machine", machine);
	fprintf(out, ", \"pinned\": %s, \"rounds\": %d, \"rivals\": {",
	        bench_pin_cpus(cpus) == 2 ? "true" : "false", found->options.rounds);
	for (int i = 0; (name = bench_peer_used(i, &version)) != NULL; i++) {
		fprintf(out, "%s", i ? ", " : "");
		text(out, name, version);
	}
	fprintf(out, "}},\n");
}

static void rounds_of(FILE *out, const bench_side_found *side, int rounds)
{
	fprintf(out, "\"rounds\": [");
	for (int i = 0; i < rounds; i++) {
		const bench_sample *sample = &side->samples[i];

		fprintf(out,
		        "%s{\"figure\": %.9g, \"cpu_ns\": %.6g, \"switches\": %.6g, "
		        "\"foreign_cpus\": ",
		        i ? ", " : "", sample->figure, sample->cpu_ns, sample->switches);
		if (sample->foreign < 0)
			fprintf(out, "null}");
		else
			fprintf(out, "%.3f}", sample->foreign);
	}
	fprintf(out, "]");
}

static void latency_of(FILE *out, const bench_histogram *latency)
{
	static const double shares[] = {0.5, 0.9, 0.99, 0.999};
	static const char *const names[] = {"p50_ns", "p90_ns", "p99_ns", "p999_ns"};

	fprintf(out, ", \"latency\": {\"count\": %llu", (unsigned long long)latency->count);
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		fprintf(out, ", \"%s\": %llu", names[i],
		        (unsigned long long)bench_histogram_at(latency, shares[i]));
	fprintf(out, ", \"max_ns\": %llu}", (unsigned long long)latency->max_ns);
}

static void load_of(FILE *out, const bench_load *load)
{
	fprintf(out,
	        ", \"load\": {\"threads\": %zu, \"window\": %zu, \"bytes\": %zu, \"count\": %zu}",
	        load->threads, load->window, load->bytes, load->count);
}

static void side_of(FILE *out, const bench_block_found *block, const bench_side_found *side)
{
	fprintf(out, "      {");
	text(out, "name", side->name);
	if (side->series[0] != '\0') {
		fprintf(out, ", ");
		text(out, "series", side->series);
		fprintf(out, ", \"x\": %g", side->x);
	}
	load_of(out, &side->load);
	if (side->failed || !side->run) {
		fprintf(out, ", ");
		text(out, "skipped", side->failed ? "failed" : side->missing);
	} else {
		bench_spread figures = bench_figures_of(side, block->rounds);

		fprintf(out, ", \"median\": %.9g, \"min\": %.9g, \"max\": %.9g, ", figures.median,
		        figures.min, figures.max);
		rounds_of(out, side, block->rounds);
		if (side->latency.count > 0)
			latency_of(out, &side->latency);
	}
	fprintf(out, "}");
}

static void ratio_of(FILE *out, const bench_ratio_found *ratio)
{
	fprintf(out, "      {");
	text(out, "name", ratio->name);
	fprintf(out, ", \"bound\": \"%s\", \"floor\": %g, \"goal\": %g, ",
	        ratio->bound == BENCH_AT_MOST ? "at most" : "at least", ratio->floor, ratio->goal);
	if (ratio->rounds == 0)
		fprintf(out, "\"ratio\": null, \"verdict\": \"not measured\"}");
	else
		fprintf(out, "\"ratio\": %.6g, \"min\": %.6g, \"max\": %.6g, \"verdict\": \"%s\"}",
		        ratio->median, ratio->min, ratio->max, bench_ratio_verdict(ratio));
}

static void block_of(FILE *out, const bench_block_found *block)
{
	static const char *const figures[] = {"per second", "p50 ns", "mean ns", "per operation"};

	fprintf(out, "    {");
	text(out, "workload", block->workload);
	fprintf(out, ", ");
	text(out, "title", block->title);
	fprintf(out, ", \"figure\": \"%s\", \"seconds\": %g,\n     \"sides\": [\n",
	        figures[block->figure], block->seconds);
	for (int i = 0; i < block->side_count; i++) {
		fprintf(out, "%s", i ? ",\n" : "");
		side_of(out, block, &block->sides[i]);
	}
	fprintf(out, "],\n     \"ratios\": [\n");
	for (int i = 0; i < block->ratio_count; i++) {
		fprintf(out, "%s", i ? ",\n" : "");
		ratio_of(out, &block->ratios[i]);
	}
	fprintf(out, "]}");
}

bool bench_json_write(const bench *found, const char *file)
{
	FILE *out = fopen(file, "we");
	bool good = out != NULL;

	if (out) {
		fprintf(out, "{\n");
		conditions(out, found);
		fprintf(out, "  \"blocks\": [\n");
		for (const bench_block_found *block = found->first; block; block = block->next) {
			block_of(out, block);
			fprintf(out, "%s\n", block->next ? "," : "");
		}
		fprintf(out, "  ]\n}\n");
		good = ferror(out) == 0;
		good &= fclose(out) == 0;
	}
	if (!good)
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
	return good;
}
