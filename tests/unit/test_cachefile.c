/* SPDX-License-Identifier: GPL-2.0-or-later
 * cachefile.c, and persist.c with a loop: what a restart finds. */
#include "base/clock.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sha256.h"
#include "resolver/answer.h"
#include "resolver/cachefile.h"
#include "resolver/persist.h"

#include "tests/unit/dns_build.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static const struct ttl_limits usual = { 0, CACHE_TTL_MAX_S, CACHE_NEGATIVE_MAX_S };
static const struct cachefile_now then = { 7, 1000000, 5000 };
static struct build_msg msg;

static void put(struct cache *c, const char *name, uint16_t route, bool dnssec_ok,
	int64_t now_ms)
{
	struct cache_key k = { .name = name, .type = TYPE_A, .klass = 1, .route = route,
		.dnssec_ok = dnssec_ok };
	struct answer *a;

	dns_start(&msg, WIRE_QR, name, TYPE_A);
	dns_a(&msg, IN_ANSWER, "@", 60, "192.0.2.1");
	assert_int_equal(answer_new(msg.bytes, msg.o.len, &usual, &a), 0);
	cache_put(c, &k, a, now_ms);
	answer_release(a);
}

static uint8_t *file_of(const struct cache *c, size_t *len)
{
	struct cache_kept list[16];
	size_t n = cache_kept(c, list, ARRAY_LEN(list));
	uint8_t *bytes;

	assert_int_equal(cachefile_write(list, n, &then, &bytes, len), 0);
	while (n > 0)
		answer_release(list[--n].answer);
	return bytes;
}

static uint8_t *some_file(size_t *len)
{
	uint8_t *bytes;
	struct cache c;

	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	put(&c, "a.test", 0, false, 1000);
	put(&c, "b.test", 0, true, 2000);
	put(&c, "corp.test", 1, false, 3000); /* another group's: not kept */
	bytes = file_of(&c, len);
	cache_done(&c);
	return bytes;
}

static void comes_back_with_its_age(void **state)
{
	struct cachefile_now now = { 7, 1010000, 400 }; /* 10 s later, another boot */
	struct cache_kept *list;
	const char *why;
	size_t len, n;
	uint8_t *bytes = some_file(&len);

	(void)state;
	assert_int_equal(cachefile_read(bytes, len, &now, &usual, &list, &n, &why), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].answer->read->qname, "a.test");
	assert_int_equal(list[0].stored_ms, 400 - 10000 - 4000);
	assert_false(list[0].dnssec_ok);
	assert_string_equal(list[1].answer->read->qname, "b.test"); /* used last: last */
	assert_int_equal(list[1].stored_ms, 400 - 10000 - 3000);
	assert_true(list[1].dnssec_ok);
	cachefile_free(list, n);
	free(bytes);
}

static void reseal(uint8_t *bytes, size_t len)
{
	assert_int_equal(sha256(bytes, len - SHA256_LEN, bytes + len - SHA256_LEN), 0);
}

