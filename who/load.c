/* SPDX-License-Identifier: GPL-2.0-or-later
 * Opening: load, pin, attach. The order is what keeps it free of gaps: first the hooks
 * that follow processes, then a walk over those alive, and only then the hooks that give
 * sockets their numbers.
 * Needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; CAP_SYS_ADMIN to mount bpffs. */
#include "who/state.h"

#include "base/io.h"
#include "base/text.h"
#include "who/proc.h"
#include "who/scupper.skel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include <bpf/bpf.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* libbpf reports by a callback without context: the reason of the load under way */
static __thread struct text *load_log;

__attribute__((format(printf, 2, 0)))
static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[16384], reason[256];

	if (level != LIBBPF_WARN || !load_log)
		return 0;
	vsnprintf(line, sizeof(line), fmt, args);
	path_load_reason(line, reason, sizeof(reason));
	/* the first says what is wrong; later ones repeat that it failed */
	if (reason[0] && load_log->len == 0)
		text_add(load_log, reason);
	return 0;
}

static int fail(char *why, size_t max, int r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t max, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, max, fmt, args);
	va_end(args);
	return r;
}

static int scope_open(struct who *w, char *why, size_t max)
{
	struct statfs fs;
	struct stat st;

	w->scope_fd = open(w->scope, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->scope_fd < 0)
		return fail(why, max, -errno, "cannot open the cgroup %s: %s", w->scope,
			strerror(errno));
	if (fstatfs(w->scope_fd, &fs) < 0 || fstat(w->scope_fd, &st) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return fail(why, max, -ENOTDIR, "no cgroup2 at %s: mount one, or name a "
			"directory below it as scope", w->scope);
	w->scope_id = st.st_ino; /* kernfs shows a cgroup's id as its inode number */
	return proc_cgroup_below(w->scope, w->scope_below, sizeof(w->scope_below));
}

static int netns_read(uint64_t *out)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*out);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &len) < 0)
		return -errno;
	return 0;
}

static void constants_set(struct who *w, const struct who_conf *conf)
{
	struct scupper_bpf *b = w->bpf;
	unsigned n = MIN(conf->nguarded_ports, (unsigned)WHO_GUARDED_MAX - 1);

	b->rodata->our_magic = w->instance.magic;
	b->rodata->our_netns = w->netns;
	b->rodata->scope_id = w->scope_id;
	b->rodata->uid_quota = MAX(w->numbers / 2, 1);
	b->rodata->when_down_closed = conf->closed;
	for (unsigned i = 0; i < n; i++)
		b->rodata->guarded_ports[i + 1] = conf->guarded_ports[i];
	for (unsigned i = 0; i < conf->nbind_ports && i < WHO_GUARDED_MAX; i++)
		b->rodata->bind_ports[i] = conf->bind_ports[i];
}

static int pin_paths_set(struct who *w)
{
	struct bpf_map *keep[] = { w->bpf->maps.procs, w->bpf->maps.actors,
		w->bpf->maps.free_numbers, w->bpf->maps.pages, w->bpf->maps.serials,
		w->bpf->maps.quotas, w->bpf->maps.owners, w->bpf->maps.selves,
		w->bpf->maps.records, w->bpf->maps.meta, w->bpf->maps.looks,
		w->bpf->maps.wholes };
	char path[WHO_DIR_MAX];
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(keep) && r == 0; i++) {
		r = pins_map_path(w->pins, bpf_map__name(keep[i]), path);
		if (r == 0)
			r = bpf_map__set_pin_path(keep[i], path);
	}
	return r;
}

static int load(struct who *w, const struct who_conf *conf, char *why, size_t max)
{
	char reason[256];
	struct text log = text_into(reason, sizeof(reason));
	int r = 0;

	libbpf_set_print(on_libbpf);
	load_log = &log;
	w->bpf = scupper_bpf__open();
	if (!w->bpf)
		r = -errno;
	if (r == 0 && w->pins[0])
		r = pin_paths_set(w);
	if (r == 0) {
		constants_set(w, conf);
		/* no program that could not be hung up anywhere shall keep the rest from loading */
		bpf_program__set_autoload(w->bpf->progs.on_frame, frames_possible());
		r = scupper_bpf__load(w->bpf);
	}
	load_log = NULL;
	if (r == 0)
		return 0;
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return fail(why, max, r, "this kernel has no BTF (/sys/kernel/btf/vmlinux): it "
			"must be built with CONFIG_DEBUG_INFO_BTF");
	if (r == -EPERM && log.len == 0)
		return fail(why, max, r, "no permission to load BPF programs: CAP_BPF, "
			"CAP_PERFMON and CAP_NET_ADMIN are needed");
	return fail(why, max, r, "the kernel refused the BPF programs: %s",
		log.len ? reason : strerror(-r));
}

