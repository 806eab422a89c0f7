/* SPDX-License-Identifier: GPL-2.0-or-later
 * heldkernel.c - what the kernel gives: nftables, BPF or else the key of basic mode, and
 * the port that the gate listens at. */

#include "base/log.h"
#include "base/macros.h"
#include "cli/cgroup.h"
#include "cli/heldparts.h"
#include "resolver/listen.h"
#include "who/proc.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* where the proxy's port is looked for: privileged, and nobody's by custom */
enum { GATE_PORT_FIRST = 1021, GATE_PORT_LAST = 1000 };

/* The hooks guard the port, so it is chosen before they stand. Hooks of before, whose daemon
 * we are not yet, refuse it: then it is ours. */
static bool port_free(const struct held *h, uint16_t port)
{
	struct addr at = instance_listener(&h->instance, 4);
	struct sockaddr_storage sa;
	socklen_t len = (socklen_t)addr_to_sockaddr(&at, port, &sa);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && (bind(fd, (struct sockaddr *)&sa, len) == 0 || errno == EPERM);
}

static uint16_t gate_port_free(const struct held *h)
{
	uint16_t port = GATE_PORT_FIRST;

	if (h->conf->gate_port)
		return h->conf->gate_port;
	while (port > GATE_PORT_LAST && !port_free(h, port))
		port--;
	return port;
}

static int open_gate_at(struct held *h, uint8_t family, int *out)
{
	struct addr at = instance_listener(&h->instance, family);
	uint32_t mark = instance_mark(&h->instance, ACTOR_SELF);
	int both[2];
	int r = listener_sockets(&at, h->gate_port, mark, both);

	if (r < 0)
		return r;
	close(both[0]); /* of UDP */
	*out = both[1];
	return 0;
}

int held_open_gate(struct held *h, char *why, size_t why_max)
{
	int r = open_gate_at(h, 4, &h->gate[0]);

	if (r == 0 && h->ipv6)
		r = open_gate_at(h, 6, &h->gate[1]);
	if (r < 0)
		snprintf(why, why_max,
			"the proxy cannot listen on port %u of its own loopback address: %s "
			"(another can be given as port= in [gate])",
			h->gate_port, strerror(-r));
	return r;
}

static int cgroup_id(const char *dir, uint64_t *out)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	*out = st.st_ino;
	return 0;
}

/* how deep below its mount */
static int cgroup_level(const char *dir, uint8_t *out)
{
	char below[PATH_MAX];
	unsigned n = 0;
	int r = proc_cgroup_below(dir, below, sizeof(below));

	if (r < 0)
		return r;
	for (const char *at = below; *at; at++)
		n += *at == '/' && at[1];
	if (n > UINT8_MAX / 2)
		return -ENAMETOOLONG;
	*out = (uint8_t)n;
	return 0;
}

static int find_key(struct held *h)
{
	char dir[PATH_MAX];
	int r = cgroup_own(dir, sizeof(dir));

	if (r == 0)
		r = cgroup_id(dir, &h->key.self_id);
	if (r == 0)
		r = cgroup_level(dir, &h->key.self_level);
	if (r < 0)
		h->key.self_level = 0; /* then SO_MARK alone tells our sockets */
	r = cgroup_id(h->scope, &h->key.id);
	return r < 0 ? r : cgroup_level(h->scope, &h->key.level);
}

/* No BPF: the same table, by cgroup and user. Hooks that an earlier daemon left would refuse
 * everything, as no stamp comes from this table. */
static int open_keys(struct held *h, const struct who_conf *conf)
{
	int r = find_key(h);

	if (r == 0)
		r = who_open_keys(conf, &h->who);
	if (r < 0)
		return r;
	h->basic = true;
	if (h->after_fall && who_unpin(conf->pins) < 0)
		log_error("%s cannot be removed: what an earlier daemon attached there refuses "
			  "everything",
			conf->pins);
	return 0;
}

/* BPF mode needs BPF and nftables; without BPF: basic mode, said. Without nftables: only the
 * resolver, said loudly. */
void held_open_kernel(struct held *h)
{
	const uint16_t guarded[] = { 53, gate_port_free(h) };
	const struct conf_at *places;
	struct who_conf conf = {
		.instance = &h->instance,
		.scope = h->scope,
		.pins = h->pins[0] ? h->pins : NULL,
		.closed = h->conf->closed,
		.guarded_ports = guarded,
		.nguarded_ports = ARRAY_LEN(guarded),
		.bind_ports = h->web_ports,
		.nbind_ports = held_web_places(h->conf, &places),
	};
	int r;

	h->nweb_ports = conf.nbind_ports;
	for (unsigned i = 0; i < h->nweb_ports; i++)
		h->web_ports[i] = places[i].port;
	h->gate_port = guarded[1];
	h->nft = nft_socket(h->why, sizeof(h->why));
	if (h->nft < 0)
		return;
	r = who_open(&conf, h->why, sizeof(h->why), &h->who);
	if (r < 0) {
		h->who = NULL;
		if (open_keys(h, &conf) < 0) {
			close(h->nft);
			h->nft = -1;
		}
		return;
	}
	r = who_register_self(h->who, getpid());
	if (r < 0)
		log_warning("the daemon could not be made known to its own guard: %s",
			strerror(-r));
}
