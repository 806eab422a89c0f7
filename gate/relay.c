/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. Two ways, each with a source and a sink. A way that is looked at
 * reads into a buffer; what look() lets go is written to the sink. A way that is open moves
 * bytes through a pipe, source to pipe to sink, without copying them; it borrows the pipe
 * only while bytes are in it, so a quiet connection holds two descriptors. Each descriptor is
 * polled for just what its two ways can use now; nothing is read that cannot be put
 * somewhere: that is all the back-pressure there is.
 */
#include "gate/relay.h"

#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
	POOL_MAX = 64, /* pipes, and buffers */
	PIPE_BYTES = 65536,     /* the kernel's own size */
	PIPE_GROWN = 1 << 20,   /* of one that was full: half the work for many bytes */
	GROWN_MAX = 32,         /* a user's pipes may have 64 MB, then they are tiny */
	TURN_MAX = 16,          /* reads of one way, or */
	TURN_BYTES = 1 << 20,   /* so much, before others have their turn */
};

struct pipe {
	int fd[2];              /* -1: none borrowed */
	size_t bytes;           /* it holds */
};

/* Buffers are pages of their own, so that what a crowd needed goes back to the kernel: between
 * what else is allocated, it would stay in the heap. */
struct relay_pool {
	struct pipe pipes[POOL_MAX];
	unsigned n, grown;
	uint8_t *buffers[POOL_MAX];
	unsigned nbuffers;
};

struct way {
	struct pipe pipe;
	size_t piped, moved;  /* in it; read in this turn */
	uint8_t *buf;         /* NULL: nothing is looked at any more, and all of it is out */
	size_t have, ok;      /* in buf; of them may go */
	bool looked, end, shut;
};

struct side {
	uv_poll_t poll;
	int fd;               /* -1: not joined yet */
	int events;
	bool polled;          /* the handle is open */
};

struct relay {
	uv_loop_t *loop;
	struct relay_pool *pool;
	struct relay_calls calls;
	struct side sides[2];
	struct way ways[2];   /* by the side it comes from */
	unsigned open_handles;
	bool over;
	bool busy, poked[2];  /* relay_look() from inside look() waits for its end */
};

