/* SPDX-License-Identifier: GPL-2.0-or-later
 * Plain DNS over UDP, and TCP for what is truncated, by c-ares on the loop. Setting the
 * mark needs CAP_NET_ADMIN.
 *
 * Theory of operation. A c-ares channel keeps one source port while it has queries under
 * way, so there are several channels and a query takes one at random; after a while a
 * channel takes no more until it is empty, when c-ares closes its sockets and so changes
 * its port. c-ares tells which sockets to watch, and when it wants to be woken: one poll
 * handle a socket, one timer a channel. Channels are destroyed from the timers' close
 * callback only: never while c-ares is on the stack. */
#include "resolver/transport.h"

#include "base/macros.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	CHANNELS = 4,
	CHANNEL_QUERIES = 64, /* then it drains and gets another port */
	UDP_READ_MAX = 4096,  /* larger is taken for truncated */
	TIMEOUT_MS = 2000,
};

struct socket {
	uv_poll_t poll;
	struct socket *next;
	struct channel *channel;
	ares_socket_t fd;
};

struct channel {
	ares_channel ares;
	uv_timer_t timer;
	struct socket *sockets;
	struct transport *owner;
	unsigned active, sent;
};

struct transport {
	struct channel channels[CHANNELS];
	unsigned open; /* channels whose timer is a handle of the loop */
	uint32_t mark;
};

struct try {
	struct channel *channel;
	try_done done; /* NULL: forgotten */
	void *ctx;
};

