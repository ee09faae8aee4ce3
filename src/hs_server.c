/*
 * hs_server.c - BearSSL's server handshake with two functions redirected, a shorter list and its table in our order.
 *
 * This file is compiled in place of the vendored src/ssl/ssl_hs_server.c and is the only change of BearSSL's
 * behaviour: the random part of ServerHello.random carries the downgrade marker of RFC 8446 section 4.1.3 when
 * less than our maximum version is negotiated, a client's signature_algorithms does not count before TLS 1.2, and in
 * TLS 1.2 RSA-PSS alone will do.
 * A test pins the hash of the file that the one included below is made of.
 */
#ifndef BEARWRAP_SYSTEM_BEARSSL

#include <string.h>
#include "hs_server.h"

static void
draw_random(br_hmac_drbg_context *rng, void *out, size_t len)
{
	static const unsigned char to_tls11[8] = { 'D', 'O', 'W', 'N', 'G', 'R', 'D', 0 };
	static const unsigned char to_tls12[8] = { 'D', 'O', 'W', 'N', 'G', 'R', 'D', 1 };
	br_ssl_engine_context *eng;

	br_hmac_drbg_generate(rng, out, len);
	eng = (br_ssl_engine_context *)(void *)((unsigned char *)rng - offsetof(br_ssl_engine_context, rng));
	if ((unsigned char *)out != eng->server_random + 4 || len != 28) {
		return;
	}
	if (eng->version_max >= BR_TLS12 && eng->session.version < BR_TLS12) {
		memcpy(eng->server_random + 24, to_tls11, sizeof to_tls11);
	} else if (eng->flags & BW_ABOVE_TLS12) {
		memcpy(eng->server_random + 24, to_tls12, sizeof to_tls12);
	}
}

/*
 * signature_algorithms says nothing about versions before TLS 1.2 (RFC 5246 section 7.4.1.4.1), which sign with one
 * fixed hash. The engine asks for its hash functions just before it drops the suites that the client's list makes
 * impossible; by then the version is known. What it signs with is key's: all are there, though only those of the
 * transcript are run.
 *
 * The engine keeps the second byte of pairs (8, n), RSA-PSS among them, as bit 16 + n of its hashes, but takes suites
 * with RSA only with a hash for PKCS#1. For a client of RSA-PSS alone it is given SHA-1: server_algorithm of
 * engineserver.pxi never takes that where there is RSA-PSS.
 *
 * By then the list of common suites is there, too, always from its first place on. The second, if empty, gets the same
 * suite: what 0 is the engine would look for in all of its table, 1,200 steps.
 */
static const br_hash_class *
find_hash(const br_multihash_context *mc, int id)
{
	static const br_hash_class *const all[] = {
		&br_md5_vtable, &br_sha1_vtable, &br_sha224_vtable, &br_sha256_vtable, &br_sha384_vtable, &br_sha512_vtable
	};
	br_ssl_server_context *sc;

	sc = (br_ssl_server_context *)(void *)((unsigned char *)(uintptr_t)mc - offsetof(br_ssl_engine_context, mhash));
	if (sc->eng.session.version < BR_TLS12) {
		sc->hashes |= 0x0404;
	} else if (!(sc->hashes & 0xFF) && (sc->hashes & BW_PSS_BITS)) {
		sc->hashes |= 1 << br_sha1_ID;
	}
	if (sc->client_suites[1][0] == 0) {
		sc->client_suites[1][0] = sc->client_suites[0][0];
	}
	return id >= br_md5_ID && id <= br_sha512_ID ? all[id - 1] : NULL;
}

/*
 * The engine looks at each place of the list of common suites, empty or not, and walks a table of 45 suites for it, as
 * it does a dozen times for the one that is chosen. 14 places are 36,000 steps of its interpreter for a client with
 * OpenSSL's default list, two are 22,800: server_suites (engineserver.pxi) gives it no more. The file included is a
 * copy with that table in our order of preference (build-aux/suitetable.py), which leaves 8,800.
 */
#undef BR_MAX_CIPHER_SUITES
#define BR_MAX_CIPHER_SUITES BW_SERVER_SUITES
#define br_hmac_drbg_generate draw_random
#define br_multihash_getimpl find_hash
#include "ssl_hs_server.c"

#else
/* The system's library has its own copy of the handshake; the marker is then missing (see `bearwrap version`). */
#endif
