/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Order: what can be missing first (nftables, BPF), then who we are among other instances
 * (the private listener's address can be bound only once in a network namespace: that
 * arbitrates), then what others see. Needs CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON,
 * CAP_SYS_ADMIN (to mount bpffs if it is missing), CAP_NET_BIND_SERVICE.
 */
#include "cli/held.h"
#include "cli/acct.h"
#include "cli/keeper.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/cgroup.h"
#include "gate/gate.h"
#include "nft/nft.h"
#include "nft/route.h"
#include "resolver/listen.h"
#include "web/session.h"
#include "who/diag.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LINK_BUFFER = 4 << 20,
	CONTROL_BACKLOG = 64,
	/* where the proxy's port is looked for: privileged, and nobody's by custom */
	GATE_PORT_FIRST = 1021,
	GATE_PORT_LAST = 1000,
};

static const char pins_root[] = "/sys/fs/bpf/scupper";

static void pair_init(int fds[2])
{
	fds[0] = fds[1] = -1;
}

static void pair_close(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pair_init(fds);
}

static int open_dirs(const struct conf *c, const struct rights *rights, char *why,
	size_t why_max)
{
	const char *dirs[] = { c->state_dir, c->runtime_dir };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int r = io_mkdirs(dirs[i], 0755);

		if (r == 0 && access(dirs[i], W_OK) < 0)
			r = -errno;
		if (r < 0) {
			snprintf(why, why_max, "%s=%s cannot be written: %s",
				i == 0 ? "state-dir" : "runtime-dir", dirs[i],
				strerror(-r));
			return r;
		}
	}
	if (chmod(c->state_dir, 0750) < 0 ||
		(rights->own_user && chown(c->state_dir, rights->uid, rights->gid) < 0)) {
		snprintf(why, why_max, "state-dir=%s: cannot set owner and mode: %s",
			c->state_dir, strerror(errno));
		return -errno;
	}
	return 0;
}

/* who holds the address that we cannot have? */
static void name_holder(const struct conf_at *at, int error, char *why, size_t why_max)
{
	char addr[ADDR_TEXT_MAX], holder[128] = "";
	int proto = IPPROTO_UDP;

	addr_text(&at->addr, addr);
	if (error != -EADDRINUSE) {
		snprintf(why, why_max, "cannot listen on %s port %u: %s", addr, at->port,
			strerror(-error));
		return;
	}
	if (diag_listener(&at->addr, at->port, (uint8_t)proto, holder, sizeof(holder)) < 0)
		diag_listener(&at->addr, at->port, IPPROTO_TCP, holder, sizeof(holder));
	snprintf(why, why_max,
		"%s port %u is taken by %s: stop it, or give another listen= in [resolver] "
		"(systemd-resolved: DNSStubListener=no in /etc/systemd/resolved.conf)",
		addr, at->port, holder[0] ? holder : "another process");
}

static int open_private(struct held *h)
{
	struct addr four = instance_listener(&h->instance, 4);
	uint32_t mark = instance_mark(&h->instance, ACTOR_SELF);

	return listener_sockets(&four, 53, mark, h->private4);
}

static int private_or_say(struct held *h, char *why, size_t why_max)
{
	struct conf_at at = { .addr = instance_listener(&h->instance, 4), .port = 53 };
	int r = open_private(h);

	if (r < 0)
		name_holder(&at, r, why, why_max);
	return r;
}

/* the magic that this instance had before its fall: its pins and its table bear it */
static uint8_t magic_before(const struct held *h)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	size_t len;
	unsigned long v;

	if (strcmp(h->conf->instance, "main") == 0)
		return INSTANCE_MAGIC_MAIN;
	snprintf(path, sizeof(path), "%s/magic", h->conf->state_dir);
	if (!h->after_fall || io_read_file(path, 16, &text, &len) < 0)
		return 0;
	v = strtoul(text, NULL, 16);
	return v > INSTANCE_MAGIC_MAIN && v <= INSTANCE_MAGIC_LAST ? (uint8_t)v : 0;
}

static void magic_keep(const struct held *h)
{
	char path[PATH_MAX], text[8];
	int n = snprintf(text, sizeof(text), "%02x\n", h->instance.magic);
	int fd;

	snprintf(path, sizeof(path), "%s/magic", h->conf->state_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || io_write_all(fd, text, (size_t)n) < 0)
		log_warning("cannot write %s: after a fall this instance may not find its "
			    "table again",
			path);
	if (fd >= 0)
		close(fd);
}

/* the next free magic: the private listener's address arbitrates. Another instance's
 * orphaned table is not ours to adopt. */
static int choose_magic(struct held *h, char *why, size_t why_max)
{
	for (uint8_t m = INSTANCE_MAGIC_MAIN + 1; m <= INSTANCE_MAGIC_LAST; m++) {
		int r;

		h->instance.magic = m;
		if (nft_present(&h->instance) > 0)
			continue;
		r = open_private(h);
		if (r == -EADDRINUSE)
			continue;
		if (r < 0)
			return private_or_say(h, why, why_max);
		magic_keep(h);
		return 0;
	}
	snprintf(why, why_max, "all seven private instances are in use");
	return -EBUSY;
}

