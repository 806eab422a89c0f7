/* SPDX-License-Identifier: GPL-2.0-or-later
 * upstreams.h - which servers the resolver asks: the configured ones, else the system's own
 * (resolv.conf(5); behind systemd-resolved's or NetworkManager's stub, those behind it). */
#ifndef CLI_UPSTREAMS_H
#define CLI_UPSTREAMS_H

#include "cli/conf.h"
#include "resolver/upstream.h"

#include <time.h>

/* how many; 0 is logged. *changed: when /etc/resolv.conf was written, as it was read */
unsigned upstreams_find(const struct conf *conf, struct upstream out[CONF_UPSTREAMS_MAX],
	struct timespec *changed);
/* /etc/resolv.conf counts, and was written after *changed */
bool upstreams_stale(const struct conf *conf, const struct timespec *changed);
/* tls-ca= names a file of certificates; -EINVAL is logged */
int upstreams_check_ca(const struct conf *conf);

#endif
