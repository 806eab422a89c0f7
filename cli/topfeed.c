/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. One stream is listened to. Its hello says that the daemon is there:
 * then what it remembers is read into a tree, and the stream's events are put into that; it
 * was begun before the reading, so nothing falls between, and what comes twice counts once.
 * Another boot, a lost piece (resync) and a new connection read the tree anew, with the same
 * rows open. While there is no stream the old tree stands, and every second it is tried
 * again. Paused, the stream is not read: the daemon keeps a little and then says resync. */
#include "base/clock.h"
#include "base/text.h"
#include "cli/show.h"
#include "cli/told.h"
#include "cli/top.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 1000, PAGES_MAX = 10, PATH_TEXT_MAX = 512, RETRY_MS = 1000, PATIENCE_S = 5,
	WAIT_FDS_MAX = 4 };

int top_open(const char *socket, struct top **out)
{
	struct top *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->order = (struct order){ BY_RATE, true };
	if (client_open(socket, &t->calls) < 0 || client_open(socket, &t->streaming) < 0 ||
		tree_new(&t->tree) < 0) {
		top_close(t);
		return -ENOMEM;
	}
	client_patience(t->calls, PATIENCE_S);
	*out = t;
	return 0;
}

void top_close(struct top *t)
{
	if (!t)
		return;
	client_stream_close(t->stream);
	client_close(t->streaming);
	client_close(t->calls);
	rows_done(&t->rows);
	tree_free(t->tree);
	top_text_done(&t->text);
	free(t);
}

void top_say(struct top *t, const char *fmt, ...)
{
	char raw[TOP_SAID_MAX];
	struct text said = text_into(t->said, sizeof(t->said));
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text_add_safe(&said, raw);
}

json_t *top_get(struct top *t, const char *path)
{
	char why[CLIENT_WHY_MAX];
	json_t *o = NULL;
	struct reply r;

	if (client_call(t->calls, "GET", path, NULL, &r) < 0) {
		top_say(t, "%s", client_why(t->calls));
		return NULL;
	}
	if (r.status == 200)
		o = json_incref(r.json);
	else
		top_say(t, "%s", reply_why(&r, why));
	reply_done(&r);
	return o;
}

/* --- what the daemon remembers ---------------------------------------------------------- */

/* false: it was not read to its end */
static bool read_all(struct top *t, struct tree *into, const char *collection, bool query)
{
	char path[PATH_TEXT_MAX], limit[16];
	json_t *page = NULL, *o, *next;
	size_t i;

	for (int n = 0; n < PAGES_MAX; n++) {
		snprintf(limit, sizeof(limit), "%d", PAGE);
		snprintf(path, sizeof(path), "/api/v1/%s", collection);
		next = json_object_get(page, "next");
		if (page && !json_is_string(next))
			break;
		client_argument(path, sizeof(path), "limit", limit);
		client_argument(path, sizeof(path), "cursor", json_string_value(next));
		json_decref(page);
		page = top_get(t, path);
		if (!page)
			return false;
		json_array_foreach(json_object_get(page, "items"), i, o)
			told_seen(into, o, query);
	}
	json_decref(page);
	return true;
}

static void read_tree(struct top *t)
{
	struct tree *tree;

	t->reload = false;
	if (tree_new(&tree) < 0)
		return;
	if (!read_all(t, tree, "flows", false) || !read_all(t, tree, "queries", true)) {
		tree_free(tree);
		t->reload = true;
		t->retry_ms = clock_boot_ms() + RETRY_MS;
		return;
	}
	tree_like(tree, t->tree);
	tree_settle(tree, clock_boot_ms());
	tree_free(t->tree);
	t->tree = tree;
	t->live = true;
	top_rows(t); /* they were the old one's */
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = show_text(o, key);

	return s ? s : "?";
}

