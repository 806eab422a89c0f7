/* SPDX-License-Identifier: GPL-2.0-or-later
 * who.h - who asks: the kernel's half (BPF) and the identity table.
 *
 * Two halves of one object. The supervisor opens it: loads, pins and attaches the programs
 * (all of it inherited by fork). The core starts it: reads the ring, keeps programs and
 * processes, and answers "who is number N?" without ever waiting.
 * Needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH. */
#ifndef WHO_WHO_H
#define WHO_WHO_H

#include "base/instance.h"
#include "base/program.h"

struct uv_loop_s;
struct who;

struct who_conf {
	const struct instance *instance;
	const char *scope;       /* absolute path of the cgroup2 directory that is guarded */
	const char *pins;        /* directory below bpffs, NULL: nothing is pinned (open) */
	bool closed;             /* when-down=closed: refuse what no table stamped */
	uint32_t numbers;        /* how many numbers to give out; 0: ACTOR_MAX */
	const uint16_t *guarded_ports; /* ports below 1024 guarded programs may not bind on
					* loopback listeners of ours; 53 always */
	unsigned nguarded_ports;
	const uint16_t *bind_ports; /* likewise, of services that are no DNS: what is sent to them
				     * is not recorded; WHO_GUARDED_MAX at most */
	unsigned nbind_ports;
};

/* -errno, and why in a sentence: what is missing and what to do about it */
int who_open(const struct who_conf *conf, char *why, size_t why_max, struct who **out);
/* The same without BPF (keys.c): a number stands for a cgroup and a user. Of conf only
 * instance and scope count. */
int who_open_keys(const struct who_conf *conf, struct who **out);
bool who_by_key(const struct who *w);
/* closes our half; unpin also takes pinned links and maps away */
void who_close(struct who *w, bool unpin);
/* take away what a dead daemon left pinned; 0 if there was nothing */
int who_unpin(const char *pins);

/* tell the kernel that this process is the daemon (not judged, may set marks) */
int who_register_self(struct who *w, int32_t tgid);

struct who_calls {
	void *ctx;
	/* a number was given to a program we have not met (before anything else about it);
	 * and again, under a new serial, when another path of its file came to be known (a
	 * hard link, or the first one that is believed): other rules may match it now */
	void (*actor_new)(void *ctx, const struct program *p);
	/* numbers to give back: nobody of the program lives; the callee frees what bears the
	 * number (elements, conntrack) and then calls who_actor_free() */
	void (*actor_idle)(void *ctx, const struct program *p);
	/* or NULL; prog is NULL while the program has no number: it made no socket yet */
	void (*exec)(void *ctx, const struct process *p, const struct program *prog);
	/* by key: a number was met that we know nothing of. To call who_keys_put() with what
	 * the kernel gave out, before it returns. */
	void (*look)(void *ctx);
};
int who_start(struct who *w, struct uv_loop_s *loop, const struct who_calls *calls);
void who_stop(struct who *w);

/* never NULL: an unknown number gives the program `unknown`. Borrowed for this turn. */
const struct program *who_actor(struct who *w, uint32_t actor);
const struct program *who_unknown(struct who *w);
void who_actor_free(struct who *w, uint32_t actor);
void who_each_actor(struct who *w, void (*each)(void *ctx, const struct program *p),
	void *ctx);

/* By key: what a number stands for, as the kernel gave it; uid UINT32_MAX: what comes in for
 * the cgroup. Known ones are passed over. who_keys() writes those known, and how many. */
struct who_given {
	uint32_t actor, uid;
	uint64_t cgroup;
};
void who_keys_put(struct who *w, const struct who_given *keys, size_t n);
size_t who_keys(const struct who *w, struct who_given *out, size_t max);
/* Who it may be: 0 is the number's own program, then, by key, those seen running there; NULL
 * behind the last. */
const struct program *who_member(struct who *w, uint32_t actor, unsigned i);
void who_member_add(struct who *w, uint32_t actor, const struct program *p); /* copies */

/* the process behind a packet that reached one of our listeners, from the egress record */
struct who_tuple {
	struct addr src, dst; /* as the record's packet had them after NAT of the destination */
	uint16_t sport, dport;
	uint16_t dns_id;      /* UDP only, else 0 */
	uint8_t proto;
};
/* copies *out; -ENOENT: not known, as by key. actor must be the number the packet's source says */
int who_record(struct who *w, const struct who_tuple *t, uint32_t actor,
	struct process *out);
int who_process(struct who *w, int32_t tgid, struct process *out); /* from the table, -ENOENT */

/* A client of a UNIX socket of ours (who/peer.c). Not by key: there is no number for who sent
 * no packet. -errno, -ESRCH among them: it is gone, or its pid says nothing here */
struct who_peer {
	int32_t pid;
	uint32_t uid;
	int pidfd;      /* owned: who_peer_close */
	uint64_t start; /* of the process, in boot-clock ns */
};
int who_peer_open(struct who *w, int fd, struct who_peer *out);
void who_peer_close(struct who_peer *p);
/* The number of its program, which it is given if it has none yet; ACTOR_NONE: it is outside of
 * the scope, ACTOR_UNKNOWN: gone, or no number is left. The others are untouched on that. */
uint32_t who_peer_actor(struct who *w, const struct who_peer *p, struct process *out,
	bool *in_scope);

/* What rules say of all that a number may do, for hooks that see no address: packet sockets,
 * joining groups. ACTOR_SELF: for those of whom neither is said; number 0: for all, whatever is
 * said of them. Without w, and by key, there is nobody to be told. */
enum { WHO_WHOLE_PASS = 1, WHO_WHOLE_REFUSE = 2, WHO_WHOLE_DHCP = 4 };
void who_whole(struct who *w, uint32_t number, uint32_t what);

struct who_stats {
	uint64_t execs, forks, exits, numbers, ring_lost, no_number, quota_refused, stamps_missing,
		marks_refused, binds_refused, records, records_lost, frames_refused;
	int frames_error; /* why packet sockets are not held on some interface, or 0 */
};
void who_stats(const struct who *w, struct who_stats *out);

/* Adopts sockets that existed before us in the scope (at start and after a fall): each is
 * told to the caller, who answers with the verdict; then it is marked (ALLOW) or destroyed
 * (DENY). Runs step by step on the loop, done is called at the end. */
struct who_socket {
	const struct program *program;
	int32_t pid;
	uint8_t proto;
	bool listening, connected;
	struct addr local, peer;
	uint16_t lport, pport;
};
enum who_adopt { WHO_MARK, WHO_END, WHO_LEAVE };
/* the judge must answer once, now or later, with its token */
typedef void (*who_answer)(void *token, enum who_adopt what);
typedef void (*who_adopt_judge)(void *ctx, const struct who_socket *s, who_answer answer,
	void *token);
int who_adopt(struct who *w, who_adopt_judge judge, void (*done)(void *ctx, unsigned found),
	void *ctx);

#endif