static int map_shared(const struct bpf_map *map, void *out)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *at = mmap(NULL, (len + page - 1) / page * page, PROT_READ | PROT_WRITE,
		MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return -errno;
	memcpy(out, &at, sizeof(at));
	return 0;
}

static int map_all(struct who *w)
{
	int r = map_shared(w->bpf->maps.meta, &w->meta);

	if (r == 0)
		r = map_shared(w->bpf->maps.serials, &w->serials);
	if (r == 0)
		r = map_shared(w->bpf->maps.quotas, &w->quotas);
	if (r == 0)
		r = map_shared(w->bpf->maps.records, &w->records);
	if (r == 0)
		r = map_shared(w->bpf->maps.wholes, &w->wholes);
	return r;
}

static void unmap(const struct who *w, const struct bpf_map *map, void *at)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);

	if (w->bpf && at)
		munmap(at, (len + page - 1) / page * page);
}

/* serials go on from the wall clock where no pin has kept the last one */
static int tables_prepare(struct who *w)
{
	int r;

	if (w->meta->ready)
		return 0;
	w->meta->magic = w->instance.magic;
	w->meta->serial = (uint64_t)time(NULL) << 16;
	r = numbers_fill(w);
	if (r == 0)
		w->meta->ready = 1;
	return r;
}

static int attach(struct who *w, struct bpf_program *prog, char *why, size_t max)
{
	int r = pins_link(w, prog, &w->links[w->nlinks]);

	if (r < 0)
		return fail(why, max, r, "cannot attach the BPF program %s to %s: %s",
			bpf_program__name(prog), w->scope, strerror(-r));
	w->nlinks++;
	return 0;
}

static void nothing(void *ctx, const void *record)
{
	(void)ctx;
	(void)record;
}

static int attach_all(struct who *w, char *why, size_t max)
{
	struct bpf_program *follow[] = { w->bpf->progs.on_exec, w->bpf->progs.on_fork,
		w->bpf->progs.on_exit };
	struct bpf_program *give[] = { w->bpf->progs.on_setsockopt, w->bpf->progs.on_bind4,
		w->bpf->progs.on_bind6, w->bpf->progs.on_create, w->bpf->progs.on_connect4,
		w->bpf->progs.on_connect6, w->bpf->progs.on_sendmsg4,
		w->bpf->progs.on_sendmsg6, w->bpf->progs.on_egress };
	struct iter_about all = { .map_fd = -1 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(follow) && r == 0; i++)
		r = attach(w, follow[i], why, max);
	if (r < 0)
		return r;
	r = iter_run(w, ITER_WALK, all, sizeof(struct who_walk), nothing, NULL);
	if (r < 0)
		return fail(why, max, r, "cannot walk the processes that are alive: %s",
			strerror(-r));
	for (size_t i = 0; i < ARRAY_LEN(give) && r == 0; i++)
		r = attach(w, give[i], why, max);
	if (r == 0)
		frames_attach(w);
	return r;
}

static int open_all(struct who *w, const struct who_conf *conf, char *why, size_t max)
{
	uint32_t zero = 0;
	int r = scope_open(w, why, max);

	if (r == 0)
		r = netns_read(&w->netns);
	if (r < 0)
		return r;
	if (w->pins[0]) {
		r = pins_prepare(w->pins, why, max);
		if (r < 0)
			return r;
		if (pins_stale(w->pins, w->instance.magic))
			who_unpin(w->pins);
	}
	r = load(w, conf, why, max);
	if (r == 0)
		r = map_all(w);
	if (r == 0)
		r = bpf_map__update_elem(w->bpf->maps.scope, &zero, sizeof(zero), &w->scope_fd,
			sizeof(w->scope_fd), BPF_ANY);
	if (r == 0)
		r = tables_prepare(w);
	return r < 0 ? r : attach_all(w, why, max);
}

static void slashes_cut(char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
}

int who_open(const struct who_conf *conf, char *why, size_t why_max, struct who **out)
{
	struct who *w = calloc(1, sizeof(*w));
	int r = -ENAMETOOLONG;

	if (!w)
		return -ENOMEM;
	w->instance = *conf->instance;
	w->scope_fd = -1;
	w->numbers = conf->numbers && conf->numbers < ACTOR_MAX ? conf->numbers : ACTOR_MAX;
	if (why_max)
		why[0] = '\0';
	if (text_copy(w->scope, sizeof(w->scope), conf->scope) &&
		text_copy(w->pins, sizeof(w->pins), conf->pins ? conf->pins : "")) {
		slashes_cut(w->scope);
		slashes_cut(w->pins);
		r = open_all(w, conf, why, why_max);
	}
	if (r < 0) {
		if (why_max && !why[0])
			snprintf(why, why_max, "BPF: %s", strerror(-r));
		who_close(w, false);
		return r;
	}
	*out = w;
	return 0;
}

