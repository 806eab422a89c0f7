/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Order: what can be missing first (nftables, BPF), then who we are among other instances
 * (the private listener's address can be bound only once in a network namespace: that
 * arbitrates), then what others see. Needs CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON,
 * CAP_SYS_ADMIN (to mount bpffs if it is missing), CAP_NET_BIND_SERVICE.
 */
#include "cli/heldparts.h"
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
#include "resolver/varlink.h"
#include "web/session.h"
#include "who/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINK_BUFFER = 4 << 20 };

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

/* the core writes into it (coreservers.c), whose directory is not the core's */
static void make_stub(const struct conf *c, const struct rights *rights)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/stub-resolv.conf", c->runtime_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || (rights->own_user && fchown(fd, rights->uid, rights->gid) < 0))
		log_warning("%s cannot be made: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
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
	make_stub(c, rights);
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
		held_open_kernel(h);
		if (!h->who)
			pair_close(h->private4);
		return 0;
	}
	held_open_kernel(h);
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

/* Without BPF nobody could say whose program a UNIX client is, where its packets will show:
 * clients find no socket then, and ask by DNS. */
static int open_varlink(struct held *h, char *why, size_t why_max)
{
	if (!h->conf->varlink[0])
		return 0;
	if (!h->who || h->basic) {
		log_warning("varlink=%s in [resolver] is not served: that needs BPF",
			h->conf->varlink);
		return 0;
	}
	return varlink_socket(h->conf->varlink, why, why_max, &h->varlink);
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

/* Where the kernel keeps its half when all of us is dead, the past outlives that too; it is
 * void without that half. */
static int past_file(const struct held *h)
{
	char path[PATH_MAX];
	int fd;

	if (!h->conf->closed)
		return memfd_create("scupper-past", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s/past.%d", h->conf->runtime_dir, GATE_PAST_LAYOUT);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && !h->after_fall && ftruncate(fd, 0) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* what the next core knows a connection again by: the web process gets no hold of it */
static void open_past(struct held *h)
{
	h->past = past_file(h);
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
		r = held_open_gate(h, why, why_max);
	if (r == 0)
		r = open_plain(h, why, why_max);
	return r < 0 ? r : open_varlink(h, why, why_max);
}

static void held_init(struct held *h, const struct conf *conf)
{
	memset(h, 0, sizeof(*h));
	h->conf = conf;
	h->started_ms = clock_unix_ms();
	h->nft = h->link_core = h->link_web = h->control = h->past = h->varlink = -1;
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
		r = held_open_control(h, why, why_max);
	if (r == 0)
		held_open_web(h);
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
	if (h->varlink >= 0) {
		unlink(h->conf->varlink);
		close(h->varlink);
	}
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
