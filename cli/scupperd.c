/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupperd - the daemon: foreground, logs to stderr. */
#include "base/log.h"
#include "cli/conf.h"
#include "cli/supervisor.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_REFUSED, EXIT_USAGE };

static const char usage[] =
	"Usage: scupperd [--check] [--config FILE]\n"
	"The Scupper daemon: guards the network of every program in its scope.\n\n"
	"  --config FILE  the configuration (default /etc/scupper/scupper.conf)\n"
	"  --check        read the configuration, say what is wrong, and end\n"
	"  --version      print the version and end\n"
	"  --help         print this and end\n\n"
	"Runs in the foreground, logs to stderr, and prints \"scupperd: ready\" there when it\n"
	"serves. SIGHUP reads the rule files again; SIGTERM and SIGINT end it.\n"
	"See scupperd(8), scupper.conf(5), scupper-rules(5) and scupper(8).\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = "/etc/scupper/scupper.conf";
	struct conf conf;
	char why[512];
	bool check = false;
	int o;

	log_init("scupperd", LOG_INFO);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 'v':
			printf("scupperd %s\n", PACKAGE_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "scupperd: unexpected argument: %s\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (conf_load(path, &conf, why, sizeof(why)) < 0) {
		log_error("%s", why);
		return EXIT_REFUSED;
	}
	if (check)
		return EXIT_OK;
	if (geteuid() != 0) {
		log_error("needs root (network, BPF and nftables rights): run it as root, or "
			  "from its systemd unit");
		return EXIT_REFUSED;
	}
	log_init("scupperd", conf.log);
	return supervisor_run(&conf, -1);
}
