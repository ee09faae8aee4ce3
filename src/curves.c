/*
 * curves.c - P-256, P-384 and P-521 by nettle: multiplication, ECDSA. Of P-256 the base point's multiples and signatures
 * are by libcrypto's assembly where that is linked (p256.c).
 *
 * Secrets live in arrays of this file's functions and are wiped there; what nettle and GMP put on the heap is wiped as it
 * is freed, and what they leave on the stack is for the caller to wipe (bw_wipe_stack). Scalars and points are checked as
 * BearSSL checks them. nettle keeps an affine point as x and y, plain limbs, which the tests would notice to change.
 */
#include <stdlib.h>
#include <string.h>

#include "bignum.h"
#include "nettle.h"
#ifdef BEARWRAP_P256
#include "libcrypto.h"
#endif

enum {
	BYTES = 66,                                 /* bytes of a number, P-521 */
	LIMBS = (BYTES + BW_LIMB - 1) / BW_LIMB,
	SIGN_LIMBS = 512,                               /* nettle 3.8 asks for 99 at most */
	VERIFY_LIMBS = 2048                             /* and for 549 */
};

typedef struct {
	const struct ecc_curve *ecc;
	int id;
	size_t size, limbs, bits;
	mp_limb_t order[LIMBS];
} Curve;

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *bw_nettle_version(void) { return TEXT(NETTLE_VERSION_MAJOR) "." TEXT(NETTLE_VERSION_MINOR); }
const char *bw_gmp_version(void) { return gmp_version; }

static void *
take(size_t n)
{
	void *p = malloc(n);

	if (p == NULL) {
		abort();                                /* GMP knows no failure */
	}
	return p;
}

static void
give(void *p, size_t n)
{
	explicit_bzero(p, n);
	free(p);
}

static void *
resize(void *old, size_t had, size_t n)
{
	void *p = take(n);

	memcpy(p, old, had < n ? had : n);
	give(old, had);
	return p;
}

void
bw_gmp_wipes(void)
{
	mp_set_memory_functions(&take, &resize, &give);
}

/* Big-endian bytes, at most as many as the limbs hold; no branch and no address depends on their values. */
static void
decode(mp_limb_t *out, size_t limbs, const unsigned char *p, size_t n)
{
	size_t i;

	memset(out, 0, limbs * BW_LIMB);
	for (i = 0; i < n; i ++) {
		out[i / BW_LIMB] |= (mp_limb_t)p[n - 1 - i] << (8 * (i % BW_LIMB));
	}
}

static void
encode(unsigned char *p, size_t n, const mp_limb_t *in)
{
	size_t i;

	for (i = 0; i < n; i ++) {
		p[n - 1 - i] = (unsigned char)(in[i / BW_LIMB] >> (8 * (i % BW_LIMB)));
	}
}

static int
curve_of(Curve *c, int id)
{
	const unsigned char *order;
	size_t n;

	switch (id) {
	case BR_EC_secp256r1: c->ecc = nettle_get_secp_256r1(); break;
	case BR_EC_secp384r1: c->ecc = nettle_get_secp_384r1(); break;
	case BR_EC_secp521r1: c->ecc = nettle_get_secp_521r1(); break;
	default: return 0;
	}
	c->id = id;
	c->bits = ecc_bit_size(c->ecc);                 /* of the field; the order has as many on these curves */
	c->size = (c->bits + 7) / 8;
	c->limbs = (size_t)ecc_size(c->ecc);
	order = br_ec_get_default()->order(id, &n);
	if (c->limbs > LIMBS || n != c->size) {
		return 0;
	}
	decode(c->order, c->limbs, order, n);
	return 1;
}

/* 1 if 0 < n < order, in constant time. */
static int
in_range(const Curve *c, const mp_limb_t *n)
{
	mp_limb_t scratch[LIMBS], any = 0, below;
	size_t i;

	for (i = 0; i < c->limbs; i ++) {
		any |= n[i];
	}
	below = mpn_sub_n(scratch, n, c->order, (mp_size_t)c->limbs);
	explicit_bzero(scratch, sizeof scratch);
	return (int)(below & ((any | -any) >> (GMP_LIMB_BITS - 1)));
}

