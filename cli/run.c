/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * scupper run: one command under a private instance. Theory of operation: a folder, a cgroup
 * and a daemon of its own (a fork of this process; its log goes to a file of the folder and
 * is shown when it does not come up); then the command in the cgroup; then the report from
 * the daemon's socket; then the cgroup's processes end before their table goes, so that none
 * of them is ever unguarded; then all of it is removed.
 */
#include "cli/run.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cgroup.h"
#include "cli/client.h"
#include "cli/report.h"
#include "cli/supervisor.h"
#include "rules/rules.h"
#include "who/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	EXIT_DENIED = 125,
	EXIT_CANNOT = 126,
	EXIT_NOT_FOUND = 127,
	READY_WAIT_MS = 30000,
	NEWS_WAIT_MS = 200, /* until the last refusal was heard */
	ALLOW_MAX = 256,
	RULES_MAX = 8 << 20,
};

struct run {
	const char *allow[ALLOW_MAX];
	unsigned nallow;
	const char *rules_file;
	enum verdict def; /* NONE: not given */
	bool report_json, fail_on_deny;
	char **cmd;
	/* made on the way */
	char dir[64], scope[64], cgroup[PATH_MAX], socket[128];
	bool made_cgroup;
	pid_t daemon;
	struct conf conf;
};

static const char usage[] =
	"Usage: scupper run [OPTIONS] [--] COMMAND [ARG]...\n"
	"Runs one command under a private instance of the gate and reports every name and\n"
	"address it contacted. Needs root. Everything outside the command is left alone.\n\n"
	"  --allow WHAT         allow this (host, .domain, address, CIDR, zone, with :port if\n"
	"                       it matters), deny everything else; may repeat\n"
	"  --rules FILE         rules (scupper-rules(5)); what they do not allow is denied\n"
	"  --default VERDICT    allow or deny: what no rule decides\n"
	"  --report[=FORM]      the report's form: text (default) or json, on stderr\n"
	"  --fail-on-deny       exit status 125 if anything was denied\n"
	"  --help               print this and end\n\n"
	"Without --allow and --rules the command is watched and nothing is denied.\n"
	"The exit status is the command's.\n";

static int usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "scupper: run: %s%s (see scupper run --help)\n", what, arg);
	return EXIT_USAGE;
}

static int parse_default(struct run *r, const char *word)
{
	if (strcmp(word, "allow") == 0)
		r->def = VERDICT_ALLOW;
	else if (strcmp(word, "deny") == 0)
		r->def = VERDICT_DENY;
	else
		return usage_error("--default takes allow or deny (ask comes with a later "
				   "version): ",
			word);
	return 0;
}

static int parse_report(struct run *r, const char *form)
{
	if (!form || strcmp(form, "text") == 0)
		r->report_json = false;
	else if (strcmp(form, "json") == 0)
		r->report_json = true;
	else
		return usage_error("--report takes text or json: ", form);
	return 0;
}

/* 0: go on; else an exit status + 1, so that --help's 0 is one too */
static int parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow", required_argument, NULL, 'a' },
		{ "rules", required_argument, NULL, 'r' },
		{ "default", required_argument, NULL, 'd' },
		{ "report", optional_argument, NULL, 'p' },
		{ "fail-on-deny", no_argument, NULL, 'f' },
		{ "learn", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o, e = 0;

	optind = 0; /* glibc: begin anew, our caller has parsed its own */
	while (e == 0 && (o = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case 'a':
			if (r->nallow == ALLOW_MAX)
				return 1 + usage_error("more --allow than fit: use --rules", "");
			r->allow[r->nallow++] = optarg;
			break;
		case 'r':
			r->rules_file = optarg;
			break;
		case 'd':
			e = parse_default(r, optarg);
			break;
		case 'p':
			e = parse_report(r, optarg);
			break;
		case 'f':
			r->fail_on_deny = true;
			break;
		case 'l':
			e = usage_error("--learn comes with a later version", "");
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			return 1 + EXIT_USAGE;
		}
	}
	if (e)
		return 1 + e;
	if (optind == argc)
		return 1 + usage_error("no command given", "");
	r->cmd = argv + optind;
	return 0;
}

/* --- rules ------------------------------------------------------------------------------ */

