/* SPDX-License-Identifier: GPL-2.0-or-later
 * state.h - struct who, and the functions its files call in each other.
 * The first half is the supervisor's, inherited by the core: descriptors and shared
 * mappings that a fork keeps. The second half is the core's, from who_start on. */
#ifndef WHO_STATE_H
#define WHO_STATE_H

#include "base/table.h"
#include "who/internal.h"
#include "who/shared.h"

#include <limits.h>
#include <stdatomic.h>

struct scupper_bpf;
struct bpf_link;
struct bpf_program;
struct ring_buffer;
struct uv_poll_s;
struct uv_timer_s;
struct sweep;

enum { WHO_LINKS_MAX = 16, WHO_WIRES_MAX = 256, WHO_DIR_MAX = 256 };

/* An executable and the paths that were seen to name it in our mount namespace. */
struct image {
	struct table_node node;
	struct who_exe exe;
	uint8_t npaths;
	char *paths[PROGRAM_PATHS_MAX];
	unsigned programs;      /* numbers that stand for it: it stays while there are any */
	uint64_t refused_hash;  /* of the path that was last found not to name it */
	int64_t refused_ms;
	uint32_t alive;         /* the sweep that last met a process of it */
};

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_RETIRED, SLOT_IDLE };

struct slot { /* of a number */
	struct program *program; /* NULL: not met */
	struct image *image;     /* NULL: no memory was left for one */
	struct key *key;         /* by key (keys.c), and then neither image nor page */
	uint64_t serial;
	struct who_page page;    /* as it was when it was met */
	uint32_t borne;          /* the sweep that last met a socket with it */
	uint8_t state, rounds;
};

struct who {
	struct instance instance;
	char scope[WHO_DIR_MAX];
	char scope_below[WHO_DIR_MAX]; /* the same, below its mount */
	char pins[WHO_DIR_MAX];        /* "": none */
	int scope_fd;
	uint64_t scope_id, netns;
	bool by_key;                   /* keys.c: no BPF */
	uint32_t numbers;
	struct scupper_bpf *bpf;
	struct bpf_link *links[WHO_LINKS_MAX];
	unsigned nlinks;
	struct { uint32_t ifindex; int fd; } wires[WHO_WIRES_MAX]; /* frame.c's links */
	unsigned nwires;
	int frames_error;              /* why the last one was not made */
	_Atomic uint64_t *wholes;   /* mapped */
	struct who_meta *meta;         /* mapped, shared with the kernel, until exit */
	_Atomic uint64_t *serials;
	_Atomic uint64_t *quotas;
	struct who_record *records;

	/* the core's */
	struct uv_loop_s *loop;
	struct who_calls calls;
	struct news *news;
	struct bpf_link *look_link;    /* walks our own descriptors, and only while */
	int32_t look_tid;              /* this thread is the one that asks */
	struct slot **slots;           /* by number, WHO_NUMBERS */
	struct table images;
	struct processes *processes;
	struct sweep *sweep;
	struct frame_watch *frames;    /* NULL: none */
	struct adopt *adopting;        /* adopt.c's, NULL: none under way */
	struct program unknown, self;
};

/* load.c: what only the skeleton knows */
enum map_name {
	MAP_PROCS, MAP_ACTORS, MAP_FREE, MAP_PAGES, MAP_OWNERS, MAP_LOOKS, MAP_SELVES,
	MAP_NEWS,
};
int map_fd(const struct who *w, enum map_name which);
enum iter_kind { ITER_WALK, ITER_BIRTH, ITER_LOOK, ITER_BEARERS, ITER_BORNE };
struct bpf_program *program_of(const struct who *w, enum iter_kind kind);
void look_fd_set(struct who *w, int fd); /* the descriptor ITER_LOOK tells about */

int frame_program_fd(const struct who *w);

/* frame.c */
bool frames_possible(void); /* the kernel has links for it */
/* on every interface there is, again for those that came and went since */
void frames_attach(struct who *w);
void frames_detach(struct who *w);
int frames_watch(struct who *w); /* in the core: those that come later */
void frames_unwatch(struct who *w);

/* pins.c: what is kept below bpffs. 0 or -errno */
int pins_prepare(const char *dir, char *why, size_t why_max);
/* whether the maps pinned there are another's, or half made: they must go first */
bool pins_stale(const char *dir, uint32_t magic);
int pins_map_path(const char *dir, const char *map, char out[static WHO_DIR_MAX]);
/* a link of prog to the scope (or to its tracepoint, which scope_fd does not matter to):
 * a pinned one is given the new program, else a new one is made and, with pins, pinned
 * in the old one's place; never a moment without either */
