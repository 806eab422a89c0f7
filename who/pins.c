/* SPDX-License-Identifier: GPL-2.0-or-later
 * What outlives the daemon, below bpffs:
 *   PINS/maps-LAYOUT/NAME   numbers, pages, owners, ... found again by a later daemon
 *   PINS/links/PROGRAM      the hooks; their programs are exchanged in place
 * Needs CAP_BPF, and CAP_SYS_ADMIN where bpffs is not mounted yet. */
#include "who/state.h"

#include "base/io.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static const char bpffs[] = "/sys/fs/bpf";
static const char everybody[] = "/sys/fs/bpf/scupper";

static bool below_bpffs(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

static bool join(char out[static WHO_DIR_MAX], const char *a, const char *b)
{
	return snprintf(out, WHO_DIR_MAX, "%s/%s", a, b) < WHO_DIR_MAX;
}

int pins_map_path(const char *dir, const char *map, char out[static WHO_DIR_MAX])
{
	int n = snprintf(out, WHO_DIR_MAX, "%s/maps-%d/%s", dir, WHO_LAYOUT, map);

	return n < WHO_DIR_MAX ? 0 : -ENAMETOOLONG;
}

static int pins_mkdirs(const char *dir)
{
	char path[WHO_DIR_MAX];
	int r = pins_map_path(dir, "", path);

	if (r < 0)
		return r;
	path[strlen(path) - 1] = '\0'; /* the folder of the maps itself */
	r = io_mkdirs(path, 0700);
	if (r < 0)
		return r;
	return join(path, dir, "links") ? io_mkdirs(path, 0700) : -ENAMETOOLONG;
}

int pins_prepare(const char *dir, char *why, size_t why_max)
{
	int r;

	if (strncmp(dir, bpffs, sizeof(bpffs) - 1) == 0 && !below_bpffs(bpffs) &&
		mount("bpf", bpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		r = -errno;
		snprintf(why, why_max, "cannot mount bpffs at %s: %s", bpffs, strerror(-r));
		return r;
	}
	r = pins_mkdirs(dir);
	if (r == 0 && below_bpffs(dir))
		return 0;
	snprintf(why, why_max, "cannot keep BPF objects in %s: %s", dir,
		r ? strerror(-r) : "no bpffs is mounted there");
	return r ? r : -ENOTDIR;
}

bool pins_stale(const char *dir, uint32_t magic)
{
	struct who_meta meta;
	char path[WHO_DIR_MAX];
	uint32_t zero = 0;
	auto_close int fd = -1;

	if (pins_map_path(dir, "meta", path) < 0)
		return false;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false; /* there is nothing */
	return bpf_map_lookup_elem(fd, &zero, &meta) < 0 || !meta.ready || meta.magic != magic;
}

/* a hook that is pinned already and still hangs on this very scope: or NULL */
static struct bpf_link *link_kept(const struct who *w, const char *path)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	struct bpf_link *l = bpf_link__open(path);

	if (!l)
		return NULL;
	if (bpf_obj_get_info_by_fd(bpf_link__fd(l), &info, &len) == 0 &&
		info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == w->scope_id)
		return l;
	bpf_link__destroy(l);
	return NULL;
}

static int link_new(const struct who *w, const struct bpf_program *prog,
	struct bpf_link **out)
{
	struct bpf_link *l = bpf_program__type(prog) == BPF_PROG_TYPE_TRACING ?
		bpf_program__attach(prog) :
		bpf_program__attach_cgroup(prog, w->scope_fd);

	if (!l)
		return -errno;
	*out = l;
	return 0;
}

/* takes the place of what was pinned there, in one step */
static int link_pin(struct bpf_link *l, const char *path)
{
	char fresh[WHO_DIR_MAX];
	int r;

	if (snprintf(fresh, sizeof(fresh), "%s-new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	unlink(fresh); /* of a daemon that died right here */
	r = bpf_link__pin(l, fresh);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	return r;
}

int pins_link(struct who *w, const struct bpf_program *prog, struct bpf_link **out)
{
	char path[WHO_DIR_MAX], name[96];
	struct bpf_link *l = NULL;
	int r;

	if (!w->pins[0])
		return link_new(w, prog, out);
	snprintf(name, sizeof(name), "links/%s", bpf_program__name(prog));
	if (!join(path, w->pins, name))
		return -ENAMETOOLONG;
	l = link_kept(w, path);
	if (l) {
		r = bpf_link__update_program(l, (struct bpf_program *)(uintptr_t)prog);
	} else {
		r = link_new(w, prog, &l);
		if (r == 0)
			r = link_pin(l, path);
	}
	if (r < 0) {
		bpf_link__destroy(l);
		return r;
	}
	*out = l;
	return 0;
}

/* everything in a folder of pins, and the folder */
static int folder_remove(const char *path)
{
	char file[WHO_DIR_MAX];
	struct dirent *e;
	DIR *d = opendir(path);
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && join(file, path, e->d_name) && unlink(file) < 0)
			r = -errno;
	closedir(d);
	return rmdir(path) < 0 && r == 0 ? -errno : r;
}

int who_unpin(const char *pins)
{
	char path[WHO_DIR_MAX];
	struct dirent *e;
	DIR *d;
	int r;

	if (!join(path, pins, "links"))
		return -ENAMETOOLONG;
	r = folder_remove(path); /* first what acts, then what it acts on */
	d = opendir(pins);
	if (!d)
		return errno == ENOENT ? r : -errno;
	while (r == 0 && (e = readdir(d)))
		if (strncmp(e->d_name, "maps-", 5) == 0 && join(path, pins, e->d_name))
			r = folder_remove(path);
	closedir(d);
	return rmdir(pins) < 0 && r == 0 ? -errno : r;
}

static void register_at(const char *dir, uint32_t tgid, const struct who_self *self)
{
	char path[WHO_DIR_MAX];
	auto_close int fd = -1;

	if (pins_map_path(dir, "selves", path) < 0)
		return;
	fd = bpf_obj_get(path);
	if (fd >= 0)
		bpf_map_update_elem(fd, &tgid, self, BPF_ANY);
}

void pins_register_elsewhere(struct who *w, uint32_t tgid, const struct who_self *self)
{
	char path[WHO_DIR_MAX];
	struct dirent *e;
	DIR *d;

	if (!text_copy(path, sizeof(path), w->pins[0] ? w->pins : everybody))
		return;
	if (w->pins[0] && strrchr(path, '/'))
		*strrchr(path, '/') = '\0';
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d))) {
		char dir[WHO_DIR_MAX];

		if (e->d_name[0] != '.' && join(dir, path, e->d_name) &&
			strcmp(dir, w->pins) != 0)
			register_at(dir, tgid, self);
	}
	closedir(d);
}