static int check_allow(const char *what)
{
	struct rule_error err = { 0 };
	char rule[1024];

	if (snprintf(rule, sizeof(rule), "allow any %s", what) >= (int)sizeof(rule))
		return usage_error("--allow is too long: ", what);
	if (rule_check(rule, time(NULL), NULL, &err) < 0) {
		fprintf(stderr, "scupper: run: --allow %s: %s\n", what, err.what);
		return EXIT_USAGE;
	}
	return 0;
}

static int write_file(const char *path, const char *text, size_t len)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : io_write_all(fd, text, len);
}

static int write_allows(struct run *r, const char *path)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int e = fd < 0 ? -errno : 0;

	for (unsigned i = 0; e == 0 && i < r->nallow; i++) {
		char rule[1100];
		int n = snprintf(rule, sizeof(rule), "allow any %s\n", r->allow[i]);

		e = io_write_all(fd, rule, (size_t)n);
	}
	return e;
}

static int copy_rules(struct run *r, const char *path)
{
	auto_free char *text = NULL;
	struct rule_error err = { 0 };
	struct ruleset *rs;
	size_t len;
	int e = io_read_file(r->rules_file, RULES_MAX, &text, &len);

	if (e < 0) {
		fprintf(stderr, "scupper: run: cannot read %s: %s\n", r->rules_file,
			strerror(-e));
		return EXIT_USAGE;
	}
	if (ruleset_new(VERDICT_DENY, VERDICT_ALLOW, &rs) < 0)
		return EXIT_CANNOT;
	e = ruleset_add_text(rs, text, len, r->rules_file, time(NULL), &err);
	ruleset_free(rs);
	if (e < 0) {
		fprintf(stderr, "%s:%u:%u: %s\n", r->rules_file, err.line, err.column,
			err.what);
		return EXIT_USAGE;
	}
	return write_file(path, text, len) < 0 ? EXIT_CANNOT : 0;
}

static int write_rules(struct run *r)
{
	char path[128];
	int e = 0;

	for (unsigned i = 0; e == 0 && i < r->nallow; i++)
		e = check_allow(r->allow[i]);
	snprintf(path, sizeof(path), "%s/rules/allow.rules", r->dir);
	if (e == 0 && write_allows(r, path) < 0)
		e = EXIT_CANNOT;
	snprintf(path, sizeof(path), "%s/rules/file.rules", r->dir);
	if (e == 0 && r->rules_file)
		e = copy_rules(r, path);
	return e;
}

/* --- the private daemon ----------------------------------------------------------------- */

