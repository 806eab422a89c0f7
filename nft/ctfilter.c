/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/ctfilter.h"

#include "base/macros.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* A: where attributes begin, X: which one -> A: where it stands, 0 nowhere */
#define FIND BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR))
/* the same among those nested in the one at A */
#define FIND_NESTED \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST))
#define SET_A(k) BPF_STMT(BPF_LD | BPF_IMM, (k))
#define SET_X(k) BPF_STMT(BPF_LDX | BPF_IMM, (k))
#define X_IS_A BPF_STMT(BPF_MISC | BPF_TAX, 0)
#define WORD_OF_X(at) BPF_STMT(BPF_LD | BPF_W | BPF_IND, (at)) /* in host order */
#define IF_NOT(k) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 1, 0) /* ... do the next */
#define IF(k) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, 1)
#define SKIP_IF(k, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (n), 0)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define TAKE BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)

enum { ATTRS_AT = MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg), PAYLOAD = 4 };

static uint32_t word(const struct addr *a, unsigned n)
{
	const uint8_t *b = a->b + 4 * n;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

int ct_filter_attach(int fd, const struct instance *instance)
{
	const uint32_t magic = (uint32_t)instance->magic << 24;
	const uint32_t magic_bits = CTMARK_BITS & ~(uint32_t)ACTOR_MASK;
	const struct addr four = instance_listener(instance, 4);
	const struct addr six = instance_listener(instance, 6);
	struct sock_filter code[] = {
		SET_A(ATTRS_AT), SET_X(CTA_MARK), FIND,
		IF(0), DROP,
		X_IS_A, WORD_OF_X(PAYLOAD),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, magic_bits),
		IF_NOT(magic), DROP,
		/* a reply comes from where the flow ended up */
		SET_A(ATTRS_AT), SET_X(CTA_TUPLE_REPLY), FIND,
		IF(0), TAKE,
		SET_X(CTA_TUPLE_IP), FIND_NESTED,
		IF(0), TAKE,
		BPF_STMT(BPF_ST, 0),
		SET_X(CTA_IP_V4_SRC), FIND_NESTED,
		SKIP_IF(0, 5),
		X_IS_A, WORD_OF_X(PAYLOAD), IF(word(&four, 0)), DROP, TAKE,
		BPF_STMT(BPF_LD | BPF_MEM, 0), SET_X(CTA_IP_V6_SRC), FIND_NESTED,
		IF(0), TAKE,
		X_IS_A,
		WORD_OF_X(PAYLOAD), IF_NOT(word(&six, 0)), TAKE,
		WORD_OF_X(PAYLOAD + 4), IF_NOT(word(&six, 1)), TAKE,
		WORD_OF_X(PAYLOAD + 8), IF_NOT(word(&six, 2)), TAKE,
		WORD_OF_X(PAYLOAD + 12), IF_NOT(word(&six, 3)), TAKE,
		DROP,
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
		? -errno
		: 0;
}
