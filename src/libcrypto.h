/*
 * libcrypto.h - what comes from the assembly in OpenSSL's libcrypto (libcrypto.c), behind BearSSL's types.
 */
#ifndef BEARWRAP_LIBCRYPTO_H
#define BEARWRAP_LIBCRYPTO_H

#include <stddef.h>
#include <stdint.h>

/* br_chacha20_run and br_poly1305_run; the latter for a whole record, and the function given to it is not used. */
uint32_t bw_chacha20_run(const void *key, const void *iv, uint32_t cc, void *data, size_t len);
void bw_poly1305_run(const void *key, const void *iv, void *data, size_t len, const void *aad, size_t aad_len,
	void *tag, uint32_t (*ichacha)(const void *, const void *, uint32_t, void *, size_t), int encrypt);

/*
 * P-256, its numbers as words from the lowest on: k times the base point, affine, for k from 1 to the order less one; and
 * (m + r d) / k modulo the order, of numbers below it.
 */
void bw_p256_base(uint64_t *x, uint64_t *y, const uint64_t *k);
void bw_p256_divide(uint64_t *s, const uint64_t *m, const uint64_t *r, const uint64_t *d, const uint64_t *k);

/* Once a process, before the rest: what this processor has. Without it SHA-256 is slower, but right. */
void bw_libcrypto_init(void);

const char *bw_libcrypto_version(void);

/* Of the build: 0 if the library does what it must. */
int bw_chapol_probe(void);
int bw_sha256_probe(void);
int bw_p256_probe(void);

#endif
