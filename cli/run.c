/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * scupper run: one command under a private instance. Theory of operation: a folder, a cgroup
 * and a daemon of its own (a fork of this process; its log goes to a file of the folder and
 * is shown when it does not come up); then the command in the cgroup; then the report from
 * the daemon's socket; then the cgroup's processes end before their table goes, so that none
 * of them is ever unguarded; then all of it is removed.
 */
#include "cli/run.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cgroup.h"
#include "cli/client.h"
#include "cli/runparts.h"
#include "cli/supervisor.h"
#include "who/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_WAIT_MS = 30000 };

/* what fails for a reason of the system's */
static int cannot(const char *what)
{
	fprintf(stderr, "scupper: run: cannot %s: %s\n", what, strerror(errno));
	return EXIT_CANNOT;
}

/* --- signals ------------------------------------------------------------------------------ */

/* blocked from the first step to the last, so that whatever comes in between, all that was
 * made is removed */
static int signals_open(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals < 0 ? cannot("wait for signals") : 0;
}

/* the exit status of a signal that ends us before the command was started, or 0 */
static int interrupted(const struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		fprintf(stderr, "scupper: run: %s: the command was not started\n",
			strsignal((int)info.ssi_signo));
		return 128 + (int)info.ssi_signo;
	}
	return 0;
}

/* --- the private daemon ----------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(const struct run *r)
{
	if (r->dir[0])
		nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_places(struct run *r)
{
	char path[128];
	int e;

	snprintf(r->dir, sizeof(r->dir), "/run/scupper-run-%d", (int)r->self);
	snprintf(r->scope, sizeof(r->scope), "/scupper-run-%d", (int)r->self);
	snprintf(path, sizeof(path), "%s/rules", r->dir);
	snprintf(r->socket, sizeof(r->socket), "%s/control.sock", r->dir);
	remove_dir(r); /* of a run that was killed and had our number */
	e = io_mkdirs(path, 0750);
	if (e < 0) {
		fprintf(stderr, "scupper: run: cannot make %s: %s\n", path, strerror(-e));
		return EXIT_CANNOT;
	}
	if (cgroup_mount(path, sizeof(path)) < 0) {
		fprintf(stderr, "scupper: run: no cgroup2 file system is mounted\n");
		return EXIT_CANNOT;
	}
	snprintf(r->cgroup, sizeof(r->cgroup), "%s%s", path, r->scope);
	e = cgroup_make(r->cgroup);
	if (e < 0) {
		fprintf(stderr, "scupper: run: cannot make the cgroup %s: %s\n", r->cgroup,
			strerror(-e));
		return EXIT_CANNOT;
	}
	r->made_cgroup = true;
	return 0;
}

static void configure(struct run *r)
{
	struct conf *c = &r->conf;
	enum verdict usual = r->nallow || r->rules_file ? VERDICT_DENY : VERDICT_ALLOW;

	conf_default(c);
	c->web_none = true; /* the control socket is enough for one command */
	snprintf(c->instance, sizeof(c->instance), "run-%d", (int)getpid());
	snprintf(c->state_dir, sizeof(c->state_dir), "%s/state", r->dir);
	text_copy(c->runtime_dir, sizeof(c->runtime_dir), r->dir);
	snprintf(c->rules, sizeof(c->rules), "%s/rules", r->dir);
	text_copy(c->scope, sizeof(c->scope), r->scope);
	c->default_out = r->def == VERDICT_NONE ? usual : r->def;
	c->closed = false;
	c->scope_ends = true;
	c->history_keep_s = 0; /* the report is all that stays */
	c->cache_persist = false;
	c->listen_none = true;
	c->log = LOG_WARNING;
}

static void daemon_log_path(const struct run *r, char out[static 128])
{
	snprintf(out, 128, "%s/log", r->dir);
}

static void show_log(const struct run *r)
{
	auto_free char *text = NULL;
	char path[128];
	size_t len;

	daemon_log_path(r, path);
	if (io_read_file(path, 65536, &text, &len) == 0)
		fwrite(text, 1, len, stderr);
}

/* SIGTERM stays blocked until the supervisor listens for it: it ends in order or not at all */
static int daemon_main(struct run *r, int ready)
{
	char path[128];
	int log, status;

	setpgid(0, 0); /* Ctrl-C is the command's, the daemon ends after it */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != r->self)
		raise(SIGTERM); /* it died before we could say so */
	close(r->signals);
	daemon_log_path(r, path);
	log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	log_init("scupperd", r->conf.log);
	status = supervisor_run(&r->conf, ready);
	if (getppid() != r->self)
		remove_dir(r); /* nobody else will */
	return status;
}

/* 0 when the daemon serves; else an exit status, everything said */
static int daemon_wait(const struct run *r, int ready)
{
	int64_t until = clock_boot_ms() + READY_WAIT_MS;
	struct pollfd p[] = { { .fd = ready, .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN } };
	int64_t left;
	int status;
	char byte;

	while ((left = until - clock_boot_ms()) > 0) {
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			break;
		status = interrupted(r);
		if (status)
			return status;
		if (!p[0].revents)
			continue;
		if (read(ready, &byte, 1) == 1)
			return 0;
		break; /* it ended */
	}
	show_log(r);
	fprintf(stderr, "scupper: run: the private gate did not come up\n");
	return EXIT_CANNOT;
}

static int daemon_start(struct run *r)
{
	int ready[2], status;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return cannot("make a pipe");
	r->daemon = fork();
	if (r->daemon == 0) {
		close(ready[0]);
		_exit(daemon_main(r, ready[1]));
	}
	close(ready[1]);
	status = r->daemon < 0 ? cannot("start the private gate") : daemon_wait(r, ready[0]);
	close(ready[0]);
	return status;
}

