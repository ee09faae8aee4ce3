"""The table of what s6-tlsc answers to every case that was measured or settled: exit code, line, and whether prog ran.

Sources: the rows of the specification's measured table as the choices settle them; RFC 6125 section 6.4 (names);
RFC 5246 appendix A.5, RFC 5289, RFC 6655, RFC 7251 and RFC 7905 (suites). The meaning of the fields is in row.py.
"""

from __future__ import annotations

import os

import pytest

from .material import Material
from .peers import TLS10, TLS11, TLS12, TLS13
from .row import (
    ECHO,
    FACTS,
    GnuTLS,
    OpenSSL,
    Row,
    alerts,
    bad,
    closes,
    closes_at_once,
    good,
    resets,
    run,
    speaks_http,
    trickles,
    unready,
    watches,
)

USAGE = "s6-tlsc: usage: s6-tlsc [ options ] prog..."
NOENT, ACCES = "No such file or directory", "Permission denied"
ANCHORS = "unable to read trust anchors in"
CHAIN = "unable to read certificate chain in"
KEY = "unable to read private key in"
PAIR = "CAFILE={ca} CERTFILE={cert_p256} KEYFILE={key_p256}"
Y = "-y -k localhost"
NOTIFY = "-S -k localhost"  # GnuTLS takes a bare half-close for an error


def certificate(name: str, **more: object) -> OpenSSL:
    """OpenSSL with another certificate."""
    return OpenSSL(name, **more)  # type: ignore[arg-type]


OPTIONS = [
    bad("no prog", 100, USAGE, options="-k localhost", prog="", peer=watches),
    bad("nothing at all", 100, USAGE, options="", prog="", peer=watches),
    bad("no prog after --", 100, USAGE, options="-k localhost --", prog="", peer=watches),
    *(
        bad(f"{word} without its argument", 100, USAGE, options=word, prog="", peer=watches)
        for word in ("-k", "-K", "-v", "-6", "-7", "--servername", "--handshake-timeout", "--read-fd", "-Sk")
    ),
    unready("unknown short option", 100, "unrecognized short option: x", "-x"),
    unready("unknown short option in a group", 100, "unrecognized short option: x", "-Sxk localhost"),
    unready("unknown long option", 100, "unrecognized long option: foo", "--foo"),
    unready("unknown long option with a value", 100, "~unrecognized long option: foo(=bar)?", "--foo=bar"),
    unready("abbreviated long option", 100, "unrecognized long option: close", "--close"),
    *(
        unready(f"-K {word!r}", 100, "handshake-timeout must be an unsigned integer", f"-K '{word}'")
        for word in ("abc", "-5", "", "5x", "0x5", "1.5", " 5", "+5", "99999999999999999999")
    ),
    unready("--handshake-timeout=abc", 100, "handshake-timeout must be an unsigned integer", "--handshake-timeout=abc"),
    *(
        unready(f"-v {word!r}", 100, "verbosity must be an unsigned integer", f"-v '{word}'")
        for word in ("abc", "-1", "")
    ),
    *(
        unready(f"-6 {word!r}", 100, "read-fd must be an unsigned integer (3 or more)", f"-6 '{word}'")
        for word in ("2", "0", "abc", "-1", "", "99999999999")
    ),
    *(
        unready(f"-7 {word!r}", 100, "write-fd must be an unsigned integer (3 or more)", f"-7 '{word}'")
        for word in ("2", "abc", "")
    ),
    unready("-6 7", 100, "read-fd and write-fd must be different", "-6 7"),
    unready("-7 6", 100, "read-fd and write-fd must be different", "-7 6"),
    unready("-6 9 -7 9", 100, "read-fd and write-fd must be different", "-6 9 -7 9"),
    *(
        unready(f"--{name}=1", 100, f"option --{name} takes no argument", f"--{name}=1")
        for name in ("keep", "no-keep", "close-notify", "client-cert", "no-verify-cert", "enforce-close-notify")
    ),
    good("grouped", options="-Sk localhost"),
    good("attached", options="-klocalhost"),
    good("the last -k wins", options="-k wrong.example -k localhost"),
    good("the last close style wins", options="-S -s -J -j -y -Y -Z -z -k localhost"),
    good("--name=value", options="--servername=localhost --handshake-timeout=9000 --verbosity=1 --read-fd=6"),
    good("--name value", options="--servername localhost --handshake-timeout 9000 --verbosity 1 --write-fd 7"),
    good("every long option without a value", options="--servername=localhost --close-notify --no-close-notify "
         "--enforce-close-notify --no-enforce-close-notify --client-cert --no-client-cert --keep --no-keep "
         "--no-verify-cert --verify-cert"),
    good("-- ends options", options="-k localhost --"),
    good("options of prog are its own", prog=f"sh -c '{ECHO}' -x --foo -k"),
    bad("a lone - is prog", 111, f"unable to spawn -: {NOENT}", options="-k localhost -"),
    unready("options come before descriptors", 100, "unrecognized short option: x", "-x", network=False),
]  # fmt: skip

