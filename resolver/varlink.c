/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. A client reads until a NUL (READ), has its call answered at once or by
 * the taker (BUSY: nothing is read meanwhile, so what it sent behind waits in the kernel, but
 * its going away is seen), and then sends the reply (SEND, in most cases done at once). One
 * that only shut its sending side down still gets its reply. Once a second those are let go
 * whose time is up.
 *
 * Every write carries its sender's credentials (SO_PASSCRED): a descriptor that was passed on
 * or inherited shows by them, for what the kernel says of the connection (SO_PEERCRED) is
 * about who made it.
 */
#include "resolver/varlink.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/macros.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
	TICK_MS = 1000,
	IDLE_MS = 120000,     /* without a call */
	MESSAGE_MS = 10000,   /* to send a message, once begun; to take a reply */
	REPLY_MAX = 1 << 20,
};

enum state { READ, BUSY, SEND };

struct client {
	uv_poll_t poll;
	struct list_node node;
	struct varlink *v;
	int fd;
	enum state state;
	bool half;              /* it shut its sending side down; what it sent is still there */
	bool ended;             /* and has been read */
	struct ucred peer;
	int64_t deadline_ms;    /* of READ and SEND */
	struct varlink_call call;
	struct varlink_request request;
	size_t have;
	char in[VARLINK_MESSAGE_MAX];
	char *out;              /* owned */
	size_t out_len, out_at;
};

struct varlink {
	uv_poll_t listen;
	uv_timer_t tick;
	int fd;
	unsigned handles;       /* not yet closed */
	bool paused;            /* no descriptor was left: until the next tick */
	struct varlink_calls calls;
	char version[32];
	struct list clients;
	char reply[8192];       /* of what is answered here */
};

static void client_go_on(struct client *c);

static struct client *client_of(struct list_node *n)
{
	return container_of(n, struct client, node);
}

/* --- ends ------------------------------------------------------------------------------- */

static void handle_gone(struct varlink *v)
{
	if (--v->handles == 0)
		free(v);
}

static void on_client_closed(uv_handle_t *h)
{
	struct client *c = h->data;
	struct varlink *v = c->v;

	close(c->fd);
	free(c->out);
	free(c);
	handle_gone(v);
}

static void client_close(struct client *c)
{
	struct varlink *v = c->v;

	if (uv_is_closing((uv_handle_t *)&c->poll))
		return;
	if (c->state == BUSY)
		v->calls.cancel(v->calls.ctx, &c->request);
	c->state = READ;
	v->calls.left(v->calls.ctx, c->request.client);
	list_remove(&v->clients, &c->node);
	uv_close((uv_handle_t *)&c->poll, on_client_closed);
	if (v->clients.n == 0 && !v->paused)
		uv_timer_stop(&v->tick);
}

/* --- watching ---------------------------------------------------------------------------- */

static void on_event(uv_poll_t *poll, int status, int events);

/* what its state waits for; a side that has ended would be ready for ever */
static void watch(struct client *c)
{
	int events = c->half ? 0 : UV_DISCONNECT;

	if (uv_is_closing((uv_handle_t *)&c->poll))
		return;
	if (c->state == READ)
		events |= UV_READABLE;
	if (c->state == SEND)
		events |= UV_WRITABLE;
	if (events == 0) /* BUSY: its full end still shows, as HUP, to who waits for nothing */
		events = UV_PRIORITIZED;
	uv_poll_start(&c->poll, events, on_event);
}

static void wait_for(struct client *c, enum state s, int64_t ms)
{
	c->state = s;
	c->deadline_ms = clock_boot_ms() + ms;
	watch(c);
}

/* --- out --------------------------------------------------------------------------------- */

/* false: it is closed */
static bool send_some(struct client *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch(c);
			return false;
		}
		if (n < 0) {
			client_close(c);
			return false;
		}
		c->out_at += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	return true;
}

/* true: all of it is out */
static bool say(struct client *c, const char *message, size_t len)
{
	c->state = SEND;
	c->deadline_ms = clock_boot_ms() + MESSAGE_MS;
	if (c->call.oneway)
		return true;
	c->out = len < REPLY_MAX ? malloc(len + 1) : NULL;
	if (!c->out) {
		client_close(c);
		return false;
	}
	memcpy(c->out, message, len);
	c->out[len] = '\0';
	c->out_len = len + 1;
	c->out_at = 0;
	return send_some(c);
}

void varlink_reply(struct varlink_request *r, const char *message, size_t len)
{
	struct client *c = container_of(r, struct client, request);
	bool inside = c->state == READ; /* of take(): who called it goes on */

	if (say(c, message, len) && !inside)
		client_go_on(c);
}

/* --- in ---------------------------------------------------------------------------------- */

/* what needs nobody's names; true: answered */
static bool answer_here(struct client *c, int r, const struct varlink_error *err)
{
	struct text t = text_into(c->v->reply, sizeof(c->v->reply));

	if (r > 0)
		varlink_error_write(&t, err);
	else if (c->call.method == VARLINK_INFO)
		varlink_info_write(&t, c->v->version);
	else if (c->call.method == VARLINK_DESCRIPTION)
		varlink_description_write(&t, &c->call);
	else
		return false;
	say(c, t.s, t.len);
	return true;
}

