/*
 * primitives.h - behind BearSSL's types: ChaCha20-Poly1305 by libcrypto, else libsodium; X25519 and Ed25519 by libsodium;
 * the P curves and RSA by nettle.
 *
 * Each where it was found, BearSSL's own elsewhere. All are constant-time as BearSSL's are, and faster (DESIGN.md,
 * Primitives). The cipher is called for a whole record, so one poly1305 "run" does cipher and tag; the chacha20 function
 * given to it is not used.
 */
#ifndef BEARWRAP_PRIMITIVES_H
#define BEARWRAP_PRIMITIVES_H

#include "bearssl.h"
#include "hs_server.h"

#ifdef BEARWRAP_SODIUM
#include <string.h>
#include <sodium.h>
static int bw_sodium_init(void) { return sodium_init() >= 0; }
static const char *bw_sodium_version(void) { return sodium_version_string(); }
#else
static int bw_sodium_init(void) { return 1; }
static const char *bw_sodium_version(void) { return ""; }
#endif

#ifdef BEARWRAP_LIBCRYPTO
#include "libcrypto.h"
#else
static void bw_libcrypto_init(void) { }
static const char *bw_libcrypto_version(void) { return ""; }
#endif

#if defined BEARWRAP_SODIUM && !defined BEARWRAP_LIBCRYPTO
static uint32_t
bw_chacha20_run(const void *key, const void *iv, uint32_t cc, void *data, size_t len)
{
	crypto_stream_chacha20_ietf_xor_ic(data, data, len, iv, cc, key);
	return cc + (uint32_t)((len + 63) >> 6);
}

/* RFC 8439 section 2.8: tag over the padded additional data, the padded ciphertext and both lengths. */
static void
bw_poly1305_run(const void *key, const void *iv, void *data, size_t len,
	const void *aad, size_t aad_len, void *tag, br_chacha20_run ichacha, int encrypt)
{
	static const unsigned char zeros[16];
	crypto_onetimeauth_poly1305_state state;
	unsigned char block[64], lengths[16];
	int i;

	(void)ichacha;
	crypto_stream_chacha20_ietf(block, sizeof block, iv, key);
	crypto_onetimeauth_poly1305_init(&state, block);
	if (encrypt) {
		crypto_stream_chacha20_ietf_xor_ic(data, data, len, iv, 1, key);
	}
	for (i = 0; i < 8; i ++) {
		lengths[i] = (unsigned char)((uint64_t)aad_len >> (8 * i));
		lengths[8 + i] = (unsigned char)((uint64_t)len >> (8 * i));
	}
	crypto_onetimeauth_poly1305_update(&state, aad, aad_len);
	crypto_onetimeauth_poly1305_update(&state, zeros, (16 - (aad_len & 15)) & 15);
	crypto_onetimeauth_poly1305_update(&state, data, len);
	crypto_onetimeauth_poly1305_update(&state, zeros, (16 - (len & 15)) & 15);
	crypto_onetimeauth_poly1305_update(&state, lengths, sizeof lengths);
	crypto_onetimeauth_poly1305_final(&state, tag);
	if (!encrypt) {
		crypto_stream_chacha20_ietf_xor_ic(data, data, len, iv, 1, key);
	}
	sodium_memzero(block, sizeof block);
	sodium_memzero(&state, sizeof state);
}

#endif

#if defined BEARWRAP_SODIUM || defined BEARWRAP_LIBCRYPTO
static void
bw_set_chapol(br_ssl_engine_context *eng)
{
	br_ssl_engine_set_chacha20(eng, &bw_chacha20_run);
	br_ssl_engine_set_poly1305(eng, &bw_poly1305_run);
	br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
}
#else
static void bw_set_chapol(br_ssl_engine_context *eng) { br_ssl_engine_set_default_chapol(eng); }
#endif

/* Before all of the rest, once for a process and what it forks: a page that each writes is copied. 0: it failed. */
static int
bw_primitives_init(void)
{
	static int ready;

	if (!ready) {
		bw_libcrypto_init();
		ready = bw_sodium_init();
	}
	return ready;
}

#ifdef BEARWRAP_SODIUM
#ifdef BEARWRAP_X25519BASE
#include "x25519base.h"
#else
static void bw_x25519_base(unsigned char *out, const unsigned char *scalar)
{ crypto_scalarmult_curve25519_base(out, scalar); }
#endif

/* X25519 (RFC 7748); a point of small order gives zeros, as BearSSL's own function does. */
static uint32_t
bw_x25519_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve)
{
	unsigned char scalar[32], point[32];

	(void)curve;
	if (Glen != 32 || xlen > 32) {
		return 0;
	}
	memset(scalar, 0, sizeof scalar);
	memcpy(scalar, x, xlen);
	memcpy(point, G, 32);
	memset(G, 0, 32);
	/* what it returns says only that a point of small order was refused, or that G is zero */
	if (crypto_scalarmult_curve25519(G, scalar, point)) { }
	sodium_memzero(scalar, sizeof scalar);
	return 1;
}

