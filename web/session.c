/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/session.h"
#include "base/macros.h"

#include <stdio.h>
#include <string.h>

void session_text(const uint8_t secret[static SESSION_SECRET], char out[static SESSION_TEXT])
{
	for (unsigned i = 0; i < SESSION_SECRET; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", secret[i]);
}

static void add(struct session *list, unsigned n, const char *text,
	const struct session_for *whose, int64_t until_ms)
{
	struct session new = { .uid = whose->uid, .admin = whose->admin,
		.until_ms = until_ms }, *to = list;

	if (sha256(text, strlen(text), new.hash) < 0)
		return; /* then nobody signs in by it */
	for (unsigned i = 0; i < n; i++) {
		if (list[i].until_ms < to->until_ms)
			to = &list[i];
	}
	*to = new;
}

/* What is compared is hashed: how long that takes tells nothing of the secret. */
static struct session *find(struct session *list, unsigned n, const char *text)
{
	uint8_t hash[SHA256_LEN];

	if (sha256(text, strlen(text), hash) < 0)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		if (list[i].until_ms && memcmp(list[i].hash, hash, sizeof(hash)) == 0)
			return &list[i];
	}
	return NULL;
}

void token_add(struct sessions *s, const char *text, const struct session_for *whose,
	int64_t now_ms)
{
	add(s->tokens, TOKENS_MAX, text, whose, now_ms + TOKEN_MS);
}

bool token_use(struct sessions *s, const char *text, uint32_t uid, int64_t now_ms,
	bool *admin)
{
	struct session *t = find(s->tokens, TOKENS_MAX, text);
	bool good = t && t->until_ms > now_ms && t->uid == uid;

	if (good)
		*admin = t->admin;
	if (t)
		t->until_ms = 0; /* whoever showed it: it is known to two now */
	return good;
}

void session_add(struct sessions *s, const char *text, const struct session_for *whose,
	int64_t now_ms)
{
	add(s->at, SESSIONS_MAX, text, whose, now_ms + SESSION_IDLE_MS);
}

bool session_use(struct sessions *s, const char *text, uint32_t uid, int64_t now_ms,
	bool *admin)
{
	struct session *t = find(s->at, SESSIONS_MAX, text);

	if (!t || t->until_ms <= now_ms || t->uid != uid)
		return false;
	t->until_ms = now_ms + SESSION_IDLE_MS;
	*admin = t->admin;
	return true;
}

void session_end(struct sessions *s, const char *text)
{
	struct session *t = find(s->at, SESSIONS_MAX, text);

	if (t)
		t->until_ms = 0;
}

static bool has(const struct session *list, unsigned n, uint32_t uid, int64_t now_ms)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].until_ms > now_ms && list[i].uid == uid)
			return true;
	}
	return false;
}

bool session_known(const struct sessions *s, uint32_t uid, int64_t now_ms)
{
	return has(s->tokens, TOKENS_MAX, uid, now_ms) || has(s->at, SESSIONS_MAX, uid, now_ms);
}

unsigned session_count(const struct sessions *s, int64_t now_ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		n += s->at[i].until_ms > now_ms;
	return n;
}