/* the first message that is there, taken off; false: it waits, or is closed */
static bool take_one(struct client *c)
{
	char *nul = memchr(c->in, '\0', c->have);
	struct varlink *v = c->v;
	struct varlink_error err;
	size_t len;
	int r;

	if (!nul)
		return false;
	len = (size_t)(nul - c->in);
	r = varlink_call_read(c->in, len, &c->call, &err);
	if (r < 0) {
		client_close(c);
		return false;
	}
	c->have -= len + 1;
	memmove(c->in, nul + 1, c->have);
	if (!answer_here(c, r, &err)) {
		c->state = READ;
		v->calls.take(v->calls.ctx, &c->request);
		if (uv_is_closing((uv_handle_t *)&c->poll))
			return false;
		if (c->state == READ)
			c->state = BUSY; /* not answered yet */
	}
	if (uv_is_closing((uv_handle_t *)&c->poll))
		return false;
	return c->state == SEND && !c->out;
}

/* one that has said something and stopped in the middle is waited for less */
static void client_go_on(struct client *c)
{
	while (take_one(c))
		;
	if (uv_is_closing((uv_handle_t *)&c->poll))
		return;
	if (c->state == BUSY || c->out) {
		watch(c);
		return;
	}
	if (c->ended || c->have == sizeof(c->in)) {
		client_close(c);
		return;
	}
	wait_for(c, READ, c->have ? MESSAGE_MS : IDLE_MS);
}

/* who wrote what is read? Descriptors that come along find no room, and are gone */
static void look_at_sender(struct client *c, struct msghdr *m)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(m);
	struct ucred sender = { 0 };

	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS)
		memcpy(&sender, CMSG_DATA(h), sizeof(sender));
	if (sender.pid == 0 || sender.pid != c->peer.pid)
		c->request.shared = true;
}

static void client_read(struct client *c)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec at = { c->in + c->have, sizeof(c->in) - c->have };
	struct msghdr m = { .msg_iov = &at, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_close(c);
		return;
	}
	if (n == 0)
		c->half = c->ended = true;
	else
		look_at_sender(c, &m);
	c->have += (size_t)n;
	client_go_on(c);
}

static bool gone(const struct client *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;

	if (status < 0) {
		client_close(c);
		return;
	}
	if (c->state == READ && (events & (UV_READABLE | UV_DISCONNECT))) {
		client_read(c); /* what it sent before it left is still there */
		return;
	}
	if (gone(c)) {
		client_close(c);
		return;
	}
	if (c->state == SEND && (events & UV_WRITABLE) && send_some(c)) {
		client_go_on(c);
		return;
	}
	if (events & UV_DISCONNECT) {
		c->half = true;
		watch(c);
	}
}

/* --- clients that come -------------------------------------------------------------------- */

static bool too_many(const struct varlink *v, uid_t uid)
{
	unsigned n = 0;

	for (struct list_node *at = v->clients.newest; at; at = at->older)
		n += client_of(at)->peer.uid == uid;
	return v->clients.n >= VARLINK_CLIENTS_MAX || n >= VARLINK_PER_USER;
}

static void tick_start(struct varlink *v);

/* takes fd */
static void client_new(struct varlink *v, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *c = NULL;
	int on = 1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
		too_many(v, peer.uid) || !(c = calloc(1, sizeof(*c)))) {
		close(fd);
		return;
	}
	c->v = v;
	c->fd = fd;
	c->peer = peer;
	c->request.call = &c->call;
	c->request.client = v->calls.came(v->calls.ctx, fd);
	if (!c->request.client || uv_poll_init(v->listen.loop, &c->poll, fd) < 0) {
		if (c->request.client)
			v->calls.left(v->calls.ctx, c->request.client);
		free(c);
		close(fd);
		return;
	}
	c->poll.data = c;
	v->handles++;
	list_add(&v->clients, &c->node);
	tick_start(v);
	wait_for(c, READ, IDLE_MS);
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct varlink *v = poll->data;

	(void)events;
	for (int i = 0; i < 64 && status >= 0; i++) {
		int fd = accept4(v->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			client_new(v, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			v->paused = true;
			uv_poll_stop(&v->listen);
			tick_start(v);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct varlink *v = timer->data;
	int64_t now = clock_boot_ms();

	if (v->paused) {
		v->paused = false;
		uv_poll_start(&v->listen, UV_READABLE, on_listen);
	}
	for (struct list_node *n = v->clients.oldest, *newer; n; n = newer) {
		struct client *c = client_of(n);

		newer = n->newer;
		if (c->state != BUSY && c->deadline_ms <= now)
			client_close(c);
	}
	if (v->clients.n == 0)
		uv_timer_stop(timer);
}

static void tick_start(struct varlink *v)
{
	if (!uv_is_active((uv_handle_t *)&v->tick))
		uv_timer_start(&v->tick, on_tick, TICK_MS, TICK_MS);
}

/* --- all of it ---------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *h)
{
	handle_gone(h->data);
}

int varlink_open(struct uv_loop_s *loop, int fd, const char *version,
	const struct varlink_calls *calls, struct varlink **out)
{
	struct varlink *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->fd = fd;
	v->calls = *calls;
	text_copy(v->version, sizeof(v->version), version);
	r = uv_poll_init(loop, &v->listen, fd);
	if (r < 0) {
		free(v);
		return r;
	}
	uv_timer_init(loop, &v->tick);
	v->handles = 2;
	v->listen.data = v->tick.data = v;
	r = uv_poll_start(&v->listen, UV_READABLE, on_listen);
	if (r < 0) {
		varlink_close(v);
		return r;
	}
	*out = v;
	return 0;
}

void varlink_close(struct varlink *v)
{
	if (!v)
		return;
	while (v->clients.oldest)
		client_close(client_of(v->clients.oldest));
	uv_close((uv_handle_t *)&v->listen, on_closed);
	uv_close((uv_handle_t *)&v->tick, on_closed);
}
