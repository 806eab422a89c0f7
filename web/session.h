/* SPDX-License-Identifier: GPL-2.0-or-later
 * session.h - who signed in to the dashboard. A token is good once, for a minute; a session
 * is bound to the uid that it was made for, with the role it was made for, and ends after
 * half a day without use. Secrets are kept hashed. Bounds: the longest unused session, the
 * oldest token leave first. */
#ifndef WEB_SESSION_H
#define WEB_SESSION_H

#include "base/sha256.h"

#include <stdbool.h>

enum {
	SESSION_SECRET = 32,                   /* bytes */
	SESSION_TEXT = 2 * SESSION_SECRET + 1, /* hex, with its NUL */
	SESSIONS_MAX = 64,
	TOKENS_MAX = 16,
	TOKEN_MS = 60 * 1000,
	SESSION_IDLE_MS = 12 * 3600 * 1000,
};

struct session_for {
	uint32_t uid;
	bool admin;
};

struct session {
	uint8_t hash[SHA256_LEN];
	uint32_t uid;
	bool admin;
	int64_t until_ms; /* 0: free */
};

struct sessions {
	struct session tokens[TOKENS_MAX], at[SESSIONS_MAX];
};

void session_text(const uint8_t secret[static SESSION_SECRET], char out[static SESSION_TEXT]);
/* the text is the secret that the other side will bring */
void token_add(struct sessions *s, const char *text, const struct session_for *whose,
	int64_t now_ms);
/* a good token of this uid's? Its session is to have the role in *admin */
bool token_use(struct sessions *s, const char *text, uint32_t uid, int64_t now_ms,
	bool *admin);
void session_add(struct sessions *s, const char *text, const struct session_for *whose,
	int64_t now_ms);
/* is it one of this uid's? Then it is used, and good for half a day more */
bool session_use(struct sessions *s, const char *text, uint32_t uid, int64_t now_ms,
	bool *admin);
void session_end(struct sessions *s, const char *text);
/* has this uid a token or session? */
bool session_known(const struct sessions *s, uint32_t uid, int64_t now_ms);
unsigned session_count(const struct sessions *s, int64_t now_ms); /* signed in */

#endif