static int make_places(struct run *r)
{
	char path[128];
	int e;

	snprintf(r->dir, sizeof(r->dir), "/run/scupper-run-%d", (int)getpid());
	snprintf(r->scope, sizeof(r->scope), "/scupper-run-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/rules", r->dir);
	snprintf(r->socket, sizeof(r->socket), "%s/control.sock", r->dir);
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
	c->history_keep_s = 0; /* the report is all that stays */
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

static int daemon_main(struct run *r, int ready)
{
	char path[128];
	int log;

	setpgid(0, 0); /* Ctrl-C is the command's, the daemon ends after it */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	daemon_log_path(r, path);
	log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	log_init("scupperd", r->conf.log);
	return supervisor_run(&r->conf, ready);
}

static int daemon_start(struct run *r)
{
	int ready[2];
	char byte;
	struct pollfd p;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return EXIT_CANNOT;
	r->daemon = fork();
	if (r->daemon == 0) {
		close(ready[0]);
		_exit(daemon_main(r, ready[1]));
	}
	close(ready[1]);
	p = (struct pollfd){ .fd = ready[0], .events = POLLIN };
	if (r->daemon < 0 || poll(&p, 1, READY_WAIT_MS) != 1 || read(ready[0], &byte, 1) != 1) {
		close(ready[0]);
		show_log(r);
		fprintf(stderr, "scupper: run: the private gate did not come up\n");
		return EXIT_CANNOT;
	}
	close(ready[0]);
	return 0;
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

static pid_t command; /* for the signal handler */

static void pass_on(int signum)
{
	if (command > 0)
		kill(command, signum);
}

static void command_exec(const struct run *r)
{
	int e = cgroup_join(r->cgroup, 0);

	if (e < 0) {
		fprintf(stderr, "scupper: run: cannot enter %s: %s\n", r->cgroup, strerror(-e));
		_exit(EXIT_CANNOT);
	}
	execvp(r->cmd[0], r->cmd);
	fprintf(stderr, "scupper: run: %s: %s\n", r->cmd[0], strerror(errno));
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT);
}

static int command_run(const struct run *r)
{
	struct sigaction on = { .sa_handler = pass_on }, ignore = { .sa_handler = SIG_IGN };
	int status;

	command = fork();
	if (command < 0)
		return EXIT_CANNOT;
	if (command == 0)
		command_exec(r);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGHUP, &on, NULL);
	sigaction(SIGINT, &ignore, NULL); /* the terminal sends it to the command too */
	sigaction(SIGQUIT, &ignore, NULL);
	while (waitpid(command, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_CANNOT;
	command = 0; /* its pid may be another's from now on */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the report ---------------------------------------------------------------------------- */

static int add_all(struct client *c, const char *base, struct report *rep,
	void (*add)(struct report *rep, const json_t *items))
{
	char path[256], cursor[128] = "";

	for (;;) {
		struct reply reply;
		const char *next;
		bool ok;

		text_copy(path, sizeof(path), base);
		if (*cursor && !client_argument(path, sizeof(path), "cursor", cursor))
			return -ENAMETOOLONG;
		if (client_call(c, "GET", path, NULL, &reply) < 0)
			return -EIO;
		ok = reply.status == 200;
		add(rep, json_object_get(reply.json, "items"));
		next = json_string_value(json_object_get(reply.json, "next"));
		text_copy(cursor, sizeof(cursor), next ? next : "");
		reply_done(&reply);
		if (!ok)
			return -EIO;
		if (!*cursor)
			return 0;
	}
}

static int report(const struct run *r, struct client *c)
{
	const struct timespec news = { .tv_nsec = NEWS_WAIT_MS * 1000000L };
	struct report *rep;
	int denied;

	if (report_new(&rep) < 0)
		return -ENOMEM;
	nanosleep(&news, NULL);
	if (add_all(c, "/api/v1/queries", rep, report_add_queries) < 0 ||
		add_all(c, "/api/v1/flows", rep, report_add_flows) < 0)
		fprintf(stderr, "scupper: run: the report is not whole: %s\n", client_why(c));
	if (r->report_json) {
		json_t *o = report_json(rep);

		json_dumpf(o, stderr, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stderr);
		json_decref(o);
	} else {
		report_text(rep, stderr);
	}
	denied = (int)MIN(report_denied(rep), INT_MAX);
	report_free(rep);
	return denied;
}

/* --- the whole ------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void clean(struct run *r)
{
	if (r->made_cgroup && cgroup_end(r->cgroup) < 0)
		fprintf(stderr, "scupper: run: %s could not be removed: processes in it do not "
				"end\n",
			r->cgroup);
	daemon_stop(r);
	if (r->dir[0])
		nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int guarded(struct run *r)
{
	char resolvers[MACHINE_TEXT_MAX];
	struct client *c = NULL;
	int status, denied;

	status = make_places(r);
	if (status == 0)
		status = write_rules(r);
	if (status)
		return status;
	configure(r);
	status = daemon_start(r);
	if (status == 0 && client_open(r->socket, &c) < 0)
		status = EXIT_CANNOT;
	if (status == 0)
		status = check_mode(c);
	if (status) {
		client_close(c);
		return status;
	}
	if (machine_resolvers("", resolvers)[0])
		fprintf(stderr, "scupper: run: note: %s\n", resolvers);
	status = command_run(r);
	denied = report(r, c);
	client_close(c);
	return r->fail_on_deny && denied != 0 ? EXIT_DENIED : status;
}

int run_main(int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	int status;

	if (!r)
		return EXIT_CANNOT;
	status = parse(r, argc, argv);
	if (status) {
		free(r);
		return status - 1;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "scupper: run: needs root: sudo scupper run ...\n");
		free(r);
		return EXIT_CANNOT;
	}
	status = guarded(r);
	clean(r);
	free(r);
	return status;
}
