/* SPDX-License-Identifier: MIT */
/* Plots through gnuplot, each as SVG and PNG: the latencies of the sides of a block by
 * percentile, figures with their spread as bars, and growth curves. */
#include "bench/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Colours that people with any eyes tell apart; ours comes first and is the blue. */
static const char style[] =
	"set style line 1 lc rgb '#0072b2' lw 3 pt 7 ps 0.7\n"
	"set style line 2 lc rgb '#d55e00' lw 2 pt 5 ps 0.7\n"
	"set style line 3 lc rgb '#009e73' lw 2 pt 9 ps 0.8\n"
	"set style line 4 lc rgb '#cc79a7' lw 2 pt 11 ps 0.8\n"
	"set style line 5 lc rgb '#e69f00' lw 2 pt 13 ps 0.8\n"
	"set style line 6 lc rgb '#56b4e9' lw 2 pt 4 ps 0.8\n"
	"set style line 7 lc rgb '#777777' lw 2 pt 6 ps 0.8\n"
	"set style line 8 lc rgb '#000000' lw 2 pt 8 ps 0.8\n"
	"set style line 9 lc rgb '#999933' lw 2 pt 10 ps 0.8\n"
	"set border 3 lc rgb '#555555'\nset tics nomirror textcolor rgb '#333333'\n"
	"set grid lc rgb '#dddddd' lw 1 lt 1\nset key outside right top vertical samplen 2\n"
	"set title font ',13' offset 0,-0.3\n";

enum { STYLES = 9 };

/* ---- a script ------------------------------------------------------------------------- */

typedef struct plot {
	FILE *out;
	const char *folder;
	char name[160];
} plot;

/* Names of files are made of what all systems take. */
static void name_file(plot *own, const bench_block_found *block, const char *kind)
{
	size_t used = 0;

	snprintf(own->name, sizeof own->name, "%s-%s-%s", block->workload, block->title, kind);
	for (const char *at = own->name; *at; at++) {
		bool plain = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') ||
		             (*at >= 'A' && *at <= 'Z');

		if (plain)
			own->name[used++] = *at;
		else if (used > 0 && own->name[used - 1] != '-')
			own->name[used++] = '-';
	}
	own->name[used] = '\0';
}

/* Text in a script: single quotes are doubled. */
static void quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void head(plot *own, const bench_block_found *block)
{
	fprintf(own->out, "reset\n%s", style);
	fprintf(own->out, "set title ");
	quoted(own->out, block->title);
	fprintf(own->out, " noenhanced\nset key noenhanced\n");
}

/* The commands between are given twice, once for each kind of file. */
static void draw(plot *own, const char *commands)
{
	fprintf(own->out,
	        "set terminal svg size 900,420 dynamic background rgb 'white' font "
	        "'DejaVu Sans,12'\nset output '%s/%s.svg'\n%s\n",
	        own->folder, own->name, commands);
	fprintf(own->out,
	        "set terminal pngcairo size 1350,630 background rgb 'white' font 'DejaVu "
	        "Sans,15' linewidth 1.4\nset output '%s/%s.png'\n%s\nset output\n",
	        own->folder, own->name, commands);
}

static bool is_drawn(const bench_side_found *side)
{
	return side->run != NULL && !side->failed;
}

/* Durations are drawn in seconds, so that gnuplot can write ns, us and ms. */
static double drawn_value(bench_figure figure, double value)
{
	return figure == BENCH_P50 || figure == BENCH_MEAN ? value / 1e9 : value;
}

static void value_axis(FILE *out, bench_figure figure)
{
	static const char *const labels[] = {"per second", "median", "each", "per operation"};
	static const char *const formats[] = {"%.0s%c", "%.0s %cs", "%.0s %cs", "%g"};

	fprintf(out, "set ylabel '%s'\nset format y '%s'\n", labels[figure], formats[figure]);
}

/* ---- latencies by percentile ----------------------------------------------------------- */

static bool has_latencies(const bench_block_found *block)
{
	int sides = 0;

	for (int i = 0; i < block->side_count; i++)
		sides += is_drawn(&block->sides[i]) && block->sides[i].latency.count > 100;
	return sides > 1 && block->x_label[0] == '\0';
}

/* x is 1 / (1 - share): each step of ten is one nine more. */
static void latency_data(FILE *out, int number, const bench_side_found *side)
{
	double most = (double)side->latency.count;

	fprintf(out, "$data%d << END\n", number);
	for (double x = 1.02; x <= most && x <= 1e6; x *= 1.04)
		fprintf(out, "%g %g\n", x,
		        (double)bench_histogram_at(&side->latency, 1 - 1 / x) / 1e9);
	fprintf(out, "END\n");
}

static void latency_commands(FILE *out, const bench_block_found *block)
{
	const char *separator = "plot ";
	int drawn = 0;

	for (int i = 0; i < block->side_count; i++) {
		const bench_side_found *side = &block->sides[i];

		if (!is_drawn(side) || side->latency.count <= 100)
			continue;
		fprintf(out, "%s$data%d using 1:2 with lines ls %d title ", separator, i,
		        drawn++ % STYLES + 1);
		quoted(out, side->name);
		separator = ", ";
	}
}