DESCRIPTORS = [
    bad("descriptors closed", 111, "unable to check network fds: Bad file descriptor", network=False, peer=watches),
    unready("one descriptor closed", 111, "unable to check network fds: Bad file descriptor", "-k localhost -6 100"),
    unready("descriptors come before anchors", 111, "unable to check network fds: Bad file descriptor", "-y",
            env="", network=False),
]  # fmt: skip

ANCHOR_FILES = [
    unready("no anchors named", 100, "CADIR or CAFILE not set", env=""),
    unready("no anchors named, and not to be verified", 100, "CADIR or CAFILE not set", "--no-verify-cert", env=""),
    unready("anchors come before the client's certificate", 100, "CADIR or CAFILE not set", "-y", env=""),
    unready("CAFILE missing", 111, f"{ANCHORS} /nowhere/ca.pem: {NOENT}", env="CAFILE=/nowhere/ca.pem"),
    unready("CAFILE a folder", 111, f"{ANCHORS} {{dir_plain}}: Is a directory", env="CAFILE={dir_plain}"),
    unready('CAFILE ""', 111, f"{ANCHORS} : {NOENT}", env="CAFILE="),
    unready("CAFILE empty", 96, "no trust anchor found in {empty}", env="CAFILE={empty}"),
    unready("CAFILE text", 96, "no trust anchor found in {text}", env="CAFILE={text}"),
    unready("CAFILE key only", 96, "no trust anchor found in {key_only}", env="CAFILE={key_only}"),
    unready("CAFILE truncated", 111, f"{ANCHORS} {{truncated}}: Protocol error", env="CAFILE={truncated}"),
    unready("CAFILE without its END line", 111, f"{ANCHORS} {{unended}}: Protocol error", env="CAFILE={unended}"),
    unready("CAFILE good and bad", 96, f"~{ANCHORS} {{good_and_bad}}: .+ \\(BR_ERR_X509_[A-Z_]+\\)",
            env="CAFILE={good_and_bad}"),
    unready("CADIR missing", 111, f"{ANCHORS} /nowhere/ca: {NOENT}", env="CADIR=/nowhere/ca"),
    unready("CADIR a file", 111, f"{ANCHORS} {{ca}}: Not a directory", env="CADIR={ca}"),
    unready("CADIR empty wins over CAFILE", 96, "no trust anchor found in {dir_empty}",
            env="CADIR={dir_empty} CAFILE={ca}"),
    unready('CADIR "" wins over CAFILE', 111, f"{ANCHORS} : {NOENT}", env="CADIR= CAFILE={ca}"),
    unready("CADIR without an anchor", 96, "no trust anchor found in {dir_bad}", env="CADIR={dir_bad}"),
    unready("CADIR hidden file", 96, "no trust anchor found in {dir_hidden}", env="CADIR={dir_hidden}"),
    good("two authorities", env="CAFILE={two}"),
    good("CAFILE DER", env="CAFILE={ca_der}"),
    good("CAFILE label X509 CERTIFICATE", env="CAFILE={x509_label}"),
    good("CAFILE with a key before the certificate", env="CAFILE={with_key}"),
    *(
        good(f"CADIR {name}", env=f"CADIR={{dir_{name}}}")
        for name in ("plain", "hash0", "hash1", "der", "der_plain", "bundle", "mixed", "links", "fifo")
    ),
    good("CADIR wins over a missing CAFILE", env="CADIR={dir_plain} CAFILE=/nowhere"),
    bad("CADIR wins over a good CAFILE", 98, "{D}{X509_NOT_TRUSTED}", env="CADIR={dir_other} CAFILE={ca}"),
]  # fmt: skip