static int from_ares(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return -ECANCELED;
	case ARES_EBADQUERY:
	case ARES_EBADRESP:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static void on_timer(uv_timer_t *timer);

static void timer_set(struct channel *ch)
{
	struct timeval tv, *t = ares_timeout(ch->ares, NULL, &tv);

	if (uv_is_closing((uv_handle_t *)&ch->timer))
		return;
	if (!t)
		uv_timer_stop(&ch->timer);
	else
		uv_timer_start(&ch->timer, on_timer,
			(uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 + 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct channel *ch = container_of(timer, struct channel, timer);

	ares_process_fd(ch->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_set(ch);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct socket *s = container_of(poll, struct socket, poll);
	struct channel *ch = s->channel;
	ares_socket_t fd = s->fd;

	if (status < 0) /* let both sides see the error */
		events = UV_READABLE | UV_WRITABLE;
	ares_process_fd(ch->ares, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
		events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
	timer_set(ch);
}

static void on_socket_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct socket, poll));
}

static struct socket *socket_watch(struct channel *ch, ares_socket_t fd)
{
	struct socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (uv_poll_init(ch->timer.loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->fd = fd;
	s->channel = ch;
	s->next = ch->sockets;
	ch->sockets = s;
	return s;
}

/* c-ares wants to be told about fd, or (neither) is about to close it */
static void on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct channel *ch = ctx;
	struct socket **at = &ch->sockets, *s;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	s = *at;
	if (!readable && !writable) {
		if (!s)
			return;
		*at = s->next;
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, on_socket_closed);
		return;
	}
	if (!s)
		s = socket_watch(ch, fd);
	if (s) /* else the query times out */
		uv_poll_start(&s->poll, (readable ? UV_READABLE : 0) |
			(writable ? UV_WRITABLE : 0), on_socket);
}

/* A socket without our mark would meet our own gate: rather none */
static int on_new_socket(ares_socket_t fd, int type, void *ctx)
{
	struct channel *ch = ctx;
	uint32_t mark = ch->owner->mark;

	(void)type;
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -1;
	return 0;
}

/* Everything is given, so that c-ares reads no file of the system's */
static int ares_open(struct channel *ch, const struct upstream *to, unsigned timeout_ms)
{
	struct ares_options o = {
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH |
			ARES_FLAG_NOALIASES,
		.timeout = (int)(timeout_ms ? timeout_ms : TIMEOUT_MS),
		.tries = 1, .ndots = 1, .ednspsz = UDP_READ_MAX, .lookups = (char *)"b",
		.sock_state_cb = on_state, .sock_state_cb_data = ch,
	};
	char addr[ADDR_TEXT_MAX], csv[ADDR_TEXT_MAX + 10];
	int r = ares_init_options(&ch->ares, &o, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
		ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS |
		ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_SERVERS |
		ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE);

	if (r != ARES_SUCCESS) {
		ch->ares = NULL;
		return from_ares(r);
	}
	snprintf(csv, sizeof(csv), to->addr.family == 4 ? "%s:%u" : "[%s]:%u",
		addr_text(&to->addr, addr), to->port);
	ares_set_socket_configure_callback(ch->ares, on_new_socket, ch);
	return from_ares(ares_set_servers_ports_csv(ch->ares, csv));
}

static void on_timer_closed(uv_handle_t *h)
{
	struct channel *ch = container_of((uv_timer_t *)h, struct channel, timer);
	struct transport *t = ch->owner;

	if (ch->ares)
		ares_destroy(ch->ares);
	if (--t->open > 0)
		return;
	free(t);
	ares_library_cleanup();
}

static void plain_close(struct transport *t)
{
	unsigned n = t->open;

	for (unsigned i = 0; i < n; i++) {
		uv_timer_stop(&t->channels[i].timer);
		uv_close((uv_handle_t *)&t->channels[i].timer, on_timer_closed);
	}
}

static int plain_open(struct uv_loop_s *loop, const struct upstream *to,
	const struct resolver_conf *conf, struct transport **out)
{
	struct transport *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = from_ares(ares_library_init(ARES_LIB_INIT_ALL)); /* counted */
	if (r < 0) {
		free(t);
		return r;
	}
	t->mark = conf->mark;
	for (unsigned i = 0; i < CHANNELS && r == 0; i++) {
		struct channel *ch = &t->channels[i];

		ch->owner = t;
		r = uv_timer_init(loop, &ch->timer);
		if (r < 0)
			break;
		t->open++;
		r = ares_open(ch, to, conf->timeout_ms);
	}
	if (r == 0)
		*out = t;
	else if (t->open)
		plain_close(t); /* on_timer_closed frees t */
	else
		free(t);
	return r;
}

static struct channel *channel_pick(struct transport *t)
{
	uint8_t from = 0;

	if (getrandom(&from, 1, 0) != 1)
		from = (uint8_t)uv_hrtime();
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct channel *ch = &t->channels[(from + i) % CHANNELS];

		if (ch->active == 0)
			ch->sent = 0;
		if (ch->sent < CHANNEL_QUERIES)
			return ch;
	}
	return &t->channels[from % CHANNELS];
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *msg, int len)
{
	struct try *t = ctx;
	try_done done = t->done;
	void *done_ctx = t->ctx;

	(void)timeouts;
	t->channel->active--;
	free(t);
	if (done)
		done(done_ctx, from_ares(status), msg, msg ? (size_t)len : 0);
}

/* what plain_send hands to done until it knows whether it was called already */
struct first {
	bool called;
	int r;
};

static void on_first(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct first *f = ctx;

	(void)msg; /* no reply can be there already: only failures come at once */
	(void)len;
	f->called = true;
	f->r = r < 0 ? r : -EIO;
}

static int plain_send(struct transport *tr, const uint8_t *msg, size_t len, try_done done,
	void *ctx, struct try **out)
{
	struct first first = { false, 0 };
	struct channel *ch = channel_pick(tr);
	struct try *t = malloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct try){ .channel = ch, .done = on_first, .ctx = &first };
	ch->active++;
	ch->sent++;
	ares_send(ch->ares, msg, (int)len, on_answer, t);
	timer_set(ch);
	if (first.called)
		return first.r;
	t->done = done;
	t->ctx = ctx;
	*out = t;
	return 0;
}

static void plain_forget(struct try *t)
{
	t->done = NULL;
}

const struct transport_kind plain_transport = { plain_open, plain_close, plain_send,
	plain_forget, NULL };
