/*
 * constant_time.c - operations on secrets that valgrind's memcheck is told are undefined.
 *
 * A branch or an address that depends on a secret is then an error that memcheck reports. The argument names the
 * operation; "leak" is one that must be reported, so that silence means something.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "primitives.h"

#define SECRET(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))

static int
curve(const char *what, int id)
{
	unsigned char x[66], point[192], digest[32];
	br_ec_private_key sk;
	size_t n;

	br_ec_get_default()->order(id, &n);
	memset(x, 0x5A, sizeof x);
	x[0] = 0;
	memset(digest, 0xA5, sizeof digest);
	bw_ec()->mulgen(point, (const unsigned char *)"\3", 1, id);
	SECRET(x, n);
	if (strcmp(what, "mulgen") == 0) {
		n = bw_ec()->mulgen(point, x, n, id);
	} else if (strcmp(what, "mul") == 0) {
		n = bw_ec()->mul(point, id == BR_EC_curve25519 ? 32 : 1 + 2 * n, x, n, id);
	} else if (strcmp(what, "sign") == 0) {
		sk.curve = id;
		sk.x = x;
		sk.xlen = n;
		n = bw_ecdsa_sign()(bw_ec(), &br_sha256_vtable, digest, &sk, point);
	}
	return n == 0;
}

/* A number, odd and of full length, all of it secret but these two facts. Prime it need not be. */
static unsigned char *
number(unsigned char *p, size_t n, unsigned char seed)
{
	size_t i;

	for (i = 0; i < n; i ++) {
		p[i] = (unsigned char)(seed * (i + 3));
	}
	p[0] |= 0x80;
	p[n - 1] |= 1;
	SECRET(p + 8, n - 9);
	return p;
}

static int
rsa(unsigned bits)
{
	static unsigned char part[5][256], x[512];
	size_t half = bits / 16;
	br_rsa_private_key sk;

	sk.n_bitlen = bits;
	sk.p = number(part[0], half, 31);
	sk.q = number(part[1], half, 73);
	sk.dp = number(part[2], half, 51);
	sk.dq = number(part[3], half, 97);
	sk.iq = number(part[4], half, 11);
	sk.plen = sk.qlen = sk.dplen = sk.dqlen = sk.iqlen = half;
	memset(x, 0x11, sizeof x);
	return !bw_rsa_private()(x, &sk);
}

static int
ed25519(void)
{
	unsigned char seed[32], key[64], sig[64];

	memset(seed, 0x5A, sizeof seed);
	SECRET(seed, sizeof seed);
	return !bw_ed25519_key(key, seed) || !bw_ed25519_sign(sig, "message", 7, key);
}

/* A key and a text that are secret; what is sealed is not. */
static int
chapol(unsigned length)
{
	static unsigned char data[16384];
	unsigned char key[32], tag[16];
	br_ssl_engine_context eng;

	memset(key, 0x5A, sizeof key);
	SECRET(key, sizeof key);
	SECRET(data, length);
	bw_set_chapol(&eng);
	eng.ipoly(key, "nonce of 12", data, length, "additional", 10, tag, eng.ichacha, 1);
	eng.ipoly(key, "nonce of 12", data, length, "additional", 10, tag, eng.ichacha, 0);
	return 0;
}

/* A key and a text that are secret. */
static int
hmac(unsigned length)
{
	static unsigned char data[1000];
	unsigned char key[32], out[32];
	br_hmac_key_context keys;
	br_hmac_context ctx;

	memset(key, 0x5A, sizeof key);
	SECRET(key, sizeof key);
	SECRET(data, length);
	br_hmac_key_init(&keys, &br_sha256_vtable, key, sizeof key);
	br_hmac_init(&ctx, &keys, 0);
	br_hmac_update(&ctx, data, length);
	return br_hmac_out(&ctx, out) != sizeof out;
}

int
main(int argc, char **argv)
{
	char what[16], of[16];
	unsigned char secret = 1;

	if (argc != 2 || !bw_primitives_init()) {
		return 2;
	}
	if (strcmp(argv[1], "leak") == 0) {
		SECRET(&secret, 1);
		if (secret == 7) {
			puts("seven");
		}
		return 0;
	}
	if (sscanf(argv[1], "%15[a-z]-%15s", what, of) != 2) {
		return 2;
	}
	if (strcmp(what, "rsa") == 0) {
		return rsa((unsigned)atoi(of));
	}
	if (strcmp(what, "chapol") == 0) {
		return chapol((unsigned)atoi(of));
	}
	if (strcmp(what, "hmac") == 0) {
		return hmac((unsigned)atoi(of));
	}
	if (strcmp(of, "ed25519") == 0) {
		return ed25519();
	}
	return curve(what, strcmp(of, "x25519") == 0 ? BR_EC_curve25519 : strcmp(of, "p256") == 0 ? BR_EC_secp256r1
		: strcmp(of, "p384") == 0 ? BR_EC_secp384r1 : BR_EC_secp521r1);
}
