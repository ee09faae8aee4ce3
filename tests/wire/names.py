"""Registry numbers that the wire tests speak.

Source: the IANA "TLS Parameters" registries; the cipher suites are those of RFC 5289, 7905 and 8422 that
`-c` can name, and of RFC 5246, 5288, 6655 and 7251 what a client offers besides. Plain IntEnums, so that a row can put
any other number in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304
VERSION_NAMES = {TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2"}
VERSION_OPTIONS = {TLS10: "tls10", TLS11: "tls11", TLS12: "tls12"}

MAX_PLAIN = 1 << 14
MAX_SEALED = MAX_PLAIN + 2048


class Record(IntEnum):
    """Record content types (RFC 5246 6.2.1, RFC 6520)."""

    CCS = 20
    ALERT = 21
    HANDSHAKE = 22
    DATA = 23
    HEARTBEAT = 24


class Msg(IntEnum):
    """Handshake message types (RFC 5246 7.4)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    KEY_UPDATE = 24


class Alert(IntEnum):
    """Alert descriptions; the lower-case name is what the log and the RFC call it."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE = 41
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    UNRECOGNIZED_NAME = 112
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120


WARNING, FATAL = 1, 2


class Ext(IntEnum):
    """Hello extensions that a row names."""

    SERVER_NAME = 0
    MAX_FRAGMENT_LENGTH = 1
    STATUS_REQUEST = 5
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    HEARTBEAT = 15
    ALPN = 16
    SIGNED_TIMESTAMP = 18
    PADDING = 21
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    RECORD_SIZE_LIMIT = 28
    SESSION_TICKET = 35
    SUPPORTED_VERSIONS = 43
    PSK_KEY_EXCHANGE_MODES = 45
    SIGNATURE_ALGORITHMS_CERT = 50
    KEY_SHARE = 51
    RENEGOTIATION_INFO = 0xFF01


class Group(IntEnum):
    """Named groups that `-e` can name (RFC 8422 5.1.1)."""

    SECP256R1 = 23
    SECP384R1 = 24
    SECP521R1 = 25
    X25519 = 29


GROUP_OPTIONS = {
    Group.X25519: "x25519",
    Group.SECP256R1: "secp256r1",
    Group.SECP384R1: "secp384r1",
    Group.SECP521R1: "secp521r1",
}

RENEGOTIATION_SCSV = 0x00FF
FALLBACK_SCSV = 0x5600

# RFC 8701: values that no server may know, in every list that a client sends.
GREASE = tuple(0x0A0A + 0x1010 * i for i in range(16))

RSA_SCHEMES = (0x0601, 0x0501, 0x0401, 0x0201)
ECDSA_SCHEMES = (0x0603, 0x0503, 0x0403, 0x0203)
PSS_SCHEMES = (0x0804, 0x0805, 0x0806)
SCHEME_HASHES = {1: "md5", 2: "sha1", 3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"}


@dataclass(frozen=True)
class Suite:
    """One cipher suite.

    `option` is its name for `-c` (empty for what only a client has), `log` the wrapper's description of the cipher,
    lengths are in bytes, `mac` the HMAC hash of a CBC suite (empty for an AEAD), `prf` the hash of the TLS 1.2 PRF.
    """

    code: int
    option: str
    auth: str
    kind: str
    key_len: int
    iv_len: int
    mac: str
    prf: str
    log: str
    openssl: str
    exchange: str = "ecdhe"

    @property
    def is_cbc(self) -> bool:
        """A block cipher in CBC mode, with an HMAC."""
        return self.mac != ""

    @property
    def block(self) -> int:
        """Bytes of the cipher's block."""
        return 8 if self.kind == "3des" else 16

    @property
    def tls12_only(self) -> bool:
        """CBC with HMAC-SHA1 is what TLS 1.0 and 1.1 can carry; the rest needs TLS 1.2."""
        return self.mac != "sha1"


_FAMILIES = (
    # option, ECDSA, RSA, kind, key, iv, mac, prf, log, openssl
    ("CHACHA20_POLY1305_SHA256", 0xCCA9, 0xCCA8, "chacha", 32, 12, "", "sha256",
     "ChaCha20+Poly1305 (TLS 1.2+)", "CHACHA20-POLY1305"),
    ("AES_256_GCM_SHA384", 0xC02C, 0xC030, "gcm", 32, 4, "", "sha384",
     "AES256/GCM (TLS 1.2+)", "AES256-GCM-SHA384"),
    ("AES_128_GCM_SHA256", 0xC02B, 0xC02F, "gcm", 16, 4, "", "sha256",
     "AES128/GCM (TLS 1.2+)", "AES128-GCM-SHA256"),
    ("AES_256_CBC_SHA384", 0xC024, 0xC028, "cbc", 32, 16, "sha384", "sha384",
     "AES256/CBC + SHA384 (TLS 1.2+)", "AES256-SHA384"),
    ("AES_128_CBC_SHA256", 0xC023, 0xC027, "cbc", 16, 16, "sha256", "sha256",
     "AES128/CBC + SHA256 (TLS 1.2+)", "AES128-SHA256"),
    ("AES_256_CBC_SHA", 0xC00A, 0xC014, "cbc", 32, 16, "sha1", "sha256",
     "AES256/CBC + SHA1", "AES256-SHA"),
    ("AES_128_CBC_SHA", 0xC009, 0xC013, "cbc", 16, 16, "sha1", "sha256",
     "AES128/CBC + SHA1", "AES128-SHA"),
)  # fmt: skip

