/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/sha256.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

int sha256_init(void)
{
	uint8_t none[SHA256_LEN];

	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		return -EIO;
	return sha256("", 0, none); /* what is made at the first use is made now */
}

int sha256(const void *bytes, size_t len, uint8_t out[static SHA256_LEN])
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL))
		return -EIO;
	memcpy(out, hash, SHA256_LEN);
	return 0;
}