int pins_link(struct who *w, const struct bpf_program *prog, struct bpf_link **out);
/* other instances' tables of daemons, and ours: enter this one in each */
void pins_register_elsewhere(struct who *w, uint32_t tgid, const struct who_self *self);

/* iter.c: reading what an iterator program writes, records of one size */
struct iter;
enum { ITER_RECORD_MAX = 1024 };
struct iter_about { /* which processes' (by thread id), which map's; 0 and -1: all */
	int32_t tid;
	int map_fd;
};
typedef void (*iter_each)(void *ctx, const void *record);
int iter_link(const struct who *w, enum iter_kind kind, struct iter_about about,
	struct bpf_link **out);
int iter_open(struct bpf_link *link, size_t record, struct iter **out);
/* one read: about 32 KiB. 1: go on, 0: that was all, -errno */
int iter_step(struct iter *it, iter_each each, void *ctx);
void iter_close(struct iter *it); /* NULL is fine */
/* all of it at once */
int iter_run(const struct who *w, enum iter_kind kind, struct iter_about about,
	size_t record, iter_each each, void *ctx);
/* when a process began, and whether it is in the scope; -ESRCH */
int iter_birth(const struct who *w, int32_t tgid, struct who_event *out);
/* what it is; -ESRCH: gone, or not in the scope */
int iter_process(const struct who *w, int32_t tgid, struct who_walk *out);

/* number.c */
int numbers_fill(struct who *w);                   /* the free ones, at the very start */
int number_page(const struct who *w, uint32_t n, struct who_page *out, uint64_t *serial);
/* of a file and user, ACTOR_NONE: it has none */
uint32_t number_find(const struct who *w, const struct who_exe *exe, uint32_t uid);
bool number_published(const struct who *w, const struct who_page *page, uint32_t n);
void number_unpublish(struct who *w, const struct who_page *page, uint32_t n);
void number_give_back(struct who *w, uint32_t n, const struct who_page *page);

/* keys.c */
struct slot *keys_meet(struct who *w, uint32_t n);
void keys_forget(struct slot *s);

/* image.c */
int images_init(struct who *w);
void images_done(struct who *w);
struct image *image_get(struct who *w, const struct who_exe *exe); /* NULL: no memory */
/* does path name it? Looks, unless it is known already. True also if it was known. */
bool image_look(struct who *w, struct image *i, const char *path, bool *news);

/* identity.c */
int identity_init(struct who *w);
void identity_done(struct who *w);
/* meets the numbers given so far, from *n on, until some were new: is there more? */
bool identity_catch_up(struct who *w, uint32_t *n);
struct slot *identity_meet(struct who *w, uint32_t n); /* NULL: nothing has it */
void identity_refresh(struct who *w, const struct image *i); /* it has new paths */
void identity_forget(struct who *w, uint32_t n);

/* process.c: processes by tgid; bounded; the dead stay for a while */
enum { PROCESS_DEAD_MS = 10000 };
int processes_init(struct processes **out);
void processes_done(struct processes *t);
int processes_exec(struct processes *t, const struct process *p);
int processes_fork(struct processes *t, int32_t pid, uint64_t start, int32_t parent,
	uint32_t uid);
void processes_exit(struct processes *t, int32_t pid, uint64_t start, int64_t now_ms);
void processes_expire(struct processes *t, int64_t now_ms);
int processes_find(struct processes *t, int32_t pid, uint64_t start, struct process *out);
size_t processes_count(const struct processes *t);

/* news.c: the ring, the walk at start, the clock of the room */
int news_start(struct who *w);
void news_stop(struct who *w);

/* sweep.c: which numbers does nobody need any more? */
int sweep_init(struct who *w);
void sweep_done(struct who *w);
void sweep_tick(struct who *w, int64_t now_ms); /* a bounded step */
bool sweep_running(const struct who *w);
void sweep_begin(struct who *w);

/* path.c: pure */
/* the names, root first; "" if there are none */
void path_build(const struct who_path *p, char *out, size_t max);
/* as people are shown it: "/x", "/x (deleted)", "memfd:x", and where it is not believed,
 * "/x (elsewhere)", ".../tail (elsewhere)" */
void path_show(const struct who_path *p, bool believed, char *out, size_t max);
bool path_lookable(const struct who_path *p);
/* arguments as in memory -> joined by blanks, safe to show */
void path_args(const char *args, size_t len, char *out, size_t max);
/* the reason in a verifier's or loader's log: its last line that says something */
void path_load_reason(const char *log, char *out, size_t max);

#endif
