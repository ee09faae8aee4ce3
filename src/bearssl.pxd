# BearSSL 0.6, the public headers: only the names bearwrap uses, C spelling kept, header order kept.
# A struct lists only the fields that are read or written here.

from libc.stdint cimport int16_t, uint16_t, uint32_t, uint64_t

cdef extern from "bearssl_hash.h" nogil:
    ctypedef struct br_hash_class:
        void (*init)(const br_hash_class **ctx)
        void (*update)(const br_hash_class **ctx, const void *data, size_t len)
        void (*out)(const br_hash_class *const *ctx, void *dst)
        uint64_t (*state)(const br_hash_class *const *ctx, void *dst)
        void (*set_state)(const br_hash_class **ctx, const void *stb, uint64_t count)
    ctypedef struct br_hash_compat_context:
        const br_hash_class *vtable
    ctypedef struct br_md5_context:
        pass
    ctypedef struct br_sha1_context:
        pass
    ctypedef struct br_sha256_context:
        pass
    ctypedef struct br_sha512_context:
        pass
    ctypedef br_sha512_context br_sha384_context
    ctypedef struct br_multihash_context:
        pass
    const br_hash_class br_md5_vtable
    const br_hash_class br_sha1_vtable
    const br_hash_class br_sha224_vtable
    const br_hash_class br_sha256_vtable
    const br_hash_class br_sha384_vtable
    const br_hash_class br_sha512_vtable
    int br_md5_ID
    int br_sha1_ID
    int br_sha256_ID
    int br_sha384_ID
    int br_sha512_ID
    void br_multihash_zero(br_multihash_context *ctx)
    void br_multihash_setimpl(br_multihash_context *ctx, int id, const br_hash_class *impl)
    void br_multihash_init(br_multihash_context *ctx)
    void br_multihash_update(br_multihash_context *ctx, const void *data, size_t len)
    size_t br_multihash_out(const br_multihash_context *ctx, int id, void *dst)

cdef extern from "bearssl_hmac.h" nogil:
    ctypedef struct br_hmac_key_context:
        pass
    ctypedef struct br_hmac_context:
        pass
    void br_hmac_key_init(br_hmac_key_context *kc, const br_hash_class *digest_vtable, const void *key, size_t key_len)
    void br_hmac_init(br_hmac_context *ctx, const br_hmac_key_context *kc, size_t out_len)
    void br_hmac_update(br_hmac_context *ctx, const void *data, size_t len)
    size_t br_hmac_out(const br_hmac_context *ctx, void *out)

cdef extern from "bearssl_rand.h" nogil:
    ctypedef struct br_prng_class:
        pass
    ctypedef struct br_hmac_drbg_context:
        const br_prng_class *vtable
    void br_hmac_drbg_init(br_hmac_drbg_context *ctx, const br_hash_class *digest_class,
                           const void *seed, size_t seed_len)
    void br_hmac_drbg_generate(br_hmac_drbg_context *ctx, void *out, size_t len)

cdef extern from "bearssl_prf.h" nogil:
    ctypedef struct br_tls_prf_seed_chunk:
        const void *data
        size_t len
    void br_tls10_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label,
                      size_t seed_num, const br_tls_prf_seed_chunk *seed)
    void br_tls12_sha256_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label,
                             size_t seed_num, const br_tls_prf_seed_chunk *seed)
    void br_tls12_sha384_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label,
                             size_t seed_num, const br_tls_prf_seed_chunk *seed)

cdef extern from "bearssl_block.h" nogil:
    ctypedef struct br_block_cbcenc_class:
        pass
    ctypedef struct br_block_cbcdec_class:
        pass
    ctypedef struct br_block_ctr_class:
        void (*init)(const br_block_ctr_class **ctx, const void *key, size_t key_len) noexcept nogil
        uint32_t (*run)(const br_block_ctr_class *const *ctx, const void *iv, uint32_t cc, void *data,
                        size_t len) noexcept nogil
    ctypedef union br_aes_gen_ctr_keys:
        const br_block_ctr_class *vtable
    const br_block_cbcenc_class br_aes_ct64_cbcenc_vtable
    const br_block_cbcdec_class br_aes_ct64_cbcdec_vtable
    ctypedef struct br_block_ctrcbc_class:
        pass
    ctypedef uint32_t (*br_chacha20_run)(const void *key, const void *iv, uint32_t cc, void *data, size_t len)
    ctypedef void (*br_poly1305_run)(const void *key, const void *iv, void *data, size_t len,
                                     const void *aad, size_t aad_len, void *tag,
                                     br_chacha20_run ichacha, int encrypt)

