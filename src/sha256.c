/*
 * sha256.c - SHA-256's rounds by libcrypto (libcrypto.c), with the processor's instructions for them where it has some.
 *
 * BearSSL's own are weak symbols in its library (weak.h), so that these take their place where this file is linked, in
 * whatever hashes: transcripts, PRF, HKDF, HMAC_DRBG, X.509. All around them, contexts and padding, is BearSSL's.
 */
#include "libcrypto.h"

#include <string.h>

void sha256_block_data_order(uint32_t state[8], const void *data, size_t blocks);
void br_sha2small_round(const unsigned char *block, uint32_t *state);

void br_sha2small_round(const unsigned char *block, uint32_t *state) { sha256_block_data_order(state, block, 1); }

#ifdef BEARWRAP_PROBE
/* 0: the example of one block, "abc", comes out (FIPS 180-4). */
int bw_sha256_probe(void)
{
	static const uint32_t expected[8] = {
		0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad,
	};
	static const unsigned char block[64] = {'a', 'b', 'c', 0x80, [63] = 24};
	uint32_t state[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	br_sha2small_round(block, state);
	return memcmp(state, expected, sizeof state) != 0;
}
#endif
