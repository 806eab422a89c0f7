/* SPDX-License-Identifier: GPL-2.0-or-later
 * sha256.h - FIPS 180-4's SHA-256 of bytes in memory. Pure. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32 };

void sha256(const void *bytes, size_t len, uint8_t out[static SHA256_LEN]);

#endif
