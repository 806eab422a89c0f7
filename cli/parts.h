/* SPDX-License-Identifier: GPL-2.0-or-later
 * parts.h - what the core is made of: for the files of cli/ that are the core. */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include "cli/atlas.h"
#include "cli/book.h"
#include "cli/filter.h"
#include "cli/held.h"
#include "cli/keeper.h"
#include "cli/seen.h"
#include "cli/serve.h"
#include "cli/upstreams.h"
#include "gate/gate.h"
#include "nft/ct.h"
#include "nft/nflog.h"
#include "nft/nft.h"
#include "nft/tunnel.h"
#include "resolver/listen.h"
#include "resolver/resolver.h"
#include "resolver/varlink.h"
#include "who/basic.h"
#include "who/diag.h"

#include <time.h>
#include <uv.h>

enum { LISTENERS_MAX = CONF_LISTEN_MAX + 2 };

struct core {
	struct held *held;
	uv_loop_t loop;
	struct instance instance;
	struct db *db;
	struct book *book;
	struct filter *filter;
	struct seen *seen;
	struct atlas *atlas;
	struct serve *serve;
	struct keeper *keeper;
	struct resolver *resolver;
	struct diag *diag;
	struct basic *basic;
	struct nft *nft;
	struct ct *ct;
	struct nflog *nflog;
	struct tunnels *tunnels;
	struct gate *gate;
	struct listener *listeners[LISTENERS_MAX];
	unsigned nlisteners;
	struct varlink *varlink;
	struct upstream upstreams[CONF_UPSTREAMS_MAX];
	unsigned nupstreams;
	struct timespec resolv_changed;
	uint64_t links_stamp;
	uv_signal_t term, hup;
	uv_timer_t tick, rebuild, count;
	unsigned unwatched; /* seconds since the counters were read */
	bool adopted;
};

/* changes.c: what scupper-web asks to be changed; ctx is the core. The answer is given when
 * the kernel has it (serve.h says what each must do) */
void core_rule_add(void *ctx, const char *text, int64_t created_s, uint32_t seq);
void core_rule_remove(void *ctx, uint32_t id, uint32_t seq);
void core_rule_change(void *ctx, uint32_t id, const char *text, uint32_t seq);
void core_cache_flush(void *ctx, const char *name, bool below, uint32_t seq);
void core_filter(void *ctx, enum link_filter_mode mode, int64_t until_s, uint32_t seq);
/* coretable.c: the table, with elements that it is to begin with; -errno, said */
int core_open_table(struct core *c, const struct nft_element *prefill, size_t n);
/* for the writer: it is gone, and is set up anew next */
void core_table_lost(void *ctx);
/* coreservers.c: whom the resolver asks: before it is opened, once it is, and now and then */
void core_servers_first(struct core *c);
void core_servers_open(struct core *c);
void core_servers_tick(struct core *c);
/* status.c: how it stands, for serve.h */
void core_status(void *ctx, struct link_status *out);

#endif
