/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/client.h"
#include "base/macros.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 64 << 20, LINE_MAX_BYTES = 1 << 20, ANSWER_S = 30, WAIT_FDS_MAX = 4 };

struct client {
	CURL *curl;
	char *socket; /* owned */
	long answer_s;
	char why[CLIENT_WHY_MAX];
};

/* what has come and was not looked at yet */
struct heap {
	char *s;
	size_t len, room;
};

static bool heap_add(struct heap *h, const char *bytes, size_t n, size_t max)
{
	if (h->len + n + 1 > max)
		return false;
	if (h->len + n + 1 > h->room) {
		size_t room = MAX(2 * h->room, h->len + n + 1);
		char *s = realloc(h->s, room);

		if (!s)
			return false;
		h->s = s;
		h->room = room;
	}
	memcpy(h->s + h->len, bytes, n);
	h->len += n;
	h->s[h->len] = '\0';
	return true;
}

int client_open(const char *socket, struct client **out)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->curl = curl_easy_init();
	c->socket = strdup(socket);
	c->answer_s = ANSWER_S;
	if (!c->curl || !c->socket) {
		client_close(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->socket);
	free(c);
}

void client_patience(struct client *c, unsigned seconds)
{
	c->answer_s = (long)seconds;
}

const char *client_why(const struct client *c)
{
	return c->why;
}

static void set_up(struct client *c, const char *path, char url[static 4096])
{
	snprintf(url, 4096, "http://scupper%s", path);
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
}

/* what went wrong below HTTP, in a person's words */
static int not_reached(struct client *c, CURLcode code)
{
	long number = 0;

	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &number);
	if (code != CURLE_COULDNT_CONNECT) {
		snprintf(c->why, sizeof(c->why), "the daemon at %.180s broke off: %.80s",
			c->socket, curl_easy_strerror(code));
		return -EIO;
	}
	if (number == EACCES || number == EPERM)
		snprintf(c->why, sizeof(c->why), "may not use %.180s: be root or a member of "
			"the daemon's group", c->socket);
	else
		snprintf(c->why, sizeof(c->why), "no daemon at %.180s: %s; is scupperd "
			"running?", c->socket, number ? strerror((int)number) : "no answer");
	return number ? -(int)number : -ECONNREFUSED;
}

static size_t on_reply(char *bytes, size_t size, size_t n, void *ctx)
{
	return heap_add(ctx, bytes, size * n, REPLY_MAX) ? size * n : 0;
}

static json_t *parse(const struct heap *h)
{
	return h->len ? json_loadb(h->s, h->len, JSON_DECODE_ANY, NULL) : NULL;
}

int client_call(struct client *c, const char *method, const char *path, json_t *body,
	struct reply *out)
{
	struct curl_slist *headers = NULL;
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct heap h = { 0 };
	char url[4096];
	CURLcode code;

	set_up(c, path, url);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, c->answer_s);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_reply);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &h);
	if (text) {
		headers = curl_slist_append(NULL, "Content-Type: application/json");
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
	}
	code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	if (code == CURLE_OK) {
		*out = (struct reply){ .json = parse(&h) };
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &out->status);
	}
	free(h.s);
	return code == CURLE_OK ? 0 : not_reached(c, code);
}

void reply_done(struct reply *r)
{
	json_decref(r->json);
	r->json = NULL;
}

const char *reply_why(const struct reply *r, char out[static CLIENT_WHY_MAX])
{
	const char *detail = json_string_value(json_object_get(r->json, "detail"));
	struct text t = text_into(out, CLIENT_WHY_MAX);

	if (detail)
		text_add_safe(&t, detail);
	else
		text_addf(&t, "the daemon answered %ld", r->status);
	return out;
}

/* streams: lines of "event: T", "data: JSON", ended by an empty one; ":" is a comment */

struct listener {
	struct client *client;
	struct heap in, body;
	char type[32];
	json_t *data;
	client_event event;
	void *ctx;
	bool ended;
};

static void on_line(struct listener *l, const char *line)
{
	if (strncmp(line, "event: ", 7) == 0) {
		text_copy(l->type, sizeof(l->type), line + 7);
	} else if (strncmp(line, "data: ", 6) == 0) {
		json_decref(l->data);
		l->data = json_loads(line + 6, JSON_DECODE_ANY, NULL);
	} else if (!*line && l->type[0]) {
		l->ended = !l->event(l->ctx, l->type, l->data);
		json_decref(l->data);
		l->data = NULL;
		l->type[0] = '\0';
	}
}

