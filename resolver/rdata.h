/* SPDX-License-Identifier: GPL-2.0-or-later
 * rdata.h - a record's data as people write it (RFC 1035 5.1, one line). Pure. */
#ifndef RESOLVER_RDATA_H
#define RESOLVER_RDATA_H

#include "base/cur.h"

/* of "A", "AAAA", "CNAME", "PTR", "MX", "TXT" or "SRV", or 0 */
uint16_t rdata_type(const char *word);
/* The words of *text that the type wants; *text moves behind them. -EINVAL, -ENOSPC */
int rdata_read(uint16_t type, const char **text, struct out *out);
/* The next word, by blanks; quotes are not looked at. false: there is none, or it is over
 * max - 1 bytes */
bool rdata_word(const char **text, char *out, size_t max);

#endif
