/* SPDX-License-Identifier: GPL-2.0-or-later
 * client.h - one HTTP client of the daemon's control socket. Blocking: for commands. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct client;

enum { CLIENT_WHY_MAX = 300 };

struct reply {
	long status;  /* of HTTP */
	json_t *json; /* owned, NULL if there is none */
};

int client_open(const char *socket, struct client **out); /* -ENOMEM */
void client_close(struct client *c);                      /* NULL is fine */
/* body may be NULL. 0 whatever the status is; -errno: not reached, client_why() says it */
int client_call(struct client *c, const char *method, const char *path, json_t *body,
	struct reply *out);
void client_patience(struct client *c, unsigned seconds); /* how long a call may last */
void reply_done(struct reply *r);
const char *client_why(const struct client *c);
/* the problem's own words of a reply that is no success */
const char *reply_why(const struct reply *r, char out[static CLIENT_WHY_MAX]);

/* Server-Sent Events, one call each; event returns false to end. 0: ended by event;
 * -errno: not reached, or the stream broke; a refusal is *out with its status. */
typedef bool (*client_event)(void *ctx, const char *type, json_t *data);
int client_listen(struct client *c, const char *path, client_event event, void *ctx,
	struct reply *out);

/* The same for whoever waits for other things, too: begun, then turned. c is the stream's
 * until it is closed. -ENOMEM */
struct client_stream;
int client_stream_open(struct client *c, const char *path, client_event event, void *ctx,
	struct client_stream **out);
/* until something came, one of fds can be read, or the time is over. 0: it goes on; -errno:
 * it does not (not reached, refused, ended by either side), client_why() says it */
int client_stream_turn(struct client_stream *s, const int *fds, unsigned n, int timeout_ms);
void client_stream_close(struct client_stream *s); /* NULL is fine; not from an event */

/* path += "?name=value" or "&name=value", escaped; value NULL: nothing. false: too long */
bool client_argument(char *path, size_t max, const char *name, const char *value);

#endif
