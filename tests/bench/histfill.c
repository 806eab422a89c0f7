/* SPDX-License-Identifier: GPL-2.0-or-later
 * histfill.c - makes a history.db of ROWS events, by the daemon's own writing, spread evenly
 * over the last DAYS days, and prints how fast that went.
 *   histfill FILE ROWS DAYS
 * 200 programs of 3 users, 20,000 hosts of 5,000 domains, 40 countries, 300 networks, used as
 * things are: a few of them most of the time. One event in ten is a refused query. */
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/store.h"
#include "figures.h"

#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16384, PROGRAMS = 200, HOSTS = 20000, COUNTRIES = 40, NETWORKS = 300 };

static uint64_t dice = 0x5c099e2;

static uint32_t random_below(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)((dice >> 16) % n);
}

/* small numbers most often */
static uint32_t usual_below(uint32_t n)
{
	uint64_t a = random_below(1u << 16), b = random_below(1u << 16);

	return (uint32_t)(a * b % (1ull << 32) * n >> 32);
}

static struct event *an_event(int64_t start_ms, uint64_t id)
{
	uint32_t program = usual_below(PROGRAMS), host = usual_below(HOSTS);
	uint32_t country = host % 7 ? host % COUNTRIES % 9 : host % COUNTRIES;
	struct flow f = { .id = id, .start_ms = start_ms, .end_ms = start_ms + 2000,
		.kind = FLOW_CONN, .state = FLOW_DONE, .proto = IPPROTO_TCP, .port = 443,
		.how = HOW_KERNEL, .verdict = VERDICT_ALLOW, .reason = REASON_RULE, .rule = 7,
		.pid = (int32_t)(1000 + random_below(30000)), .rx = random_below(1 << 20),
		.tx = random_below(1 << 16), .rx_packets = 100, .tx_packets = 80,
		.addr = { 4, { 198, 18, (uint8_t)(host >> 8), (uint8_t)host } } };
	char path[64], domain[64];
	struct history_who who = { path, 1000 + program % 3, domain, "allow any any" };
	struct event *e;

	snprintf(path, sizeof(path), "/usr/bin/program-%u", program);
	snprintf(domain, sizeof(domain), "domain%u.example", host / 4);
	snprintf(f.name, sizeof(f.name), "host%u.domain%u.example", host % 4, host / 4);
	snprintf(f.geo.country, sizeof(f.geo.country), "%c%c", 'A' + (int)country % 26,
		'A' + (int)country / 26);
	f.geo.asn = 64500 + host % NETWORKS;
	snprintf(f.geo.as_name, sizeof(f.geo.as_name), "Network %u", host % NETWORKS);
	if (random_below(10) == 0) {
		f.kind = FLOW_QUERY;
		f.verdict = VERDICT_DENY;
		f.rx = f.tx = f.rx_packets = f.tx_packets = 0;
		f.addr.family = 0;
		f.geo.country[0] = '\0';
		who.rule_text = "deny any .example";
	}
	e = event_new(&f, &who, f.end_ms);
	if (!e)
		errx(1, "out of memory");
	return e;
}

static void write_batch(struct store *s, int64_t from_ms, int64_t step_us, long first, long n)
{
	struct event *list = NULL, **end = &list;

	for (long i = 0; i < n; i++) {
		*end = an_event(from_ms + (first + i) * step_us / 1000, (uint64_t)(first + i));
		end = &(*end)->next;
	}
	if (store_write(s, list) < 0)
		errx(1, "%s", store_error(s));
	while (list) {
		struct event *next = list->next;

		free(list);
		list = next;
	}
}

int main(int argc, char **argv)
{
	long rows = argc == 4 ? number(argv[2], 100000000) : 0;
	long days = argc == 4 ? number(argv[3], 3650) : 0;
	struct history_conf conf = { .path = argv[1], .group = (gid_t)-1,
		.keep_s = 90 * 86400, .max_bytes = 8000000000 };
	int64_t now_ms = clock_unix_ms(), began, step_us;
	char why[300];
	struct text t = text_into(why, sizeof(why));
	struct store *s;

	if (rows < 1 || days < 1)
		errx(2, "usage: histfill FILE ROWS DAYS");
	if (store_open(&conf, &t, &s) < 0)
		errx(1, "%s", why);
	step_us = days * 86400 * 1000000 / rows;
	began = now_ns();
	for (long at = 0; at < rows; at += BATCH)
		write_batch(s, now_ms - days * 86400000, step_us, at, MIN(rows - at, BATCH));
	printf("rows=%ld rows_a_second=%.0f", rows,
		(double)rows * 1e9 / (double)(now_ns() - began));
	while (store_retain(s, &conf, now_ms) == 1) /* what the daemon would do in its time */
		;
	printf(" bytes=%llu\n", (unsigned long long)store_bytes(s));
	store_close(s);
	return 0;
}
