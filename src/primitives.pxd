# primitives.h as Cython sees it.

from libc.stdint cimport uint32_t

from bearssl cimport br_ec_impl, br_ecdsa_sign, br_ecdsa_vrfy, br_rsa_private, br_rsa_private_key
from bearssl cimport br_rsa_pkcs1_vrfy, br_rsa_public, br_rsa_public_key
from bearssl cimport br_ssl_engine_context

cdef extern from "primitives.h" nogil:
    int bw_primitives_init()
    void bw_libcrypto_init()
    const char *bw_libcrypto_version()
    const char *bw_sodium_version()
    const char *bw_nettle_version()
    const char *bw_gmp_version()
    const br_ec_impl *bw_ec()
    br_ecdsa_sign bw_ecdsa_sign()
    br_ecdsa_vrfy bw_ecdsa_vrfy()
    br_rsa_private bw_rsa_private()
    br_rsa_public bw_rsa_public()
    uint32_t bw_rsa_pkcs1_vrfy(const unsigned char *x, size_t xlen, const unsigned char *hash_oid, size_t hash_len,
                               const br_rsa_public_key *pk, unsigned char *hash_out)
    uint32_t bw_rsa_pkcs1_sign(const unsigned char *hash_oid, const unsigned char *hash, size_t hash_len,
                               const br_rsa_private_key *sk, unsigned char *x)
    void bw_set_chapol(br_ssl_engine_context *eng)
    int BW_ED25519
    bint bw_ed25519_key(unsigned char *key, const unsigned char *seed)
    bint bw_ed25519_sign(unsigned char *sig, const void *message, size_t n, const unsigned char *key)
    bint bw_ed25519_verify(const unsigned char *sig, const void *message, size_t n, const unsigned char *point)
    int BW_VENDORED
