/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupper, the command: reads the command line, runs one command. Exit 0 done, 1 refused or
 * not found, 2 wrong usage, 3 daemon not reachable; errors are one line on stderr. */
#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum knows {
	KNOWS_ALWAYS = 1, /* --socket, --json */
	KNOWS_LISTS = 2,  /* --program, --name, --verdict, --limit */
	KNOWS_OPEN = 4,   /* --no-browser */
	KNOWS_FOLLOW = 8, /* --follow */
	KNOWS_TOP = 16,   /* --once */
	KNOWS_PAST = 32,  /* --address, --country, --since, --from, --to, --jsonl, --csv */
};

struct command {
	const char *word, *usage, *what;
	int (*run)(struct command_line *c);
	int min, max; /* arguments */
	unsigned knows; /* of enum knows: the options it has */
};

static const struct command commands[] = {
	{ "status", "status", "how the daemon is", command_status, 0, 0, 0 },
	{ "apps", "apps", "the programs it has met", command_apps, 0, 0, 0 },
	{ "flows", "flows [--follow] [FILTER]", "the last connections", command_flows, 0, 0,
		KNOWS_LISTS | KNOWS_FOLLOW },
	{ "queries", "queries [--follow] [FILTER]", "the last names asked for",
		command_queries, 0, 0, KNOWS_LISTS | KNOWS_FOLLOW },
	{ "history", "history [FORM] [FILTER]", "what happened, the newest first",
		command_history, 0, 0, KNOWS_LISTS | KNOWS_PAST },
	{ "top", "top [--once]", "the live tree of programs, domains and hosts",
		command_top, 0, 0, KNOWS_TOP },
	{ "why", "why [PROGRAM]", "what was denied last, by what, and how to allow it",
		command_why, 0, 1, 0 },
	{ "rule add", "rule add RULE", "make a rule; RULE is one argument or several",
		command_rule_add, 1, 64, 0 },
	{ "rule list", "rule list", "every rule, in the order that decides",
		command_rule_list, 0, 0, 0 },
	{ "rule rm", "rule rm ID", "take a rule back, and what it opened",
		command_rule_rm, 1, 1, 0 },
	{ "pause", "pause [DURATION]", "refuse nothing, go on showing (90s, 10m, 2h; without: "
		"until resume)", command_pause, 0, 1, 0 },
	{ "resume", "resume", "the rules count again", command_resume, 0, 0, 0 },
	{ "block", "block", "nothing goes out or in, until resume", command_block, 0, 0,
		0 },
	{ "cache flush", "cache flush [NAME]", "forget answers: of NAME, of .NAME and all below, "
		"or all", command_cache_flush, 0, 1, 0 },
	{ "open", "open [--no-browser]", "sign in to the dashboard: a link, good once, for a "
		"minute", command_open, 0, 0, KNOWS_OPEN },
	{ "explain", "explain WHO WHAT [in]", "what would be decided, and why",
		command_explain, 2, 3, 0 },
};

static const char help_head[] =
	"usage: scupper [--socket PATH] [--json] COMMAND\n"
	"\n"
	"Asks and tells scupperd, the per-program network gate.\n"
	"\n";
static const char help_tail[] =
	"  run [OPTION]... -- CMD...     a command under a gate of its own, see run --help\n"
	"  list add|rm|update|show ...   lists for rules (list:NAME), see list --help\n"
	"  down                          take away what a daemon left in the kernel\n"
	"\n"
	"FILTER: --program PATH|NAME, --name HOST|.DOMAIN, --verdict allow|deny|ask,\n"
	"        --limit N\n"
	"        of history also: --since DURATION, --from TIME, --to TIME,\n"
	"        --address ADDRESS, --country CC\n"
	"FORM:   --csv, --jsonl, --json; without: a table of 50 rows\n"
	"RULE:   ACTION WHO WHAT [OPTION]..., see scupper-rules(5)\n"
	"\n"
	"  --socket PATH  the daemon's control socket (/run/scupper/control.sock)\n"
	"  --json         the API's objects: one document, or one a line with --follow\n"
	"  --help, --version\n"
	"\n"
	"exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 daemon not reachable\n";

static const char *const later[] = { "rule import", "rule export", "ask", "up",
	"doctor" };

static int help(void)
{
	fputs(help_head, stdout);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-29s %s\n", commands[i].usage, commands[i].what);
	fputs(help_tail, stdout);
	return DONE;
}

static int usage(const char *what, const char *word)
{
	return command_fail(USAGE, "%s%s%s; see scupper --help", what, *word ? " " : "",
		word);
}

/* how many of args are the words of name; 0: they are others */
static int words_match(const char *name, int n, char **args)
{
	int used = 0;

	while (*name && used < n) {
		size_t len = strcspn(name, " ");

		if (strlen(args[used]) != len || strncmp(args[used], name, len) != 0)
			return 0;
		name += len + (name[len] == ' ');
		used++;
	}
	return *name ? 0 : used;
}

/* the history is written as it comes, so it may be as long as it is */
static int take_limit(struct command_line *c, unsigned knows, int n, char **args)
{
	uint32_t max = knows & KNOWS_PAST ? UINT32_MAX : COMMAND_LIMIT_MAX;
	const char *equals = strchr(args[0], '='), *said = equals ? equals + 1 : args[1];

	if ((!equals && n < 2) || text_u32(said, max, &c->limit) < 0 || !c->limit)
		return -1;
	return equals ? 1 : 2;
}

