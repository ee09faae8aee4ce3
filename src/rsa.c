/*
 * rsa.c - RSA's operations by nettle and GMP, in BearSSL's types br_rsa_private and br_rsa_public.
 *
 * The private one is by the Chinese remainder theorem, as BearSSL has it, over GMP's mpn_sec_* functions, without
 * branches or addresses that depend on the key, so it needs no blinding. The public one is for signatures: it depends on
 * what it raises, which in RSA key exchange would be a secret. What GMP allocates is wiped as it is freed (bw_gmp_wipes).
 */
#include <string.h>

#include "bignum.h"
#include "nettle.h"

enum { RSA_MAX = 512 };                                 /* bytes, as BearSSL */

static void
take_number(mpz_t out, const unsigned char *p, size_t n)
{
	mpz_import(out, n, 1, 1, 0, 0, p);
}

static void
give_number(unsigned char *p, size_t n, const mpz_t from)
{
	const mp_limb_t *limbs = mpz_limbs_read(from);
	size_t i, have = mpz_size(from);

	memset(p, 0, n);
	for (i = 0; i < n && i / BW_LIMB < have; i ++) {
		p[n - 1 - i] = (unsigned char)(limbs[i / BW_LIMB] >> (8 * (i % BW_LIMB)));
	}
}

/* x: as long as the modulus, less than it, in place. 0 for a key that cannot be one. */
uint32_t
bw_rsa_root(unsigned char *x, const br_rsa_private_key *sk)
{
	struct rsa_private_key key;
	mpz_t m;
	size_t n = (sk->n_bitlen + 7) >> 3, limbs, whole;
	uint32_t good;

	bw_gmp_wipes();
	rsa_private_key_init(&key);
	mpz_init(m);
	take_number(key.p, sk->p, sk->plen);
	take_number(key.q, sk->q, sk->qlen);
	take_number(key.a, sk->dp, sk->dplen);
	take_number(key.b, sk->dq, sk->dqlen);
	take_number(key.c, sk->iq, sk->iqlen);
	key.size = n;
	/* what nettle presumes; only sizes and the lowest bits are looked at, where its own check multiplies p and q */
	whole = (n + BW_LIMB - 1) / BW_LIMB;
	limbs = mpz_size(key.p) + mpz_size(key.q);
	good = mpz_odd_p(key.p) && mpz_odd_p(key.q) && (limbs == whole || limbs == whole + 1)
		&& mpz_size(key.a) > 0 && mpz_size(key.a) <= mpz_size(key.p)
		&& mpz_size(key.b) > 0 && mpz_size(key.b) <= mpz_size(key.q)
		&& mpz_size(key.c) > 0 && mpz_size(key.c) <= mpz_size(key.p);
	if (good) {
		take_number(m, x, n);
		rsa_compute_root(&key, m, m);
		give_number(x, n, m);                   /* the signature, which may be known */
	}
	mpz_clear(m);
	rsa_private_key_clear(&key);
	return good;
}

/* x: as long as the modulus without its leading zeros, less than it, in place. */
uint32_t
bw_rsa_power(unsigned char *x, size_t xlen, const br_rsa_public_key *pk)
{
	mpz_t n, e, m;
	uint32_t good;

	bw_gmp_wipes();
	mpz_init(n);
	mpz_init(e);
	mpz_init(m);
	good = pk->nlen <= RSA_MAX + 8 && pk->elen <= RSA_MAX + 8;
	if (good) {
		take_number(n, pk->n, pk->nlen);
		take_number(e, pk->e, pk->elen);
		good = mpz_odd_p(n) && mpz_sgn(e) > 0 && xlen <= RSA_MAX && xlen == (mpz_sizeinbase(n, 2) + 7) / 8;
	}
	if (good) {
		take_number(m, x, xlen);
		good = mpz_cmp(m, n) < 0;
	}
	if (good) {
		mpz_powm(m, m, e, n);
		give_number(x, xlen, m);
	}
	mpz_clear(n);
	mpz_clear(e);
	mpz_clear(m);
	return good;
}