cdef extern from "bearssl_aead.h" nogil:
    ctypedef void (*br_ghash)(void *y, const void *h, const void *data, size_t len)

cdef extern from "bearssl_rsa.h" nogil:
    ctypedef struct br_rsa_public_key:
        unsigned char *n
        size_t nlen
        unsigned char *e
        size_t elen
    ctypedef struct br_rsa_private_key:
        uint32_t n_bitlen
        unsigned char *p
        size_t plen
        unsigned char *q
        size_t qlen
        unsigned char *dp
        size_t dplen
        unsigned char *dq
        size_t dqlen
        unsigned char *iq
        size_t iqlen
    ctypedef uint32_t (*br_rsa_pkcs1_vrfy)(const unsigned char *x, size_t xlen, const unsigned char *hash_oid,
                                           size_t hash_len, const br_rsa_public_key *pk, unsigned char *hash_out)
    ctypedef uint32_t (*br_rsa_pkcs1_sign)(const unsigned char *hash_oid, const unsigned char *hash,
                                           size_t hash_len, const br_rsa_private_key *sk, unsigned char *x)
    ctypedef uint32_t (*br_rsa_public)(unsigned char *x, size_t xlen, const br_rsa_public_key *pk)
    ctypedef uint32_t (*br_rsa_private)(unsigned char *x, const br_rsa_private_key *sk)
    br_rsa_public br_rsa_public_get_default()
    br_rsa_private br_rsa_private_get_default()
    br_rsa_pkcs1_vrfy br_rsa_pkcs1_vrfy_get_default()
    br_rsa_pkcs1_sign br_rsa_pkcs1_sign_get_default()
    ctypedef size_t (*br_rsa_compute_modulus)(void *n, const br_rsa_private_key *sk)
    br_rsa_compute_modulus br_rsa_compute_modulus_get_default()

cdef extern from "bearssl_ec.h" nogil:
    int BR_EC_secp256r1
    int BR_EC_secp384r1
    int BR_EC_secp521r1
    int BR_EC_curve25519
    int BR_EC_KBUF_PUB_MAX_SIZE
    ctypedef struct br_ec_public_key:
        int curve
        unsigned char *q
        size_t qlen
    ctypedef struct br_ec_private_key:
        int curve
        unsigned char *x
        size_t xlen
    ctypedef struct br_ec_impl:
        uint32_t supported_curves
        const unsigned char *(*generator)(int curve, size_t *len) noexcept nogil
        const unsigned char *(*order)(int curve, size_t *len) noexcept nogil
        size_t (*xoff)(int curve, size_t *len) noexcept nogil
        uint32_t (*mul)(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve) noexcept nogil
        size_t (*mulgen)(unsigned char *R, const unsigned char *x, size_t xlen, int curve) noexcept nogil
        uint32_t (*muladd)(unsigned char *A, const unsigned char *B, size_t len, const unsigned char *x,
                           size_t xlen, const unsigned char *y, size_t ylen, int curve) noexcept nogil
    const br_ec_impl *br_ec_get_default()
    ctypedef size_t (*br_ecdsa_sign)(const br_ec_impl *impl, const br_hash_class *hf, const void *hash_value,
                                     const br_ec_private_key *sk, void *sig)
    ctypedef uint32_t (*br_ecdsa_vrfy)(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                       const br_ec_public_key *pk, const void *sig, size_t sig_len)
    br_ecdsa_sign br_ecdsa_sign_asn1_get_default()
    br_ecdsa_vrfy br_ecdsa_vrfy_asn1_get_default()
    size_t br_ec_keygen(const br_prng_class **rng_ctx, const br_ec_impl *impl, br_ec_private_key *sk,
                        void *kbuf, int curve)
    size_t br_ec_compute_pub(const br_ec_impl *impl, br_ec_public_key *pk, void *kbuf, const br_ec_private_key *sk)

