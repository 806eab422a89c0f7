/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupper down: takes away what a daemon that is gone left in the kernel. */
#include "cli/run.h"
#include "cli/conf.h"
#include "cli/supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_REFUSED, EXIT_USAGE };

static const char usage[] =
	"Usage: scupper down [--config FILE]\n"
	"After the daemon was stopped with when-down=closed: takes its table and hooks out of\n"
	"the kernel, so that everything passes again. Needs root.\n";

int down_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = "/etc/scupper/scupper.conf";
	struct conf conf;
	char why[512];
	int o, r;

	optind = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_OK;
		}
		if (o != 'c')
			return EXIT_USAGE;
		path = optarg;
	}
	if (optind < argc) {
		fprintf(stderr, "scupper: down: unexpected argument: %s\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "scupper: down: needs root\n");
		return EXIT_REFUSED;
	}
	if (conf_load(path, &conf, why, sizeof(why)) < 0) {
		fprintf(stderr, "scupper: down: %s\n", why);
		return EXIT_REFUSED;
	}
	r = supervisor_down(&conf, why, sizeof(why));
	if (r < 0) {
		fprintf(stderr, "scupper: down: %s\n", why);
		return EXIT_REFUSED;
	}
	return EXIT_OK;
}
