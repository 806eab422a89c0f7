/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/atlas.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { CHECK_MS = 60000 };

struct atlas {
	uv_timer_t timer;
	uv_work_t work;
	struct geo *geo;
	struct geo_load *load; /* under way */
	void (*changed)(void *ctx);
	void *ctx;
	bool closing, timer_gone;
};

/* --- where ------------------------------------------------------------------------------ */

static bool there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* the directory of the running executable, for what was built and not installed */
static void own_dir(char out[static CONF_PATH_MAX])
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	if (!text_copy(out, CONF_PATH_MAX, exe))
		out[0] = '\0';
}

void atlas_find(enum geo_kind kind, const char *configured, const char *root,
	char out[static CONF_PATH_MAX])
{
	static const char *const theirs[] = { "GeoLite2-Country.mmdb", "GeoLite2-City.mmdb",
		"GeoLite2-ASN.mmdb" };
	static const char *const ours[] = { "country.mmdb", "city.mmdb", "asn.mmdb" };
	char own[CONF_PATH_MAX];
	const struct {
		const char *dir, *below, *name;
	} places[] = {
		{ "/usr/share/GeoIP", "", theirs[kind] },
		{ "/var/lib/GeoIP", "", theirs[kind] },
		{ SCUPPER_DATADIR, "", ours[kind] },
		{ own, "/geo", ours[kind] },
	};

	if (*configured) {
		text_copy(out, CONF_PATH_MAX, configured);
		return;
	}
	own_dir(own);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct text t = text_into(out, CONF_PATH_MAX);

		text_addf(&t, "%s%s%s/%s", root, places[i].dir, places[i].below,
			places[i].name);
		if (!t.cut && there(out))
			return;
	}
	out[0] = '\0';
}

/* --- and taking new ones ------------------------------------------------------------------ */

static void say(const struct geo *g)
{
	char text[512];

	for (enum geo_kind k = 0; k < GEO_KINDS; k++) {
		struct geo_file f;

		geo_file(g, k, &f);
		geo_file_text(g, k, text, sizeof(text));
		if (f.error)
			log_warning("geo: %s", text);
		else if (*text)
			log_info("geo: %s", text);
	}
}

static void maybe_free(struct atlas *a)
{
	if (!a->closing || !a->timer_gone || a->load)
		return;
	geo_close(a->geo);
	free(a);
}

static void on_work(uv_work_t *w)
{
	struct atlas *a = w->data;

	geo_load_run(a->load);
}

static void on_worked(uv_work_t *w, int status)
{
	struct atlas *a = w->data;
	struct geo_load *l = a->load;

	a->load = NULL;
	if (status < 0 || a->closing) {
		geo_load_free(l);
	} else if (geo_load_take(a->geo, l)) {
		say(a->geo);
		a->changed(a->ctx);
	}
	maybe_free(a);
}

void atlas_check(struct atlas *a)
{
	if (!a || a->load)
		return;
	a->load = geo_load_new(a->geo);
	if (!a->load)
		return;
	a->work.data = a;
	if (uv_queue_work(a->timer.loop, &a->work, on_work, on_worked) < 0) {
		geo_load_free(a->load);
		a->load = NULL;
	}
}

static void on_timer(uv_timer_t *t)
{
	atlas_check(t->data);
}

static void on_timer_gone(uv_handle_t *h)
{
	struct atlas *a = h->data;

	a->timer_gone = true;
	maybe_free(a);
}

int atlas_open(struct uv_loop_s *loop, const struct conf *conf,
	void (*changed)(void *ctx), void *ctx, struct atlas **out)
{
	char country[CONF_PATH_MAX], city[CONF_PATH_MAX], asn[CONF_PATH_MAX];
	struct geo_conf gc = { country, city, asn };
	struct atlas *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	atlas_find(GEO_COUNTRY, conf->geo_country, "", country);
	atlas_find(GEO_CITY, conf->geo_city, "", city);
	atlas_find(GEO_ASN, conf->geo_asn, "", asn);
	r = geo_open(&gc, &a->geo);
	if (r < 0) {
		free(a);
		return r;
	}
	say(a->geo);
	a->changed = changed;
	a->ctx = ctx;
	uv_timer_init(loop, &a->timer);
	a->timer.data = a;
	uv_timer_start(&a->timer, on_timer, CHECK_MS, CHECK_MS);
	*out = a;
	return 0;
}

void atlas_close(struct atlas *a)
{
	if (!a)
		return;
	a->closing = true;
	uv_close((uv_handle_t *)&a->timer, on_timer_gone);
}

const struct geo *atlas_geo(const struct atlas *a)
{
	return a ? a->geo : NULL;
}

bool atlas_empty(const struct atlas *a)
{
	struct geo_file f;

	for (enum geo_kind k = 0; a && k < GEO_KINDS; k++) {
		geo_file(a->geo, k, &f);
		if (f.open)
			return false;
	}
	return true;
}