cdef extern from "bearssl_x509.h" nogil:
    int BR_ERR_X509_OK, BR_ERR_X509_EMPTY_CHAIN, BR_ERR_X509_BAD_SIGNATURE, BR_ERR_X509_TIME_UNKNOWN
    int BR_ERR_X509_EXPIRED, BR_ERR_X509_DN_MISMATCH, BR_ERR_X509_UNSUPPORTED, BR_ERR_X509_WRONG_KEY_TYPE
    int BR_ERR_X509_CRITICAL_EXTENSION, BR_ERR_X509_NOT_CA, BR_ERR_X509_FORBIDDEN_KEY_USAGE
    int BR_ERR_X509_WEAK_PUBLIC_KEY, BR_ERR_X509_NOT_TRUSTED, BR_ERR_X509_BAD_SERVER_NAME
    int BR_ERR_X509_INVALID_VALUE, BR_ERR_X509_LIMIT_EXCEEDED
    int BR_KEYTYPE_RSA, BR_KEYTYPE_EC, BR_KEYTYPE_KEYX, BR_KEYTYPE_SIGN
    int BR_X509_TA_CA
    int BR_X509_BUFSIZE_KEY
    ctypedef union br_x509_pkey_key:
        br_rsa_public_key rsa
        br_ec_public_key ec
    ctypedef struct br_x509_pkey:
        unsigned char key_type
        br_x509_pkey_key key
    ctypedef struct br_x500_name:
        unsigned char *data
        size_t len
    ctypedef struct br_x509_trust_anchor:
        br_x500_name dn
        unsigned flags
        br_x509_pkey pkey
    ctypedef struct br_x509_class:
        size_t context_size
        void (*start_chain)(const br_x509_class **ctx, const char *server_name) noexcept nogil
        void (*start_cert)(const br_x509_class **ctx, uint32_t length) noexcept nogil
        void (*append)(const br_x509_class **ctx, const unsigned char *buf, size_t len) noexcept nogil
        void (*end_cert)(const br_x509_class **ctx) noexcept nogil
        unsigned (*end_chain)(const br_x509_class **ctx) noexcept nogil
        const br_x509_pkey *(*get_pkey)(const br_x509_class *const *ctx, unsigned *usages) noexcept nogil
    ctypedef struct br_name_element:
        const unsigned char *oid
        char *buf
        size_t len
        int status
    ctypedef struct br_x509_minimal_context:
        const br_x509_class *vtable
        unsigned char saved_dn_hash[64]
    void br_x509_minimal_init_full(br_x509_minimal_context *ctx, const br_x509_trust_anchor *anchors, size_t num)
    void br_x509_minimal_set_rsa(br_x509_minimal_context *ctx, br_rsa_pkcs1_vrfy irsa)
    void br_x509_minimal_set_ecdsa(br_x509_minimal_context *ctx, const br_ec_impl *iec, br_ecdsa_vrfy iecdsa)
    void br_x509_minimal_set_name_elements(br_x509_minimal_context *ctx, br_name_element *elts, size_t num)
    ctypedef struct br_x509_decoder_context:
        pass
    void br_x509_decoder_init(br_x509_decoder_context *ctx,
                              void (*append_dn)(void *ctx, const void *buf, size_t len) noexcept nogil, void *dn_ctx)
    void br_x509_decoder_push(br_x509_decoder_context *ctx, const void *data, size_t len)
    br_x509_pkey *br_x509_decoder_get_pkey(br_x509_decoder_context *ctx)
    int br_x509_decoder_last_error(br_x509_decoder_context *ctx)
    int br_x509_decoder_isCA(br_x509_decoder_context *ctx)
    ctypedef struct br_x509_certificate:
        unsigned char *data
        size_t data_len
    ctypedef struct br_skey_decoder_context:
        pass
    void br_skey_decoder_init(br_skey_decoder_context *ctx)
    void br_skey_decoder_push(br_skey_decoder_context *ctx, const void *data, size_t len)
    int br_skey_decoder_last_error(const br_skey_decoder_context *ctx)
    int br_skey_decoder_key_type(const br_skey_decoder_context *ctx)
    const br_rsa_private_key *br_skey_decoder_get_rsa(const br_skey_decoder_context *ctx)
    const br_ec_private_key *br_skey_decoder_get_ec(const br_skey_decoder_context *ctx)