NAMES = [
    *(
        good(f"{kind} certificate", peer=certificate(kind))
        for kind in ("rsa1024", "rsa2048", "rsa4096", "p256", "p384", "p521", "intermediate", "subject")
    ),
    bad("wrong name", 98, "{D}{X509_BAD_SERVER_NAME}", peer=certificate("other_name"), alert="bad certificate"),
    good("no -k", options="", warned=True),
    good('-k ""', options="-k ''", warned=True),
    good("no -k at -v0", options="-v0"),
    good("no -k, a wrong name", options="", warned=True, peer=certificate("other_name")),
    bad("no -k, unknown authority", 98, "{D}{X509_NOT_TRUSTED}", options="", warned=True, peer=certificate("stranger")),
    good("-k LOCALHOST", options="-k LOCALHOST"),
    bad("-k with a dot behind", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k localhost."),
    good("wildcard", options="-k a.example.com", peer=certificate("wildcard")),
    good("wildcard, another case", options="-k A.Example.COM", peer=certificate("wildcard")),
    bad("wildcard, two labels", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k a.b.example.com",
        peer=certificate("wildcard")),
    bad("wildcard, no label", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k example.com", peer=certificate("wildcard")),
    good("CN alone", peer=certificate("no_san")),
    bad("CN beside another dNSName", 98, "{D}{X509_BAD_SERVER_NAME}", peer=certificate("san_and_cn")),
    good("IPv4 address", options="-k 127.0.0.1", peer=certificate("ip4")),
    good("IPv6 address", options="-k ::1", peer=certificate("ip6")),
    good("IPv6 address, written in another way", options="-k 2001:DB8:0::0:5", peer=certificate("ip6")),
    bad("another IPv4 address", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k 127.0.0.2", peer=certificate("ip4")),
    bad("another IPv6 address", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k ::2", peer=certificate("ip6")),
    bad("an address that stands as a name", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k 127.0.0.1",
        peer=certificate("ip_as_dns")),
    bad("an address, a certificate with names", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k 127.0.0.1",
        peer=certificate("other_name")),
    bad("a name, a certificate with addresses", 98, "{D}{X509_BAD_SERVER_NAME}", peer=certificate("ip4")),
    bad("expired", 98, "{D}{X509_EXPIRED}", peer=certificate("expired"), alert="certificate expired"),
    bad("not yet valid", 98, "{D}{X509_EXPIRED}", peer=certificate("not_yet"), alert="certificate expired"),
    bad("unknown authority", 98, "{D}{X509_NOT_TRUSTED}", peer=certificate("stranger"), alert="unknown ca"),
    bad("self-signed", 98, "{D}{X509_NOT_TRUSTED}", peer=certificate("self_signed"), alert="unknown ca"),
    bad("intermediate missing", 98, "{D}{X509_NOT_TRUSTED}", peer=certificate("intermediate_missing")),
    bad("intermediate that is no authority", 98, "{D}{X509_NOT_CA}", peer=certificate("not_a_ca")),
    bad("unknown critical extension", 98, "{D}{X509_CRITICAL_EXTENSION}", peer=certificate("constrained")),
    good("self-signed leaf as CAFILE", env="CAFILE={self_signed_leaf}", peer=certificate("self_signed")),
    good("the leaf as CAFILE", env="CAFILE={leaf}"),
    bad("the leaf as CAFILE, wrong name", 98, "{D}{X509_BAD_SERVER_NAME}", options="-k other.example",
        env="CAFILE={leaf}"),
    good("not verified: unknown authority", options="--no-verify-cert -k localhost", peer=certificate("stranger")),
    good("not verified: self-signed", options="--no-verify-cert -k localhost", peer=certificate("self_signed")),
    bad("not verified: expired", 98, "{D}{X509_EXPIRED}", options="--no-verify-cert -k localhost",
        peer=certificate("stranger_expired")),
    bad("not verified: wrong name", 98, "{D}{X509_BAD_SERVER_NAME}", options="--no-verify-cert -k localhost",
        peer=certificate("stranger_wrong_name")),
    bad("verified again", 98, "{D}{X509_NOT_TRUSTED}", options="--no-verify-cert --verify-cert -k localhost",
        peer=certificate("stranger")),
]  # fmt: skip

NETWORK = [
    bad("peer closes after ClientHello", 98, "{D}connection closed by the peer (BR_ERR_IO)", peer=closes),
    bad("peer closes at once", 98, "{D}connection closed by the peer (BR_ERR_IO)", peer=closes_at_once),
    bad("peer resets", 111, "~unable to (read from|write to) remote: Connection reset by peer", peer=resets),
    bad("peer speaks HTTP", 98, "{D}bad record header", peer=speaks_http),
    *(
        bad(f"peer's alert {number}", 98, f"{{D}}alert {name} received", peer=alerts(number))
        for number, name in ((40, "handshake_failure"), (70, "protocol_version"), (112, "unrecognized_name"),
                             (80, "internal_error"), (48, "unknown_ca"))
    ),
    bad("peer's unknown alert", 98, "{D}alert unknown_alert received", peer=alerts(200)),
    bad("peer's alert at -v0", 98, "{D}alert handshake_failure received", options="-v0", peer=alerts(40)),
    bad("silent, -K 300", 98, "handshake timed out", options="-k localhost -K 300", peer=watches, took=(0.3, 2)),
    bad("silent, -K 300, -v0", 98, "", options="-k localhost -K 300 -v0", peer=watches, took=(0.3, 2)),
    bad("trickles, -K 300", 98, "handshake timed out", options="-k localhost -K 300", peer=trickles, took=(0.3, 2)),
    good("no timeout after the handshake", options="-k localhost -K 300", took=(0.6, 5),
         prog=f"sh -c 'sleep 0.6; {ECHO}'"),
    *(
        good(f"{name} only", prog=f"sh -c '{FACTS}'", peer=OpenSSL(minimum=version, maximum=version),
             out=f"{name} {suite}\nran\ngot hello\n")
        for name, version, suite in (
            ("TLSv1", TLS10, "ECDHE-ECDSA-AES256-SHA"), ("TLSv1.1", TLS11, "ECDHE-ECDSA-AES256-SHA"),
            ("TLSv1.2", TLS12, "ECDHE-ECDSA-AES256-GCM-SHA384"))
    ),
    *(
        good(f"{name} only, RSA", prog=f"sh -c '{FACTS}'",
             peer=OpenSSL("rsa2048", minimum=version, maximum=version, ciphers="ECDHE-RSA-AES128-SHA"),
             out=f"{name} ECDHE-RSA-AES128-SHA\nran\ngot hello\n")
        for name, version in (("TLSv1", TLS10), ("TLSv1.1", TLS11), ("TLSv1.2", TLS12))
    ),
    *(
        good(f"TLS 1.3 only, {kind}", prog=f"sh -c '{FACTS}'", peer=OpenSSL(kind, minimum=TLS13, maximum=TLS13),
             out="TLSv1.3 TLS_AES_256_GCM_SHA384\nran\ngot hello\n")
        for kind in ("rsa1024", "rsa2048", "rsa4096", "p256", "p384", "p521", "intermediate")
    ),
    *(
        bad(f"TLS 1.3, {kind}", 98, f"{{D}}{{{symbol}}}", peer=OpenSSL(kind, minimum=TLS13, maximum=TLS13), alert=alert)
        for kind, symbol, alert in (
            ("other_name", "X509_BAD_SERVER_NAME", "bad certificate"),
            ("expired", "X509_EXPIRED", "certificate expired"), ("stranger", "X509_NOT_TRUSTED", "unknown ca"),
            ("self_signed", "X509_NOT_TRUSTED", "unknown ca"), ("not_a_ca", "X509_NOT_CA", "unknown ca"))
    ),
]  # fmt: skip

PROG = [
    *(
        Row(f"prog exits {code}", seen, ran=True, prog=f"sh -c '{ECHO}; exit {code}'")
        for code, seen in ((0, 0), (1, 1), (42, 42), (127, 127), (128, 128), (200, 128), (255, 128))
    ),
    *(
        Row(f"prog dies of SIG{name}", 128 + number, ran=True, prog=f"sh -c '{ECHO}; kill -{name} $$'")
        for name, number in (("TERM", 15), ("KILL", 9), ("PIPE", 13))
    ),
    bad("prog missing", 111, f"unable to spawn no-such-program: {NOENT}", prog="no-such-program"),
    bad("prog missing, with a path", 111, f"unable to spawn /nowhere/prog: {NOENT}", prog="/nowhere/prog"),
    bad("prog not executable", 111, f"unable to spawn {{text}}: {ACCES}", prog="{text}"),
    bad("prog a folder", 111, f"unable to spawn {{dir_plain}}: {ACCES}", prog="{dir_plain}"),
]

CLIENT = [
    unready("-y, nothing set", 100, "CERTFILE not set", Y),
    unready("-y, no CERTFILE", 100, "CERTFILE not set", Y, env="CAFILE={ca} KEYFILE={key_p256}"),
    unready("-y, no KEYFILE", 100, "KEYFILE not set", Y, env="CAFILE={ca} CERTFILE={cert_p256}"),
    unready("-y, CERTFILE missing", 111, f"{CHAIN} /nowhere: {NOENT}", Y,
            env="CAFILE={ca} CERTFILE=/nowhere KEYFILE={key_p256}"),
    unready("-y, CERTFILE DER", 96, "unable to find a certificate in {cert_der}", Y,
            env="CAFILE={ca} CERTFILE={cert_der} KEYFILE={key_p256}"),
    unready("-y, CERTFILE text", 96, "unable to find a certificate in {text}", Y,
            env="CAFILE={ca} CERTFILE={text} KEYFILE={key_p256}"),
    unready("-y, CERTFILE key only", 96, "unable to find a certificate in {key_only}", Y,
            env="CAFILE={ca} CERTFILE={key_only} KEYFILE={key_p256}"),
    unready("-y, CERTFILE does not decode", 96, f"~{CHAIN} {{bad_certificate}}: .+ \\(BR_ERR_X509_[A-Z_]+\\)", Y,
            env="CAFILE={ca} CERTFILE={bad_certificate} KEYFILE={key_p256}"),
    unready("-y, KEYFILE missing", 111, f"{KEY} /nowhere: {NOENT}", Y,
            env="CAFILE={ca} CERTFILE={cert_p256} KEYFILE=/nowhere"),
    *(
        unready(f"-y, KEYFILE {name}", 111, f"{KEY} {{{name}}}: Invalid argument", Y,
                env=f"CAFILE={{ca}} CERTFILE={{cert_p256}} KEYFILE={{{name}}}")
        for name in ("text", "empty", "cert_p256", "key_encrypted", "key_encrypted_old")
    ),
    unready("-y, another's key", 96, "private key in {key_p384} does not match the certificate in {cert_p256}", Y,
            env="CAFILE={ca} CERTFILE={cert_p256} KEYFILE={key_p384}"),
    unready("-y, a key of another kind", 96, "private key in {key_rsa} does not match the certificate in {cert_p256}",
            Y, env="CAFILE={ca} CERTFILE={cert_p256} KEYFILE={key_rsa}"),
    unready("CERTFILE comes before KEYFILE and anchors", 111, f"{CHAIN} /nowhere/c: {NOENT}", Y,
            env="CAFILE=/nowhere/a CERTFILE=/nowhere/c KEYFILE=/nowhere/k"),
    unready("KEYFILE comes before anchors", 111, f"{KEY} /nowhere/k: {NOENT}", Y,
            env="CAFILE=/nowhere/a CERTFILE={cert_p256} KEYFILE=/nowhere/k"),
    good("without -y nobody looks at them", env="CAFILE={ca} CERTFILE=/nowhere KEYFILE=/nowhere"),
    good("-y, and nobody asks", options=Y, env=PAIR),
    *(
        good(f"-y, {key}", options=Y, peer=OpenSSL(client_ca="client_ca"),
             env=f"CAFILE={{ca}} CERTFILE={{{cert}}} KEYFILE={{{key}}}")
        for cert, key in (
            ("cert_p256", "key_p256"), ("cert_p256", "key_p256_sec1"), ("cert_p256", "key_p256_der"),
            ("cert_p256", "key_p256_pkcs8_der"), ("cert_p384", "key_p384"), ("cert_rsa", "key_rsa"),
            ("cert_rsa", "key_rsa_pkcs1"), ("cert_rsa", "key_rsa_der"), ("cert_rsa", "key_rsa_pkcs8_der"),
            ("both_p256", "both_p256"))
    ),
    bad("server needs a certificate, no -y", 98, "{D}alert handshake_failure received",
        peer=OpenSSL(client_ca="client_ca"), env=PAIR),
    bad("server does not know the client's authority", 98, "{D}alert unknown_ca received", options=Y,
        peer=OpenSSL(client_ca="client_ca"), env="CAFILE={ca} CERTFILE={cert_stranger} KEYFILE={key_p256}"),
]  # fmt: skip

ACCOUNTS = [
    *(
        unready(f"{name}={value!r}", 100, f"invalid ${name}", env=f"CAFILE={{ca}} {name}={value}", root=True)
        for name in ("TLS_UID", "TLS_GID") for value in ("nobody", "", "-1", "99999999999")
    ),
    unready("TLS_UID comes before CERTFILE", 100, "invalid $TLS_UID", Y, root=True,
            env="CAFILE={ca} TLS_UID=nobody CERTFILE=/nowhere KEYFILE=/nowhere"),
    unready("TLS_UID comes after CERTFILE is set", 100, "CERTFILE not set", Y, env="CAFILE={ca} TLS_UID=nobody"),
]  # fmt: skip

_ECDSA = [
    "ECDHE-ECDSA-" + name
    for name in ("CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-CCM", "AES256-CCM",
                 "AES128-CCM8", "AES256-CCM8", "AES128-SHA256", "AES256-SHA384", "AES128-SHA", "AES256-SHA")
]  # fmt: skip
_RSA = [
    "ECDHE-RSA-" + name
    for name in ("CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA384",
                 "AES128-SHA", "AES256-SHA")
]  # fmt: skip
_STATIC = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-CCM", "AES256-CCM", "AES128-CCM8", "AES256-CCM8",
           "AES128-SHA256", "AES256-SHA256", "AES128-SHA", "AES256-SHA"]  # fmt: skip
_ON_GNUTLS = {  # OpenSSL's name -> cipher and MAC as GnuTLS names them
    "CHACHA20-POLY1305": "CHACHA20-POLY1305:+AEAD", "AES128-GCM-SHA256": "AES-128-GCM:+AEAD",
    "AES256-GCM-SHA384": "AES-256-GCM:+AEAD", "AES128-CCM": "AES-128-CCM:+AEAD", "AES256-CCM": "AES-256-CCM:+AEAD",
    "AES128-CCM8": "AES-128-CCM-8:+AEAD", "AES256-CCM8": "AES-256-CCM-8:+AEAD", "AES128-SHA256": "AES-128-CBC:+SHA256",
    "AES256-SHA256": "AES-256-CBC:+SHA256", "AES256-SHA384": "AES-256-CBC:+SHA384", "AES128-SHA": "AES-128-CBC:+SHA1",
    "AES256-SHA": "AES-256-CBC:+SHA1", "DES-CBC3-SHA": "3DES-CBC:+SHA1",
}  # fmt: skip


def gnutls(suite: str, group: str = "ALL") -> GnuTLS:
    """gnutls-serv with this suite and group alone."""
    name = suite.removeprefix("ECDHE-ECDSA-").removeprefix("ECDHE-RSA-")
    exchange = suite.removesuffix("-" + name) if name != suite else "RSA"
    certificate = "p256" if exchange == "ECDHE-ECDSA" else "rsa2048"
    priority = f"NONE:+VERS-TLS1.2:+COMP-NULL:+SIGN-ALL:+GROUP-{group}:+{exchange}:+{_ON_GNUTLS[name]}"
    return GnuTLS(certificate, priority)


SUITES = [
    *(
        good(f"OpenSSL {suite}", prog=f"sh -c '{FACTS}'", out=f"TLSv1.2 {suite}\nran\ngot hello\n",
             peer=OpenSSL("p256" if "ECDSA" in suite else "rsa2048", ciphers=suite))
        for suite in (*_ECDSA, *_RSA, *_STATIC)
    ),
    *(
        good(f"OpenSSL {suite} {label}", prog=f"sh -c '{FACTS}'", out=f"{label} {suite}\nran\ngot hello\n",
             peer=OpenSSL("p256" if "ECDSA" in suite else "rsa2048", ciphers=suite, maximum=version))
        for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "AES128-SHA", "AES256-SHA")
        for label, version in (("TLSv1", TLS10), ("TLSv1.1", TLS11))
    ),
    *(
        good(f"GnuTLS {suite}", prog=f"sh -c '{FACTS}'", out=f"TLSv1.2 {suite}\nran\ngot hello\n", peer=gnutls(suite),
             options=NOTIFY)
        for suite in (*_ECDSA, *_RSA, *_STATIC, "ECDHE-ECDSA-DES-CBC3-SHA", "ECDHE-RSA-DES-CBC3-SHA", "DES-CBC3-SHA")
    ),
    *(
        bad(f"OpenSSL {suite}", 98, "{D}alert handshake_failure received",
            peer=OpenSSL("p256" if "ECDSA" in suite else "rsa2048", ciphers=suite))
        for suite in ("ECDHE-ECDSA-CAMELLIA128-SHA256", "CAMELLIA256-SHA", "DHE-RSA-AES128-GCM-SHA256",
                      "ECDHE-ARIA128-GCM-SHA256")
    ),
    *(
        good(f"group {group}, {kind}", peer=OpenSSL(kind, curve=group))
        for group in ("prime256v1", "secp384r1", "secp521r1") for kind in ("rsa2048", "p256")
    ),
    *(
        good(f"group {group}, GnuTLS, {kind}", options=NOTIFY, peer=gnutls(f"ECDHE-{kind}-CHACHA20-POLY1305", group))
        for group in ("X25519", "SECP256R1", "SECP384R1", "SECP521R1") for kind in ("ECDSA", "RSA")
    ),
    bad("a group that is not ours", 98, "{D}alert handshake_failure received",
        peer=gnutls("ECDHE-RSA-AES128-GCM-SHA256", "X448")),
    good("no group in common, but the server's RSA key", options=NOTIFY, prog=f"sh -c '{FACTS}'",
         peer=gnutls("AES128-GCM-SHA256", "X448"), out="TLSv1.2 AES128-GCM-SHA256\nran\ngot hello\n"),
]  # fmt: skip

ROWS = [*OPTIONS, *DESCRIPTORS, *ANCHOR_FILES, *NAMES, *NETWORK, *PROG, *CLIENT, *ACCOUNTS, *SUITES]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, material: Material) -> None:
    if row.root and os.geteuid() != 0:
        pytest.skip("only root's TLS_UID and TLS_GID are looked at")
    assert run(row, material) == []


def test_no_row_stands_twice() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