static void daemon_stop(struct run *r)
{
	if (r->daemon <= 0)
		return;
	kill(r->daemon, SIGTERM);
	waitpid(r->daemon, NULL, 0);
	r->daemon = 0;
}

/* watching from 127.0.0.53 only would see nothing here: nobody's resolv.conf says so */
static int check_mode(struct client *c)
{
	struct reply reply;
	const json_t *identity;
	const char *mode;
	int e = 0;

	if (client_call(c, "GET", "/api/v1/status", NULL, &reply) < 0) {
		fprintf(stderr, "scupper: run: %s\n", client_why(c));
		return EXIT_CANNOT;
	}
	identity = json_object_get(reply.json, "identity");
	mode = json_string_value(json_object_get(identity, "mode"));
	if (!mode || strcmp(mode, "bpf") != 0) {
		const char *why = json_string_value(json_object_get(identity, "why"));

		fprintf(stderr, "scupper: run: cannot guard a command here: %s\n",
			why ? why : "no reason known");
		e = EXIT_CANNOT;
	}
	reply_done(&reply);
	return e;
}

/* --- the command ------------------------------------------------------------------------- */

/* what_failed hears of a command that could not be started, and closes when it is */
static void command_exec(const struct run *r, int what_failed)
{
	int e = cgroup_join(r->cgroup, 0), status = EXIT_CANNOT;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* not a moment without its gate */
	if (getppid() != r->self)
		_exit(EXIT_CANNOT);
	if (e < 0) {
		fprintf(stderr, "scupper: run: cannot enter %s: %s\n", r->cgroup, strerror(-e));
	} else {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* ours too: libcurl's sockets know no close-on-exec */
		if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
			execvp(r->cmd[0], r->cmd);
		status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
		fprintf(stderr, "scupper: run: %s: %s\n", r->cmd[0], strerror(errno));
	}
	if (write(what_failed, "x", 1) < 0)
		status = EXIT_CANNOT;
	_exit(status);
}

/* a terminal sends its signals to the command too */
static void pass_on(const struct signalfd_siginfo *info, pid_t command)
{
	bool terminal = info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT;

	if (!terminal || info->ssi_code != SI_KERNEL)
		kill(command, (int)info->ssi_signo);
}

static int command_wait(const struct run *r, pid_t command)
{
	struct pollfd p = { .fd = r->signals, .events = POLLIN };
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		pid_t got = waitpid(command, &status, WNOHANG);

		if (got == command)
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
		if (got < 0)
			return cannot("wait for the command");
		poll(&p, 1, -1);
		while (read(r->signals, &info, sizeof(info)) == sizeof(info))
			if (info.ssi_signo != SIGCHLD)
				pass_on(&info, command);
	}
}

static int command_run(struct run *r)
{
	int failed[2];
	pid_t command;
	char byte;

	if (pipe2(failed, O_CLOEXEC) < 0)
		return cannot("make a pipe");
	command = fork();
	if (command == 0)
		command_exec(r, failed[1]);
	close(failed[1]);
	if (command < 0) {
		close(failed[0]);
		return cannot("start the command");
	}
	r->started = read(failed[0], &byte, 1) == 0;
	close(failed[0]);
	return command_wait(r, command);
}

/* --- the whole ------------------------------------------------------------------------------ */

static void clean(struct run *r)
{
	if (r->made_cgroup && cgroup_end(r->cgroup) < 0)
		fprintf(stderr, "scupper: run: %s could not be removed: processes in it do not "
				"end\n",
			r->cgroup);
	daemon_stop(r);
	remove_dir(r);
}

static int daemon_reach(struct run *r, struct client **out)
{
	int status = daemon_start(r);

	if (status)
		return status;
	if (client_open(r->socket, out) < 0) {
		errno = ENOMEM;
		return cannot("speak to the private gate");
	}
	status = check_mode(*out);
	return status ? status : interrupted(r);
}

static int guarded(struct run *r)
{
	char resolvers[MACHINE_TEXT_MAX];
	struct client *c = NULL;
	size_t denied = 0;
	int status, result;

	status = make_places(r);
	if (status == 0)
		status = run_write_rules(r);
	if (status == 0)
		status = interrupted(r);
	if (status)
		return status;
	configure(r);
	status = daemon_reach(r, &c);
	if (status) {
		client_close(c);
		return status;
	}
	if (machine_resolvers("", resolvers)[0])
		fprintf(stderr, "scupper: run: note: %s\n", resolvers);
	status = command_run(r);
	result = run_result(r, c, &denied);
	client_close(c);
	if (result)
		return result;
	return r->fail_on_deny && denied ? EXIT_DENIED : status;
}

/* what is refused before anything is made */
static int refused(struct run *r)
{
	int status = 0;

	if (geteuid() != 0) {
		fprintf(stderr, "scupper: run: needs root: sudo scupper run ...\n");
		return EXIT_CANNOT;
	}
	status = run_inherited(r);
	return status ? status : run_learn_check(r);
}

int run_main(int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	int status;

	if (!r) {
		errno = ENOMEM;
		return cannot("begin");
	}
	status = run_parse(r, argc, argv);
	if (status) {
		free(r);
		return status - 1;
	}
	r->self = getpid();
	status = refused(r);
	if (status == 0)
		status = signals_open(r);
	if (status == 0) {
		status = guarded(r);
		clean(r);
		close(r->signals);
	}
	free(r);
	return status;
}