static void refuses_what_cannot_be(void **state)
{
	enum { AS_IT_IS = -1 };
	static const struct {
		const char *why;
		int at;          /* the byte that is changed, with the sum made right */
		int cut;         /* bytes cut at the end */
		bool resealed;
		uint64_t owner;
		int64_t unix_ms;
		int want;
		const char *says;
	} cases[] = {
		{ "as it is", AS_IT_IS, 0, false, 7, 1000000, 0, NULL },
		{ "no magic", 0, 0, true, 7, 1000000, -EBADMSG, "no file of" },
		{ "another version", 7, 0, true, 7, 1000000, -EBADMSG, "version" },
		{ "a flipped bit", 40, 0, false, 7, 1000000, -EBADMSG, "damaged" },
		{ "the sum itself", AS_IT_IS, 1, false, 7, 1000000, -EBADMSG, "damaged" },
		{ "cut in an entry", AS_IT_IS, 20, true, 7, 1000000, -EBADMSG, "damaged" },
		{ "too many entries", 24, 0, true, 7, 1000000, -EBADMSG, "damaged" },
		{ "one entry fewer", 27, 0, true, 7, 1000000, -EBADMSG, "damaged" },
		{ "other servers", AS_IT_IS, 0, false, 8, 1000000, -ESTALE, "other servers" },
		{ "the clock was set back", AS_IT_IS, 0, false, 7, 999999, -ESTALE, "future" },
		{ "empty", AS_IT_IS, 1 << 20, false, 7, 1000000, -EBADMSG, "no file of" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cachefile_now now = { cases[i].owner, cases[i].unix_ms, 5000 };
		struct cache_kept *list = NULL;
		size_t len, n = 0;
		uint8_t *bytes = some_file(&len);
		const char *why = NULL;

		print_message("%s\n", cases[i].why);
		len = (size_t)cases[i].cut > len ? 0 : len - (size_t)cases[i].cut;
		if (cases[i].at >= 0)
			bytes[cases[i].at] ^= 0x03;
		if (cases[i].resealed)
			reseal(bytes, len);
		assert_int_equal(cachefile_read(bytes, len, &now, &usual, &list, &n, &why),
			cases[i].want);
		if (cases[i].says)
			assert_non_null(strstr(why, cases[i].says));
		cachefile_free(list, n);
		free(bytes);
	}
}

static void what_is_newer_stays(void **state)
{
	struct cache_kept *list;
	struct cache_key k = { .name = "a.test", .type = TYPE_A, .klass = 1 };
	const char *why;
	struct cache c;
	size_t len, n;
	uint8_t *bytes = some_file(&len);

	(void)state;
	assert_int_equal(cachefile_read(bytes, len, &then, &usual, &list, &n, &why), 0);
	assert_int_equal(cache_init(&c, 1 << 20, 100), 0);
	cache_restore(&c, &k, list[0].answer, 1000, 61001); /* past its end: stale only */
	assert_null(cache_get(&c, &k, 61001));
	assert_int_equal(c.table.count, 1);
	put(&c, "a.test", 0, false, 61002);
	cache_restore(&c, &k, list[0].answer, 1000, 61003);
	assert_int_equal(cache_get(&c, &k, 61003)->age_s, 0);
	cache_done(&c);
	assert_int_equal(cache_init(&c, 1 << 20, 100), 0);
	cache_restore(&c, &k, list[0].answer, 1000, 161001); /* past that too */
	cache_restore(&c, &k, list[0].answer, 2000, 1999);   /* not yet */
	assert_int_equal(c.table.count, 0);
	cache_done(&c);
	cachefile_free(list, n);
	free(bytes);
}

/* --- the file on disk ----------------------------------------------------------------- */

static uv_loop_t loop;
static char path[] = "/tmp/test_cachefile-XXXXXX";
static char file[64];

static int dir_start(void **state)
{
	(void)state;
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/cache", path);
	return uv_loop_init(&loop);
}

static int dir_end(void **state)
{
	(void)state;
	unlink(file);
	assert_int_equal(rmdir(path), 0); /* nothing else is left */
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static unsigned said;

static void on_said(void *ctx, const char *what)
{
	(void)ctx;
	assert_non_null(strstr(what, path));
	said++;
}

static struct persist *persist_new(struct cache *c, uint64_t owner)
{
	struct persist_conf conf = { .path = file, .owner = owner, .ttl = usual,
		.said = on_said };
	struct persist *p;

	assert_int_equal(persist_open(&loop, c, &conf, &p), 0);
	return p;
}

static void settle(const struct persist *p)
{
	while (!persist_settled(p))
		uv_run(&loop, UV_RUN_ONCE);
}

static void is_there_after_a_restart(void **state)
{
	struct persist *p;
	struct cache c;
	struct stat st;

	(void)state;
	said = 0;
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	p = persist_new(&c, 7);
	settle(p);
	put(&c, "a.test", 0, false, clock_boot_ms());
	put(&c, "b.test", 0, false, clock_boot_ms());
	persist_close(p);
	cache_done(&c);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	p = persist_new(&c, 0); /* no servers yet: the file may be theirs */
	persist_owner(p, 7);
	settle(p);
	assert_int_equal(c.table.count, 2);
	persist_close(p);
	cache_done(&c);
	assert_int_equal(stat(file, &st), 0);

	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	p = persist_new(&c, 7);
	persist_flushed(p); /* while it is being read */
	settle(p);
	assert_int_equal(c.table.count, 0);
	persist_close(p);
	assert_int_equal(stat(file, &st), -1);
	cache_done(&c);
	assert_int_equal(said, 0);
}

static void a_bad_file_is_said_and_replaced(void **state)
{
	struct persist *p;
	struct cache c;
	int fd = open(file, O_WRONLY | O_CREAT, 0644);

	(void)state;
	said = 0;
	assert_int_equal(io_write_all(fd, "rubbish\n", 8), 0);
	close(fd);
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	p = persist_new(&c, 7);
	settle(p);
	assert_int_equal(said, 1);
	put(&c, "a.test", 0, false, clock_boot_ms());
	persist_close(p);
	cache_done(&c);
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	p = persist_new(&c, 7);
	settle(p);
	assert_int_equal(c.table.count, 1);
	persist_close(p);
	cache_done(&c);
	assert_int_equal(said, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_with_its_age),
		cmocka_unit_test(refuses_what_cannot_be),
		cmocka_unit_test(what_is_newer_stays),
		cmocka_unit_test_setup_teardown(is_there_after_a_restart, dir_start, dir_end),
		cmocka_unit_test_setup_teardown(a_bad_file_is_said_and_replaced, dir_start,
			dir_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