SUITES: dict[int, Suite] = {
    code: Suite(code, option, auth, kind, key_len, iv_len, mac, prf, log, f"ECDHE-{auth.upper()}-{openssl}")
    for option, ecdsa, rsa, kind, key_len, iv_len, mac, prf, log, openssl in _FAMILIES
    for auth, code in (("ecdsa", ecdsa), ("rsa", rsa))
}
CIPHER_OPTIONS = tuple(family[0] for family in _FAMILIES)

_CLIENT_FAMILIES = (
    # kind, key, iv, mac, prf, log, openssl, then the suite of each key exchange and signature
    ("ccm", 16, 4, "", "sha256", "AES128/CCM (TLS 1.2+)", "AES128-CCM", {"ecdhe ecdsa": 0xC0AC, "rsa": 0xC09C}),
    ("ccm", 32, 4, "", "sha256", "AES256/CCM (TLS 1.2+)", "AES256-CCM", {"ecdhe ecdsa": 0xC0AD, "rsa": 0xC09D}),
    ("ccm8", 16, 4, "", "sha256", "AES128/CCM8 (TLS 1.2+)", "AES128-CCM8", {"ecdhe ecdsa": 0xC0AE, "rsa": 0xC0A0}),
    ("ccm8", 32, 4, "", "sha256", "AES256/CCM8 (TLS 1.2+)", "AES256-CCM8", {"ecdhe ecdsa": 0xC0AF, "rsa": 0xC0A1}),
    ("3des", 24, 8, "sha1", "sha256", "3DES/CBC + SHA1", "DES-CBC3-SHA",
     {"ecdhe ecdsa": 0xC008, "ecdhe rsa": 0xC012, "ecdh ecdsa": 0xC003, "ecdh rsa": 0xC00D, "rsa": 0x000A}),
    ("gcm", 16, 4, "", "sha256", "AES128/GCM (TLS 1.2+)", "AES128-GCM-SHA256",
     {"ecdh ecdsa": 0xC02D, "ecdh rsa": 0xC031, "rsa": 0x009C}),
    ("gcm", 32, 4, "", "sha384", "AES256/GCM (TLS 1.2+)", "AES256-GCM-SHA384",
     {"ecdh ecdsa": 0xC02E, "ecdh rsa": 0xC032, "rsa": 0x009D}),
    ("cbc", 16, 16, "sha256", "sha256", "AES128/CBC + SHA256 (TLS 1.2+)", "AES128-SHA256",
     {"ecdh ecdsa": 0xC025, "ecdh rsa": 0xC029, "rsa": 0x003C}),
    ("cbc", 32, 16, "sha384", "sha384", "AES256/CBC + SHA384 (TLS 1.2+)", "AES256-SHA384",
     {"ecdh ecdsa": 0xC026, "ecdh rsa": 0xC02A}),
    ("cbc", 32, 16, "sha256", "sha256", "AES256/CBC + SHA256 (TLS 1.2+)", "AES256-SHA256", {"rsa": 0x003D}),
    ("cbc", 16, 16, "sha1", "sha256", "AES128/CBC + SHA1", "AES128-SHA",
     {"ecdh ecdsa": 0xC004, "ecdh rsa": 0xC00E, "rsa": 0x002F}),
    ("cbc", 32, 16, "sha1", "sha256", "AES256/CBC + SHA1", "AES256-SHA",
     {"ecdh ecdsa": 0xC005, "ecdh rsa": 0xC00F, "rsa": 0x0035}),
)  # fmt: skip

# what a client offers and a server of ours does not have
CLIENT_SUITES: dict[int, Suite] = {
    code: Suite(
        code, "", way.split()[-1], *family,
        openssl="-".join([*(way.upper().split() if " " in way else []), openssl]), exchange=way.split()[0],
    )
    for *family, openssl, codes in _CLIENT_FAMILIES
    for way, code in codes.items()
}  # fmt: skip
ALL_SUITES = SUITES | CLIENT_SUITES
AEAD_OPTIONS = CIPHER_OPTIONS[:3]


def suite_for(option: str, auth: str) -> Suite:
    """The suite that `-c option` adds for a certificate of kind `auth` ("rsa" or "ecdsa")."""
    return next(suite for suite in SUITES.values() if (suite.option, suite.auth) == (option, auth))
