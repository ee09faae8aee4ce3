# records - BearSSL's key schedule and record classes, in an engine context that never sees the wire.

cdef void records_engine(br_ssl_engine_context *e) noexcept nogil:
    """Install the PRFs, the hashes and ChaCha20-Poly1305, libsodium's where it was built in.

    The other ciphers come when their suite is chosen: BearSSL asks the processor what it can for each of them, and
    CPUID costs a virtual machine 3 to 6 us.
    """
    br_ssl_engine_set_prf10(e, &br_tls10_prf)
    br_ssl_engine_set_prf_sha256(e, &br_tls12_sha256_prf)
    br_ssl_engine_set_prf_sha384(e, &br_tls12_sha384_prf)
    br_ssl_engine_set_hash(e, br_sha1_ID, &br_sha1_vtable)
    br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable)
    br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable)
    bw_set_chapol(e)

cdef bint suite_fits(const bw_suite *s, int version) noexcept nogil:
    """Whether a version knows a suite: AEAD and the MACs of SHA-2 came with TLS 1.2."""
    return version >= BR_TLS12 or s.mac_id == br_sha1_ID

cdef bint whole_blocks(const bw_suite *s, size_t n) noexcept nogil:
    """Whether a fragment is what a block cipher can open: BearSSL does not ask, and its 3DES runs past the end."""
    if s.encryption == BW_3DES:
        return n % 8 == 0
    return s.encryption != BW_CBC or n % 16 == 0

cdef void records_switch(br_ssl_engine_context *e, const bw_suite *s, bint is_client) noexcept nogil:
    """Make the record keys of both directions from the master secret (RFC 5246 section 6.3)."""
    cdef size_t tag_len
    if s.encryption == BW_CHAPOL:
        br_ssl_engine_switch_chapol_in(e, is_client, s.prf_id)
        br_ssl_engine_switch_chapol_out(e, is_client, s.prf_id)
    elif s.encryption == BW_GCM:
        br_ssl_engine_set_default_aes_gcm(e)
        br_ssl_engine_switch_gcm_in(e, is_client, s.prf_id, e.iaes_ctr, s.key_len)
        br_ssl_engine_switch_gcm_out(e, is_client, s.prf_id, e.iaes_ctr, s.key_len)
    elif s.encryption == BW_CCM or s.encryption == BW_CCM8:
        br_ssl_engine_set_default_aes_ccm(e)
        tag_len = 8 if s.encryption == BW_CCM8 else 16
        br_ssl_engine_switch_ccm_in(e, is_client, s.prf_id, e.iaes_ctrcbc, s.key_len, tag_len)
        br_ssl_engine_switch_ccm_out(e, is_client, s.prf_id, e.iaes_ctrcbc, s.key_len, tag_len)
    elif s.encryption == BW_3DES:
        br_ssl_engine_set_default_des_cbc(e)
        br_ssl_engine_switch_cbc_in(e, is_client, s.prf_id, s.mac_id, e.ides_cbcdec, s.key_len)
        br_ssl_engine_switch_cbc_out(e, is_client, s.prf_id, s.mac_id, e.ides_cbcenc, s.key_len)
    else:
        br_ssl_engine_set_default_aes_cbc(e)
        br_ssl_engine_switch_cbc_in(e, is_client, s.prf_id, s.mac_id, e.iaes_cbcdec, s.key_len)
        br_ssl_engine_switch_cbc_out(e, is_client, s.prf_id, s.mac_id, e.iaes_cbcenc, s.key_len)