/* one option at args[0]; how many arguments it took, 0: none, < 0: wrong */
static int take_option(struct command_line *c, unsigned knows, int n, char **args)
{
	const struct {
		const char *name;
		const char **to;
		unsigned of;
	} valued[] = {
		{ "--socket", &c->socket, KNOWS_ALWAYS }, { "--program", &c->program, KNOWS_LISTS },
		{ "--name", &c->name, KNOWS_LISTS }, { "--verdict", &c->verdict, KNOWS_LISTS },
		{ "--address", &c->address, KNOWS_PAST }, { "--country", &c->country, KNOWS_PAST },
		{ "--since", &c->since, KNOWS_PAST }, { "--from", &c->from, KNOWS_PAST },
		{ "--to", &c->to, KNOWS_PAST },
	};
	const struct {
		const char *name;
		bool *to;
		unsigned of;
	} flags[] = {
		{ "--json", &c->json, KNOWS_ALWAYS }, { "--follow", &c->follow, KNOWS_FOLLOW },
		{ "--csv", &c->csv, KNOWS_PAST }, { "--jsonl", &c->jsonl, KNOWS_PAST },
		{ "--no-browser", &c->no_browser, KNOWS_OPEN }, { "--once", &c->once, KNOWS_TOP },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].of & knows && strcmp(args[0], flags[i].name) == 0) {
			*flags[i].to = true;
			return 1;
		}
	}
	if (knows & KNOWS_LISTS && (strcmp(args[0], "--limit") == 0 ||
		strncmp(args[0], "--limit=", 8) == 0))
		return take_limit(c, knows, n, args);
	for (size_t i = 0; i < ARRAY_LEN(valued); i++) {
		size_t len = strlen(valued[i].name);

		if (!(valued[i].of & knows) ||
			strncmp(args[0], valued[i].name, len) != 0)
			continue;
		if (args[0][len] == '=') {
			*valued[i].to = args[0] + len + 1;
			return 1;
		}
		if (args[0][len])
			continue;
		if (n < 2)
			return -1;
		*valued[i].to = args[1];
		return 2;
	}
	return 0;
}

/* a rule's text is the rule's: options stand before the command then */
static bool takes_options(const struct command *cmd)
{
	return strcmp(cmd->word, "rule add") != 0;
}

static int parse_arguments(struct command_line *c, const struct command *cmd, int n,
	char **args)
{
	int kept = 0;

	for (int i = 0; i < n;) {
		int took = 0;

		if (takes_options(cmd))
			took = take_option(c, KNOWS_ALWAYS | cmd->knows, n - i, args + i);

		if (took < 0)
			return usage("wrong or missing value of", args[i]);
		if (took == 0 && takes_options(cmd) && args[i][0] == '-')
			return usage("unknown option", args[i]);
		if (took == 0) {
			args[kept++] = args[i];
			took = 1;
		}
		i += took;
	}
	c->nargs = kept;
	c->args = args;
	if (kept < cmd->min || kept > cmd->max)
		return usage("usage: scupper", cmd->usage);
	return DONE;
}

static int run_command(struct command_line *c, const struct command *cmd)
{
	int status;

	if (client_open(c->socket, &c->client) < 0)
		return command_fail(REFUSED, "out of memory");
	signal(SIGPIPE, SIG_IGN); /* the reader of --follow may go: then stdout fails */
	status = cmd->run(c);
	client_close(c->client);
	return status;
}

static int dispatch(struct command_line *c, int n, char **args)
{
	int used, status;

	if (strcmp(args[0], "run") == 0)
		return run_main(n, args);
	if (strcmp(args[0], "down") == 0)
		return down_main(n, args);
	if (strcmp(args[0], "list") == 0)
		return list_main(n, args);
	if (strcmp(args[0], "help") == 0)
		return help();
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		used = words_match(commands[i].word, n, args);
		if (!used)
			continue;
		status = parse_arguments(c, &commands[i], n - used, args + used);
		return status == DONE ? run_command(c, &commands[i]) : status;
	}
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		if (words_match(later[i], n, args))
			return command_fail(USAGE, "%s comes with a later version", later[i]);
	}
	if (strcmp(args[0], "rule") == 0)
		return usage("usage: scupper rule add RULE | list | rm ID", "");
	return usage("unknown command", args[0]);
}

int main(int argc, char **argv)
{
	struct command_line c = { .socket = "/run/scupper/control.sock" };
	int at = 1;

	while (at < argc && argv[at][0] == '-') {
		int took;

		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
			return help();
		if (strcmp(argv[at], "--version") == 0) {
			puts("scupper " PACKAGE_VERSION);
			return DONE;
		}
		took = take_option(&c, KNOWS_ALWAYS, argc - at, argv + at);
		if (took < 0)
			return usage("missing value of", argv[at]);
		if (took == 0)
			return usage("unknown option", argv[at]);
		at += took;
	}
	if (at == argc)
		return usage("no command given", "");
	return dispatch(&c, argc - at, argv + at);
}
