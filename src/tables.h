/*
 * tables.h - the registries and tables of bearwrap: data only, no code.
 *
 * One table each for cipher names, suites, groups, versions, alerts, error-to-alert and key operations. The
 * compiled side walks them; Python reads them through bearwrap._bear.tables(); tests check that each is complete.
 */
#ifndef BEARWRAP_TABLES_H
#define BEARWRAP_TABLES_H

#include <stdint.h>
#include "bearssl.h"

/* -c names in the manual's order; each adds the ECDSA suite, then the RSA suite, and its suite of TLS 1.3 (0: none). */
typedef struct { const char *name; int is_default; uint16_t ecdsa, rsa, tls13; } bw_cipher;
static const bw_cipher bw_ciphers[] = {
	{ "CHACHA20_POLY1305_SHA256", 1, 0xCCA9, 0xCCA8, 0x1303 },
	{ "AES_256_GCM_SHA384", 1, 0xC02C, 0xC030, 0x1302 },
	{ "AES_128_GCM_SHA256", 1, 0xC02B, 0xC02F, 0x1301 },
	{ "AES_256_CBC_SHA384", 0, 0xC024, 0xC028, 0 },
	{ "AES_128_CBC_SHA256", 0, 0xC023, 0xC027, 0 },
	{ "AES_256_CBC_SHA", 0, 0xC00A, 0xC014, 0 },
	{ "AES_128_CBC_SHA", 0, 0xC009, 0xC013, 0 },
};
enum { BW_CIPHERS = sizeof bw_ciphers / sizeof bw_ciphers[0] };

/*
 * IANA number, key exchange, type of the server's key, encryption, MAC hash (0: AEAD), PRF hash, key bytes; names for
 * log and SSL_CIPHER. The order is the client's preference: forward secrecy first, RSA key exchange last.
 */
