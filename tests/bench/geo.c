/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a look-up costs: geo_find() beside libmaxminddb's own calls for one of the same
 * facts (its search of the tree, and that with MMDB_get_value).
 *	geo FILE KEY [FILE KEY]...      KEY: country_code, autonomous_system_number ...
 * Prints for each file and for all together, in nanoseconds for one address; and what it
 * takes to open them. */
#include "base/macros.h"
#include "geo/geo.h"

#include <maxminddb.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ADDRS = 1 << 16, TIMES = 16, FEW = 256 };

static struct addr addrs[ADDRS];
static unsigned long known; /* so that no work is optimised away */

/* of this process's work, whatever else runs */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* three in four IPv4, the rest in 2a00::/12, where most networks of the file are */
static void addrs_make(void)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < ADDRS; i++) {
		uint8_t b[16];

		for (unsigned k = 0; k < sizeof(b); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			b[k] = (uint8_t)(seed >> 56);
		}
		if (i % 4 == 3) {
			b[0] = 0x2a;
			b[1] &= 0x0f;
			addrs[i] = addr_v6(b);
		} else {
			addrs[i] = addr_v4(b);
		}
	}
}

/* of this process, in MB */
static double resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static double ours(const struct geo_conf *conf, unsigned naddrs, bool tell)
{
	double start = now_ns(), before = resident(), opened;
	struct geo *g;

	if (geo_open(conf, &g) < 0)
		return -1;
	opened = (now_ns() - start) / 1e6;
	start = now_ns();
	for (unsigned t = 0; t < TIMES; t++)
		for (unsigned i = 0; i < ADDRS; i++) {
			struct geo_tag tag;

			known += geo_find(g, &addrs[i % naddrs], &tag) == 0;
		}
	start = now_ns() - start;
	if (tell)
		printf("opened in %.1f ms of work; looked all over, %.1f MB more are resident\n", opened,
			resident() - before);
	geo_close(g);
	return start / TIMES / ADDRS;
}

static double theirs(const char *file, const char *key)
{
	double start;
	MMDB_s db;

	if (MMDB_open(file, MMDB_MODE_MMAP, &db) != MMDB_SUCCESS)
		return -1;
	start = now_ns();
	for (unsigned t = 0; t < TIMES; t++)
		for (unsigned i = 0; i < ADDRS; i++) {
			struct sockaddr_storage at;
			MMDB_lookup_result_s found;
			MMDB_entry_data_s d;
			int status;

			addr_to_sockaddr(&addrs[i], 0, &at);
			found = MMDB_lookup_sockaddr(&db, (struct sockaddr *)&at, &status);
			if (key && found.found_entry)
				status = MMDB_get_value(&found.entry, &d, key, NULL);
			known += found.found_entry && status == MMDB_SUCCESS;
		}
	start = now_ns() - start;
	MMDB_close(&db);
	return start / TIMES / ADDRS;
}

int main(int argc, char **argv)
{
	struct geo_conf all = { 0 };
	double ns;
	bool asn;

	if (argc < 3 || argc % 2 == 0) {
		fprintf(stderr, "usage: geo FILE KEY [FILE KEY]...\n");
		return 2;
	}
	addrs_make();
	printf("%-40s %12s %12s %12s\n", "ns an address", "tree alone", "with a key", "geo_find");
	for (int i = 1; i < argc; i += 2) {
		struct geo_conf one = { 0 };

		asn = strncmp(argv[i + 1], "auto", 4) == 0;
		if (asn)
			one.asn = all.asn = argv[i];
		else
			one.country = all.country = argv[i];
		printf("%-40s %12.0f %12.0f %12.0f\n", argv[i], theirs(argv[i], NULL),
			theirs(argv[i], argv[i + 1]), ours(&one, ADDRS, false));
	}
	ns = ours(&all, ADDRS, true);
	printf("%-40s %12s %12s %12.0f\n", "together", "", "", ns);
	printf("%-40s %12s %12s %12.0f\n", "together, the same few addresses", "", "",
		ours(&all, FEW, false));
	return known == 0;
}
