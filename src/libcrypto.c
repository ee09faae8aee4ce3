/*
 * libcrypto.c - what the objects of OpenSSL's static libcrypto share that are linked: its assembly for x86-64 of
 * ChaCha20-Poly1305 (chapol.c), SHA-256 (sha256.c) and P-256 (p256.c).
 *
 * They are the library's innermost functions, not its interface: EVP would bring its start, its locks and its memory
 * into a process that is jailed before it seals a record. Their arguments are the same from 1.1.0 to 3.5. The build
 * trusts no header for that: it makes a program of these files, with a main() of their own, and does without libcrypto
 * unless that finds what the standards say (build-aux/native.py).
 *
 * libcrypto's own start would ask the processor by CPUID, which costs some 5 us each on a virtual machine. The C
 * library has asked already, and the objects find the answers in OPENSSL_ia32cap_P: hence that variable is ours.
 */
#include "libcrypto.h"

#if !defined __x86_64__ || !defined __GLIBC__
#error "x86-64 and the GNU C library"
#endif

#include <openssl/opensslv.h>
#include <sys/platform/x86.h>

uint32_t OPENSSL_ia32cap_P[16]; /* four words up to 3.4, ten in 3.5 */

const char *bw_libcrypto_version(void) { return OPENSSL_VERSION_STR; }

void bw_libcrypto_init(void)
{
	const struct cpuid_feature *one = __x86_get_cpuid_feature_leaf(CPUID_INDEX_1);
	const struct cpuid_feature *seven = __x86_get_cpuid_feature_leaf(CPUID_INDEX_7);

	OPENSSL_ia32cap_P[0] = one->active_array[3];
	OPENSSL_ia32cap_P[1] = one->active_array[2];
	OPENSSL_ia32cap_P[2] = seven->active_array[1];
	OPENSSL_ia32cap_P[3] = seven->active_array[2];
	/* Skylake-X runs slower for everybody while its widest vectors are in use; libcrypto leaves them too. */
	if ((one->cpuid_array[0] & 0x0fff0ff0) == 0x00050650) {
		OPENSSL_ia32cap_P[2] &= ~(UINT32_C(1) << 16);
	}
}

#ifdef BEARWRAP_PROBE
int main(void)
{
	bw_libcrypto_init();
#ifdef BEARWRAP_P256
	return bw_p256_probe();
#else
	return bw_chapol_probe() || bw_sha256_probe();
#endif
}
#endif
