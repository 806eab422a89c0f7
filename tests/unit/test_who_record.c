/* SPDX-License-Identifier: GPL-2.0-or-later
 * The record of a packet, as a writer that is no kernel left it. */
#include "who/state.h"

#include "base/clock.h"
#include "base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NETNS = 1, ACTOR = 5 };

static struct who w;
static struct who_tuple tuple;
static struct who_record *record;

static int setup(void **state)
{
	static const uint8_t src[4] = { 127, 64, 0, 5 }, dst[4] = { 127, 0, 0, 153 };
	uint32_t four;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.netns = NETNS;
	w.records = calloc(WHO_RECORDS, sizeof(struct who_record));
	assert_int_equal(identity_init(&w), 0);
	w.serials = calloc(WHO_NUMBERS, sizeof(uint64_t));
	assert_int_equal(processes_init(&w.processes), 0);
	tuple = (struct who_tuple){ .src = addr_v4(src), .dst = addr_v4(dst), .sport = 4000,
		.dport = 53, .dns_id = 0x1234, .proto = 17 };
	memcpy(&four, src, 4);
	record = &w.records[who_record_slot(four, 4000, 53, htons(0x1234), 17)];
	*record = (struct who_record){ .seq = 2, .when = (uint64_t)clock_boot_us() * 1000,
		.sport = 4000, .dport = 53, .dns_id = htons(0x1234), .proto = 17, .family = 4,
		.owner = { .tgid = 99, .uid = 3, .actor = ACTOR, .netns = NETNS,
			.start = 7 } };
	memcpy(record->src, src, 4);
	memcpy(record->dst, dst, 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	processes_done(w.processes);
	identity_done(&w);
	free((void *)w.serials);
	free(w.records);
	return 0;
}

static void test_used_once(void **state)
{
	struct process p;

	(void)state;
	assert_int_equal(who_record(&w, &tuple, ACTOR, &p), 0);
	assert_int_equal(p.pid, 99);
	assert_int_equal(p.uid, 3);
	assert_string_equal(p.path, "unknown"); /* the program's, as far as it is known */
	assert_int_equal(who_record(&w, &tuple, ACTOR, &p), -ENOENT);
	record->seq += 2; /* written again */
	assert_int_equal(who_record(&w, &tuple, ACTOR, &p), 0);
}

static void spoil(unsigned what)
{
	switch (what) {
	case 0:
		record->seq = 3;
		break;
	case 1:
		record->seq = 0;
		break;
	case 2:
		record->when -= 11ull * 1000000000;
		break;
	case 3:
		record->owner.netns = 2;
		break;
	case 4:
		record->owner.actor = 6;
		break;
	case 5:
		record->sport = 4001;
		break;
	case 6:
		record->src[3] = 6;
		break;
	case 7:
		record->dst[3] = 53;
		break;
	case 8:
		record->dns_id = htons(0x1235);
		break;
	case 9:
		record->proto = 6;
		break;
	case 10:
		record->family = 6;
		break;
	}
}

static void test_must_fit(void **state)
{
	static const char *const why[] = { "being written", "never written", "stale",
		"another network namespace", "another program", "another port",
		"another source", "another destination", "another query", "another protocol",
		"another family" };

	for (unsigned i = 0; i < ARRAY_LEN(why); i++) {
		struct process p = { .pid = -1 };

		print_message("%s\n", why[i]);
		teardown(state);
		setup(state);
		spoil(i);
		assert_int_equal(who_record(&w, &tuple, ACTOR, &p), -ENOENT);
		assert_int_equal(p.pid, -1);
	}
}

static void test_process_from_table(void **state)
{
	struct process p = { .pid = 99, .start = 7, .parent = 1, .path = "/bin/a" };

	(void)state;
	assert_int_equal(processes_exec(w.processes, &p), 0);
	assert_int_equal(who_record(&w, &tuple, ACTOR, &p), 0);
	assert_string_equal(p.path, "/bin/a");
	record->seq += 2;
	record->owner.start = 8; /* the same pid, another process */
	assert_int_equal(who_record(&w, &tuple, ACTOR, &p), 0);
	assert_string_equal(p.path, "unknown");
	assert_int_equal(p.parent, 0);
}

#define WITH_RECORD(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RECORD(test_used_once), WITH_RECORD(test_must_fit),
		WITH_RECORD(test_process_from_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
