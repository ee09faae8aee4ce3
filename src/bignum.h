/* bignum.h - what nettle does here, in BearSSL's types: curves.c has the P curves, rsa.c RSA's operations. */
#ifndef BEARWRAP_BIGNUM_H
#define BEARWRAP_BIGNUM_H

#include "bearssl.h"

/* version numbers, as texts */
const char *bw_nettle_version(void);
const char *bw_gmp_version(void);

/* mul and mulgen of a br_ec_impl, br_ecdsa_sign, br_ecdsa_vrfy, br_rsa_private, br_rsa_public (for signatures) */
uint32_t bw_curve_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve);
size_t bw_curve_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve);
size_t bw_curve_sign_asn1(const br_ec_impl *impl, const br_hash_class *hf, const void *hash_value,
	const br_ec_private_key *sk, void *sig);
uint32_t bw_curve_vrfy_asn1(const br_ec_impl *impl, const void *hash, size_t hash_len,
	const br_ec_public_key *pk, const void *sig, size_t sig_len);

uint32_t bw_rsa_power(unsigned char *x, size_t xlen, const br_rsa_public_key *pk);
uint32_t bw_rsa_root(unsigned char *x, const br_rsa_private_key *sk);

#endif
