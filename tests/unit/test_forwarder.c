/* SPDX-License-Identifier: GPL-2.0-or-later
 * Who may ask by the forwarder: the one who knows the secret. */
#include "resolver/forwarder.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char secret[] = "0123456789abcdef0123456789abcdef";

/* a query with an OPT that has one option */
static size_t query(uint8_t *msg, size_t room, uint16_t code, const char *value)
{
	int n = wire_query_write("www.test", TYPE_A, 7, true, msg, room);
	struct out o = out_into(msg, room);
	size_t len = strlen(value);

	assert_true(n > 0);
	o.len = (size_t)n - 2;
	out_u16(&o, (uint16_t)(4 + len));
	out_u16(&o, code);
	out_u16(&o, (uint16_t)len);
	out_bytes(&o, value, len);
	assert_false(o.bad);
	return o.len;
}

static void only_the_secret(void **state)
{
	uint8_t msg[512];
	size_t len = query(msg, sizeof(msg), FORWARDER_OPTION, secret);

	(void)state;
	assert_true(forwarder_has_secret(msg, len, secret));
	for (size_t cut = 0; cut < len; cut++)
		assert_false(forwarder_has_secret(msg, cut, secret));
	msg[len - 1] ^= 1;
	assert_false(forwarder_has_secret(msg, len, secret));
	len = query(msg, sizeof(msg), FORWARDER_OPTION + 1, secret);
	assert_false(forwarder_has_secret(msg, len, secret));
	len = query(msg, sizeof(msg), FORWARDER_OPTION, "0123456789abcdef");
	assert_false(forwarder_has_secret(msg, len, secret));
	len = (size_t)wire_query_write("www.test", TYPE_A, 7, false, msg, sizeof(msg));
	assert_false(forwarder_has_secret(msg, len, secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(only_the_secret) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