static void latency_plot(plot *own, const bench_block_found *block)
{
	char *commands = NULL;
	size_t length;
	FILE *text = open_memstream(&commands, &length);

	if (!text)
		return;
	name_file(own, block, "latency");
	head(own, block);
	for (int i = 0; i < block->side_count; i++)
		if (is_drawn(&block->sides[i]))
			latency_data(own->out, i, &block->sides[i]);
	fprintf(own->out, "set logscale xy\nset xlabel 'percentile'\nset format y '%%.0s %%cs'\n"
	                  "set xtics ('p50' 2, 'p90' 10, 'p99' 100, 'p99.9' 1000, "
	                  "'p99.99' 10000, 'p99.999' 100000)\nset xrange [1.02:]\n");
	latency_commands(text, block);
	fclose(text);
	draw(own, commands);
	free(commands);
}

/* ---- growth ------------------------------------------------------------------------------ */

static bool is_first_of_series(const bench_block_found *block, int number)
{
	for (int i = 0; i < number; i++)
		if (strcmp(block->sides[i].series, block->sides[number].series) == 0)
			return false;
	return true;
}

static void growth_data(FILE *out, const bench_block_found *block, int first)
{
	fprintf(out, "$data%d << END\n", first);
	for (int i = first; i < block->side_count; i++) {
		const bench_side_found *side = &block->sides[i];
		bench_spread figures = bench_figures_of(side, block->rounds);

		if (is_drawn(side) && strcmp(side->series, block->sides[first].series) == 0)
			fprintf(out, "%.9g %.9g %.9g %.9g\n", side->x,
			        drawn_value(block->figure, figures.median),
			        drawn_value(block->figure, figures.min),
			        drawn_value(block->figure, figures.max));
	}
	fprintf(out, "END\n");
}

static void growth_plot(plot *own, const bench_block_found *block)
{
	char *commands = NULL;
	size_t length;
	FILE *text = open_memstream(&commands, &length);
	int drawn = 0;

	if (!text)
		return;
	name_file(own, block, "growth");
	head(own, block);
	for (int i = 0; i < block->side_count; i++) {
		if (!is_first_of_series(block, i))
			continue;
		growth_data(own->out, block, i);
		fprintf(text, "%s$data%d using 1:2:3:4 with yerrorlines ls %d title ",
		        drawn ? ", " : "plot ", i, drawn % STYLES + 1);
		quoted(text, block->sides[i].series);
		drawn++;
	}
	fclose(text);
	fprintf(own->out, "set logscale xy\nset xlabel ");
	quoted(own->out, block->x_label);
	fprintf(own->out, "\nset format x '%%.0s%%c'\n");
	value_axis(own->out, block->figure);
	draw(own, commands);
	free(commands);
}

/* ---- bars ----------------------------------------------------------------------------------- */

static void bar_plot(plot *own, const bench_block_found *block)
{
	int drawn = 0;

	name_file(own, block, "figures");
	head(own, block);
	fprintf(own->out, "$data << END\n");
	for (int i = 0; i < block->side_count; i++) {
		const bench_side_found *side = &block->sides[i];
		bench_spread figures = bench_figures_of(side, block->rounds);

		if (!is_drawn(side))
			continue;
		fprintf(own->out, "%d \"%s\" %.9g %.9g %.9g %d\n", drawn, side->name,
		        drawn_value(block->figure, figures.median),
		        drawn_value(block->figure, figures.min),
		        drawn_value(block->figure, figures.max),
		        strncmp(side->name, "dxh", 3) == 0);
		drawn++;
	}
	fprintf(own->out,
	        "END\nset key off\nset yrange [0:]\n"
	        "set xrange [-0.6:%g]\nset style fill solid 0.8 noborder\n"
	        "set xtics rotate by -20 noenhanced\n",
	        drawn - 0.4);
	value_axis(own->out, block->figure);
	draw(own,
	     "plot $data using 1:3:(0.6):($6 == 1 ? 0x0072b2 : 0x999999):xtic(2) with boxes lc "
	     "rgb variable, $data using 1:3:4:5 with yerrorbars lc rgb '#333333' lw 1 ps 0");
}

static void plot_block(plot *own, const bench_block_found *block)
{
	int drawn = 0;

	for (int i = 0; i < block->side_count; i++)
		drawn += is_drawn(&block->sides[i]);
	if (drawn == 0 || block->rounds == 0)
		return;
	if (block->x_label[0] != '\0')
		growth_plot(own, block);
	else if (drawn > 1)
		bar_plot(own, block);
	if (has_latencies(block))
		latency_plot(own, block);
}

bool bench_plot_write(const bench *found, const char *folder)
{
	plot own = {.folder = folder};
	int status;

	if (mkdir(folder, 0755) == -1 && errno != EEXIST) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return false;
	}
	own.out = popen("gnuplot", "we");
	if (!own.out) {
		fprintf(stderr, "gnuplot: %s\n", strerror(errno));
		return false;
	}
	for (const bench_block_found *block = found->first; block; block = block->next)
		plot_block(&own, block);
	status = pclose(own.out);
	if (status != 0)
		fprintf(stderr, "no plots: gnuplot is missing or failed (Debian: gnuplot-nox)\n");
	return status == 0;
}
