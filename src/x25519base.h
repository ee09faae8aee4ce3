/*
 * x25519base.h - a public key of X25519 by libsodium's table of the base point's multiples, in constant time.
 *
 * Where the processor has AVX libsodium's interface takes its ladder for the base point too, in more than twice the
 * time. So the other of its implementations is called, which is no interface: the build makes a program of this file,
 * with a main() of its own, and goes by the interface unless that finds what RFC 7748 says (build-aux/native.py).
 */
#ifndef BEARWRAP_X25519BASE_H
#define BEARWRAP_X25519BASE_H

extern struct {
	int (*mult)(unsigned char *out, const unsigned char *scalar, const unsigned char *point);
	int (*mult_base)(unsigned char *out, const unsigned char *scalar);
} crypto_scalarmult_curve25519_ref10_implementation;

static void bw_x25519_base(unsigned char out[32], const unsigned char scalar[32])
{
	crypto_scalarmult_curve25519_ref10_implementation.mult_base(out, scalar);
}

#ifdef BEARWRAP_PROBE
#include <string.h>

/* 0: Alice's public key comes out (RFC 7748 section 6.1). */
int main(void)
{
	static const unsigned char secret[32] = {
		0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
		0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
	};
	static const unsigned char expected[32] = {
		0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a,
		0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a,
	};
	unsigned char out[32];

	bw_x25519_base(out, secret);
	return memcmp(out, expected, sizeof out) != 0;
}
#endif

#endif
