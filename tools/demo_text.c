/* SPDX-License-Identifier: MIT */
/* Numbers as people read them: three digits and a unit. */
#include "demo_supervisor.h"

#include <inttypes.h>
#include <string.h>

static struct demo_text scaled(double value, double step, const char *const *units, unsigned count)
{
	struct demo_text text;
	unsigned i = 0;

	while (i + 1 < count && value >= 0.9995 * step) {
		value /= step;
		i++;
	}
	snprintf(text.s, sizeof text.s, "%.*f%s",
	         i == 0 || value >= 99.95 ? 0
	         : value >= 9.995         ? 1
	                                  : 2,
	         value, units[i]);
	return text;
}

struct demo_text demo_text_ns(uint64_t ns)
{
	static const char *const units[] = {" ns", " us", " ms", " s"};

	return scaled((double)ns, 1000, units, 4);
}

struct demo_text demo_text_bytes(double bytes)
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};

	return scaled(bytes < 0 ? 0 : bytes, 1024, units, 5);
}

struct demo_text demo_text_count(double count)
{
	static const char *const units[] = {"", " k", " M", " G"};

	return scaled(count < 0 ? 0 : count, 1000, units, 4);
}

/* All digits, in groups of three. */
struct demo_text demo_text_plain(uint64_t count)
{
	struct demo_text text;
	char digits[24];
	size_t length;
	size_t used = 0;

	length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
	for (size_t i = 0; i < length && used < sizeof text.s - 2; i++) {
		if (i > 0 && (length - i) % 3 == 0 && length > 4)
			text.s[used++] = ' ';
		text.s[used++] = digits[i];
	}
	text.s[used] = '\0';
	return text;
}