enum { BW_ECDHE = 1, BW_ECDH, BW_RSA };
enum { BW_CHAPOL = 1, BW_GCM, BW_CCM, BW_CCM8, BW_CBC, BW_3DES };
typedef struct {
	uint16_t id; uint8_t exchange, key_type, encryption, mac_id, prf_id, key_len;
	const char *log_name, *openssl_name;
} bw_suite;
static const bw_suite bw_suites[] = {
	{ 0xCCA9, BW_ECDHE, BR_KEYTYPE_EC, BW_CHAPOL, 0, br_sha256_ID, 32, "ECDSA + ECDHE + ChaCha20+Poly1305 (TLS 1.2+)", "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{ 0xCCA8, BW_ECDHE, BR_KEYTYPE_RSA, BW_CHAPOL, 0, br_sha256_ID, 32, "RSA + ECDHE + ChaCha20+Poly1305 (TLS 1.2+)", "ECDHE-RSA-CHACHA20-POLY1305" },
	{ 0xC02C, BW_ECDHE, BR_KEYTYPE_EC, BW_GCM, 0, br_sha384_ID, 32, "ECDSA + ECDHE + AES256/GCM (TLS 1.2+)", "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ 0xC030, BW_ECDHE, BR_KEYTYPE_RSA, BW_GCM, 0, br_sha384_ID, 32, "RSA + ECDHE + AES256/GCM (TLS 1.2+)", "ECDHE-RSA-AES256-GCM-SHA384" },
	{ 0xC02B, BW_ECDHE, BR_KEYTYPE_EC, BW_GCM, 0, br_sha256_ID, 16, "ECDSA + ECDHE + AES128/GCM (TLS 1.2+)", "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ 0xC02F, BW_ECDHE, BR_KEYTYPE_RSA, BW_GCM, 0, br_sha256_ID, 16, "RSA + ECDHE + AES128/GCM (TLS 1.2+)", "ECDHE-RSA-AES128-GCM-SHA256" },
	{ 0xC024, BW_ECDHE, BR_KEYTYPE_EC, BW_CBC, br_sha384_ID, br_sha384_ID, 32, "ECDSA + ECDHE + AES256/CBC + SHA384 (TLS 1.2+)", "ECDHE-ECDSA-AES256-SHA384" },
	{ 0xC028, BW_ECDHE, BR_KEYTYPE_RSA, BW_CBC, br_sha384_ID, br_sha384_ID, 32, "RSA + ECDHE + AES256/CBC + SHA384 (TLS 1.2+)", "ECDHE-RSA-AES256-SHA384" },
	{ 0xC023, BW_ECDHE, BR_KEYTYPE_EC, BW_CBC, br_sha256_ID, br_sha256_ID, 16, "ECDSA + ECDHE + AES128/CBC + SHA256 (TLS 1.2+)", "ECDHE-ECDSA-AES128-SHA256" },
	{ 0xC027, BW_ECDHE, BR_KEYTYPE_RSA, BW_CBC, br_sha256_ID, br_sha256_ID, 16, "RSA + ECDHE + AES128/CBC + SHA256 (TLS 1.2+)", "ECDHE-RSA-AES128-SHA256" },
	{ 0xC00A, BW_ECDHE, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 32, "ECDSA + ECDHE + AES256/CBC + SHA1", "ECDHE-ECDSA-AES256-SHA" },
	{ 0xC014, BW_ECDHE, BR_KEYTYPE_RSA, BW_CBC, br_sha1_ID, br_sha256_ID, 32, "RSA + ECDHE + AES256/CBC + SHA1", "ECDHE-RSA-AES256-SHA" },
	{ 0xC009, BW_ECDHE, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 16, "ECDSA + ECDHE + AES128/CBC + SHA1", "ECDHE-ECDSA-AES128-SHA" },
	{ 0xC013, BW_ECDHE, BR_KEYTYPE_RSA, BW_CBC, br_sha1_ID, br_sha256_ID, 16, "RSA + ECDHE + AES128/CBC + SHA1", "ECDHE-RSA-AES128-SHA" },
	{ 0xC0AC, BW_ECDHE, BR_KEYTYPE_EC, BW_CCM, 0, br_sha256_ID, 16, "ECDSA + ECDHE + AES128/CCM (TLS 1.2+)", "ECDHE-ECDSA-AES128-CCM" },
	{ 0xC0AD, BW_ECDHE, BR_KEYTYPE_EC, BW_CCM, 0, br_sha256_ID, 32, "ECDSA + ECDHE + AES256/CCM (TLS 1.2+)", "ECDHE-ECDSA-AES256-CCM" },
	{ 0xC0AE, BW_ECDHE, BR_KEYTYPE_EC, BW_CCM8, 0, br_sha256_ID, 16, "ECDSA + ECDHE + AES128/CCM8 (TLS 1.2+)", "ECDHE-ECDSA-AES128-CCM8" },
	{ 0xC0AF, BW_ECDHE, BR_KEYTYPE_EC, BW_CCM8, 0, br_sha256_ID, 32, "ECDSA + ECDHE + AES256/CCM8 (TLS 1.2+)", "ECDHE-ECDSA-AES256-CCM8" },
	{ 0xC008, BW_ECDHE, BR_KEYTYPE_EC, BW_3DES, br_sha1_ID, br_sha256_ID, 24, "ECDSA + ECDHE + 3DES/CBC + SHA1", "ECDHE-ECDSA-DES-CBC3-SHA" },
	{ 0xC012, BW_ECDHE, BR_KEYTYPE_RSA, BW_3DES, br_sha1_ID, br_sha256_ID, 24, "RSA + ECDHE + 3DES/CBC + SHA1", "ECDHE-RSA-DES-CBC3-SHA" },
	{ 0xC02D, BW_ECDH, BR_KEYTYPE_EC, BW_GCM, 0, br_sha256_ID, 16, "ECDSA + ECDH + AES128/GCM (TLS 1.2+)", "ECDH-ECDSA-AES128-GCM-SHA256" },
	{ 0xC031, BW_ECDH, BR_KEYTYPE_EC, BW_GCM, 0, br_sha256_ID, 16, "RSA + ECDH + AES128/GCM (TLS 1.2+)", "ECDH-RSA-AES128-GCM-SHA256" },
	{ 0xC02E, BW_ECDH, BR_KEYTYPE_EC, BW_GCM, 0, br_sha384_ID, 32, "ECDSA + ECDH + AES256/GCM (TLS 1.2+)", "ECDH-ECDSA-AES256-GCM-SHA384" },
	{ 0xC032, BW_ECDH, BR_KEYTYPE_EC, BW_GCM, 0, br_sha384_ID, 32, "RSA + ECDH + AES256/GCM (TLS 1.2+)", "ECDH-RSA-AES256-GCM-SHA384" },
	{ 0xC025, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha256_ID, br_sha256_ID, 16, "ECDSA + ECDH + AES128/CBC + SHA256 (TLS 1.2+)", "ECDH-ECDSA-AES128-SHA256" },
	{ 0xC029, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha256_ID, br_sha256_ID, 16, "RSA + ECDH + AES128/CBC + SHA256 (TLS 1.2+)", "ECDH-RSA-AES128-SHA256" },
	{ 0xC026, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha384_ID, br_sha384_ID, 32, "ECDSA + ECDH + AES256/CBC + SHA384 (TLS 1.2+)", "ECDH-ECDSA-AES256-SHA384" },
	{ 0xC02A, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha384_ID, br_sha384_ID, 32, "RSA + ECDH + AES256/CBC + SHA384 (TLS 1.2+)", "ECDH-RSA-AES256-SHA384" },
	{ 0xC004, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 16, "ECDSA + ECDH + AES128/CBC + SHA1", "ECDH-ECDSA-AES128-SHA" },
	{ 0xC00E, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 16, "RSA + ECDH + AES128/CBC + SHA1", "ECDH-RSA-AES128-SHA" },
	{ 0xC005, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 32, "ECDSA + ECDH + AES256/CBC + SHA1", "ECDH-ECDSA-AES256-SHA" },
	{ 0xC00F, BW_ECDH, BR_KEYTYPE_EC, BW_CBC, br_sha1_ID, br_sha256_ID, 32, "RSA + ECDH + AES256/CBC + SHA1", "ECDH-RSA-AES256-SHA" },
	{ 0xC003, BW_ECDH, BR_KEYTYPE_EC, BW_3DES, br_sha1_ID, br_sha256_ID, 24, "ECDSA + ECDH + 3DES/CBC + SHA1", "ECDH-ECDSA-DES-CBC3-SHA" },
	{ 0xC00D, BW_ECDH, BR_KEYTYPE_EC, BW_3DES, br_sha1_ID, br_sha256_ID, 24, "RSA + ECDH + 3DES/CBC + SHA1", "ECDH-RSA-DES-CBC3-SHA" },
	{ 0x009C, BW_RSA, BR_KEYTYPE_RSA, BW_GCM, 0, br_sha256_ID, 16, "RSA + AES128/GCM (TLS 1.2+)", "AES128-GCM-SHA256" },
	{ 0x009D, BW_RSA, BR_KEYTYPE_RSA, BW_GCM, 0, br_sha384_ID, 32, "RSA + AES256/GCM (TLS 1.2+)", "AES256-GCM-SHA384" },
	{ 0xC09C, BW_RSA, BR_KEYTYPE_RSA, BW_CCM, 0, br_sha256_ID, 16, "RSA + AES128/CCM (TLS 1.2+)", "AES128-CCM" },
	{ 0xC09D, BW_RSA, BR_KEYTYPE_RSA, BW_CCM, 0, br_sha256_ID, 32, "RSA + AES256/CCM (TLS 1.2+)", "AES256-CCM" },
	{ 0xC0A0, BW_RSA, BR_KEYTYPE_RSA, BW_CCM8, 0, br_sha256_ID, 16, "RSA + AES128/CCM8 (TLS 1.2+)", "AES128-CCM8" },
	{ 0xC0A1, BW_RSA, BR_KEYTYPE_RSA, BW_CCM8, 0, br_sha256_ID, 32, "RSA + AES256/CCM8 (TLS 1.2+)", "AES256-CCM8" },
	{ 0x003C, BW_RSA, BR_KEYTYPE_RSA, BW_CBC, br_sha256_ID, br_sha256_ID, 16, "RSA + AES128/CBC + SHA256 (TLS 1.2+)", "AES128-SHA256" },
	{ 0x003D, BW_RSA, BR_KEYTYPE_RSA, BW_CBC, br_sha256_ID, br_sha256_ID, 32, "RSA + AES256/CBC + SHA256 (TLS 1.2+)", "AES256-SHA256" },
	{ 0x002F, BW_RSA, BR_KEYTYPE_RSA, BW_CBC, br_sha1_ID, br_sha256_ID, 16, "RSA + AES128/CBC + SHA1", "AES128-SHA" },
	{ 0x0035, BW_RSA, BR_KEYTYPE_RSA, BW_CBC, br_sha1_ID, br_sha256_ID, 32, "RSA + AES256/CBC + SHA1", "AES256-SHA" },
	{ 0x000A, BW_RSA, BR_KEYTYPE_RSA, BW_3DES, br_sha1_ID, br_sha256_ID, 24, "RSA + 3DES/CBC + SHA1", "DES-CBC3-SHA" },
};
enum { BW_SUITES = sizeof bw_suites / sizeof bw_suites[0] };

/*
 * The suites of TLS 1.3 (RFC 8446 appendix B.4), which name cipher and hash only: key exchange and key type are 0.
 * A table of their own, so that nothing of TLS 1.2 can choose one.
 */
static const bw_suite bw_suites13[] = {
	{ 0x1303, 0, 0, BW_CHAPOL, 0, br_sha256_ID, 32, "ChaCha20+Poly1305 + SHA256 (TLS 1.3)", "TLS_CHACHA20_POLY1305_SHA256" },
	{ 0x1302, 0, 0, BW_GCM, 0, br_sha384_ID, 32, "AES256/GCM + SHA384 (TLS 1.3)", "TLS_AES_256_GCM_SHA384" },
	{ 0x1301, 0, 0, BW_GCM, 0, br_sha256_ID, 16, "AES128/GCM + SHA256 (TLS 1.3)", "TLS_AES_128_GCM_SHA256" },
};
enum { BW_SUITES13 = sizeof bw_suites13 / sizeof bw_suites13[0] };

/*
 * Signature schemes of a CertificateVerify in TLS 1.3 (RFC 8446 section 4.2.3) in our order of preference: key type,
 * its curve (0: any size of RSA), hash (0: the scheme's own). BW_KEYTYPE_ED25519 is ours, beside BearSSL's two.
 */
enum { BW_KEYTYPE_ED25519 = 3 };
typedef struct { const char *name; uint16_t id; uint8_t key_type, curve, hash_id; } bw_scheme;
static const bw_scheme bw_schemes[] = {
	{ "ecdsa_secp256r1_sha256", 0x0403, BR_KEYTYPE_EC, BR_EC_secp256r1, br_sha256_ID },
	{ "ed25519", 0x0807, BW_KEYTYPE_ED25519, 0, 0 },
	{ "ecdsa_secp384r1_sha384", 0x0503, BR_KEYTYPE_EC, BR_EC_secp384r1, br_sha384_ID },
	{ "ecdsa_secp521r1_sha512", 0x0603, BR_KEYTYPE_EC, BR_EC_secp521r1, br_sha512_ID },
	{ "rsa_pss_rsae_sha256", 0x0804, BR_KEYTYPE_RSA, 0, br_sha256_ID },
	{ "rsa_pss_rsae_sha384", 0x0805, BR_KEYTYPE_RSA, 0, br_sha384_ID },
	{ "rsa_pss_rsae_sha512", 0x0806, BR_KEYTYPE_RSA, 0, br_sha512_ID },
};
enum { BW_SCHEMES = sizeof bw_schemes / sizeof bw_schemes[0] };

/* -e names in order of preference; the IANA number is BearSSL's curve identifier too (RFC 8422, RFC 7748). */
typedef struct { const char *name; int is_default; uint8_t id, point_len, x_len; } bw_group;
static const bw_group bw_groups[] = {
	{ "x25519", 1, 29, 32, 32 },
	{ "secp256r1", 1, 23, 65, 32 },
	{ "secp384r1", 0, 24, 97, 48 },
	{ "secp521r1", 0, 25, 133, 66 },
};
enum { BW_GROUPS = sizeof bw_groups / sizeof bw_groups[0] };

typedef struct { const char *name, *log_name, *ssl_protocol; uint16_t id; } bw_version;
static const bw_version bw_versions[] = {
	{ "tls10", "TLS 1.0", "TLSv1", 0x0301 },
	{ "tls11", "TLS 1.1", "TLSv1.1", 0x0302 },
	{ "tls12", "TLS 1.2", "TLSv1.2", 0x0303 },
	{ "tls13", "TLS 1.3", "TLSv1.3", 0x0304 },
};
enum { BW_VERSIONS = sizeof bw_versions / sizeof bw_versions[0] };

/* IANA TLS Alerts. */
typedef struct { uint8_t id; const char *name; } bw_alert;
static const bw_alert bw_alerts[] = {
	{ 0, "close_notify" }, { 10, "unexpected_message" }, { 20, "bad_record_mac" }, { 21, "decryption_failed" },
	{ 22, "record_overflow" }, { 30, "decompression_failure" }, { 40, "handshake_failure" },
	{ 41, "no_certificate" }, { 42, "bad_certificate" }, { 43, "unsupported_certificate" },
	{ 44, "certificate_revoked" }, { 45, "certificate_expired" }, { 46, "certificate_unknown" },
	{ 47, "illegal_parameter" }, { 48, "unknown_ca" }, { 49, "access_denied" }, { 50, "decode_error" },
	{ 51, "decrypt_error" }, { 60, "export_restriction" }, { 70, "protocol_version" },
	{ 71, "insufficient_security" }, { 80, "internal_error" }, { 86, "inappropriate_fallback" },
	{ 90, "user_canceled" }, { 100, "no_renegotiation" }, { 109, "missing_extension" },
	{ 110, "unsupported_extension" }, { 111, "certificate_unobtainable" }, { 112, "unrecognized_name" },
	{ 113, "bad_certificate_status_response" }, { 114, "bad_certificate_hash_value" },
	{ 115, "unknown_psk_identity" }, { 116, "certificate_required" }, { 120, "no_application_protocol" },
};
enum { BW_ALERTS = sizeof bw_alerts / sizeof bw_alerts[0] };

/*
 * What BearSSL reports -> the alert that RFC 5246 section 7.2.2 names, and the words for the log. net's own parser
 * refuses most malformed input before the engine sees it, so an error has one meaning by the time it arises here.
 */
typedef struct { int error; uint8_t alert; const char *symbol, *text; } bw_error;
#define BW_ERROR(error, alert, text) { error, alert, #error, text }
static const bw_error bw_errors[] = {
	BW_ERROR(BR_ERR_BAD_PARAM, 50, "malformed handshake message"),
	BW_ERROR(BR_ERR_BAD_STATE, 80, "engine in a bad state"),
	BW_ERROR(BR_ERR_UNSUPPORTED_VERSION, 70, "unsupported protocol version"),
	BW_ERROR(BR_ERR_BAD_VERSION, 70, "protocol version mismatch"),
	BW_ERROR(BR_ERR_BAD_LENGTH, 22, "bad record length"),
	BW_ERROR(BR_ERR_TOO_LARGE, 22, "record too large"),
	BW_ERROR(BR_ERR_BAD_MAC, 20, "record decryption or MAC failed"),
	BW_ERROR(BR_ERR_NO_RANDOM, 80, "no randomness"),
	BW_ERROR(BR_ERR_UNKNOWN_TYPE, 10, "unknown record type"),
	BW_ERROR(BR_ERR_UNEXPECTED, 10, "unexpected message"),
	BW_ERROR(BR_ERR_BAD_CCS, 50, "malformed change_cipher_spec"),
	BW_ERROR(BR_ERR_BAD_ALERT, 50, "malformed alert"),
	BW_ERROR(BR_ERR_BAD_HANDSHAKE, 47, "malformed handshake"),
	BW_ERROR(BR_ERR_OVERSIZED_ID, 50, "session id too long"),
	BW_ERROR(BR_ERR_BAD_CIPHER_SUITE, 47, "cipher suite not offered"),
	BW_ERROR(BR_ERR_BAD_COMPRESSION, 47, "compression not offered"),
	BW_ERROR(BR_ERR_BAD_FRAGLEN, 47, "bad max_fragment_length"),
	BW_ERROR(BR_ERR_BAD_SECRENEG, 40, "bad renegotiation_info"),
	BW_ERROR(BR_ERR_EXTRA_EXTENSION, 110, "extension not offered"),
	BW_ERROR(BR_ERR_BAD_SNI, 50, "malformed server_name"),
	BW_ERROR(BR_ERR_BAD_HELLO_DONE, 50, "malformed server_hello_done"),
	BW_ERROR(BR_ERR_LIMIT_EXCEEDED, 50, "internal limit exceeded"),
	BW_ERROR(BR_ERR_BAD_FINISHED, 51, "Finished does not match"),
	BW_ERROR(BR_ERR_RESUME_MISMATCH, 47, "resumption mismatch"),
	BW_ERROR(BR_ERR_INVALID_ALGORITHM, 47, "unsupported or invalid algorithm"),
	BW_ERROR(BR_ERR_BAD_SIGNATURE, 51, "bad signature"),
	BW_ERROR(BR_ERR_WRONG_KEY_USAGE, 43, "public key not allowed for this use"),
	BW_ERROR(BR_ERR_NO_CLIENT_AUTH, 40, "no client certificate"),
	BW_ERROR(BR_ERR_X509_INVALID_VALUE, 42, "certificate: invalid ASN.1 value"),
	BW_ERROR(BR_ERR_X509_TRUNCATED, 42, "certificate: truncated"),
	BW_ERROR(BR_ERR_X509_EMPTY_CHAIN, 40, "certificate: empty chain"),
	BW_ERROR(BR_ERR_X509_INNER_TRUNC, 42, "certificate: inner element truncated"),
	BW_ERROR(BR_ERR_X509_BAD_TAG_CLASS, 42, "certificate: bad tag class"),
	BW_ERROR(BR_ERR_X509_BAD_TAG_VALUE, 42, "certificate: bad tag value"),
	BW_ERROR(BR_ERR_X509_INDEFINITE_LENGTH, 42, "certificate: indefinite length"),
	BW_ERROR(BR_ERR_X509_EXTRA_ELEMENT, 42, "certificate: extra element"),
	BW_ERROR(BR_ERR_X509_UNEXPECTED, 42, "certificate: unexpected element"),
	BW_ERROR(BR_ERR_X509_NOT_CONSTRUCTED, 42, "certificate: element not constructed"),
	BW_ERROR(BR_ERR_X509_NOT_PRIMITIVE, 42, "certificate: element not primitive"),
	BW_ERROR(BR_ERR_X509_PARTIAL_BYTE, 42, "certificate: partial byte"),
	BW_ERROR(BR_ERR_X509_BAD_BOOLEAN, 42, "certificate: bad boolean"),
	BW_ERROR(BR_ERR_X509_OVERFLOW, 42, "certificate: integer overflow"),
	BW_ERROR(BR_ERR_X509_BAD_DN, 42, "certificate: bad distinguished name"),
	BW_ERROR(BR_ERR_X509_BAD_TIME, 42, "certificate: bad time"),
	BW_ERROR(BR_ERR_X509_UNSUPPORTED, 43, "certificate: unsupported feature"),
	BW_ERROR(BR_ERR_X509_LIMIT_EXCEEDED, 42, "certificate: internal limit exceeded"),
	BW_ERROR(BR_ERR_X509_WRONG_KEY_TYPE, 43, "certificate: wrong key type"),
	BW_ERROR(BR_ERR_X509_BAD_SIGNATURE, 42, "certificate: bad signature"),
	BW_ERROR(BR_ERR_X509_TIME_UNKNOWN, 80, "certificate: time unknown"),
	BW_ERROR(BR_ERR_X509_EXPIRED, 45, "certificate: expired or not yet valid"),
	BW_ERROR(BR_ERR_X509_DN_MISMATCH, 48, "certificate: issuer does not match"),
	BW_ERROR(BR_ERR_X509_BAD_SERVER_NAME, 42, "certificate: name does not match"),
	BW_ERROR(BR_ERR_X509_CRITICAL_EXTENSION, 43, "certificate: unknown critical extension"),
	BW_ERROR(BR_ERR_X509_NOT_CA, 48, "certificate: issuer is not a CA"),
	BW_ERROR(BR_ERR_X509_FORBIDDEN_KEY_USAGE, 43, "certificate: key usage forbids it"),
	BW_ERROR(BR_ERR_X509_WEAK_PUBLIC_KEY, 42, "certificate: weak public key"),
	BW_ERROR(BR_ERR_X509_NOT_TRUSTED, 48, "certificate: not trusted"),
};
enum { BW_ERRORS = sizeof bw_errors / sizeof bw_errors[0] };

/*
 * The key port: what net may ask of key. Request and reply are one SOCK_SEQPACKET message each: a byte (operation
 * in a request, status in a reply), then the payload. `after` is the state that key must be in, `then` the state
 * it is in afterwards (BW_SAME: unchanged); any other order, size or repetition ends the key process. A server's key
 * begins in BW_START and a client's in BW_CLIENT_START; no state belongs to both before BW_RUNNING.
 */
enum bw_op_id {
	BW_OP_ANCHORS = 1, BW_OP_START, BW_OP_LOAD, BW_OP_EXCHANGE, BW_OP_PEER_CHAIN, BW_OP_DERIVE, BW_OP_TRANSCRIPT, BW_OP_PEER_VERIFY,
	BW_OP_DERIVE_FINISHED, BW_OP_DERIVE_OPEN,
	BW_OP_FINISHED_CLIENT, BW_OP_OPEN, BW_OP_FINISHED_SERVER, BW_OP_SEAL, BW_OP_RUN, BW_OP_RESUME,
	BW_OP_END_INPUT, BW_OP_DROP_OUTPUT,
	BW_OP_TRUST, BW_OP_SERVER_CHAIN, BW_OP_SERVER_PARAMS, BW_OP_AGREE, BW_OP_CLIENT_SIGN,
	BW_OP_SEND_FINISHED, BW_OP_AWAIT_FINISHED, BW_OP_OPEN_FINISHED, BW_OP_BEGIN,
	BW_OP_CLIENT_HELLO13, BW_OP_AGAIN13, BW_OP_PSK13, BW_OP_ACCEPT13, BW_OP_PEER_CHAIN13, BW_OP_PEER_VERIFY13,
	BW_OP_CLIENT_FINISHED13,
	BW_OP_SHARE13, BW_OP_HELLO13, BW_OP_RETRY13, BW_OP_SHARE_AGAIN13, BW_OP_HELLO_AGAIN13, BW_OP_AGREE13,
	BW_OP_EXTENSIONS13, BW_OP_REQUEST13, BW_OP_SERVER_CHAIN13, BW_OP_SERVER_VERIFY13, BW_OP_FINISH13,
	BW_OP_OPEN13, BW_OP_UPDATE13, BW_OP_CLOSE_INPUT, BW_OP_LAST
};
enum bw_key_state {
	BW_SAME = 0, BW_START, BW_LOADED, BW_EXCHANGED, BW_PEER_KNOWN, BW_DERIVED, BW_PEER_VERIFIED,
	BW_CLIENT_FINISHED, BW_OPENED, BW_RUNNING,
	BW_CLIENT_START, BW_TRUSTING, BW_CHAIN_GOOD, BW_PARAMS_GOOD, BW_AGREED, BW_SIGNED, BW_FINISHED_SENT,
	BW_FINISHED_DUE, BW_FINISHED_OPENED,
	BW_GREETED13, BW_ACCEPTED13, BW_PEER_KNOWN13, BW_PEER_VERIFIED13, BW_ADMITTED13,
	BW_SHARED13, BW_HELLO13, BW_RETRIED13, BW_SHARED_AGAIN13, BW_HELLO_AGAIN13, BW_AGREED13, BW_EXTENDED13,
	BW_REQUESTED13, BW_CHAIN_GOOD13, BW_VERIFIED13, BW_FINISHED13
};
typedef struct {
	uint8_t op; const char *name; uint32_t request_min, request_max; uint64_t after; uint8_t then; uint8_t replies;
	const char *doc;
} bw_op;
#define BW_IN(s) (1ull << (s))
static const bw_op bw_ops[] = {
	/* the server's handshake */
	{ BW_OP_ANCHORS, "anchors", 0, 0, BW_IN(BW_START), BW_SAME, 1,
	  "nothing in; the anchor file's certificates out, once, only with -a" },
	{ BW_OP_START, "start", 4, 256, BW_IN(BW_START), BW_SAME, 0,
	  "addresses for prog in; prog starts before TLS, once, only with -n" },
	{ BW_OP_LOAD, "load", 3, 258, BW_IN(BW_START), BW_LOADED, 1,
	  "usable key types, or schemes of TLS 1.3, and server name in; chain and key type out; key jails itself in between" },
	{ BW_OP_EXCHANGE, "exchange", 68, 68, BW_IN(BW_LOADED), BW_EXCHANGED, 1,
	  "group, version, hash (or RSA-PSS with it) and both randoms in; key's fresh public point and the signature over it out" },
	{ BW_OP_PEER_CHAIN, "peer-chain", 0, 65536, BW_IN(BW_EXCHANGED), BW_PEER_KNOWN, 1,
	  "the client's certificates in; verdict and key type out, only with -a" },
	{ BW_OP_DERIVE, "derive", 5, 137, BW_IN(BW_PEER_KNOWN), BW_DERIVED, 1,
	  "suite, fragment size and the peer's point in; verdict out; all secrets are made and stay, only with -a" },
	{ BW_OP_PEER_VERIFY, "peer-verify", 4, 1026, BW_IN(BW_DERIVED), BW_PEER_VERIFIED, 1,
	  "the client's signature over the transcript in; verdict out, only with -a" },
	{ BW_OP_FINISHED_CLIENT, "finished-client", 32, 48, BW_IN(BW_PEER_VERIFIED), BW_CLIENT_FINISHED, 1,
	  "transcript hash in; verify data out, only with -a" },
	{ BW_OP_DERIVE_FINISHED, "derive-finished", 38, 186, BW_IN(BW_EXCHANGED), BW_CLIENT_FINISHED, 1,
	  "suite, fragment size, transcript hash and the peer's point in; verify data out: both in one, never with -a" },
	{ BW_OP_DERIVE_OPEN, "derive-open", 38, 186, BW_IN(BW_EXCHANGED), BW_OPENED, 1,
	  "as for derive-finished in; the client's Finished in the ring opened too: as by open, verify data behind it, out" },
	{ BW_OP_OPEN, "open", 0, 0, BW_IN(BW_CLIENT_FINISHED) | BW_IN(BW_OPENED), BW_OPENED, 1,
	  "nothing in; the one record in the ring opened: type and text out unless it is application data, or the alert that refuses it" },
	{ BW_OP_FINISHED_SERVER, "finished-server", 37, 305, BW_IN(BW_OPENED), BW_RUNNING, 0,
	  "transcript hash and addresses for prog in; as run, then our Finished is sealed into the ring, the master secret is wiped" },
	/* the server's handshake in TLS 1.3: key hashes, builds, signs and seals the messages itself */
	{ BW_OP_CLIENT_HELLO13, "client-hello13", 1, 65536, BW_IN(BW_LOADED) | BW_IN(BW_GREETED13), BW_GREETED13, 0,
	  "the next piece of a ClientHello in; key hashes it" },
	{ BW_OP_AGAIN13, "again13", 3, 35, BW_IN(BW_GREETED13), BW_SAME, 1,
	  "suite, group and session id in; key's HelloRetryRequest out, once" },
	{ BW_OP_PSK13, "psk13", 40, 2048, BW_IN(BW_GREETED13), BW_SAME, 1,
	  "a ticket, its number, suite, age and binder in; verdict out; between the pieces of the hello that the binder covers" },
	{ BW_OP_ACCEPT13, "accept13", 41, 206, BW_IN(BW_GREETED13), BW_ACCEPTED13, 1,
	  "what was chosen and the client's point in; key's ServerHello out; all up to Finished is signed and sealed into the ring" },
	{ BW_OP_PEER_CHAIN13, "peer-chain13", 8, 65540, BW_IN(BW_ACCEPTED13), BW_PEER_KNOWN13, 1,
	  "the client's Certificate in; verdict out, only with -a" },
	{ BW_OP_PEER_VERIFY13, "peer-verify13", 8, 2052, BW_IN(BW_PEER_KNOWN13), BW_PEER_VERIFIED13, 1,
	  "the client's CertificateVerify in; verdict out, over the transcript that key has" },
	{ BW_OP_CLIENT_FINISHED13, "client-finished13", 4, 2052, BW_IN(BW_ACCEPTED13) | BW_IN(BW_PEER_VERIFIED13), BW_ADMITTED13, 1,
	  "the client's Finished in; verdict out, with -a only after peer-verify13; application keys follow" },
	{ BW_OP_RUN, "run", 4, 256, BW_IN(BW_ADMITTED13), BW_RUNNING, 0,
	  "addresses for prog in; prog starts (it runs already with -n), application data flows" },
	/* the client's handshake */
	{ BW_OP_TRUST, "trust", 0, 0, BW_IN(BW_CLIENT_START), BW_TRUSTING, 1,
	  "nothing in; anchors and own identity are read, key jails itself; chain and key type out, or the exit code" },
	{ BW_OP_SERVER_CHAIN, "server-chain", 4, 65536, BW_IN(BW_TRUSTING) | BW_IN(BW_HELLO13), BW_CHAIN_GOOD, 1,
	  "the server's certificates in; verdict, key type, usages and size of its key out" },
	{ BW_OP_SERVER_PARAMS, "server-params", 74, 2114, BW_IN(BW_CHAIN_GOOD), BW_PARAMS_GOOD, 1,
	  "version, both randoms and the ServerKeyExchange in; verdict on its signature out" },
	{ BW_OP_AGREE, "agree", 70, 70, BW_IN(BW_CHAIN_GOOD) | BW_IN(BW_PARAMS_GOOD), BW_AGREED, 1,
	  "suite, fragment size, version and both randoms in; key's fresh point, or pre-master under the server's key, out" },
	{ BW_OP_CLIENT_SIGN, "client-sign", 1, 1, BW_IN(BW_AGREED), BW_SIGNED, 1,
	  "hash in; the client's signature over the transcript out, once" },
	{ BW_OP_SEND_FINISHED, "send-finished", 32, 48, BW_IN(BW_AGREED) | BW_IN(BW_SIGNED), BW_FINISHED_SENT, 1,
	  "transcript hash in; verify data out" },
	{ BW_OP_AWAIT_FINISHED, "await-finished", 32, 48, BW_IN(BW_FINISHED_SENT), BW_FINISHED_DUE, 1,
	  "transcript hash in; verify data out; the master secret is wiped" },
	{ BW_OP_OPEN_FINISHED, "open-finished", 0, 0, BW_IN(BW_FINISHED_DUE) | BW_IN(BW_FINISHED_OPENED), BW_FINISHED_OPENED, 1,
	  "nothing in; the one record in the ring opened: type and text out, or the alert that refuses it, as by open" },
	{ BW_OP_BEGIN, "begin", 0, 0, BW_IN(BW_FINISHED_OPENED) | BW_IN(BW_FINISHED13), BW_RUNNING, 0,
	  "nothing in; prog starts, application data flows" },
	/* the client's handshake in TLS 1.3: handshake messages in, which key hashes and checks itself */
	{ BW_OP_SHARE13, "share13", 2, 2, BW_IN(BW_TRUSTING), BW_SHARED13, 1,
	  "group in; key's fresh public point out" },
	{ BW_OP_HELLO13, "hello13", 46, 4096, BW_IN(BW_SHARED13), BW_HELLO13, 0,
	  "our ClientHello in; it must hold key's point" },
	{ BW_OP_RETRY13, "retry13", 44, 2052, BW_IN(BW_HELLO13), BW_RETRIED13, 0,
	  "the server's HelloRetryRequest in; our first ClientHello becomes a hash" },
	{ BW_OP_SHARE_AGAIN13, "share-again13", 2, 2, BW_IN(BW_RETRIED13), BW_SHARED_AGAIN13, 1,
	  "the group that it asks for in; another fresh point out" },
	{ BW_OP_HELLO_AGAIN13, "hello-again13", 46, 4096, BW_IN(BW_RETRIED13) | BW_IN(BW_SHARED_AGAIN13), BW_HELLO_AGAIN13, 0,
	  "our second ClientHello in; with the first share where a cookie alone was asked for" },
	{ BW_OP_AGREE13, "agree13", 44, 2052, BW_IN(BW_HELLO13) | BW_IN(BW_HELLO_AGAIN13), BW_AGREED13, 1,
	  "the ServerHello in; verdict on its share out; handshake keys protect what follows" },
	{ BW_OP_EXTENSIONS13, "extensions13", 6, 2052, BW_IN(BW_AGREED13), BW_EXTENDED13, 0,
	  "the server's EncryptedExtensions in; its record_size_limit holds from here on" },
	{ BW_OP_REQUEST13, "request13", 8, 65540, BW_IN(BW_EXTENDED13), BW_REQUESTED13, 0,
	  "the server's CertificateRequest in; key chooses what it will sign with" },
	{ BW_OP_SERVER_CHAIN13, "server-chain13", 8, 65540, BW_IN(BW_EXTENDED13) | BW_IN(BW_REQUESTED13), BW_CHAIN_GOOD13, 1,
	  "the server's Certificate in; verdict out" },
	{ BW_OP_SERVER_VERIFY13, "server-verify13", 8, 2052, BW_IN(BW_CHAIN_GOOD13), BW_VERIFIED13, 1,
	  "the server's CertificateVerify in; verdict out, over the transcript that key has hashed" },
	{ BW_OP_FINISH13, "finish13", 36, 52, BW_IN(BW_VERIFIED13), BW_FINISHED13, 1,
	  "the server's Finished in; verdict out; our flight is sealed into the ring, application keys follow" },
	/* both */
	{ BW_OP_OPEN13, "open13", 0, 0, BW_IN(BW_ACCEPTED13) | BW_IN(BW_PEER_KNOWN13) | BW_IN(BW_PEER_VERIFIED13)
	  | BW_IN(BW_AGREED13) | BW_IN(BW_EXTENDED13) | BW_IN(BW_REQUESTED13) | BW_IN(BW_CHAIN_GOOD13)
	  | BW_IN(BW_VERIFIED13), BW_SAME, 1,
	  "nothing in; the one record in the ring opened: type and text out, or the alert that refuses it, as by open" },
	{ BW_OP_TRANSCRIPT, "transcript", 1, 65536, BW_IN(BW_DERIVED) | BW_IN(BW_AGREED), BW_SAME, 0,
	  "the next piece of the handshake's messages in; key hashes and walks them itself, only for a client's signature" },
	{ BW_OP_SEAL, "seal", 2, 16385, BW_IN(BW_DERIVED) | BW_IN(BW_PEER_VERIFIED) | BW_IN(BW_OPENED)
	  | BW_IN(BW_CLIENT_FINISHED) | BW_IN(BW_FINISHED_SENT) | BW_IN(BW_FINISHED_DUE)
	  | BW_IN(BW_FINISHED_OPENED) | BW_IN(BW_ACCEPTED13) | BW_IN(BW_PEER_KNOWN13) | BW_IN(BW_PEER_VERIFIED13)
	  | BW_IN(BW_ADMITTED13) | BW_IN(BW_AGREED13) | BW_IN(BW_EXTENDED13) | BW_IN(BW_REQUESTED13)
	  | BW_IN(BW_CHAIN_GOOD13) | BW_IN(BW_VERIFIED13) | BW_IN(BW_FINISHED13) | BW_IN(BW_RUNNING), BW_SAME, 0,
	  "a record of type 21, a client's before TLS 1.3 also 22, in; sealed into the ring" },
	{ BW_OP_RESUME, "resume", 1, 1, BW_IN(BW_RUNNING), BW_SAME, 0,
	  "whether a message is half read in; key goes on opening after a record that was not application data" },
	{ BW_OP_END_INPUT, "end-input", 0, 0, BW_IN(BW_RUNNING), BW_SAME, 0,
	  "nothing in; prog's stdin is closed once what the ring holds is delivered" },
	{ BW_OP_DROP_OUTPUT, "drop-output", 0, 0, BW_IN(BW_RUNNING), BW_SAME, 0,
	  "nothing in; prog's output is read and dropped from here on, its stdin is closed" },
	{ BW_OP_UPDATE13, "update13", 1, 1, BW_IN(BW_RUNNING), BW_SAME, 0,
	  "whether the peer asks for ours in; its keys go one generation on, and ours behind a KeyUpdate" },
	{ BW_OP_CLOSE_INPUT, "close-input", 0, 0, BW_IN(BW_RUNNING), BW_SAME, 0,
	  "nothing in; what the ring holds behind the peer's close_notify is dropped, prog's stdin is closed" },
};
enum { BW_OPS = sizeof bw_ops / sizeof bw_ops[0] };

/* Messages that key sends unasked once application data flows. */
enum bw_event { BW_EV_OPENED = 64, BW_EV_REFUSED, BW_EV_OUTPUT_END };

#endif