/* A number that must be from 1 to order - 1, with leading zeros or without; whether it is comes to be known. */
static int
scalar(const Curve *c, mp_limb_t *out, const unsigned char *x, size_t n)
{
	unsigned char beyond = 0;
	int good;

	while (n > c->size) {
		beyond |= *x ++;
		n --;
	}
	decode(out, c->limbs, x, n);
	good = in_range(c, out) & (int)(((unsigned)beyond - 1) >> 31);
	BW_KNOWN(good);
	return good;
}

/* RFC 6979 section 2.3.2, bits2int. */
static void
leftmost_bits(const Curve *c, mp_limb_t *out, const unsigned char *p, size_t n)
{
	if (n > c->size) {
		n = c->size;
	}
	decode(out, c->limbs, p, n);
	if (8 * n > c->bits) {
		mpn_rshift(out, out, (mp_size_t)c->limbs, (unsigned)(8 * n - c->bits));
	}
}

/* A number less than twice the order, modulo it. */
static void
reduce(const Curve *c, mp_limb_t *n)
{
	mp_limb_t scratch[LIMBS], below;

	below = mpn_sub_n(scratch, n, c->order, (mp_size_t)c->limbs);
	mpn_cnd_sub_n(1 - below, n, n, c->order, (mp_size_t)c->limbs);
	explicit_bzero(scratch, sizeof scratch);
}

/* An uncompressed point that is on the curve; it is public. */
static int
point(const Curve *c, struct ecc_point *out, mp_limb_t *at, const unsigned char *p, size_t n)
{
	mp_limb_t x[LIMBS], y[LIMBS];
	mpz_t zx, zy;

	if (n != 1 + 2 * c->size || p[0] != 4) {
		return 0;
	}
	decode(x, c->limbs, p + 1, c->size);
	decode(y, c->limbs, p + 1 + c->size, c->size);
	out->ecc = c->ecc;
	out->p = at;
	bw_gmp_wipes();
	return ecc_point_set(out, mpz_roinit_n(zx, x, (mp_size_t)c->limbs), mpz_roinit_n(zy, y, (mp_size_t)c->limbs));
}

static void
point_encode(const Curve *c, unsigned char *out, const mp_limb_t *at)
{
	out[0] = 4;
	encode(out + 1, c->size, at);
	encode(out + 1 + c->size, c->size, at + c->limbs);
}

uint32_t
bw_curve_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve)
{
	Curve c;
	mp_limb_t k[LIMBS], from[2 * LIMBS], to[2 * LIMBS];
	struct ecc_scalar n;
	struct ecc_point p, product;
	uint32_t good;

	if (!curve_of(&c, curve) || !point(&c, &p, from, G, Glen)) {
		return 0;
	}
	good = (uint32_t)scalar(&c, k, x, xlen);
	if (good) {
		n.ecc = product.ecc = c.ecc;
		n.p = k;
		product.p = to;
		ecc_point_mul(&product, &n, &p);
		point_encode(&c, G, to);
	}
	explicit_bzero(k, sizeof k);
	explicit_bzero(to, sizeof to);
	return good;
}

static void
base_multiple(const Curve *c, mp_limb_t *to, mp_limb_t *k)
{
	struct ecc_scalar n = {c->ecc, k};
	struct ecc_point product = {c->ecc, to};

#ifdef BEARWRAP_P256
	if (c->id == BR_EC_secp256r1) {
		bw_p256_base(to, to + c->limbs, k);
		return;
	}
#endif
	bw_gmp_wipes();
	ecc_point_mul_g(&product, &n);
}

size_t
bw_curve_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve)
{
	Curve c;
	mp_limb_t k[LIMBS], to[2 * LIMBS];
	size_t len = 0;

	if (!curve_of(&c, curve)) {
		return 0;
	}
	if (scalar(&c, k, x, xlen)) {
		base_multiple(&c, to, k);
		point_encode(&c, R, to);
		len = 1 + 2 * c.size;
	}
	explicit_bzero(k, sizeof k);
	return len;
}

