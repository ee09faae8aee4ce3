# tables.h as Cython sees it.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "tables.h" nogil:
    ctypedef struct bw_cipher:
        const char *name
        int is_default
        uint16_t ecdsa, rsa, tls13
    const bw_cipher bw_ciphers[1]
    int BW_CIPHERS
    int BW_ECDHE, BW_ECDH, BW_RSA
    int BW_CHAPOL, BW_GCM, BW_CCM, BW_CCM8, BW_CBC, BW_3DES
    ctypedef struct bw_suite:
        uint16_t id
        uint8_t exchange, key_type, encryption, mac_id, prf_id, key_len
        const char *log_name
        const char *openssl_name
    const bw_suite bw_suites[1]
    int BW_SUITES
    const bw_suite bw_suites13[1]
    int BW_SUITES13
    int BW_KEYTYPE_ED25519
    ctypedef struct bw_scheme:
        const char *name
        uint16_t id
        uint8_t key_type, curve, hash_id
    const bw_scheme bw_schemes[1]
    int BW_SCHEMES
    ctypedef struct bw_group:
        const char *name
        int is_default
        uint8_t id, point_len, x_len
    const bw_group bw_groups[1]
    int BW_GROUPS
    ctypedef struct bw_version:
        const char *name
        const char *log_name
        const char *ssl_protocol
        uint16_t id
    const bw_version bw_versions[1]
    int BW_VERSIONS
    ctypedef struct bw_alert:
        uint8_t id
        const char *name
    const bw_alert bw_alerts[1]
    int BW_ALERTS
    ctypedef struct bw_error:
        int error
        uint8_t alert
        const char *symbol
        const char *text
    const bw_error bw_errors[1]
    int BW_ERRORS
    int BW_OP_ANCHORS, BW_OP_START, BW_OP_LOAD, BW_OP_EXCHANGE, BW_OP_PEER_CHAIN, BW_OP_DERIVE, BW_OP_TRANSCRIPT
    int BW_OP_DERIVE_FINISHED, BW_OP_DERIVE_OPEN
    int BW_OP_PEER_VERIFY, BW_OP_OPEN, BW_OP_FINISHED_CLIENT, BW_OP_FINISHED_SERVER, BW_OP_SEAL, BW_OP_RUN
    int BW_OP_RESUME, BW_OP_END_INPUT, BW_OP_DROP_OUTPUT
    int BW_OP_TRUST, BW_OP_SERVER_CHAIN, BW_OP_SERVER_PARAMS, BW_OP_AGREE, BW_OP_CLIENT_SIGN
    int BW_OP_SEND_FINISHED, BW_OP_AWAIT_FINISHED, BW_OP_OPEN_FINISHED, BW_OP_BEGIN
    int BW_OP_CLIENT_HELLO13, BW_OP_AGAIN13, BW_OP_PSK13, BW_OP_ACCEPT13, BW_OP_PEER_CHAIN13, BW_OP_PEER_VERIFY13
    int BW_OP_CLIENT_FINISHED13
    int BW_OP_SHARE13, BW_OP_HELLO13, BW_OP_RETRY13, BW_OP_SHARE_AGAIN13, BW_OP_HELLO_AGAIN13, BW_OP_AGREE13
    int BW_OP_EXTENSIONS13, BW_OP_REQUEST13, BW_OP_SERVER_CHAIN13, BW_OP_SERVER_VERIFY13, BW_OP_FINISH13
    int BW_OP_OPEN13, BW_OP_UPDATE13, BW_OP_CLOSE_INPUT
    int BW_SAME, BW_START, BW_LOADED, BW_EXCHANGED, BW_PEER_KNOWN, BW_DERIVED, BW_PEER_VERIFIED, BW_OPENED
    int BW_CLIENT_FINISHED, BW_RUNNING
    int BW_CLIENT_START, BW_TRUSTING, BW_CHAIN_GOOD, BW_PARAMS_GOOD, BW_AGREED, BW_SIGNED, BW_FINISHED_SENT
    int BW_FINISHED_DUE, BW_FINISHED_OPENED
    int BW_GREETED13, BW_ACCEPTED13, BW_PEER_KNOWN13, BW_PEER_VERIFIED13, BW_ADMITTED13
    int BW_SHARED13, BW_HELLO13, BW_RETRIED13, BW_SHARED_AGAIN13, BW_HELLO_AGAIN13, BW_AGREED13, BW_EXTENDED13
    int BW_REQUESTED13, BW_CHAIN_GOOD13, BW_VERIFIED13, BW_FINISHED13
    ctypedef struct bw_op:
        uint8_t op
        const char *name
        uint32_t request_min, request_max
        uint64_t after
        uint8_t then, replies
        const char *doc
    const bw_op bw_ops[1]
    int BW_OPS
    int BW_EV_OPENED, BW_EV_REFUSED, BW_EV_OUTPUT_END
