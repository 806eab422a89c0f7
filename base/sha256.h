/* SPDX-License-Identifier: GPL-2.0-or-later
 * sha256.h - FIPS 180-4's SHA-256 of bytes in memory, by libcrypto.
 * Threads: any.  Errors: 0; -EIO: libcrypto could not (no memory), *out is untouched. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32 };

/* For a process that gives up opening files later: libcrypto then gets ready without its
 * configuration, for good and for every other use of it in this process. */
int sha256_init(void);
int sha256(const void *bytes, size_t len, uint8_t out[static SHA256_LEN]);

#endif