/*
 * The nonce is RFC 6979's, from BearSSL's HMAC_DRBG, so that a signature is BearSSL's own to the byte. HMAC_DRBG here
 * differs from RFC 6979's generator in nothing: its update after each output is the step behind a refused candidate.
 */
static void
nonce(const Curve *c, mp_limb_t *k, const mp_limb_t *x, const br_hash_class *hf, const mp_limb_t *m)
{
	unsigned char seed[2 * BYTES];
	br_hmac_drbg_context drbg;
	int good;

	encode(seed, c->size, x);
	encode(seed + c->size, c->size, m);
	br_hmac_drbg_init(&drbg, hf, seed, 2 * c->size);
	do {
		br_hmac_drbg_generate(&drbg, seed, c->size);
		leftmost_bits(c, k, seed, c->size);
		good = in_range(c, k);
		BW_KNOWN(good);                         /* of one that is thrown away */
	} while (!good);
	explicit_bzero(seed, sizeof seed);
	explicit_bzero(&drbg, sizeof drbg);
}

size_t
bw_curve_sign_asn1(const br_ec_impl *impl, const br_hash_class *hf, const void *hash_value,
	const br_ec_private_key *sk, void *sig)
{
	Curve c;
	mp_limb_t x[LIMBS], k[LIMBS], m[LIMBS], r[LIMBS], s[LIMBS], scratch[SIGN_LIMBS];
	unsigned char raw[2 * BYTES + 12];
	size_t hash_len = (hf->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK, len = 0;

	if (!curve_of(&c, sk->curve) || ecc_ecdsa_sign_itch(c.ecc) > SIGN_LIMBS) {
		return br_ecdsa_sign_asn1_get_default()(impl, hf, hash_value, sk, sig);
	}
	if (scalar(&c, x, sk->x, sk->xlen)) {
		leftmost_bits(&c, m, hash_value, hash_len);
		reduce(&c, m);
		nonce(&c, k, x, hf, m);
#ifdef BEARWRAP_P256
		if (c.id == BR_EC_secp256r1) {
			bw_p256_base(r, s, k);
			reduce(&c, r);
			bw_p256_divide(s, m, r, x, k);
		} else
#endif
		ecc_ecdsa_sign(c.ecc, x, k, hash_len, hash_value, r, s, scratch);
		BW_KNOWN(r);
		BW_KNOWN(s);
		encode(raw, c.size, r);
		encode(raw + c.size, c.size, s);
		len = br_ecdsa_raw_to_asn1(raw, 2 * c.size);
		memcpy(sig, raw, len);
	}
	explicit_bzero(x, sizeof x);
	explicit_bzero(k, sizeof k);
	explicit_bzero(scratch, sizeof scratch);
	return len;
}

/*
 * nettle's addition of points knows no doubling, so it refuses a few contrived good signatures; what it refuses is
 * BearSSL's to judge.
 */
uint32_t
bw_curve_vrfy_asn1(const br_ec_impl *impl, const void *hash, size_t hash_len,
	const br_ec_public_key *pk, const void *sig, size_t sig_len)
{
	Curve c;
	mp_limb_t q[2 * LIMBS], r[LIMBS], s[LIMBS], scratch[VERIFY_LIMBS];
	unsigned char raw[2 * BYTES + 24];
	struct ecc_point p;
	size_t n;

	if (!curve_of(&c, pk->curve) || sig_len > sizeof raw || !point(&c, &p, q, pk->q, pk->qlen)) {
		return 0;
	}
	memcpy(raw, sig, sig_len);
	n = br_ecdsa_asn1_to_raw(raw, sig_len) / 2;
	if (n == 0 || !scalar(&c, r, raw, n) || !scalar(&c, s, raw + n, n)) {
		return 0;
	}
	if (ecc_ecdsa_verify_itch(c.ecc) <= VERIFY_LIMBS
		&& ecc_ecdsa_verify(c.ecc, q, hash_len, hash, r, s, scratch))
	{
		return 1;
	}
	return br_ecdsa_vrfy_asn1_get_default()(impl, hash, hash_len, pk, sig, sig_len);
}
