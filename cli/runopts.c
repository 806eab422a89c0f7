/* SPDX-License-Identifier: GPL-2.0-or-later
 * What `scupper run` was told: its options, and the rules among them. */
#include "base/io.h"
#include "cli/runparts.h"
#include "rules/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 8 << 20 };

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
	"  --learn FILE         write the fewest rules that would have let through what was\n"
	"                       seen, ready for --rules\n"
	"  --learn-wide         in them, several names of one domain become that domain\n"
	"  --force              write over the FILE of --learn\n"
	"  --keep-sockets       the command keeps a network socket that is its standard\n"
	"                       input, output or error: what goes there is not judged\n"
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

int run_parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow", required_argument, NULL, 'a' },
		{ "rules", required_argument, NULL, 'r' },
		{ "default", required_argument, NULL, 'd' },
		{ "report", optional_argument, NULL, 'p' },
		{ "fail-on-deny", no_argument, NULL, 'f' },
		{ "learn", required_argument, NULL, 'l' },
		{ "learn-wide", no_argument, NULL, 'w' },
		{ "force", no_argument, NULL, 'F' },
		{ "keep-sockets", no_argument, NULL, 'k' },
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
			r->learn_file = optarg;
			break;
		case 'w':
			r->learn_wide = true;
			break;
		case 'F':
			r->force = true;
			break;
		case 'k':
			r->keep_sockets = true;
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
	if (!r->learn_file && (r->learn_wide || r->force))
		return 1 + usage_error("--learn-wide and --force need --learn FILE", "");
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

/* an exit status for what could not be written */
static int said(int e, const char *path)
{
	if (e == 0)
		return 0;
	fprintf(stderr, "scupper: run: cannot write %s: %s\n", path, strerror(-e));
	return EXIT_CANNOT;
}

static int write_file(const char *path, const char *text, size_t len)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : io_write_all(fd, text, len);
}

static int write_allows(const struct run *r, const char *path)
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

static int copy_rules(const struct run *r, const char *path)
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
		return said(-ENOMEM, r->rules_file);
	e = ruleset_add_text(rs, text, len, r->rules_file, time(NULL), &err);
	ruleset_free(rs);
	if (e < 0) {
		fprintf(stderr, "%s:%u:%u: %s\n", r->rules_file, err.line, err.column,
			err.what);
		return EXIT_USAGE;
	}
	return said(write_file(path, text, len), path);
}

int run_write_rules(const struct run *r)
{
	char path[128];
	int e = 0;

	for (unsigned i = 0; e == 0 && i < r->nallow; i++)
		e = check_allow(r->allow[i]);
	snprintf(path, sizeof(path), "%s/rules/allow.rules", r->dir);
	if (e == 0)
		e = said(write_allows(r, path), path);
	snprintf(path, sizeof(path), "%s/rules/file.rules", r->dir);
	if (e == 0 && r->rules_file)
		e = copy_rules(r, path);
	return e;
}