static void open_kernel(struct held *h);

/* Where the magic is known, hooks of before may stand and refuse our own bind and marks:
 * the daemon must be made known to them first. */
static int open_instance(struct held *h, char *why, size_t why_max)
{
	int r;

	snprintf(h->instance.name, sizeof(h->instance.name), "%s", h->conf->instance);
	h->instance.magic = magic_before(h);
	if (h->instance.magic == 0) {
		r = choose_magic(h, why, why_max);
		if (r < 0)
			return r;
		open_kernel(h);
		if (!h->who)
			pair_close(h->private4);
		return 0;
	}
	open_kernel(h);
	return h->who ? private_or_say(h, why, why_max) : 0;
}

static int open_private6(struct held *h)
{
	struct addr six = instance_listener(&h->instance, 6);
	uint32_t mark = instance_mark(&h->instance, ACTOR_SELF);
	int r;

	if (!route_ipv6())
		return 0;
	r = route_add(&h->instance);
	if (r == 0)
		r = listener_sockets(&six, 53, mark, h->private6);
	h->ipv6 = r == 0;
	return r;
}

static int open_plain(struct held *h, char *why, size_t why_max)
{
	static const struct conf_at usual = { .addr = { 4, { 127, 0, 0, 53 } }, .port = 53 };
	const struct conf *c = h->conf;
	unsigned n = c->nlisten ? c->nlisten : 1;

	if (c->listen_none)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		const struct conf_at *at = c->nlisten ? &c->listen[i] : &usual;
		uint32_t mark = h->who ? instance_mark(&h->instance, ACTOR_SELF) : 0;
		int r = listener_sockets(&at->addr, at->port, mark, h->plain[h->nplain]);

		if (r < 0) {
			name_holder(at, r, why, why_max);
			return r;
		}
		h->nplain++;
	}
	return 0;
}

