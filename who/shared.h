/* SPDX-License-Identifier: GPL-2.0-or-later
 * shared.h - what the kernel programs and user space both read and write. Plain types of
 * fixed size, no pointers, no holes; sizes are asserted when either side is compiled.
 * Whoever changes a type or a map here raises WHO_LAYOUT: pinned maps are found by it. */
#ifndef WHO_SHARED_H
#define WHO_SHARED_H

#ifndef __bpf__
#include <linux/types.h>
#endif

enum {
	WHO_LAYOUT = 3,
	WHO_NUMBERS = 8192,      /* slots for 13-bit numbers */
	WHO_PROCS_MAX = 65536,
	WHO_RECORDS = 16384,     /* a power of two */
	WHO_QUOTA_BUCKETS = 4096,
	WHO_IMAGES_MAX = 16384,
	WHO_NAMES_MAX = 768,     /* names of a path, leaf first, each with its NUL */
	WHO_NAME_ROOM = 512,     /* a name starts below this, so that 256 bytes fit */
	WHO_DEPTH_MAX = 48,
	WHO_ARGS_MAX = 256,
	WHO_LOOK_MAX = 2040,
	WHO_SESSIONS = 16,
	WHO_GUARDED_MAX = 8,
	WHO_SELVES_MAX = 64,
	WHO_UNKNOWN = 0x1ffd,    /* as ACTOR_UNKNOWN, ACTOR_SELF of base/program.h */
	WHO_SELF = 0x1fff,
};

/* An executable as the kernel tells it. The change time is in it because inode numbers
 * and generations come back on some filesystems, and because writing to a file that is
 * not running makes it another program. */
struct who_exe {
	__u64 ino;
	__u64 ctime; /* ns; bit 31 of the ns field (a flag on new kernels) left out */
	__u32 dev;   /* s_dev of the superblock: not always what stat shows */
	__u32 gen;
};

struct who_key { /* what a number is given to */
	struct who_exe exe;
	__u32 uid;
	__u32 pad;
};

enum { /* struct who_path .flags */
	WHO_PATH_LOST = 1,    /* too long or too deep: the names are its tail only */
	WHO_PATH_DELETED = 2,
	WHO_PATH_PSEUDO = 4,  /* in no directory: memfd */
};

struct who_path {
	__u32 len;
	__u32 flags;
	char names[WHO_NAMES_MAX];
};

/* A process, by tgid. start is 0 while the rest is being written. */
struct who_proc {
	struct who_exe exe;
	__u64 start;     /* boot-clock ns of the thread group's leader */
	__u32 variant;   /* number given by user space, 0: by (executable, uid) */
	__u32 parent;
	__u32 nlink;
	__u32 pad;
	struct who_path path;
};

/* A number's page: written before the number can be found, then left alone. */
struct who_page {
	struct who_exe exe;
	__u64 start;     /* of the process that got it */
	__u32 uid;
	__u32 tgid;
	__u32 quota;     /* bucket that was charged, plus 1; 0: none */
	__u32 pad;
	struct who_path path;
};

/* what a look at an executable found: the paths that name it in our mount namespace */
struct who_look {
	__u32 npaths;
	__u32 len;
	char paths[WHO_LOOK_MAX]; /* each with its NUL */
};

struct who_owner { /* of a socket */
	__u32 tgid;
	__u32 uid;
	__u32 actor;
	__u32 pad;
	__u64 netns;     /* cookie */
	__u64 start;
};

struct who_self { /* a daemon, by tgid */
	__u64 start;
	__u32 magic;     /* of its instance: another's may set marks here, no more */
	__u32 pad;
};

/* One packet to a listener of ours. seq is odd while it is written. used is the seq that
 * user space has consumed. Addresses are as on the packet, IPv4 in the first four bytes. */
struct who_record {
	__u64 seq;
	__u64 used;
	__u64 when;      /* boot-clock ns */
	__u8 src[16];
	__u8 dst[16];
	__u16 sport;     /* host order */
	__u16 dport;
	__u16 dns_id;    /* as on the wire */
	__u8 proto;
	__u8 family;     /* 4 or 6 */
	struct who_owner owner;
};

enum who_stat {
	WHO_EXECS, WHO_FORKS, WHO_EXITS, WHO_NUMBERS_GIVEN, WHO_RING_LOST, WHO_NO_NUMBER,
	WHO_QUOTA_REFUSED, WHO_STAMPS_MISSING, WHO_MARKS_REFUSED, WHO_BINDS_REFUSED,
	WHO_RECORDS_MADE, WHO_RECORDS_LOST, WHO_PROCS_FULL, WHO_UNKNOWN_SOCKETS,
	WHO_FRAMES_REFUSED, WHO_JOINS_REFUSED, WHO_STATS,
};

struct who_meta { /* one, kept with the pins */
	__u64 ready;     /* the free numbers have been filled in */
	__u64 serial;    /* of the last program that got a number */
	__u64 magic;
	__u64 stats[WHO_STATS];
};

enum { /* in place of a serial: borne by sockets of a daemon whose maps are gone */
	WHO_SERIAL_RESERVED = 1,
};

enum who_event_kind {
	WHO_EV_EXEC = 1, WHO_EV_FORK, WHO_EV_EXIT, WHO_EV_NUMBER, WHO_EV_WALK, WHO_EV_BIRTH,
};

struct who_event { /* the head of every event; all of a fork, an exit and a number */
	__u32 kind;
	__u32 tgid;
	__u32 parent;
	__u32 uid;
	__u64 start;
	__u64 cgroup;    /* id */
	__u32 actor;    /* WHO_EV_NUMBER; of WHO_EV_BIRTH: is it in the scope? */
	__u32 nlink;
};

struct who_walk { /* WHO_EV_WALK: a process that lived before us, from the iterator */
	struct who_event head;
	struct who_exe exe;
	struct who_path path;
};

struct who_exec { /* WHO_EV_EXEC */
	struct who_walk what;
	__u32 args_len;
	__u32 pad;
	char args[WHO_ARGS_MAX]; /* as in memory: a NUL behind each */
};

_Static_assert(sizeof(struct who_exe) == 24, "who_exe");
_Static_assert(sizeof(struct who_key) == 32, "who_key");
_Static_assert(sizeof(struct who_path) == 776, "who_path");
_Static_assert(sizeof(struct who_proc) == 824, "who_proc");
_Static_assert(sizeof(struct who_page) == 824, "who_page");
_Static_assert(sizeof(struct who_look) == 2048, "who_look");
_Static_assert(sizeof(struct who_owner) == 32, "who_owner");
_Static_assert(sizeof(struct who_self) == 16, "who_self");
_Static_assert(sizeof(struct who_record) == 96, "who_record");
_Static_assert(sizeof(struct who_meta) == 24 + 8 * WHO_STATS, "who_meta");
_Static_assert(sizeof(struct who_event) == 40, "who_event");
_Static_assert(sizeof(struct who_walk) == 40 + 24 + 776, "who_walk");
_Static_assert(sizeof(struct who_exec) == 840 + 8 + 256, "who_exec");

/* the slot of a record; four holds the last four bytes of the source address */
static inline __u32 who_record_slot(__u32 four, __u16 sport, __u16 dport, __u16 id,
	__u8 proto)
{
	__u32 h = four * 2654435761u;

	h ^= ((__u32)sport << 16 | id) * 2246822519u;
	h ^= (__u32)dport * 40503u + proto;
	h ^= h >> 15;
	return h & (WHO_RECORDS - 1);
}

static inline __u32 who_quota_bucket(__u32 uid)
{
	return (uid * 2654435761u) >> 20;
}

#endif
