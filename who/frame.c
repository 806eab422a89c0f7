/* SPDX-License-Identifier: GPL-2.0-or-later
 * The program that meets frames of packet sockets hangs on every interface but lo. Those
 * there at the opening are pinned like the other hooks; later ones are seen by rtnetlink
 * while the core lives. Kernels before 6.6 have no such links (tcx): there, who_stats()
 * says that none is held.
 * Needs CAP_BPF and CAP_NET_ADMIN. */
#include "who/state.h"

#include "base/loop.h"
#include "base/macros.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <uv.h>

enum { TCX_EGRESS = 47, LOOPBACK = 1 }; /* BPF_TCX_EGRESS: younger than the headers may be */

struct frame_watch {
	uv_poll_t poll;
	struct who *w;
	int fd;
};

bool frames_possible(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
		(major > 6 || (major == 6 && minor >= 6));
}

/* a pinned link that still hangs on its interface is given the new program */
static int link_of(struct who *w, unsigned ifindex, const char *path)
{
	char fresh[WHO_DIR_MAX + 8];
	int fd;

	if (!frames_possible())
		return -EOPNOTSUPP;
	fd = path[0] ? bpf_obj_get(path) : -1;
	if (fd >= 0 && bpf_link_update(fd, frame_program_fd(w), NULL) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	fd = bpf_link_create(frame_program_fd(w), (int)ifindex,
		(enum bpf_attach_type)TCX_EGRESS, NULL);
	if (fd < 0 || !path[0])
		return fd;
	snprintf(fresh, sizeof(fresh), "%s-new", path);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh) == 0)
		rename(fresh, path);
	return fd; /* where it cannot be pinned it lasts as long as this process */
}

static bool held(const struct who *w, unsigned ifindex)
{
	for (unsigned i = 0; i < w->nwires; i++)
		if (w->wires[i].ifindex == ifindex)
			return true;
	return false;
}

static void hold(struct who *w, unsigned ifindex)
{
	char path[WHO_DIR_MAX] = "";
	int fd;

	if (w->nwires >= WHO_WIRES_MAX || held(w, ifindex))
		return;
	if (w->pins[0] && snprintf(path, sizeof(path), "%s/links/frame-%u", w->pins, ifindex) >=
		(int)sizeof(path))
		path[0] = '\0';
	fd = link_of(w, ifindex, path);
	w->frames_error = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	w->wires[w->nwires].ifindex = ifindex;
	w->wires[w->nwires++].fd = fd;
}

static bool gone(unsigned ifindex)
{
	char name[IF_NAMESIZE];

	return !if_indextoname(ifindex, name);
}

void frames_attach(struct who *w)
{
	struct if_nameindex *all = if_nameindex();

	for (unsigned i = w->nwires; i-- > 0;)
		if (gone(w->wires[i].ifindex)) {
			close(w->wires[i].fd);
			w->wires[i] = w->wires[--w->nwires];
		}
	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (i->if_index != LOOPBACK)
			hold(w, i->if_index);
	if (all)
		if_freenameindex(all);
}

void frames_detach(struct who *w)
{
	while (w->nwires)
		close(w->wires[--w->nwires].fd); /* a pin keeps it */
}

static void on_links(uv_poll_t *poll, int status, int events)
{
	struct frame_watch *f = poll->data;
	char buf[8192];

	(void)status;
	(void)events;
	while (recv(f->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		; /* what changed is read afresh: messages may have been lost */
	frames_attach(f->w);
}

static void on_closed(uv_handle_t *h)
{
	struct frame_watch *f = h->data;

	close(f->fd);
	free(f);
}

int frames_watch(struct who *w)
{
	struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct frame_watch *f;
	int r = 0;

	if (!w->nwires)
		return 0; /* there is no such program, or nothing to hang it on */
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->w = w;
	f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (f->fd < 0 || bind(f->fd, (void *)&links, sizeof(links)) < 0)
		r = -errno;
	if (r == 0)
		r = uv_poll_init(w->loop, &f->poll, f->fd);
	if (r < 0) {
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return r;
	}
	f->poll.data = f;
	w->frames = f;
	return uv_poll_start(&f->poll, UV_READABLE, on_links);
}

void frames_unwatch(struct who *w)
{
	if (w->frames)
		uv_close((uv_handle_t *)&w->frames->poll, on_closed);
	w->frames = NULL;
}
