/* SPDX-License-Identifier: GPL-2.0-or-later
 * Who is at the other end of a UNIX socket. The kernel kept who connected: from Linux 6.5 on
 * as a pidfd, before as a pid, which could be another's by now if its process died in
 * between, and all numbers were used once, and the new one were the sender of what is read.
 * A number and what is read by it hold together while the pidfd says that the process lives.
 *
 * What it is now counts: an exec between connecting and asking shows as the new program. */
#include "who/state.h"

#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static bool alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

int who_peer_open(struct who *w, int fd, struct who_peer *out)
{
	struct who_peer p = { .pidfd = -1 };
	struct ucred peer;
	struct who_event e;
	socklen_t len = sizeof(peer);
	int r = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (peer.pid <= 0)
		return -ESRCH; /* of a pid namespace that is not below ours */
	p.pid = peer.pid;
	p.uid = peer.uid;
	len = sizeof(p.pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &p.pidfd, &len) < 0)
		p.pidfd = (int)syscall(SYS_pidfd_open, p.pid, 0);
	if (p.pidfd < 0)
		return -errno;
	r = iter_birth(w, p.pid, &e);
	if (r == 0 && !alive(p.pidfd))
		r = -ESRCH;
	if (r < 0) {
		close(p.pidfd);
		return r;
	}
	p.start = e.start;
	*out = p;
	return 0;
}

void who_peer_close(struct who_peer *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}

uint32_t who_peer_actor(struct who *w, const struct who_peer *p, struct process *out,
	bool *in_scope)
{
	struct process process = { .pid = p->pid, .start = p->start, .uid = p->uid };
	struct who_event e;
	uint32_t actor;

	if (iter_birth(w, p->pid, &e) < 0 || e.start != p->start)
		return ACTOR_UNKNOWN;
	actor = e.actor ? who_number_of(w, p->pid) : ACTOR_NONE;
	if (!alive(p->pidfd))
		return ACTOR_UNKNOWN;
	if (processes_find(w->processes, p->pid, p->start, &process) < 0 && e.actor)
		text_copy(process.path, sizeof(process.path), who_actor(w, actor)->path);
	process.uid = e.uid;
	*in_scope = e.actor;
	*out = process;
	return actor;
}