static size_t on_stream(char *bytes, size_t size, size_t n, void *ctx)
{
	struct listener *l = ctx;
	long status = 0;
	char *line, *end;

	curl_easy_getinfo(l->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return heap_add(&l->body, bytes, size * n, REPLY_MAX) ? size * n : 0;
	if (!heap_add(&l->in, bytes, size * n, LINE_MAX_BYTES))
		return 0;
	line = l->in.s;
	while (!l->ended && (end = strchr(line, '\n'))) {
		*end = '\0';
		on_line(l, line);
		line = end + 1;
	}
	l->in.len -= (size_t)(line - l->in.s);
	memmove(l->in.s, line, l->in.len + 1);
	return l->ended ? 0 : size * n;
}

static void set_up_stream(struct listener *l, const char *path, char url[static 4096])
{
	set_up(l->client, path, url);
	curl_easy_setopt(l->client->curl, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(l->client->curl, CURLOPT_WRITEDATA, l);
}

static void listener_done(struct listener *l)
{
	free(l->in.s);
	free(l->body.s);
	json_decref(l->data);
}

static int ended(struct client *c, CURLcode code)
{
	if (code != CURLE_OK)
		return not_reached(c, code);
	snprintf(c->why, sizeof(c->why), "the daemon ended the stream");
	return -EPIPE;
}

int client_listen(struct client *c, const char *path, client_event event, void *ctx,
	struct reply *out)
{
	struct listener l = { .client = c, .event = event, .ctx = ctx };
	char url[4096];
	CURLcode code;

	set_up_stream(&l, path, url);
	code = curl_easy_perform(c->curl);
	*out = (struct reply){ .json = parse(&l.body) };
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &out->status);
	listener_done(&l);
	return l.ended || out->status >= 300 ? 0 : ended(c, code);
}

struct client_stream {
	CURLM *multi;
	struct listener listener;
};

int client_stream_open(struct client *c, const char *path, client_event event, void *ctx,
	struct client_stream **out)
{
	struct client_stream *s = calloc(1, sizeof(*s));
	char url[4096];

	if (!s)
		return -ENOMEM;
	s->listener = (struct listener){ .client = c, .event = event, .ctx = ctx };
	s->multi = curl_multi_init();
	if (!s->multi) {
		free(s);
		return -ENOMEM;
	}
	set_up_stream(&s->listener, path, url);
	curl_multi_add_handle(s->multi, c->curl);
	*out = s;
	return 0;
}

/* the transfer is over: by whom, and why */
static int stream_over(struct client_stream *s, CURLcode code)
{
	struct client *c = s->listener.client;
	struct reply r = { 0 };

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &r.status);
	if (s->listener.ended || r.status < 300)
		return ended(c, s->listener.ended ? CURLE_OK : code);
	r.json = parse(&s->listener.body);
	reply_why(&r, c->why);
	reply_done(&r);
	return -EACCES;
}

int client_stream_turn(struct client_stream *s, const int *fds, unsigned n, int timeout_ms)
{
	struct curl_waitfd wait[WAIT_FDS_MAX];
	int running, left;
	CURLMsg *over;

	for (unsigned i = 0; i < MIN(n, WAIT_FDS_MAX); i++)
		wait[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
	curl_multi_poll(s->multi, wait, MIN(n, WAIT_FDS_MAX), timeout_ms, NULL);
	curl_multi_perform(s->multi, &running);
	while ((over = curl_multi_info_read(s->multi, &left))) {
		if (over->msg == CURLMSG_DONE)
			return stream_over(s, over->data.result);
	}
	return 0;
}

void client_stream_close(struct client_stream *s)
{
	if (!s)
		return;
	curl_multi_remove_handle(s->multi, s->listener.client->curl);
	curl_multi_cleanup(s->multi);
	listener_done(&s->listener);
	free(s);
}

bool client_argument(char *path, size_t max, const char *name, const char *value)
{
	struct text t = text_into(path + strlen(path), max - strlen(path));
	char *escaped;

	if (!value)
		return true;
	escaped = curl_easy_escape(NULL, value, 0);
	if (!escaped)
		return false;
	text_addf(&t, "%c%s=%s", strchr(path, '?') ? '&' : '?', name, escaped);
	curl_free(escaped);
	return !t.cut;
}