static size_t
bw_x25519_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve)
{
	unsigned char scalar[32];

	(void)curve;
	if (xlen > 32) {
		return 0;
	}
	memset(scalar, 0, sizeof scalar);
	memcpy(scalar, x, xlen);
	bw_x25519_base(R, scalar);
	sodium_memzero(scalar, sizeof scalar);
	return 32;
}

/* Ed25519 (RFC 8032): the key is the seed with the public key behind it. */
enum { BW_ED25519 = 1 };

static int
bw_ed25519_key(unsigned char *key, const unsigned char *seed)
{
	unsigned char public_half[32];

	return crypto_sign_ed25519_seed_keypair(public_half, key, seed) == 0;
}

static int
bw_ed25519_sign(unsigned char *sig, const void *message, size_t n, const unsigned char *key)
{
	return crypto_sign_ed25519_detached(sig, NULL, message, n, key) == 0;
}

static int
bw_ed25519_verify(const unsigned char *sig, const void *message, size_t n, const unsigned char *point)
{
	return crypto_sign_ed25519_verify_detached(sig, message, n, point) == 0;
}
#else
enum { BW_ED25519 = 0 };
static int bw_ed25519_key(unsigned char *k, const unsigned char *s) { (void)k; (void)s; return 0; }
static int bw_ed25519_sign(unsigned char *s, const void *m, size_t n, const unsigned char *k)
{ (void)s; (void)m; (void)n; (void)k; return 0; }
static int bw_ed25519_verify(const unsigned char *s, const void *m, size_t n, const unsigned char *k)
{ (void)s; (void)m; (void)n; (void)k; return 0; }
#define bw_x25519_mul br_ec_get_default()->mul
#define bw_x25519_mulgen br_ec_get_default()->mulgen
#endif

#ifdef BEARWRAP_NETTLE
#include "bignum.h"
static br_ecdsa_sign bw_ecdsa_sign(void) { return &bw_curve_sign_asn1; }
static br_ecdsa_vrfy bw_ecdsa_vrfy(void) { return &bw_curve_vrfy_asn1; }
static br_rsa_private bw_rsa_private(void) { return &bw_rsa_root; }
static br_rsa_public bw_rsa_public(void) { return &bw_rsa_power; }
#else
static const char *bw_nettle_version(void) { return ""; }
static const char *bw_gmp_version(void) { return ""; }
static br_ecdsa_sign bw_ecdsa_sign(void) { return br_ecdsa_sign_asn1_get_default(); }
static br_ecdsa_vrfy bw_ecdsa_vrfy(void) { return br_ecdsa_vrfy_asn1_get_default(); }
static br_rsa_private bw_rsa_private(void) { return br_rsa_private_get_default(); }
static br_rsa_public bw_rsa_public(void) { return br_rsa_public_get_default(); }
#define bw_curve_mul br_ec_get_default()->mul
#define bw_curve_mulgen br_ec_get_default()->mulgen
#endif

static uint32_t
bw_ec_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve)
{
	return curve == BR_EC_curve25519 ? bw_x25519_mul(G, Glen, x, xlen, curve) : bw_curve_mul(G, Glen, x, xlen, curve);
}

static size_t
bw_ec_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve)
{
	return curve == BR_EC_curve25519 ? bw_x25519_mulgen(R, x, xlen, curve) : bw_curve_mulgen(R, x, xlen, curve);
}

/* BearSSL's curves with the faster ones among them; bw_primitives_init comes first. */
static const br_ec_impl *
bw_ec(void)
{
	static br_ec_impl curves;

	if (curves.mul == NULL) {
		curves = *br_ec_get_default();
		curves.mul = &bw_ec_mul;
		curves.mulgen = &bw_ec_mulgen;
	}
	return &curves;
}

/* br_rsa_pkcs1_sign over the faster private operation. */
static uint32_t
bw_rsa_pkcs1_sign(const unsigned char *hash_oid, const unsigned char *hash, size_t hash_len,
	const br_rsa_private_key *sk, unsigned char *x)
{
	return br_rsa_pkcs1_sig_pad(hash_oid, hash, hash_len, sk->n_bitlen, x) && bw_rsa_private()(x, sk);
}

/* br_rsa_pkcs1_vrfy likewise. */
static uint32_t
bw_rsa_pkcs1_vrfy(const unsigned char *x, size_t xlen, const unsigned char *hash_oid, size_t hash_len,
	const br_rsa_public_key *pk, unsigned char *hash_out)
{
	unsigned char sig[512];

	if (xlen > sizeof sig) {
		return 0;
	}
	memcpy(sig, x, xlen);
	return bw_rsa_public()(sig, xlen, pk) && br_rsa_pkcs1_sig_unpad(sig, xlen, hash_oid, hash_len, hash_out);
}

#ifdef BEARWRAP_SYSTEM_BEARSSL
enum { BW_VENDORED = 0 };
#else
enum { BW_VENDORED = 1 };
#endif

#endif