static int open_control(struct held *h, char *why, size_t why_max)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	gid_t group = rights_group(h->conf->group);
	/* scupper-web asks the kernel who it is; the mode only spares it strangers */
	mode_t mode = h->conf->users[0] || h->conf->readers[0] ? 0666 : 0660;
	int r = 0;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s/control.sock",
		    h->conf->runtime_dir) >= (int)sizeof(at.sun_path)) {
		snprintf(why, why_max, "runtime-dir=%s is too long for a socket's path",
			h->conf->runtime_dir);
		return -ENAMETOOLONG;
	}
	h->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->control < 0)
		return -errno;
	unlink(at.sun_path);
	if (bind(h->control, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		chmod(at.sun_path, mode) < 0 ||
		(group != (gid_t)-1 && chown(at.sun_path, 0, group) < 0) ||
		listen(h->control, CONTROL_BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		snprintf(why, why_max, "cannot open %s: %s", at.sun_path, strerror(-r));
	return r;
}

static int web_socket(const struct held *h, const struct conf_at *at)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(at->port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(at->port) };
	bool v6 = at->addr.family == 6;
	uint32_t mark = instance_mark(&h->instance, ACTOR_SELF);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, r = 0;

	if (fd < 0)
		return -errno;
	memcpy(&four.sin_addr, at->addr.b, 4);
	memcpy(&six.sin6_addr, at->addr.b, 16);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		(h->who && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) ||
		bind(fd, v6 ? (void *)&six : (void *)&four, v6 ? sizeof(six) : sizeof(four)) < 0 ||
		listen(fd, CONTROL_BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* where the dashboard is to be */
static unsigned web_places(const struct conf *c, const struct conf_at **out)
{
	static const struct conf_at usual[] = { { { 4, { 127, 0, 0, 1 } }, 7531 },
		{ { 6, { [15] = 1 } }, 7531 } };

	*out = c->nweb ? c->web : usual;
	return c->web_none ? 0 : c->nweb ? c->nweb : ARRAY_LEN(usual);
}

/* Written by scupper-web alone. One that dies in the middle of a change leaves at most a
 * session whose secret it told nobody. */
static struct sessions *open_sessions(void)
{
	void *p = mmap(NULL, sizeof(struct sessions), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A taken port costs the dashboard, never the gate. */
static void open_web(struct held *h)
{
	const struct conf_at *list;
	unsigned n = web_places(h->conf, &list);

	for (unsigned i = 0; i < n; i++) {
		char addr[ADDR_TEXT_MAX], holder[128] = "";
		int fd = web_socket(h, &list[i]);

		addr_text(&list[i].addr, addr);
		if (fd >= 0) {
			if (!h->nweb)
				snprintf(h->origin, sizeof(h->origin),
					list[i].addr.family == 6 ? "http://[%s]:%u"
								 : "http://%s:%u",
					addr, list[i].port);
			h->web[h->nweb++] = fd;
			continue;
		}
		if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
			continue; /* no IPv6 here */
		if (fd == -EADDRINUSE)
			diag_listener(&list[i].addr, list[i].port, IPPROTO_TCP, holder,
				sizeof(holder));
		log_warning("no dashboard at %s port %u: %s%s%s", addr, list[i].port,
			strerror(-fd), holder[0] ? ", taken by " : "", holder);
	}
	h->sessions = h->nweb ? open_sessions() : NULL;
}

static int open_link(struct held *h)
{
	int fds[2], size = LINK_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	h->link_core = fds[0];
	h->link_web = fds[1];
	return pipe2(h->ready, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

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

static int open_gate(struct held *h, char *why, size_t why_max)
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
static void open_kernel(struct held *h)
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
		.nbind_ports = web_places(h->conf, &places),
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

/* what the next core knows a connection again by: the web process gets no hold of it */
static void open_past(struct held *h)
{
	h->past = memfd_create("scupper-past", MFD_CLOEXEC);
	if (h->past >= 0 && ftruncate(h->past, GATE_PAST_SIZE) == 0)
		return;
	log_warning("no memory for what outlives the core: %s", strerror(errno));
	if (h->past >= 0)
		close(h->past);
	h->past = -1;
}

static int open_listeners(struct held *h, char *why, size_t why_max)
{
	int r = h->who ? open_private6(h) : 0;

	if (r < 0) {
		snprintf(why, why_max, "cannot open the IPv6 listener of redirected DNS: %s",
			strerror(-r));
		return r;
	}
	if (h->who)
		r = open_gate(h, why, why_max);
	return r < 0 ? r : open_plain(h, why, why_max);
}

static void held_init(struct held *h, const struct conf *conf)
{
	memset(h, 0, sizeof(*h));
	h->conf = conf;
	h->started_ms = clock_unix_ms();
	h->nft = h->link_core = h->link_web = h->control = h->past = -1;
	pair_init(h->private4);
	pair_init(h->private6);
	pair_init(h->ready);
	pair_init(h->gate);
	for (unsigned i = 0; i < CONF_LISTEN_MAX; i++)
		pair_init(h->plain[i]);
}

int held_open(struct held *h, const struct conf *conf, char *why, size_t why_max)
{
	char pins[PATH_MAX];
	int r;

	held_init(h, conf);
	rights_find(&h->rights);
	r = open_dirs(conf, &h->rights, why, why_max);
	if (r < 0)
		return r;
	r = cgroup_path(conf->scope, h->scope, sizeof(h->scope));
	if (r < 0) {
		snprintf(why, why_max, "scope=%s: no such cgroup below the cgroup2 mount: %s",
			conf->scope, strerror(-r));
		return r;
	}
	snprintf(pins, sizeof(pins), "%s/%s", pins_root, conf->instance);
	h->after_fall = access(pins, F_OK) == 0;
	if (conf->closed)
		snprintf(h->pins, sizeof(h->pins), "%s", pins);
	r = open_instance(h, why, why_max);
	if (r < 0)
		return r;
	if (h->who)
		h->accounting = acct_start(&h->instance);
	open_past(h);
	keeper_prepare(conf);
	r = open_listeners(h, why, why_max);
	if (r == 0)
		r = open_control(h, why, why_max);
	if (r == 0)
		open_web(h);
	if (r == 0) {
		r = open_link(h);
		if (r < 0)
			snprintf(why, why_max, "cannot make the link to scupper-web: %s",
				strerror(-r));
	}
	return r;
}

enum link_identity held_identity(const struct held *h)
{
	return !h->who ? LINK_RESOLVER_ONLY : h->basic ? LINK_BASIC : LINK_BPF;
}

void held_close(struct held *h, bool down)
{
	char path[PATH_MAX];

	if (down && h->nft >= 0)
		nft_remove(&h->instance, h->nft);
	if (h->who)
		who_close(h->who, down);
	if (h->ipv6 && down)
		route_remove(&h->instance);
	if (h->accounting && down)
		acct_stop(&h->instance);
	pair_close(h->private4);
	pair_close(h->private6);
	pair_close(h->gate);
	pair_close(h->ready);
	for (unsigned i = 0; i < CONF_LISTEN_MAX; i++)
		pair_close(h->plain[i]);
	if (h->control >= 0) {
		snprintf(path, sizeof(path), "%s/control.sock", h->conf->runtime_dir);
		unlink(path);
		close(h->control);
	}
	for (unsigned i = 0; i < h->nweb; i++)
		close(h->web[i]);
	if (h->past >= 0)
		close(h->past);
	if (h->sessions)
		munmap(h->sessions, sizeof(*h->sessions));
	if (h->link_core >= 0)
		close(h->link_core);
	if (h->link_web >= 0)
		close(h->link_web);
	if (h->nft >= 0)
		close(h->nft);
}
