/* SPDX-License-Identifier: MIT */
/* The histogram of the benchmarks, filled with durations whose percentiles are known. */
#include "bench/histogram.h"

#include <criterion/criterion.h>
#include <math.h>

static bench_histogram histogram;

static void fill(uint64_t first, uint64_t last, uint64_t step)
{
	for (uint64_t ns = first; ns <= last; ns += step)
		bench_histogram_add(&histogram, (int64_t)ns);
}

static void expect_near(double share, double wanted)
{
	double got = (double)bench_histogram_at(&histogram, share);

	cr_expect(fabs(got - wanted) <= wanted / 128 + 1, "at %g: %g, not %g", share, got, wanted);
}

Test(bench_histogram, knows_small_durations_exactly)
{
	fill(1, 100, 1);
	for (int percent = 1; percent <= 100; percent++)
		cr_expect_eq(bench_histogram_at(&histogram, percent / 100.0), (uint64_t)percent);
}

Test(bench_histogram, knows_percentiles_of_any_magnitude)
{
	for (uint64_t unit = 1; unit <= 100000000; unit *= 10) {
		histogram = (bench_histogram){0};
		fill(unit, 1000 * unit, unit);
		expect_near(0.5, 500.0 * (double)unit);
		expect_near(0.99, 990.0 * (double)unit);
		expect_near(0.999, 999.0 * (double)unit);
		cr_expect_eq(bench_histogram_at(&histogram, 1), histogram.max_ns);
	}
}

Test(bench_histogram, each_duration_has_one_bucket_and_larger_ones_no_lower)
{
	size_t before = 0;

	for (uint64_t ns = 1; ns < (uint64_t)1 << 40; ns += ns / 300 + 1) {
		size_t bucket = bench_bucket_of(ns);

		cr_assert(bucket >= before && bucket <= before + 1 && bucket < BENCH_BUCKETS,
		          "%llu ns", (unsigned long long)ns);
		before = bucket;
	}
	cr_expect_eq(before, BENCH_BUCKETS - 1);
}

Test(bench_histogram, keeps_what_exceeds_it_and_what_is_negative)
{
	bench_histogram_add(&histogram, INT64_MAX);
	bench_histogram_add(&histogram, -5);
	cr_expect_eq(histogram.count, 2);
	cr_expect_eq(histogram.max_ns, (uint64_t)INT64_MAX);
	cr_expect_eq(bench_histogram_at(&histogram, 0.5), 0);
}

Test(bench_histogram, adds_up)
{
	static bench_histogram other;

	fill(1, 50, 1);
	for (int64_t ns = 51; ns <= 100; ns++)
		bench_histogram_add(&other, ns);
	bench_histogram_merge(&histogram, &other);
	cr_expect_eq(histogram.count, 100);
	cr_expect_eq(bench_histogram_at(&histogram, 0.5), 50);
	cr_expect_eq(bench_histogram_at(&histogram, 1), 100);
}

Test(bench_histogram, empty_is_zero)
{
	cr_expect_eq(bench_histogram_at(&histogram, 0.5), 0);
}
