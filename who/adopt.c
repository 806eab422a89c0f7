/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. An idle handle walks the processes of the scope, and of each its
 * descriptors, for TURN_US a turn (to which one getdents of /proc may add 2 or 3 ms). A
 * socket is duplicated (pidfd_getfd), looked at, and told to the judge if it is one of IP,
 * of our network namespace, bears no mark of anybody's, and is not known to the kernel's
 * maps. Its answer comes at once or later; a duplicate is held meanwhile, so that no other
 * socket can take its place, and at PENDING_MAX of them the walk waits. An answer marks the
 * socket before it returns (what the caller does next, deleting the old conntrack entry,
 * must come after the mark). When a walk has found something there is another, up to
 * WALKS_MAX: a descriptor may have gone from a process not yet seen to one already seen.
 *
 * Whatever the verdict, a socket gets its mark and owner: what is ended first bears its
 * program's number, so that the reset that ending sends is judged as that program's packet.
 * Not reached: sockets under way in a UNIX socket, and connections a listener's program has
 * not accepted yet, which come without a mark.
 * Needs CAP_SYS_PTRACE (pidfd_getfd) and CAP_NET_ADMIN (SO_MARK, SOCK_DESTROY), and that
 * who_register_self() has named this process: the hook that refuses SO_MARK goes by the
 * cgroup a socket was made in, whoever asks.
 */
#include "base/clock.h"
#include "base/macros.h"
#include "base/table.h"
#include "who/diag.h"
#include "who/internal.h"
#include "who/proc.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <uv.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { TURN_US = 1000, PENDING_MAX = 64, LEFT_MAX = 65536, WALKS_MAX = 3 };

struct left { /* a socket that was looked at and got no mark: by cookie, not met again */
	struct table_node node;
	uint64_t cookie;
};

struct pending {
	struct adopt *a;
	struct pending *next, **at; /* in a->pending */
	int fd;
	uint64_t cookie;
	uint32_t mark, actor;
	struct diag_tuple tuple;
	struct who_socket socket;
};

struct adopt {
	uv_idle_t idle;
	struct who *w;
	who_adopt_judge judge;
	void (*done)(void *ctx, unsigned found);
	void *ctx;
	struct diag *diag; /* NULL: no sock_diag here */
	struct table left;
	struct pending *pending;
	unsigned npending, found, found_this_walk, walks;
	struct proc_walk *walk;
	/* the process under way */
	struct proc_fds *fds;
	int pidfd;
	int32_t pid;
	uint32_t actor;  /* its number, once a socket of it needs one */
	bool stopped;
};

/* ----- what a socket is ----- */

static int option(int fd, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) < 0 ? -1 : v;
}

static bool option64(int fd, int name, uint64_t *out)
{
	socklen_t len = sizeof(*out);

	return getsockopt(fd, SOL_SOCKET, name, out, &len) == 0;
}

static bool link_local(const struct addr *a)
{
	static const struct addr net = { .family = 6, .b = { 0xfe, 0x80 } };

	return addr_in_prefix(a, &net, 10);
}

static void read_names(int fd, struct pending *p)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct who_socket *s = &p->socket;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&ss, &s->local, &s->lport);
	len = sizeof(ss);
	s->connected = getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
		addr_from_sockaddr((struct sockaddr *)&ss, &s->peer, &s->pport) == 0;
}

static void read_socket(int fd, struct pending *p)
{
	struct who_socket *s = &p->socket;
	int proto = option(fd, SO_PROTOCOL), device = option(fd, SO_BINDTOIFINDEX);

	read_names(fd, p);
	s->proto = proto == IPPROTO_MPTCP ? IPPROTO_TCP : (uint8_t)proto;
	s->listening = option(fd, SO_ACCEPTCONN) == 1;
	p->tuple = (struct diag_tuple){ .local = s->local, .peer = s->peer,
		.lport = s->lport, .pport = s->pport, .proto = s->proto,
		.ifindex = device > 0 ? (uint32_t)device : 0 };
}

/* ----- those left alone ----- */

static bool same_cookie(const struct table_node *n, const void *key)
{
	return container_of(n, struct left, node)->cookie == *(const uint64_t *)key;
}

static bool was_left(const struct adopt *a, uint64_t cookie)
{
	uint64_t hash = table_hash(&a->left, &cookie, sizeof(cookie));

	return table_find(&a->left, hash, same_cookie, &cookie) != NULL;
}

