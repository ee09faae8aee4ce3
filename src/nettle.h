/*
 * nettle.h - the P curves and RSA's private operation by nettle and GMP behind BearSSL's types (curves.c, rsa.c).
 *
 * Both are made to be silent on side channels, as BearSSL's are, and several times as fast (DESIGN.md, Primitives). The
 * build asks the compiler whether this file compiles, and goes without them where it does not.
 */
#ifndef BEARWRAP_NETTLE_H
#define BEARWRAP_NETTLE_H

#include <gmp.h>
#include <nettle/ecc.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>
#include <nettle/rsa.h>
#include <nettle/version.h>

/* Older ones verify a signature wrongly (CVE-2021-20305), or have other forms of what is used here. */
#if NETTLE_VERSION_MAJOR < 3 || (NETTLE_VERSION_MAJOR == 3 && NETTLE_VERSION_MINOR < 8)
#error "nettle 3.8 or newer"
#endif
#if __GNU_MP_VERSION < 6 || GMP_NAIL_BITS != 0
#error "GMP 6 or newer, whole limbs"
#endif

/* Under valgrind, tests/unit/constant_time.c marks secrets as undefined; what is known of them by then is told here. */
#ifdef BEARWRAP_MARKED_SECRETS
#include <valgrind/memcheck.h>
#define BW_KNOWN(variable) ((void)VALGRIND_MAKE_MEM_DEFINED(&(variable), sizeof (variable)))
#else
#define BW_KNOWN(variable) ((void)0)
#endif

enum { BW_LIMB = sizeof(mp_limb_t) };

/* Have GMP wipe what it gives back to the heap. Called by each function that makes it allocate. */
void bw_gmp_wipes(void);

#endif
