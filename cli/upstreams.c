/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which servers the resolver asks: the configured ones, else the system's own.
 */
#include "cli/upstreams.h"

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CA_FILE_MAX = 4 << 20 };

#define RESOLV_CONF "/etc/resolv.conf"

static bool our_own(const struct conf *conf, const struct upstream *u)
{
	static const struct addr usual = { 4, { 127, 0, 0, 53 } };

	if (u->port != 53)
		return false;
	for (unsigned i = 0; i < conf->nlisten; i++)
		if (addr_cmp(&conf->listen[i].addr, &u->addr) == 0)
			return true;
	return addr_cmp(&u->addr, &usual) == 0 && !conf->listen_none;
}

/* local: take servers on this machine too. One that asks through us would go in a circle, so
 * it comes last: behind systemd-resolved's stub, say, are the network's own servers. */
static unsigned read_resolv(const struct conf *conf, const char *path, bool local,
	struct upstream *out)
{
	auto_free char *text = NULL;
	struct upstream all[CONF_UPSTREAMS_MAX];
	unsigned kept = 0;
	size_t len;
	int n;

	if (io_read_file(path, 65536, &text, &len) < 0)
		return 0;
	n = upstream_parse_resolv_conf(text, all, CONF_UPSTREAMS_MAX);
	for (int i = 0; i < n; i++)
		if (!our_own(conf, &all[i]) &&
			(local || addr_zone(&all[i].addr) != ZONE_LOCALHOST))
			out[kept++] = all[i];
	return kept;
}

unsigned upstreams_find(const struct conf *conf, struct upstream out[CONF_UPSTREAMS_MAX],
	struct timespec *changed)
{
	static const char *const files[] = { RESOLV_CONF,
		"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf" };
	struct stat st;
	unsigned n = 0;

	if (conf->recursive)
		return 0;
	for (unsigned i = 0; i < conf->nupstreams; i++)
		out[n++] = conf->upstreams[i];
	for (size_t i = 0; i < 2 * ARRAY_LEN(files) && n == 0; i++)
		n = read_resolv(conf, files[i % ARRAY_LEN(files)], i >= ARRAY_LEN(files), out);
	if (stat(RESOLV_CONF, &st) == 0)
		*changed = st.st_mtim;
	if (n == 0)
		log_error("no upstream server: none in [resolver] upstream= and none but "
			  "ourselves in " RESOLV_CONF "; every name will be SERVFAIL");
	return n;
}

bool upstreams_stale(const struct conf *conf, const struct timespec *changed)
{
	struct stat st;

	if (conf->nupstreams || conf->recursive || stat(RESOLV_CONF, &st) < 0)
		return false;
	return st.st_mtim.tv_sec != changed->tv_sec || st.st_mtim.tv_nsec != changed->tv_nsec;
}

int upstreams_check_ca(const struct conf *conf)
{
	auto_free char *text = NULL;
	size_t len;
	int r;

	if (!conf->tls_ca[0])
		return 0;
	r = io_read_file(conf->tls_ca, CA_FILE_MAX, &text, &len);
	if (r < 0)
		log_error("tls-ca=%s: %s", conf->tls_ca, strerror(-r));
	else if (!strstr(text, "-----BEGIN CERTIFICATE-----"))
		log_error("tls-ca=%s: no certificate in PEM form is in it", conf->tls_ca);
	else
		return 0;
	return -EINVAL;
}
