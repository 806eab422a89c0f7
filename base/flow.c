/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/flow.h"
#include "base/macros.h"

#include <netinet/in.h>
#include <stdio.h>

#define NAME_OF(names, v) ((size_t)(v) < ARRAY_LEN(names) ? (names)[v] : "?")

const char *verdict_text(enum verdict v)
{
	static const char *const names[] = { "none", "allow", "deny", "ask", "undecided" };

	return NAME_OF(names, v);
}

const char *reason_text(enum reason r)
{
	static const char *const names[] = {
		[REASON_NONE] = "none",
		[REASON_RULE] = "rule",
		[REASON_DEFAULT] = "default",
		[REASON_CNAME] = "cname",
		[REASON_ADDRESS] = "address",
		[REASON_REBIND] = "rebinding",
		[REASON_OUTSIDE] = "outside",
		[REASON_SELF] = "self",
		[REASON_KERNEL] = "kernel",
		[REASON_UPSTREAM] = "upstream",
		[REASON_LOCAL] = "local",
		[REASON_NO_GRANT] = "no-answer-opened-it",
		[REASON_BAD] = "bad-request",
		[REASON_FACTORY] = "factory",
		[REASON_GONE] = "rule-removed",
		[REASON_BLOCKED] = "blocked",
		[REASON_CLAIM] = "claim",
	};

	return NAME_OF(names, r);
}

const char *how_text(enum how h)
{
	static const char *const names[] = { "unknown", "kernel", "diag", "outside", "self" };

	return NAME_OF(names, h);
}

const char *flow_state_text(enum flow_state s)
{
	static const char *const names[] = { "new", "live", "done", "refused" };

	return NAME_OF(names, s);
}

const char *proto_text(uint8_t proto, char buf[static 4])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	}
	snprintf(buf, 4, "%u", proto);
	return buf;
}