int relay_pool_new(struct relay_pool **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void pipe_close(struct relay_pool *p, const struct pipe *pipe)
{
	close(pipe->fd[0]);
	close(pipe->fd[1]);
	p->grown -= pipe->bytes > PIPE_BYTES;
}

void relay_pool_free(struct relay_pool *p)
{
	if (!p)
		return;
	while (p->n)
		pipe_close(p, &p->pipes[--p->n]);
	while (p->nbuffers)
		munmap(p->buffers[--p->nbuffers], RELAY_BUFFER);
	free(p);
}

static int buffer_borrow(struct relay *r, struct way *w)
{
	struct relay_pool *p = r->pool;
	void *pages;

	if (w->buf)
		return 0;
	if (p->nbuffers) {
		w->buf = p->buffers[--p->nbuffers];
		return 0;
	}
	pages = mmap(NULL, RELAY_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (pages == MAP_FAILED)
		return -errno;
	w->buf = pages;
	return 0;
}

static void buffer_return(struct relay *r, struct way *w)
{
	struct relay_pool *p = r->pool;

	if (w->buf && p->nbuffers < POOL_MAX)
		p->buffers[p->nbuffers++] = w->buf;
	else if (w->buf)
		munmap(w->buf, RELAY_BUFFER);
	w->buf = NULL;
}

static int pipe_borrow(struct relay *r, struct way *w)
{
	struct relay_pool *p = r->pool;

	if (w->pipe.fd[0] >= 0)
		return 0;
	if (p->n) {
		w->pipe = p->pipes[--p->n];
		return 0;
	}
	w->pipe.bytes = PIPE_BYTES;
	return pipe2(w->pipe.fd, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

static void pipe_grow(struct relay *r, struct way *w)
{
	if (w->pipe.bytes > PIPE_BYTES || r->pool->grown == GROWN_MAX ||
		fcntl(w->pipe.fd[1], F_SETPIPE_SZ, PIPE_GROWN) < 0)
		return;
	w->pipe.bytes = PIPE_GROWN;
	r->pool->grown++;
}

/* only an empty one may be another's next */
static void pipe_return(struct relay *r, struct way *w)
{
	struct relay_pool *p = r->pool;

	if (w->pipe.fd[0] < 0)
		return;
	if (w->piped == 0 && p->n < POOL_MAX)
		p->pipes[p->n++] = w->pipe;
	else
		pipe_close(p, &w->pipe);
	w->pipe.fd[0] = w->pipe.fd[1] = -1;
	w->piped = 0;
}

/* --- one way ------------------------------------------------------------------------------ */

static bool again(int r)
{
	return r == -EAGAIN || r == -EINTR;
}

/* what may go and is not out yet */
static bool way_full(const struct way *w)
{
	return w->piped || w->ok;
}

static bool way_reads(const struct way *w)
{
	if (w->end)
		return false;
	return w->looked ? w->have < RELAY_BUFFER : !way_full(w);
}

static int ask(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];
	ssize_t n = r->calls.look(r->calls.ctx, from, w->buf + w->ok, w->have - w->ok, w->end);

	if (n == RELAY_ABORT)
		return -ECONNABORTED;
	if (n == RELAY_OPEN) {
		w->looked = false;
		n = (ssize_t)(w->have - w->ok);
	}
	w->ok += MIN((size_t)n, w->have - w->ok);
	return 0;
}

/* buffered bytes out; 1: all that may go went */
static int send_ok(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];
	int to = r->sides[!from].fd;

	while (w->ok) {
		ssize_t n = send(to, w->buf, w->ok, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return -errno;
		memmove(w->buf, w->buf + n, w->have - (size_t)n);
		w->have -= (size_t)n;
		w->ok -= (size_t)n;
	}
	if (!w->looked && w->have == 0)
		buffer_return(r, w);
	return 1;
}

/* 1: there was something, 0: the end */
static int read_looked(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];
	ssize_t n = buffer_borrow(r, w);

	if (n < 0)
		return (int)n;
	n = recv(r->sides[from].fd, w->buf + w->have, RELAY_BUFFER - w->have, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	w->have += (size_t)n;
	w->end = n == 0;
	n = ask(r, from);
	return n < 0 ? (int)n : !w->end;
}

static int splice_in(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];
	ssize_t n = pipe_borrow(r, w);

	if (n < 0)
		return (int)n;
	n = splice(r->sides[from].fd, NULL, w->pipe.fd[1], NULL, w->pipe.bytes,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0)
		return -errno;
	w->piped = (size_t)n;
	w->moved += (size_t)n;
	w->end = n == 0;
	if (w->piped == w->pipe.bytes)
		pipe_grow(r, w);
	return !w->end;
}

static int splice_out(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];

	while (w->piped) {
		ssize_t n = splice(w->pipe.fd[0], NULL, r->sides[!from].fd, NULL, w->piped,
			SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0)
			return -errno;
		w->piped -= (size_t)n;
	}
	return 1;
}

static void pass_end_on(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];

	if (!w->end || w->shut || way_full(w) || (w->looked && w->have) ||
		r->sides[!from].fd < 0)
		return;
	w->shut = true;
	shutdown(r->sides[!from].fd, SHUT_WR); /* a reset that came first shows on its own */
}

/* as far as it goes now: 0 or -errno of a stream that broke */
static int way_move(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];
	int n = 1;

	w->moved = 0;
	for (int turn = 0; n > 0 && turn < TURN_MAX && w->moved < TURN_BYTES; turn++) {
		if (w->ok && r->sides[!from].fd >= 0)
			n = send_ok(r, from);
		if (n > 0 && w->piped)
			n = splice_out(r, from);
		if (n > 0 && way_reads(w))
			n = w->looked ? read_looked(r, from) : splice_in(r, from);
		else if (n > 0)
			break;
	}
	if (n < 0 && !again(n))
		return n;
	if (w->piped == 0)
		pipe_return(r, w);
	pass_end_on(r, from);
	return 0;
}

