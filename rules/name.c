/* SPDX-License-Identifier: GPL-2.0-or-later
 * name.c - names as people write them, and which of them are local.
 * The public suffix list is constant data, loaded once (the system's file if it is
 * newer than the library's own): the one thing here that outlives a call. */
#include "rules/rules.h"

#include <errno.h>
#include <idn2.h>
#include <libpsl.h>
#include <pthread.h>
#include <string.h>

static const psl_ctx_t *suffixes;
static pthread_once_t suffixes_once = PTHREAD_ONCE_INIT;

static void suffixes_load(void)
{
	suffixes = psl_latest(NULL);
	if (!suffixes)
		suffixes = psl_builtin();
}

static bool public_suffix(const char *name)
{
	return psl_is_public_suffix2(
		suffixes, name, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE);
}

const char *rules_registrable(const char *name)
{
	pthread_once(&suffixes_once, suffixes_load);
	return suffixes ? psl_registrable_domain(suffixes, name) : NULL;
}

bool rules_local_name(const char *name)
{
	pthread_once(&suffixes_once, suffixes_load);
	/* listed, but never delegated (RFC 8375) */
	if (host_covers("home.arpa", name))
		return true;
	if (!*name || !suffixes)
		return false;
	for (;;) {
		const char *dot = strchr(name, '.');

		if (public_suffix(name))
			return false;
		if (!dot)
			return true;
		name = dot + 1;
	}
}

static bool ascii(const char *s)
{
	while (*s && (unsigned char)*s < 0x80)
		s++;
	return !*s;
}

int rules_host(const char *typed, char out[static HOST_MAX])
{
	char *labels = NULL;
	int r;

	/* ASCII is taken as it stands: IDNA would refuse r3---sn-x.example */
	if (ascii(typed))
		return host_parse(typed, out);
	if (strlen(typed) > 1024)
		return -ENAMETOOLONG;
	r = idn2_lookup_u8((const uint8_t *)typed, (uint8_t **)&labels,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return r == IDN2_TOO_BIG_DOMAIN || r == IDN2_TOO_BIG_LABEL
			       ? -ENAMETOOLONG
			       : -EINVAL;
	r = host_parse(labels, out);
	idn2_free(labels);
	return r;
}
