/*
 * chapol.h - ChaCha20-Poly1305 by the assembly in OpenSSL's libcrypto behind BearSSL's types (chapol.c).
 */
#ifndef BEARWRAP_CHAPOL_H
#define BEARWRAP_CHAPOL_H

#include <stddef.h>
#include <stdint.h>

/* br_chacha20_run and br_poly1305_run; the latter for a whole record, and the function given to it is not used. */
uint32_t bw_chacha20_run(const void *key, const void *iv, uint32_t cc, void *data, size_t len);
void bw_poly1305_run(const void *key, const void *iv, void *data, size_t len, const void *aad, size_t aad_len,
	void *tag, uint32_t (*ichacha)(const void *, const void *, uint32_t, void *, size_t), int encrypt);

/* Once a process, before both: what this processor has. */
void bw_chapol_init(void);

const char *bw_libcrypto_version(void);

#endif