/* --- both --------------------------------------------------------------------------------- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void side_poll(struct relay *r, enum relay_side which)
{
	struct side *s = &r->sides[which];
	int want = 0;

	if (s->fd < 0)
		return;
	if (way_reads(&r->ways[which]))
		want |= UV_READABLE;
	if (way_full(&r->ways[!which]))
		want |= UV_WRITABLE;
	if (want == s->events)
		return;
	s->events = want;
	if (want)
		uv_poll_start(&s->poll, want, on_ready);
	else
		uv_poll_stop(&s->poll);
}

static void gone(uv_handle_t *h)
{
	struct relay *r = h->data;

	if (--r->open_handles == 0)
		free(r);
}

static void reset_on_close(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void side_close(struct side *s, bool reset)
{
	if (s->fd < 0)
		return;
	if (s->polled) {
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, gone);
	}
	if (reset)
		reset_on_close(s->fd);
	close(s->fd);
	s->fd = -1;
}

static void close_all(struct relay *r, bool reset)
{
	r->over = true;
	for (int i = 0; i < 2; i++) {
		pipe_return(r, &r->ways[i]);
		buffer_return(r, &r->ways[i]);
	}
	/* the last handle's end frees r: the other's state is read before */
	for (int i = 0; i < 2; i++)
		side_close(&r->sides[i], reset);
}

void relay_close(struct relay *r, bool reset)
{
	if (!r->over)
		close_all(r, reset);
}

static void finish(struct relay *r, int result)
{
	r->over = true;
	r->calls.over(r->calls.ctx, result);
	close_all(r, result < 0);
}

static int poked(struct relay *r, enum relay_side from)
{
	struct way *w = &r->ways[from];

	r->poked[from] = false;
	return w->looked && (w->have || w->end) ? ask(r, from) : 0;
}

static int ways_move(struct relay *r)
{
	int n = 0;

	do {
		for (int i = 0; i < 2 && n == 0; i++) {
			enum relay_side from = (enum relay_side)i;

			if (r->sides[from].fd < 0)
				continue;
			if (r->poked[from])
				n = poked(r, from);
			if (n == 0)
				n = way_move(r, from);
		}
	} while (n == 0 && (r->poked[0] || (r->poked[1] && r->sides[1].fd >= 0)));
	return n;
}

static void move(struct relay *r)
{
	int n;

	r->busy = true;
	n = ways_move(r);
	r->busy = false;
	if (n < 0 || (r->ways[0].shut && r->ways[1].shut)) {
		finish(r, n);
		return;
	}
	side_poll(r, RELAY_CLIENT);
	side_poll(r, RELAY_SERVER);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct relay *r = poll->data;

	(void)events;
	if (r->over)
		return;
	if (status < 0)
		finish(r, status);
	else
		move(r);
}

static int side_open(struct relay *r, enum relay_side which, int fd)
{
	struct side *s = &r->sides[which];
	int n = uv_poll_init(r->loop, &s->poll, fd);

	if (n < 0)
		return n;
	s->poll.data = r;
	s->polled = true;
	s->fd = fd;
	r->open_handles++;
	return 0;
}

int relay_open(struct uv_loop_s *loop, struct relay_pool *pool, int client,
	const struct relay_calls *calls, struct relay **out)
{
	struct relay *r = calloc(1, sizeof(*r));
	int n;

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->pool = pool;
	r->calls = *calls;
	for (int i = 0; i < 2; i++) {
		r->sides[i].fd = -1;
		r->ways[i].pipe.fd[0] = r->ways[i].pipe.fd[1] = -1;
	}
	r->ways[RELAY_CLIENT].looked = true;
	n = side_open(r, RELAY_CLIENT, client);
	if (n < 0) {
		free(r);
		return n;
	}
	side_poll(r, RELAY_CLIENT);
	*out = r;
	return 0;
}

int relay_join(struct relay *r, int server, bool look_back)
{
	int n = side_open(r, RELAY_SERVER, server);

	if (n < 0)
		return n;
	r->ways[RELAY_SERVER].looked = look_back;
	side_poll(r, RELAY_CLIENT);
	side_poll(r, RELAY_SERVER);
	return 0;
}

void relay_look(struct relay *r, enum relay_side from)
{
	if (r->over)
		return;
	r->poked[from] = true;
	if (!r->busy)
		move(r);
}

int relay_fd(const struct relay *r, enum relay_side side)
{
	return r->sides[side].fd;
}
