/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/keeper.h"
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/rights.h"
#include "cli/serve.h"
#include "db/history.h"
#include "rules/rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { LOOK_MS = 1000 };

struct keeper {
	struct history *history;
	struct history_status seen;
	struct serve *serve;
	uv_timer_t look;
};

static void read_conf(const struct conf *conf, char path[static PATH_MAX],
	struct history_conf *out)
{
	snprintf(path, PATH_MAX, "%s/history.db", conf->state_dir);
	*out = (struct history_conf){
		.path = path,
		.group = rights_group(conf->group),
		.keep_s = conf->history_keep_s,
		.max_bytes = conf->history_max,
		.queries = (enum history_queries)conf->history_queries,
	};
}

void keeper_prepare(const struct conf *conf)
{
	char path[PATH_MAX], why[HISTORY_WHY_MAX] = "";
	struct rights rights;
	struct history_conf h;

	if (!conf->history_keep_s)
		return;
	read_conf(conf, path, &h);
	if (history_prepare(&h, why, sizeof(why)) < 0)
		log_error("history: %s; it waits in memory until that is over", why);
	else if (why[0])
		log_error("history: %s", why);
	rights_find(&rights);
	for (int i = 0; rights.own_user && i < 3; i++) {
		static const char *const endings[] = { "", "-wal", "-shm" };
		char file[PATH_MAX + 8];

		snprintf(file, sizeof(file), "%s%s", path, endings[i]);
		if (lchown(file, rights.uid, (gid_t)-1) < 0)
			log_warning("history: %s: %s", file, strerror(errno));
	}
}

static void tell_file(struct keeper *k)
{
	if (k->serve)
		serve_history(k->serve, k->seen.dev, k->seen.ino);
}

/* what is new is logged once, and what is over too */
static void on_look(uv_timer_t *t)
{
	struct keeper *k = t->data;
	struct history_status before = k->seen, *now = &k->seen;

	history_status(k->history, now);
	if (strcmp(now->why, before.why) != 0) {
		if (now->why[0])
			log_error("history: %s; traffic goes on, what happens waits in memory",
				now->why);
		else
			log_notice("history: is being written again");
	}
	if (strcmp(now->aside, before.aside) != 0)
		log_error("history: the file was corrupt: moved to %s, a new one begins",
			now->aside);
	if (now->lost && !before.lost)
		log_error("history: the oldest of what waits is being dropped");
	if (now->ino != before.ino || now->dev != before.dev)
		tell_file(k);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

struct keeper *keeper_open(struct uv_loop_s *loop, const struct conf *conf)
{
	struct keeper *k = conf->history_keep_s ? calloc(1, sizeof(*k)) : NULL;
	char path[PATH_MAX];
	struct history_conf h;
	int r;

	if (!k)
		return NULL;
	read_conf(conf, path, &h);
	r = history_open(&h, &k->history);
	if (r < 0) {
		log_error("history: cannot start: %s", strerror(-r));
		free(k);
		return NULL;
	}
	uv_timer_init(loop, &k->look);
	k->look.data = k;
	uv_timer_start(&k->look, on_look, LOOK_MS / 10, LOOK_MS);
	return k;
}

void keeper_serve(struct keeper *k, struct serve *s)
{
	if (k)
		k->serve = s;
	if (k && s && k->seen.ino)
		tell_file(k);
}

void keeper_close(struct keeper *k)
{
	if (!k)
		return;
	history_close(k->history);
	uv_close((uv_handle_t *)&k->look, on_closed);
}

void keeper_flow(struct keeper *k, const struct flow *f, const struct program *p,
	const struct ruleset *rs)
{
	struct history_who who = { .path = p->path, .uid = p->uid };
	struct rule_info rule;

	if (!k)
		return;
	who.domain = f->name[0] ? rules_registrable(f->name) : NULL;
	if (f->rule && rs && ruleset_find(rs, f->rule, &rule))
		who.rule_text = rule.text;
	history_flow(k->history, f, &who);
}

void keeper_status(struct keeper *k, struct link_status *out)
{
	struct history_status s;

	if (!k)
		return;
	history_status(k->history, &s);
	text_copy(out->history, sizeof(out->history), s.why);
	out->history_bytes = s.bytes;
	out->history_lost = s.lost;
}
