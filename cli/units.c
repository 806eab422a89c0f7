/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/units.h"
#include "base/macros.h"

#include <stdio.h>

static const char *amount(double n, const char *behind, char out[static UNITS_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	size_t u = 0;

	while (n >= 999.5 && u + 1 < ARRAY_LEN(units)) {
		n /= 1000;
		u++;
	}
	snprintf(out, UNITS_MAX, u && n < 9.95 ? "%.1f %s%s" : "%.0f %s%s", n, units[u], behind);
	return out;
}

const char *units_bytes(uint64_t n, char out[static UNITS_MAX])
{
	return amount((double)n, "", out);
}

const char *units_rate(double per_s, char out[static UNITS_MAX])
{
	out[0] = '\0';
	return per_s < 0.5 ? out : amount(per_s, "/s", out);
}

const char *units_ago(int64_t then_ms, int64_t now_ms, char out[static UNITS_MAX])
{
	static const struct {
		int64_t s;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	int64_t s = MAX((now_ms - then_ms + 500) / 1000, 0);

	out[0] = '\0';
	if (!then_ms)
		return out;
	if (s < 3) {
		snprintf(out, UNITS_MAX, "now");
		return out;
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (s < units[i].s)
			continue;
		snprintf(out, UNITS_MAX, "%lld %s", (long long)MIN(s / units[i].s, 9999),
			units[i].unit);
		break;
	}
	return out;
}