/* full, or no memory: the oldest, or this one, may be told to the judge once more */
static void leave(struct adopt *a, uint64_t cookie)
{
	struct left *l;

	if (was_left(a, cookie))
		return;
	if (a->left.count == LEFT_MAX) {
		l = container_of(table_oldest(&a->left), struct left, node);
		table_remove(&a->left, &l->node);
	} else {
		l = malloc(sizeof(*l));
	}
	if (!l)
		return;
	l->cookie = cookie;
	table_add(&a->left, &l->node, table_hash(&a->left, &cookie, sizeof(cookie)));
}

static void forget_left(struct adopt *a)
{
	struct table_node *n;

	while (a->left.buckets && (n = table_oldest(&a->left))) {
		table_remove(&a->left, n);
		free(container_of(n, struct left, node));
	}
	table_done(&a->left);
}

static bool is_pending(const struct adopt *a, uint64_t cookie)
{
	const struct pending *p = a->pending;

	while (p && p->cookie != cookie)
		p = p->next;
	return p != NULL;
}

/* Is this one for us? A mark of our magic that our maps know nothing of is a dead daemon's,
 * and what its number stood for is not known any more. */
static bool wanted(struct adopt *a, int fd, uint64_t *cookie)
{
	int domain = option(fd, SO_DOMAIN);
	uint64_t netns;
	uint32_t mark, magic;

	if ((domain != AF_INET && domain != AF_INET6) || !option64(fd, SO_COOKIE, cookie) ||
		!option64(fd, SO_NETNS_COOKIE, &netns) || netns != who_netns_cookie(a->w))
		return false;
	if (is_pending(a, *cookie) || was_left(a, *cookie))
		return false;
	mark = (uint32_t)option(fd, SO_MARK);
	magic = mark >> 24;
	if (magic == who_instance(a->w)->magic)
		return (mark & ACTOR_MASK) != ACTOR_SELF &&
			who_socket_number(a->w, fd) == ACTOR_NONE;
	return mark == 0; /* another instance's, or another program's */
}

/* ----- the answer ----- */

static void adopt_end(struct adopt *a);

static void pending_drop(struct pending *p)
{
	*p->at = p->next;
	if (p->next)
		p->next->at = p->at;
	p->a->npending--;
	close(p->fd);
	free(p);
}

/* by the kernel's own hand if it has one, else by taking the peer away */
static void end_socket(struct adopt *a, const struct pending *p)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (!p->socket.connected)
		return;
	if (!a->diag || diag_end_one(a->diag, &p->tuple, p->cookie) < 0)
		(void)connect(p->fd, &nobody, sizeof(nobody));
}

