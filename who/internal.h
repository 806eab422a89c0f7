/* SPDX-License-Identifier: GPL-2.0-or-later
 * internal.h - what the files of this folder share and nobody else sees. */
#ifndef WHO_INTERNAL_H
#define WHO_INTERNAL_H

#include "who/who.h"

/* The number of a living process, as its hooks would find or give it: the executable it
 * was started from and its real uid. Same order as in the kernel (pop, page, publish), so
 * it may be called while processes make sockets. ACTOR_UNKNOWN: none is left, or the
 * process is gone or not in the scope. */
uint32_t who_number_of(struct who *w, int32_t tgid);

/* Writes the owner {tgid, actor} to the storage of a socket that was made before the hooks
 * saw it, so that its packets get a record. fd is our own duplicate. 0 or -errno */
int who_own_socket(struct who *w, int fd, int32_t tgid, uint32_t actor);

/* the number in a socket's storage, ACTOR_NONE if these maps know nothing of it: a mark of
 * our magic on it is then a dead daemon's, and what its number stood for is not known */
uint32_t who_socket_number(struct who *w, int fd);

/* does the process live below the guarded cgroup? false also when it is gone */
bool who_in_scope(struct who *w, int32_t tgid);

/* the cgroup2 directory that is guarded; the cookie of our network namespace; our mark */
const char *who_scope(const struct who *w);
uint64_t who_netns_cookie(const struct who *w);
uint32_t who_mark(const struct who *w, uint32_t actor);
const struct instance *who_instance(const struct who *w);
/* the loop it was started on (who_start), NULL before */
struct uv_loop_s *who_loop(const struct who *w);

/* The adoption under way, kept in struct who for adopt.c (NULL: none). who_stop() calls
 * adopt_stop() with it: nothing of w is used after that, and done is not called. */
struct adopt;
struct adopt **who_adopting(struct who *w);
void adopt_stop(struct adopt *a); /* NULL is fine */

#endif
