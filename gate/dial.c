/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/dial.h"
#include "base/macros.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <uv.h>

struct dial {
	uv_poll_t poll;
	int fd;
	void (*done)(void *ctx, int fd);
	void *ctx;
};

static void gone(uv_handle_t *h)
{
	free(container_of(h, struct dial, poll));
}

/* the descriptor is another's from here on */
static int leave(struct dial *d)
{
	int fd = d->fd;

	uv_poll_stop(&d->poll);
	uv_close((uv_handle_t *)&d->poll, gone);
	return fd;
}

void dial_close(struct dial *d)
{
	if (d)
		close(leave(d));
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
	struct dial *d = container_of(poll, struct dial, poll);
	int error = 0, fd = leave(d);
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (status < 0 && !error)
		error = -status;
	if (error)
		close(fd);
	d->done(d->ctx, error ? -error : fd);
}

static int begin(uint32_t mark, const struct addr *to, uint16_t port, int *out)
{
	struct sockaddr_storage at;
	socklen_t len = (socklen_t)addr_to_sockaddr(to, port, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
		(connect(fd, (struct sockaddr *)&at, len) < 0 && errno != EINPROGRESS)) {
		r = -errno;
		close(fd);
		return r;
	}
	*out = fd;
	return 0;
}

int dial_open(struct uv_loop_s *loop, uint32_t mark, const struct addr *to, uint16_t port,
	void (*done)(void *ctx, int fd), void *ctx, struct dial **out)
{
	struct dial *d = calloc(1, sizeof(*d));
	int r = d ? begin(mark, to, port, &d->fd) : -ENOMEM;

	if (r < 0) {
		free(d);
		return r;
	}
	r = uv_poll_init(loop, &d->poll, d->fd);
	if (r < 0) {
		close(d->fd);
		free(d);
		return r;
	}
	d->done = done;
	d->ctx = ctx;
	r = uv_poll_start(&d->poll, UV_WRITABLE, on_connected);
	if (r < 0) {
		dial_close(d);
		return r;
	}
	*out = d;
	return 0;
}