static bool alive(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

static void on_idle(uv_idle_t *idle);

static void answered(void *token, enum who_adopt what)
{
	struct pending *p = token;
	struct adopt *a = p->a;

	if (a->stopped) {
		pending_drop(p);
		adopt_end(a);
		return;
	}
	if (what != WHO_LEAVE &&
		setsockopt(p->fd, SOL_SOCKET, SO_MARK, &p->mark, sizeof(p->mark)) == 0)
		who_own_socket(a->w, p->fd, p->socket.pid, p->actor);
	if (what == WHO_END)
		end_socket(a, p);
	leave(a, p->cookie); /* even the marked: own_socket may have failed */
	pending_drop(p);
	uv_idle_start(&a->idle, on_idle);
}

/* the number of the process under way; ACTOR_NONE: it has ended, and its pid may already
 * be another's */
static uint32_t number_of(struct adopt *a)
{
	if (a->actor == ACTOR_NONE)
		a->actor = who_number_of(a->w, a->pid);
	return alive(a->pidfd) ? a->actor : ACTOR_NONE;
}

static void pending_add(struct adopt *a, struct pending *p)
{
	p->next = a->pending;
	p->at = &a->pending;
	if (p->next)
		p->next->at = &p->next;
	a->pending = p;
	a->npending++;
}

/* takes fd */
static void tell(struct adopt *a, int fd)
{
	struct pending *p = NULL;
	uint64_t cookie;

	if (wanted(a, fd, &cookie) && number_of(a) != ACTOR_NONE)
		p = calloc(1, sizeof(*p));
	if (!p) {
		close(fd);
		return;
	}
	p->a = a;
	p->fd = fd;
	p->cookie = cookie;
	p->actor = a->actor;
	p->socket.program = who_actor(a->w, a->actor);
	p->socket.pid = a->pid;
	read_socket(fd, p);
	p->mark = who_mark(a->w, a->actor);
	if (p->tuple.ifindex || link_local(&p->socket.peer))
		p->mark |= MARK_DEVICE_BIT;
	pending_add(a, p);
	a->found++;
	a->found_this_walk++;
	a->judge(a->ctx, &p->socket, answered, p);
}

/* ----- the walk ----- */

static void process_close(struct adopt *a)
{
	proc_fds_close(a->fds);
	a->fds = NULL;
	if (a->pidfd >= 0)
		close(a->pidfd);
	a->pidfd = -1;
}

/* pidfd first: if the process of the directory is still there afterwards, they are one */
static void process_open(struct adopt *a, int32_t pid)
{
	auto_close int dir = -1;

	if (pid == getpid() || pid == getppid())
		return; /* the core and the supervisor */
	a->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (a->pidfd < 0)
		return;
	dir = proc_open(pid);
	if (dir < 0 || !alive(a->pidfd) || proc_fds_open(dir, &a->fds) < 0) {
		process_close(a);
		return;
	}
	a->pid = pid;
	a->actor = ACTOR_NONE;
}

/* false: the walk is at its end */
static bool step(struct adopt *a)
{
	uint32_t inode;
	int32_t pid;
	int fd, r;

	if (!a->fds) {
		if (!a->walk || !proc_walk_next(a->walk, &pid))
			return false;
		process_open(a, pid);
		return true;
	}
	r = proc_fds_next(a->fds, &fd, &inode);
	if (r < 0)
		process_close(a);
	if (r > 0) {
		fd = (int)syscall(SYS_pidfd_getfd, a->pidfd, fd, 0);
		if (fd >= 0)
			tell(a, fd);
	}
	return true;
}

static void next_walk(struct adopt *a)
{
	proc_walk_close(a->walk);
	a->walk = NULL;
	a->found_this_walk = 0;
	a->walks++;
	if (proc_walk_open(who_scope(a->w), &a->walk) < 0)
		a->walk = NULL;
}

static void on_idle(uv_idle_t *idle)
{
	struct adopt *a = idle->data;
	int64_t until = clock_boot_us() + TURN_US;
	bool more = true;

	while (more && a->npending < PENDING_MAX && clock_boot_us() < until)
		more = step(a);
	if (more && a->npending < PENDING_MAX)
		return;
	if (a->npending) { /* goes on with the next answer */
		uv_idle_stop(idle);
		return;
	}
	if (a->found_this_walk && a->walks < WALKS_MAX) {
		next_walk(a);
		return;
	}
	*who_adopting(a->w) = NULL;
	a->stopped = true;
	a->done(a->ctx, a->found);
	adopt_end(a);
}

/* ----- beginning and end ----- */

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

/* once stopped, when the last answer is there */
static void adopt_end(struct adopt *a)
{
	if (a->npending)
		return;
	process_close(a);
	proc_walk_close(a->walk);
	diag_close(a->diag);
	forget_left(a);
	uv_close((uv_handle_t *)&a->idle, on_closed);
}

void adopt_stop(struct adopt *a)
{
	if (!a)
		return;
	*who_adopting(a->w) = NULL;
	a->stopped = true;
	uv_idle_stop(&a->idle);
	adopt_end(a);
}

int who_adopt(struct who *w, who_adopt_judge judge, void (*done)(void *ctx, unsigned found),
	void *ctx)
{
	struct adopt *a;
	int r;

	if (!who_loop(w))
		return -EINVAL;
	if (*who_adopting(w))
		return -EBUSY;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->w = w;
	a->judge = judge;
	a->done = done;
	a->ctx = ctx;
	a->pidfd = -1;
	a->idle.data = a;
	r = table_init(&a->left, LEFT_MAX);
	if (r == 0)
		r = uv_idle_init(who_loop(w), &a->idle);
	if (r < 0) {
		table_done(&a->left);
		free(a);
		return r;
	}
	if (diag_open(&a->diag) < 0)
		a->diag = NULL;
	next_walk(a);
	*who_adopting(w) = a;
	return uv_idle_start(&a->idle, on_idle);
}
