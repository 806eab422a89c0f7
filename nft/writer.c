/* SPDX-License-Identifier: GPL-2.0-or-later
 * Theory of operation. Requests wait while the thread is with the kernel; what has gathered
 * then goes as one transaction, since a round trip costs the same for one and for a
 * hundred. A transaction is all or nothing, so when the kernel refuses a shared one, each
 * request is tried alone and only the bad one fails. A `call` runs between transactions:
 * what was asked for before it is in the kernel, what came after it is not.
 * Needs CAP_NET_ADMIN. */
#include "nft/dump.h"
#include "nft/net.h"
#include "nft/owner.h"
#include "nft/set.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	WAITING_MAX = 16384,
	SHARED_MAX = 256 * 1024, /* bytes: beyond this, others' locks would wait for us */
};

struct nft {
	struct instance instance;
	int fd; /* the supervisor's */
	struct worker *worker;
	struct batch batch;
	_Atomic uint64_t batches, elements, refused, table_lost;
};

static uint32_t random_seq(void)
{
	uint32_t seq;

	return getrandom(&seq, sizeof(seq), 0) == sizeof(seq) ? seq : (uint32_t)getpid() << 8;
}

static struct nft_request *request_of(struct job *j)
{
	return container_of(j, struct nft_request, job);
}

/* all of the request's messages, or none */
static int append(struct nft *n, const struct nft_request *q)
{
	struct batch *b = &n->batch;
	size_t len = b->len, last = b->last;
	uint32_t next = b->next;
	int r = 0;

	for (unsigned i = 0; i < q->n && r == 0; i++)
		r = set_change(b, &n->instance, &q->changes[i]);
	if (r == 0)
		return 0;
	b->len = len;
	b->last = last;
	b->next = next;
	b->error = 0;
	return r;
}

static void begin(struct nft *n)
{
	batch_begin(&n->batch, n->batch.next + 1);
}

/* our table is the only thing an add, delete, add can miss */
static int commit(struct nft *n, uint64_t changes)
{
	int r = net_commit(n->fd, &n->batch, NULL);

	n->batches++;
	if (r == 0)
		n->elements += changes;
	if (r != -ENOENT)
		return r;
	n->table_lost++;
	return -ESTALE;
}

static void alone(struct nft *n, struct nft_request *q)
{
	begin(n);
	q->job.result = append(n, q);
	if (q->job.result == 0)
		q->job.result = commit(n, q->n);
	if (q->job.result < 0)
		n->refused++;
}

/* how many requests from here on went into the batch; those that could not have a result */
static struct job *gather(struct nft *n, struct job *j, unsigned *count, uint64_t *changes)
{
	*count = 0;
	*changes = 0;
	begin(n);
	for (; j && !request_of(j)->call; j = j->next) {
		struct nft_request *q = request_of(j);

		if (*count && n->batch.len > SHARED_MAX)
			break;
		j->result = append(n, q);
		if (j->result < 0) {
			n->refused++;
			continue;
		}
		(*count)++;
		*changes += q->n;
	}
	return j;
}

static struct job *share(struct nft *n, struct job *first)
{
	unsigned count;
	uint64_t changes;
	struct job *end = gather(n, first, &count, &changes);
	int r = commit(n, changes);

	if (r == 0)
		return end;
	for (struct job *j = first; j != end; j = j->next) {
		struct nft_request *q = request_of(j);

		if (j->result < 0)
			continue; /* never went in */
		if (count > 1) {
			alone(n, q);
			continue;
		}
		j->result = r;
		n->refused++;
	}
	return end;
}

static void run(void *ctx, struct job *j)
{
	struct nft *n = ctx;

	while (j) {
		struct nft_request *q = request_of(j);

		if (!q->call) {
			j = share(n, j);
			continue;
		}
		j->result = q->call(q->ctx);
		j = j->next;
	}
}

int nft_socket(char *why, size_t why_max)
{
	_Alignas(struct nlmsghdr) char bytes[64];
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_GETGEN, NFPROTO_UNSPEC,
		NLM_F_REQUEST | NLM_F_ACK, 1);
	struct text t = text_into(why, why_max);
	int fd, r = net_open(&fd);

	if (r < 0) {
		text_addf(&t, "the kernel has no nfnetlink socket for us: %s", strerror(-r));
		return r;
	}
	r = net_ask(fd, m, NULL, NULL);
	if (r == 0)
		return fd;
	close(fd);
	if (r == -EPERM)
		text_add(&t, "nf_tables needs CAP_NET_ADMIN");
	else
		text_addf(&t, "the kernel has no nf_tables (module nf_tables): %s", strerror(-r));
	return r;
}

int nft_remove(const struct instance *instance, int fd)
{
	return owner_drop(fd, random_seq(), instance);
}

int nft_present(const struct instance *instance)
{
	auto_close int fd = -1;
	struct table_state t;
	int r = net_open(&fd);

	if (r == 0)
		r = owner_look(fd, instance, &t);
	if (r < 0)
		return r;
	return t.there && t.owned && strncmp(t.comment, "scupper", 7) == 0;
}

bool nft_persists(const struct nft *n)
{
	auto_close int fd = -1;
	struct table_state t;

	return net_open(&fd) == 0 && owner_look(fd, &n->instance, &t) == 0 && t.there &&
	       t.persists;
}

int nft_open(struct uv_loop_s *loop, const struct nft_conf *conf, int fd,
	const struct nft_element *prefill, size_t count, char *why, size_t why_max,
	struct nft **out)
{
	struct text t = text_into(why, why_max);
	struct nft *n = calloc(1, sizeof(*n));
	uint32_t seq = random_seq();
	int r;

	if (!n)
		return -ENOMEM;
	n->instance = *conf->instance;
	n->fd = fd;
	net_drain(fd);
	r = owner_take(fd, &seq, conf, prefill, count, &t);
	n->batch.next = seq;
	if (r == 0)
		r = worker_open(loop, "nft", WAITING_MAX, run, n, &n->worker);
	if (r < 0) {
		nft_close(n);
		return r;
	}
	*out = n;
	return 0;
}

int nft_give(struct nft *n, struct nft_request *req)
{
	return worker_give(n->worker, &req->job);
}

void nft_close(struct nft *n)
{
	if (!n)
		return;
	worker_close(n->worker);
	batch_done(&n->batch);
	free(n);
}

int nft_dump(struct nft *n, struct nft_element **out, size_t *count)
{
	auto_close int fd = -1; /* the thread may be using the other one */
	int r = net_open(&fd);

	return r < 0 ? r : dump_all(fd, &n->instance, out, count);
}

int nft_dump_numbers(struct nft *n, struct nft_element **out, size_t *count)
{
	auto_close int fd = -1;
	int r = net_open(&fd);

	return r < 0 ? r : dump_numbers(fd, &n->instance, out, count);
}

void nft_stats(const struct nft *n, struct nft_stats *out)
{
	*out = (struct nft_stats){
		.batches = n->batches,
		.elements = n->elements,
		.refused = n->refused,
		.table_lost = n->table_lost,
	};
}
