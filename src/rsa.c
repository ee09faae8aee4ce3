/*
 * rsa.c - RSA's private operation by nettle over GMP's mpn_sec_* functions, in BearSSL's type br_rsa_private.
 *
 * By the Chinese remainder theorem, as BearSSL does it, without branches or addresses that depend on the key; no
 * blinding is needed for that. Everything that GMP allocates is wiped as it is freed (bw_gmp_wipes).
 */
#include <string.h>

#include "bignum.h"
#include "nettle.h"

static void
take_number(mpz_t out, const unsigned char *p, size_t n)
{
	mpz_import(out, n, 1, 1, 0, 0, p);
}

/* x: as long as the modulus, less than it, in place. 0 for a key that cannot be one. */
uint32_t
bw_rsa_root(unsigned char *x, const br_rsa_private_key *sk)
{
	struct rsa_private_key key;
	mpz_t m;
	size_t n = (sk->n_bitlen + 7) >> 3, i, limbs, whole;
	const mp_limb_t *root;
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
		root = mpz_limbs_read(m);               /* the signature, which may be known */
		limbs = mpz_size(m);
		memset(x, 0, n);
		for (i = 0; i < n && i / BW_LIMB < limbs; i ++) {
			x[n - 1 - i] = (unsigned char)(root[i / BW_LIMB] >> (8 * (i % BW_LIMB)));
		}
	}
	mpz_clear(m);
	rsa_private_key_clear(&key);
	return good;
}
