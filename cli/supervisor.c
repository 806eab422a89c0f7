/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation: one poll loop over a signalfd and the core's ready pipe. A child that
 * dies is started again at once; one that dies five times within ten seconds is given a
 * tenth of a second's rest each time, so that a crash in a circle is loud and not a busy loop. On
 * SIGTERM or SIGINT both children end first; with when-down=open everything of ours is then
 * taken out of the kernel, with closed the table and the links stay and go on refusing.
 */
#include "cli/supervisor.h"
#include "cli/acct.h"
#include "cli/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/held.h"
#include "cli/people.h"
#include "nft/nft.h"
#include "nft/route.h"
#include "web/web.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEATHS_MAX = 5, DEATHS_WITHIN_MS = 10000, REST_MS = 100, END_WAIT_MS = 5000 };

struct child {
	const char *name;
	int (*run)(struct held *h);
	pid_t pid;
	int64_t deaths_ms[DEATHS_MAX];
	unsigned deaths;
	int64_t start_at_ms; /* 0: not waiting */
};

struct supervisor {
	struct held held;
	struct child core, web;
	int signals, ready_fd;
	bool ready, stop, failed; /* failed: never came up */
};

/* the dashboard of the tree that this was built in, else the installed one */
static const char *pages_dir(char out[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 32);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash) {
		strcpy(slash, "/web/dashboard/dist");
		if (access(out, R_OK) == 0)
			return out;
	}
	return SCUPPER_DATADIR "/dashboard";
}

static int run_web(struct held *h)
{
	const struct passwd *pw = getpwnam("scupper-web");
	gid_t group = rights_group(h->conf->group);
	static struct people people;
	char pages[PATH_MAX], history[PATH_MAX];
	struct web_conf conf = {
		.link_fd = h->link_web,
		.listen_fd = h->control,
		.group = group,
		.sessions = h->sessions,
	};

	conf.ntcp = h->nweb;
	for (unsigned i = 0; i < h->nweb; i++)
		conf.tcp[i] = h->web[i];
	if (h->conf->history_keep_s) {
		snprintf(history, sizeof(history), "%s/history.db", h->conf->state_dir);
		conf.history = history;
	}
	conf.origin = h->origin;
	conf.pages = pages_dir(pages);
	if (!pw)
		pw = getpwnam("nobody");
	conf.uid = pw ? pw->pw_uid : 65534;
	conf.gid = group != (gid_t)-1 ? group : pw ? pw->pw_gid : 65534;
	/* last: it overwrites what pw points to */
	people_find(h->conf, &people);
	conf.admins = people.admins.uids;
	conf.nadmins = people.admins.n;
	conf.readers = people.readers.uids;
	conf.nreaders = people.readers.n;
	conf.all_read = people.all_read;
	return web_main(&conf);
}

static void child_start(struct supervisor *s, struct child *c)
{
	pid_t ours = getpid(), pid = fork();

	c->start_at_ms = 0;
	if (pid < 0) {
		log_error("cannot start %s: %s; trying again", c->name, strerror(errno));
		c->start_at_ms = clock_boot_ms() + REST_MS;
		return;
	}
	if (pid == 0) {
		sigset_t none;

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* the supervisor holds what we need */
		if (getppid() != ours)
			_exit(1); /* it died before we could say so */
		prctl(PR_SET_NAME, c->name);
		signal(SIGHUP, SIG_IGN); /* until the core listens: it reads all then anyway */
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(s->signals);
		if (s->ready_fd >= 0)
			close(s->ready_fd);
		_exit(c->run(&s->held));
	}
	c->pid = pid;
}

static void child_died(struct supervisor *s, struct child *c, int status)
{
	int64_t now = clock_boot_ms();

	c->pid = 0;
	if (s->stop)
		return;
	if (WIFSIGNALED(status))
		log_error("%s was killed by signal %d: starting it again", c->name,
			WTERMSIG(status));
	else
		log_error("%s ended with status %d: starting it again", c->name,
			WEXITSTATUS(status));
	if (c == &s->core)
		s->held.restarts++;
	if (c->deaths == DEATHS_MAX) {
		memmove(c->deaths_ms, c->deaths_ms + 1,
			(DEATHS_MAX - 1) * sizeof(c->deaths_ms[0]));
		c->deaths--;
	}
	c->deaths_ms[c->deaths++] = now;
	if (c == &s->core && !s->ready && c->deaths == DEATHS_MAX) {
		log_error("the core does not come up: see above; giving up");
		s->failed = s->stop = true;
		return;
	}
	if (c->deaths == DEATHS_MAX && now - c->deaths_ms[0] < DEATHS_WITHIN_MS)
		c->start_at_ms = now + REST_MS;
	else
		child_start(s, c);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->core.pid)
			child_died(s, &s->core, status);
		else if (pid == s->web.pid)
			child_died(s, &s->web, status);
	}
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(s);
			break;
		case SIGHUP:
			if (s->core.pid)
				kill(s->core.pid, SIGHUP);
			break;
		default:
			s->stop = true;
		}
	}
}

/* systemd's notification socket (sd_notify(3)) */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n == 0 || n >= sizeof(at.sun_path))
		return;
	memcpy(at.sun_path, path, n);
	if (at.sun_path[0] == '@')
		at.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

static void on_ready(struct supervisor *s)
{
	char byte;

	while (read(s->held.ready[0], &byte, 1) == 1) {
		s->held.adopted = true;
		if (s->ready)
			continue;
		s->ready = true;
		notify("READY=1\n");
		log_write(LOG_NOTICE, "ready");
		if (s->ready_fd >= 0 && write(s->ready_fd, "r", 1) < 0)
			log_warning("nobody waits for our ready byte any more");
	}
}

