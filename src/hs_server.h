/* hs_server.h - what hs_server.c shares, and prototypes of BearSSL's functions that its public headers leave out. */
#ifndef BEARWRAP_HS_SERVER_H
#define BEARWRAP_HS_SERVER_H

enum { BW_SERVER_SUITES = 2 }; /* what the engine may choose from: one to sign with ECDSA, one with RSA */
enum { BW_ABOVE_TLS12 = 1 << 30 }; /* of the engine's flags: TLS 1.3 is our maximum, which it does not know */
enum { BW_PSS_BITS = 7 << (16 + 4) }; /* of the engine's hashes: rsa_pss_rsae_sha256, 384, 512 (0x0804 to 0x0806) */

#ifdef BEARWRAP_SYSTEM_BEARSSL
#include "bearssl_ssl.h"
void br_ssl_engine_compute_master(br_ssl_engine_context *, int, const void *, size_t);
void br_ssl_engine_switch_cbc_in(br_ssl_engine_context *, int, int, int, const br_block_cbcdec_class *, size_t);
void br_ssl_engine_switch_cbc_out(br_ssl_engine_context *, int, int, int, const br_block_cbcenc_class *, size_t);
void br_ssl_engine_switch_gcm_in(br_ssl_engine_context *, int, int, const br_block_ctr_class *, size_t);
void br_ssl_engine_switch_gcm_out(br_ssl_engine_context *, int, int, const br_block_ctr_class *, size_t);
void br_ssl_engine_switch_ccm_in(br_ssl_engine_context *, int, int, const br_block_ctrcbc_class *, size_t, size_t);
void br_ssl_engine_switch_ccm_out(br_ssl_engine_context *, int, int, const br_block_ctrcbc_class *, size_t, size_t);
void br_ssl_engine_switch_chapol_in(br_ssl_engine_context *, int, int);
void br_ssl_engine_switch_chapol_out(br_ssl_engine_context *, int, int);
uint32_t br_rsa_pkcs1_sig_pad(const unsigned char *, const unsigned char *, size_t, uint32_t, unsigned char *);
uint32_t br_rsa_pkcs1_sig_unpad(const unsigned char *, size_t, const unsigned char *, size_t, unsigned char *);
#else
#include "inner.h"
#endif

#endif