cdef extern from "bearssl_ssl.h" nogil:
    int BR_TLS10, BR_TLS11, BR_TLS12
    int BR_ERR_OK, BR_ERR_BAD_PARAM, BR_ERR_UNSUPPORTED_VERSION, BR_ERR_BAD_VERSION, BR_ERR_BAD_LENGTH
    int BR_ERR_TOO_LARGE, BR_ERR_BAD_MAC, BR_ERR_UNEXPECTED, BR_ERR_BAD_CCS, BR_ERR_BAD_ALERT
    int BR_ERR_BAD_HANDSHAKE, BR_ERR_OVERSIZED_ID, BR_ERR_BAD_FRAGLEN, BR_ERR_BAD_SECRENEG
    int BR_ERR_LIMIT_EXCEEDED, BR_ERR_BAD_FINISHED, BR_ERR_INVALID_ALGORITHM, BR_ERR_BAD_SIGNATURE
    int BR_ERR_WRONG_KEY_USAGE, BR_ERR_NO_CLIENT_AUTH, BR_ERR_SEND_FATAL_ALERT
    int BR_OPT_ENFORCE_SERVER_PREFERENCES, BR_OPT_NO_RENEGOTIATION, BR_OPT_FAIL_ON_ALPN_MISMATCH
    int BR_SSL_CLOSED, BR_SSL_SENDREC, BR_SSL_RECVREC, BR_SSL_SENDAPP
    ctypedef struct br_sslrec_in_class:
        size_t context_size
        int (*check_length)(const br_sslrec_in_class *const *ctx, size_t record_len) noexcept nogil
        unsigned char *(*decrypt)(const br_sslrec_in_class **ctx, int record_type, unsigned version,
                                  void *payload, size_t *len) noexcept nogil
    ctypedef struct br_sslrec_out_class:
        size_t context_size
        void (*max_plaintext)(const br_sslrec_out_class *const *ctx, size_t *start, size_t *end) noexcept nogil
        unsigned char *(*encrypt)(const br_sslrec_out_class **ctx, int record_type, unsigned version,
                                  void *plaintext, size_t *len) noexcept nogil
    ctypedef struct br_sslrec_in_cbc_class:
        br_sslrec_in_class inner
        void (*init)(const br_sslrec_in_cbc_class **ctx, const br_block_cbcdec_class *bc_impl,
                     const void *bc_key, size_t bc_key_len, const br_hash_class *dig_impl,
                     const void *mac_key, size_t mac_key_len, size_t mac_out_len, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_out_cbc_class:
        br_sslrec_out_class inner
        void (*init)(const br_sslrec_out_cbc_class **ctx, const br_block_cbcenc_class *bc_impl,
                     const void *bc_key, size_t bc_key_len, const br_hash_class *dig_impl,
                     const void *mac_key, size_t mac_key_len, size_t mac_out_len, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_in_gcm_class:
        br_sslrec_in_class inner
        void (*init)(const br_sslrec_in_gcm_class **ctx, const br_block_ctr_class *bc_impl,
                     const void *key, size_t key_len, br_ghash gh_impl, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_out_gcm_class:
        br_sslrec_out_class inner
        void (*init)(const br_sslrec_out_gcm_class **ctx, const br_block_ctr_class *bc_impl,
                     const void *key, size_t key_len, br_ghash gh_impl, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_in_chapol_class:
        br_sslrec_in_class inner
        void (*init)(const br_sslrec_in_chapol_class **ctx, br_chacha20_run ichacha, br_poly1305_run ipoly,
                     const void *key, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_out_chapol_class:
        br_sslrec_out_class inner
        void (*init)(const br_sslrec_out_chapol_class **ctx, br_chacha20_run ichacha, br_poly1305_run ipoly,
                     const void *key, const void *iv) noexcept nogil
    ctypedef struct br_sslrec_in_ccm_class:
        br_sslrec_in_class inner
        void (*init)(const br_sslrec_in_ccm_class **ctx, const br_block_ctrcbc_class *bc_impl, const void *key,
                     size_t key_len, const void *iv, size_t tag_len) noexcept nogil
    ctypedef struct br_sslrec_out_ccm_class:
        br_sslrec_out_class inner
        void (*init)(const br_sslrec_out_ccm_class **ctx, const br_block_ctrcbc_class *bc_impl, const void *key,
                     size_t key_len, const void *iv, size_t tag_len) noexcept nogil
    const br_sslrec_in_cbc_class br_sslrec_in_cbc_vtable
    const br_sslrec_out_cbc_class br_sslrec_out_cbc_vtable
    const br_sslrec_in_gcm_class br_sslrec_in_gcm_vtable
    const br_sslrec_out_gcm_class br_sslrec_out_gcm_vtable
    const br_sslrec_in_chapol_class br_sslrec_in_chapol_vtable
    const br_sslrec_out_chapol_class br_sslrec_out_chapol_vtable
    ctypedef struct br_ssl_session_parameters:
        uint16_t version
        uint16_t cipher_suite
        unsigned char master_secret[48]
    ctypedef struct br_ssl_engine_in:
        const br_sslrec_in_class *vtable
    ctypedef struct br_ssl_engine_out:
        const br_sslrec_out_class *vtable
    ctypedef struct br_ssl_engine_context:
        int err
        uint16_t max_frag_len
        br_ssl_engine_in in_ "in"
        br_ssl_engine_out out
        br_hmac_drbg_context rng
        int rng_os_rand_done
        uint16_t version_max
        uint16_t version_in
        char server_name[256]
        unsigned char client_random[32]
        unsigned char server_random[32]
        br_ssl_session_parameters session
        unsigned char ecdhe_curve
        unsigned char ecdhe_point[133]
        unsigned char ecdhe_point_len
        br_multihash_context mhash
        const br_block_cbcenc_class *iaes_cbcenc
        const br_block_cbcdec_class *iaes_cbcdec
        const br_block_ctr_class *iaes_ctr
        const br_block_ctrcbc_class *iaes_ctrcbc
        const br_block_cbcenc_class *ides_cbcenc
        const br_block_cbcdec_class *ides_cbcdec
        br_ghash ighash
        br_chacha20_run ichacha
        br_poly1305_run ipoly
        const br_ec_impl *iec
        br_rsa_pkcs1_vrfy irsavrfy
        br_ecdsa_vrfy iecdsa
    int br_ssl_engine_last_error(const br_ssl_engine_context *cc)
    void br_ssl_engine_set_versions(br_ssl_engine_context *cc, unsigned version_min, unsigned version_max)
    void br_ssl_engine_set_suites(br_ssl_engine_context *cc, const uint16_t *suites, size_t suites_num)
    void br_ssl_engine_set_protocol_names(br_ssl_engine_context *ctx, const char **names, size_t num)
    const char *br_ssl_engine_get_selected_protocol(br_ssl_engine_context *ctx)
    void br_ssl_engine_add_flags(br_ssl_engine_context *cc, uint32_t flags)
    void br_ssl_engine_set_x509(br_ssl_engine_context *cc, const br_x509_class **x509ctx)
    void br_ssl_engine_set_hash(br_ssl_engine_context *ctx, int id, const br_hash_class *impl)
    ctypedef void (*br_tls_prf_impl)(void *dst, size_t len, const void *secret, size_t secret_len,
                                     const char *label, size_t seed_num,
                                     const br_tls_prf_seed_chunk *seed) noexcept nogil
    void br_ssl_engine_set_prf10(br_ssl_engine_context *cc, br_tls_prf_impl impl)
    void br_ssl_engine_set_prf_sha256(br_ssl_engine_context *cc, br_tls_prf_impl impl)
    void br_ssl_engine_set_prf_sha384(br_ssl_engine_context *cc, br_tls_prf_impl impl)
    void br_ssl_engine_set_default_aes_cbc(br_ssl_engine_context *cc)
    void br_ssl_engine_set_aes_cbc(br_ssl_engine_context *cc, const br_block_cbcenc_class *impl_enc,
                                   const br_block_cbcdec_class *impl_dec)
    void br_ssl_engine_set_default_aes_gcm(br_ssl_engine_context *cc)
    void br_ssl_engine_set_default_aes_ccm(br_ssl_engine_context *cc)
    void br_ssl_engine_set_default_des_cbc(br_ssl_engine_context *cc)
    void br_ssl_engine_set_default_chapol(br_ssl_engine_context *cc)
    void br_ssl_engine_set_chacha20(br_ssl_engine_context *cc, br_chacha20_run ichacha)
    void br_ssl_engine_set_poly1305(br_ssl_engine_context *cc, br_poly1305_run ipoly)
    void br_ssl_engine_set_cbc(br_ssl_engine_context *cc, const br_sslrec_in_cbc_class *impl_in,
                               const br_sslrec_out_cbc_class *impl_out)
    void br_ssl_engine_set_gcm(br_ssl_engine_context *cc, const br_sslrec_in_gcm_class *impl_in,
                               const br_sslrec_out_gcm_class *impl_out)
    void br_ssl_engine_set_ccm(br_ssl_engine_context *cc, const br_sslrec_in_ccm_class *impl_in,
                               const br_sslrec_out_ccm_class *impl_out)
    void br_ssl_engine_set_chapol(br_ssl_engine_context *cc, const br_sslrec_in_chapol_class *impl_in,
                                  const br_sslrec_out_chapol_class *impl_out)
    void br_ssl_engine_set_ec(br_ssl_engine_context *cc, const br_ec_impl *iec)
    void br_ssl_engine_set_rsavrfy(br_ssl_engine_context *cc, br_rsa_pkcs1_vrfy irsavrfy)
    void br_ssl_engine_set_ecdsa(br_ssl_engine_context *cc, br_ecdsa_vrfy iecdsa)
    void br_ssl_engine_set_buffers_bidi(br_ssl_engine_context *cc, void *ibuf, size_t ibuf_len,
                                        void *obuf, size_t obuf_len)
    void br_ssl_engine_inject_entropy(br_ssl_engine_context *cc, const void *data, size_t len)
    unsigned br_ssl_engine_current_state(const br_ssl_engine_context *cc)
    unsigned char *br_ssl_engine_sendrec_buf(const br_ssl_engine_context *cc, size_t *len)
    void br_ssl_engine_sendrec_ack(br_ssl_engine_context *cc, size_t len)
    unsigned char *br_ssl_engine_recvrec_buf(const br_ssl_engine_context *cc, size_t *len)
    void br_ssl_engine_recvrec_ack(br_ssl_engine_context *cc, size_t len)
    ctypedef uint16_t br_suite_translated[2]
    ctypedef struct br_ssl_server_context
    ctypedef struct br_ssl_server_choices:
        uint16_t cipher_suite
        unsigned algo_id
        const br_x509_certificate *chain
        size_t chain_len
    ctypedef struct br_ssl_server_policy_class:
        size_t context_size
        int (*choose)(const br_ssl_server_policy_class **pctx, const br_ssl_server_context *cc,
                      br_ssl_server_choices *choices) noexcept nogil
        uint32_t (*do_keyx)(const br_ssl_server_policy_class **pctx, unsigned char *data, size_t *len) noexcept nogil
        size_t (*do_sign)(const br_ssl_server_policy_class **pctx, unsigned algo_id, unsigned char *data,
                          size_t hv_len, size_t len) noexcept nogil
    ctypedef struct br_ssl_server_context:
        br_ssl_engine_context eng
        uint16_t client_max_version
        uint32_t hashes
        uint32_t curves
        uint16_t sign_hash_id
        unsigned char hash_CV[64]
        size_t hash_CV_len
    const br_suite_translated *br_ssl_server_get_client_suites(const br_ssl_server_context *cc, size_t *num)
    void br_ssl_server_zero(br_ssl_server_context *cc)
    void br_ssl_server_set_policy(br_ssl_server_context *cc, const br_ssl_server_policy_class **pctx)
    void br_ssl_server_set_trust_anchor_names(br_ssl_server_context *cc, const br_x500_name *ta_names, size_t num)
    int br_ssl_server_reset(br_ssl_server_context *cc)
    ctypedef struct br_ssl_client_context
    ctypedef struct br_ssl_client_certificate:
        int auth_type
        int hash_id
        const br_x509_certificate *chain
        size_t chain_len
    int BR_AUTH_RSA, BR_AUTH_ECDSA
    ctypedef struct br_ssl_client_certificate_class:
        size_t context_size
        void (*start_name_list)(const br_ssl_client_certificate_class **pctx) noexcept nogil
        void (*start_name)(const br_ssl_client_certificate_class **pctx, size_t len) noexcept nogil
        void (*append_name)(const br_ssl_client_certificate_class **pctx, const unsigned char *data,
                            size_t len) noexcept nogil
        void (*end_name)(const br_ssl_client_certificate_class **pctx) noexcept nogil
        void (*end_name_list)(const br_ssl_client_certificate_class **pctx) noexcept nogil
        void (*choose)(const br_ssl_client_certificate_class **pctx, const br_ssl_client_context *cc,
                       uint32_t auth_types, br_ssl_client_certificate *choices) noexcept nogil
        size_t (*do_sign)(const br_ssl_client_certificate_class **pctx, int hash_id, size_t hv_len,
                          unsigned char *data, size_t len) noexcept nogil
    ctypedef struct br_ssl_client_context:
        br_ssl_engine_context eng
    void br_ssl_client_zero(br_ssl_client_context *cc)
    void br_ssl_client_set_rsapub(br_ssl_client_context *cc, br_rsa_public irsapub)
    void br_ssl_client_set_client_certificate(br_ssl_client_context *cc, const br_ssl_client_certificate_class **pctx)
    int br_ssl_client_reset(br_ssl_client_context *cc, const char *server_name, int resume_session)
