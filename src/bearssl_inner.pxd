# The few names of BearSSL's src/inner.h that bearwrap uses, each with its reason.
# They are exported by the system's libbearssl too, so they are declared here by their prototypes.

from bearssl cimport br_ssl_engine_context, br_block_cbcdec_class, br_block_cbcenc_class, br_block_ctr_class, br_block_ctrcbc_class

cdef extern from "hs_server.h" nogil:
    enum:
        BW_SERVER_SUITES
        BW_ABOVE_TLS12
        BW_PSS_BITS
    # key derives the master secret and the traffic keys with BearSSL's own key schedule (RFC 5246 section 8.1
    # and 6.3; RFC 2246 for TLS 1.0), in an engine context that never sees a byte of the wire.
    void br_ssl_engine_compute_master(br_ssl_engine_context *cc, int prf_id, const void *pms, size_t pms_len)
    void br_ssl_engine_switch_cbc_in(br_ssl_engine_context *cc, int is_client, int prf_id, int mac_id,
                                     const br_block_cbcdec_class *bc_impl, size_t cipher_key_len)
    void br_ssl_engine_switch_cbc_out(br_ssl_engine_context *cc, int is_client, int prf_id, int mac_id,
                                      const br_block_cbcenc_class *bc_impl, size_t cipher_key_len)
    void br_ssl_engine_switch_gcm_in(br_ssl_engine_context *cc, int is_client, int prf_id,
                                     const br_block_ctr_class *bc_impl, size_t cipher_key_len)
    void br_ssl_engine_switch_gcm_out(br_ssl_engine_context *cc, int is_client, int prf_id,
                                      const br_block_ctr_class *bc_impl, size_t cipher_key_len)
    void br_ssl_engine_switch_ccm_in(br_ssl_engine_context *cc, int is_client, int prf_id,
                                     const br_block_ctrcbc_class *bc_impl, size_t cipher_key_len, size_t tag_len)
    void br_ssl_engine_switch_ccm_out(br_ssl_engine_context *cc, int is_client, int prf_id,
                                      const br_block_ctrcbc_class *bc_impl, size_t cipher_key_len, size_t tag_len)
    void br_ssl_engine_switch_chapol_in(br_ssl_engine_context *cc, int is_client, int prf_id)
    void br_ssl_engine_switch_chapol_out(br_ssl_engine_context *cc, int is_client, int prf_id)