static int wait_ms(const struct supervisor *s)
{
	int64_t now = clock_boot_ms(), at = INT64_MAX;

	if (s->core.start_at_ms)
		at = MIN(at, s->core.start_at_ms);
	if (s->web.start_at_ms)
		at = MIN(at, s->web.start_at_ms);
	return at == INT64_MAX ? -1 : (int)MAX(at - now, 0);
}

static void start_due(struct supervisor *s)
{
	int64_t now = clock_boot_ms();
	struct child *both[] = { &s->core, &s->web };

	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		if (both[i]->start_at_ms && both[i]->start_at_ms <= now)
			child_start(s, both[i]);
}

static void run(struct supervisor *s)
{
	while (!s->stop) {
		struct pollfd fds[] = { { .fd = s->signals, .events = POLLIN },
			{ .fd = s->held.ready[0], .events = POLLIN } };

		poll(fds, ARRAY_LEN(fds), wait_ms(s));
		if (fds[0].revents)
			on_signal(s);
		if (fds[1].revents)
			on_ready(s);
		start_due(s);
	}
}

static void end_child(struct child *c)
{
	int64_t until = clock_boot_ms() + END_WAIT_MS;

	if (!c->pid)
		return;
	kill(c->pid, SIGTERM);
	while (waitpid(c->pid, NULL, WNOHANG) == 0) {
		if (clock_boot_ms() > until) {
			log_warning("%s does not end: killing it", c->name);
			kill(c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
			break;
		}
		poll(NULL, 0, 5);
	}
	c->pid = 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* every number has pinned maps, every grant memory: the usual limits are too low */
static void raise_limits(void)
{
	struct rlimit lock = { RLIM_INFINITY, RLIM_INFINITY }, files = { 65536, 65536 };

	setrlimit(RLIMIT_MEMLOCK, &lock);
	setrlimit(RLIMIT_NOFILE, &files);
}

/* what only watches must refuse nothing when it is gone, whatever the key says */
static const struct conf *as_it_runs(const struct conf *conf, struct conf *copy)
{
	if (!conf->watch || !conf->closed)
		return conf;
	log_warning("mode=watch: when-down is open, not closed as written");
	*copy = *conf;
	copy->closed = false;
	return copy;
}

/* so that none of its processes is ever without the gate it was started under */
static void end_scope(const struct conf *conf)
{
	char path[PATH_MAX];

	if (cgroup_path(conf->scope, path, sizeof(path)) == 0 && cgroup_end(path) < 0)
		log_warning("%s: processes in it do not end", path);
}

int supervisor_run(const struct conf *written, int ready_fd)
{
	static struct conf copy;
	const struct conf *conf = as_it_runs(written, &copy);
	struct supervisor *s = calloc(1, sizeof(*s));
	char why[HELD_WHY_MAX] = "";
	int r;

	if (!s)
		return 1;
	s->ready_fd = ready_fd;
	s->core = (struct child){ .name = "scupper-core", .run = core_main };
	s->web = (struct child){ .name = "scupper-web", .run = run_web };
	raise_limits();
	r = held_open(&s->held, conf, why, sizeof(why));
	s->held.version = PACKAGE_VERSION;
	if (r < 0) {
		log_error("%s", why);
		held_close(&s->held, !s->held.after_fall);
		free(s);
		return 1;
	}
	if (held_identity(&s->held) == LINK_BASIC)
		log_warning("basic mode (%s): %s", s->held.why,
			link_identity_limits(LINK_BASIC));
	else if (held_identity(&s->held) == LINK_RESOLVER_ONLY)
		log_error("resolver only (%s): %s", s->held.why,
			link_identity_limits(LINK_RESOLVER_ONLY));
	s->signals = open_signals();
	child_start(s, &s->web);
	child_start(s, &s->core);
	run(s);
	notify("STOPPING=1\n");
	if (conf->scope_ends)
		end_scope(conf);
	end_child(&s->core);
	end_child(&s->web);
	if (conf->closed && s->held.who)
		log_notice("stopped; when-down=closed: what was decided stays in force, "
			   "everything else stays refused (scupper down takes it away)");
	held_close(&s->held, !conf->closed || (s->failed && !s->held.after_fall));
	close(s->signals);
	r = s->failed;
	free(s);
	return r;
}

int supervisor_down(const struct conf *conf, char *why, size_t why_max)
{
	struct instance i = { .magic = INSTANCE_MAGIC_MAIN };
	char pins[PATH_MAX];
	int fd, r, first = 0;

	if (strcmp(conf->instance, "main") != 0) {
		snprintf(pins, sizeof(pins), "%s/magic", conf->state_dir);
		FILE *f = fopen(pins, "re");
		unsigned v = 0;

		if (!f || fscanf(f, "%x", &v) != 1)
			v = 0;
		if (f)
			fclose(f);
		if (v <= INSTANCE_MAGIC_MAIN || v > INSTANCE_MAGIC_LAST) {
			snprintf(why, why_max, "instance %s left nothing behind",
				conf->instance);
			return -ENOENT;
		}
		i.magic = (uint8_t)v;
	}
	/* hooks first: without their table they refuse everything */
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/scupper/%s", conf->instance);
	r = who_unpin(pins);
	if (r < 0) {
		snprintf(why, why_max, "cannot remove %s: %s", pins, strerror(-r));
		first = r;
	}
	fd = nft_socket(why, why_max);
	if (fd < 0)
		return first ? first : fd;
	r = nft_remove(&i, fd);
	if (r < 0 && !first) {
		snprintf(why, why_max, "cannot remove the nft table: %s%s", strerror(-r),
			r == -EPERM ? " (a running daemon owns it: stop it first)" : "");
		first = r;
	}
	close(fd);
	route_remove(&i);
	acct_stop(&i);
	return first;
}