static void take_filter(struct top *t, const json_t *filter)
{
	const char *mode = show_text(filter, "mode");
	char when[SHOW_TIME_MAX];

	t->filter_said[0] = '\0';
	if (!mode || strcmp(mode, "on") == 0)
		return;
	show_time(show_text(filter, "until"), when);
	snprintf(t->filter_said, sizeof(t->filter_said), "%s%s%s",
		strcmp(mode, "paused") == 0 ? "PAUSED: nothing is refused"
					    : "BLOCKED: nothing goes out or in",
		*when ? ", until " : "", when);
}

static void read_status(struct top *t)
{
	json_t *o = top_get(t, "/api/v1/status");
	struct text how = text_into(t->how, sizeof(t->how));

	t->look = false;
	if (!o)
		return;
	text_add_safe(&how, word(o, "mode"));
	text_add(&how, ", default ");
	text_add_safe(&how, word(o, "default"));
	take_filter(t, json_object_get(o, "filter"));
	if (strcmp(word(o, "mode"), "watch") == 0 && !t->filter_said[0])
		text_copy(t->filter_said, sizeof(t->filter_said),
			"watching: nothing is refused, verdicts are what they would be");
	json_decref(o);
}

/* --- the stream ------------------------------------------------------------------------- */

static void on_hello(struct top *t, const json_t *data)
{
	const char *boot = show_text(data, "boot"), *core = show_text(data, "core");
	bool running = core && strcmp(core, "running") == 0;

	if (!running) {
		snprintf(t->gone, sizeof(t->gone), "its core is being restarted");
		t->live = false;
		return;
	}
	t->look = true;
	t->reload |= !t->live || !boot || strcmp(t->boot, boot) != 0;
	text_copy(t->boot, sizeof(t->boot), boot ? boot : "");
}

static bool on_event(void *ctx, const char *type, json_t *data)
{
	struct top *t = ctx;

	t->heard_ms = clock_unix_ms();
	if (strcmp(type, "hello") == 0)
		on_hello(t, data);
	else if (strcmp(type, "flow") == 0)
		told_seen(t->tree, data, false);
	else if (strcmp(type, "query") == 0)
		told_seen(t->tree, data, true);
	else if (strcmp(type, "flows") == 0)
		told_counts(t->tree, data, t->heard_ms);
	else if (strcmp(type, "filter") == 0)
		t->look = true;
	else if (strcmp(type, "resync") == 0)
		t->reload = true;
	return true;
}

static void lost(struct top *t)
{
	struct text gone = text_into(t->gone, sizeof(t->gone));

	text_add_safe(&gone, client_why(t->streaming));
	client_stream_close(t->stream);
	t->stream = NULL;
	t->live = false;
	t->retry_ms = clock_boot_ms() + RETRY_MS;
}

static void connect_stream(struct top *t)
{
	if (client_stream_open(t->streaming, "/api/v1/events?topics=flows,queries,rules&last=0",
		on_event, t, &t->stream) < 0)
		t->retry_ms = clock_boot_ms() + RETRY_MS;
}

static void wait_only(const int *fds, unsigned n, int timeout_ms)
{
	struct pollfd wait[WAIT_FDS_MAX];

	for (unsigned i = 0; i < MIN(n, WAIT_FDS_MAX); i++)
		wait[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	poll(wait, MIN(n, WAIT_FDS_MAX), timeout_ms);
}

void top_turn(struct top *t, const int *fds, unsigned n, int timeout_ms)
{
	bool due = clock_boot_ms() >= t->retry_ms;

	if (!t->stream && due && !t->paused)
		connect_stream(t);
	if (!t->stream || t->paused)
		wait_only(fds, n, timeout_ms);
	else if (client_stream_turn(t->stream, fds, n, timeout_ms) < 0)
		lost(t);
	if (t->stream && !t->paused && t->reload && clock_boot_ms() >= t->retry_ms)
		read_tree(t);
	if (t->look && t->live)
		read_status(t);
}