void who_close(struct who *w, bool unpin)
{
	if (!w)
		return;
	who_stop(w);
	if (unpin && w->pins[0])
		who_unpin(w->pins);
	frames_detach(w);
	for (unsigned i = 0; i < w->nlinks; i++)
		bpf_link__destroy(w->links[i]); /* closes only: a pin keeps it */
	if (w->bpf) {
		unmap(w, w->bpf->maps.meta, w->meta);
		unmap(w, w->bpf->maps.serials, (void *)w->serials);
		unmap(w, w->bpf->maps.quotas, (void *)w->quotas);
		unmap(w, w->bpf->maps.records, w->records);
		unmap(w, w->bpf->maps.wholes, (void *)w->wholes);
		scupper_bpf__destroy(w->bpf);
	}
	if (w->scope_fd >= 0)
		close(w->scope_fd);
	free(w);
}

int who_register_self(struct who *w, int32_t tgid)
{
	struct who_self self = { .magic = w->instance.magic };
	uint32_t key = (uint32_t)tgid;
	struct who_event e;
	int r = who_by_key(w) ? -EOPNOTSUPP : iter_birth(w, tgid, &e);

	if (r < 0)
		return r;
	self.start = e.start;
	if (bpf_map_update_elem(map_fd(w, MAP_SELVES), &key, &self, BPF_ANY) < 0)
		return -errno;
	pins_register_elsewhere(w, key, &self);
	return 0;
}

void who_stats(const struct who *w, struct who_stats *out)
{
	const __u64 *s = w->meta ? w->meta->stats : NULL;

	*out = (struct who_stats){ 0 };
	if (!s)
		return;
	*out = (struct who_stats){
		.execs = s[WHO_EXECS], .forks = s[WHO_FORKS], .exits = s[WHO_EXITS],
		.numbers = s[WHO_NUMBERS_GIVEN], .ring_lost = s[WHO_RING_LOST],
		.no_number = s[WHO_NO_NUMBER], .quota_refused = s[WHO_QUOTA_REFUSED],
		.stamps_missing = s[WHO_STAMPS_MISSING], .marks_refused = s[WHO_MARKS_REFUSED],
		.binds_refused = s[WHO_BINDS_REFUSED], .records = s[WHO_RECORDS_MADE],
		.records_lost = s[WHO_RECORDS_LOST],
		.frames_refused = s[WHO_FRAMES_REFUSED], .frames_error = w->frames_error,
	};
}

struct bpf_program *program_of(const struct who *w, enum iter_kind kind)
{
	switch (kind) {
	case ITER_WALK:
		return w->bpf->progs.walk;
	case ITER_BIRTH:
		return w->bpf->progs.birth;
	case ITER_LOOK:
		return w->bpf->progs.look;
	case ITER_BEARERS:
		return w->bpf->progs.bearers;
	default:
		return w->bpf->progs.borne;
	}
}

void look_fd_set(struct who *w, int fd)
{
	w->bpf->bss->look_fd = (uint32_t)fd;
}

int frame_program_fd(const struct who *w)
{
	return bpf_program__fd(w->bpf->progs.on_frame);
}

int map_fd(const struct who *w, enum map_name which)
{
	switch (which) {
	case MAP_PROCS:
		return bpf_map__fd(w->bpf->maps.procs);
	case MAP_ACTORS:
		return bpf_map__fd(w->bpf->maps.actors);
	case MAP_FREE:
		return bpf_map__fd(w->bpf->maps.free_numbers);
	case MAP_PAGES:
		return bpf_map__fd(w->bpf->maps.pages);
	case MAP_OWNERS:
		return bpf_map__fd(w->bpf->maps.owners);
	case MAP_LOOKS:
		return bpf_map__fd(w->bpf->maps.looks);
	case MAP_SELVES:
		return bpf_map__fd(w->bpf->maps.selves);
	default:
		return bpf_map__fd(w->bpf->maps.news);
	}
}

const char *who_scope(const struct who *w)
{
	return w->scope;
}

uint64_t who_netns_cookie(const struct who *w)
{
	return w->netns;
}

uint32_t who_mark(const struct who *w, uint32_t actor)
{
	return instance_mark(&w->instance, actor);
}

const struct instance *who_instance(const struct who *w)
{
	return &w->instance;
}

struct uv_loop_s *who_loop(const struct who *w)
{
	return w->loop;
}
