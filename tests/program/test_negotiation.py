"""Versions, cipher order and curves: what is chosen from what both sides offer."""

from __future__ import annotations

import re
import ssl
import subprocess

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, Listener, Program, Wrapped, client_context, require_peer
from tests.program.test_options import CIPHERS
from tests.program.test_transfer import suite
from tests.servers import relay_port

V10, V11, V12, V13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
NAMES = {V10: "TLSv1", V11: "TLSv1.1", V12: "TLSv1.2", V13: "TLSv1.3"}
SERVER = {"tls10": V10, "tls11": V11, "tls12": V12, "tls13": V13}
RANGES = [("tls10", "tls10"), ("tls10", "tls11"), ("tls10", "tls12"), ("tls11", "tls11"), ("tls11", "tls12"),
          ("tls12", "tls12")]  # fmt: skip
CLIENTS = [(V10, V10), (V10, V12), (V11, V11), (V11, V12), (V12, V12), (V12, V13), (V10, V13), (V13, V13)]
OLD = ["-c", "AES_128_CBC_SHA"]


def too_old(program: Program, failure: OSError) -> None:
    """The client was told protocol_version; the original's record version hides it from some clients."""
    reasons = {"TLSV1_ALERT_PROTOCOL_VERSION"} | (set() if program.ours else {"WRONG_VERSION_NUMBER"})
    assert getattr(failure, "reason", "") in reasons


@pytest.mark.parametrize(("low", "high"), RANGES, ids=lambda value: value)
def test_versions(program: Program, certs: Certs, low: str, high: str) -> None:
    """The highest both allow; else protocol_version, and 111."""
    options = ["-vv", "-m", low, "-M", high, *OLD, "-f", certs.server("p256")]
    for minimum, maximum in CLIENTS:
        chosen = min(maximum, SERVER[high])
        with Wrapped(options, ["true"], program=program) as w:
            context = client_context(minimum=minimum, maximum=maximum)
            if chosen >= max(minimum, SERVER[low]):
                with w.tls(context) as tls:
                    assert tls.version() == NAMES[chosen]
                assert w.wait() == 0
                label = NAMES[chosen].replace("v", " ") + (".0" if chosen == V10 else "")
                assert w.texts("info")[0].startswith(
                    f"SSL connection: {label}, ECDSA + ECDHE + AES128/CBC + SHA1, "
                )
            elif chosen >= minimum:  # the client is too old for the server
                failure = w.handshake_fails(context)
                too_old(program, failure)
                assert w.wait() == 111
            elif minimum == V13:  # it offers nothing we have: refused by the server
                failure = w.handshake_fails(context)
                assert w.wait() == 111
            else:  # the server answers with less than the client takes; the client refuses
                w.handshake_fails(context)
                assert w.wait() == 111
            assert w.texts("fatal") == []


def test_a_client_of_tls_1_3_alone(ours: Program, certs: Certs) -> None:
    with Wrapped(["-M", "tls12", "-f", certs.server("p256")], ["true"], program=ours) as w:
        failure = w.handshake_fails(client_context(minimum=V13, maximum=V13))
        assert getattr(failure, "reason", "") == "TLSV1_ALERT_PROTOCOL_VERSION"
        assert w.wait() == 111


@pytest.mark.parametrize("low", ["tls10", "tls11", "tls12"])
def test_the_default_maximum(program: Program, certs: Certs, low: str) -> None:
    context = client_context(maximum=V13)
    with (
        Wrapped(["-m", low, "-f", certs.server("p256")], ["true"], program=program) as w,
        w.tls(context) as tls,
    ):
        assert tls.version() == ("TLSv1.3" if program.ours else "TLSv1.2")


@pytest.mark.parametrize("low", ["tls10", "tls11", "tls12", "tls13"])
def test_versions_up_to_tls_1_3(ours: Program, certs: Certs, low: str) -> None:
    """The newest that both have; with -m tls13 nothing else; a client of TLS 1.2 sees no marker it must refuse."""
    options = ["-v", "-m", low, "-M", "tls13", "-c", "AES_128_CBC_SHA", "-c", "AES_128_GCM_SHA256", "-f",
               certs.server("p256")]  # fmt: skip
    for minimum, maximum in CLIENTS:
        with Wrapped(options, ["true"], program=ours) as w:
            context = client_context(minimum=minimum, maximum=maximum)
            if maximum >= SERVER[low]:
                with w.tls(context) as tls:
                    assert tls.version() == NAMES[maximum]
                assert w.wait() == 0
            else:
                too_old(ours, w.handshake_fails(context))
                assert w.wait() == 111


@pytest.mark.parametrize("hash_", ["SHA256", "SHA384", "SHA512"])
def test_rsa_pss_in_tls_1_2(ours: Program, certs: Certs, hash_: str) -> None:
    """A client that offers nothing else for RSA; from an ECDSA certificate it goes on to the RSA one."""
    openssl = require_peer("openssl")
    prog = ["sh", "-c", 'echo "$SSL_PROTOCOL $SSL_CIPHER"; head -n 1']
    options = ["-v", "-f", certs.server("p256"), "-f", certs.server("rsa2048")]
    with Listener([ours.path, *options, *prog]) as listener:
        # not verified: the authority signs with ECDSA, which -sigalgs takes from the client altogether
        argv = [openssl, "s_client", "-connect", f"127.0.0.1:{listener.port}", "-ign_eof", "-tls1_2", "-sigalgs",
                f"RSA-PSS+{hash_}"]  # fmt: skip
        done = subprocess.run(argv, input=b"hello\n", capture_output=True, timeout=3 * LIMIT_S, check=False)
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert "TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305" in text and "hello" in text, text
        assert "Peer signature type: RSA-PSS" in text and f"Peer signing digest: {hash_}" in text, text
        assert listener.codes() == [0]


def test_no_cipher_of_tls_1_3(ours: Program, certs: Certs) -> None:
    """-c that names none of its ciphers means TLS 1.2."""
    with (
        Wrapped([*OLD, "-f", certs.server("p256")], ["true"], program=ours) as w,
        w.tls(client_context(maximum=V13)) as tls,
    ):
        assert tls.version() == "TLSv1.2"


def test_the_default_minimum_is_tls_1_2(program: Program, certs: Certs) -> None:
    with Wrapped([*OLD, "-f", certs.server("p256")], ["true"], program=program) as w:
        failure = w.handshake_fails(client_context(maximum=V11))
        too_old(program, failure)
        assert w.wait() == 111


@pytest.mark.parametrize(
    "cipher", [name for name in CIPHERS if not name.endswith("CBC_SHA")], ids=lambda name: name
)
def test_new_ciphers_need_tls_1_2(program: Program, certs: Certs, cipher: str) -> None:
    options = ["-m", "tls10", "-c", cipher, "-f", certs.server("p256")]
    with Wrapped(options, ["true"], program=program) as w:
        failure = w.handshake_fails(client_context(maximum=V11))
        assert getattr(failure, "reason", "") == "SSLV3_ALERT_HANDSHAKE_FAILURE"
        assert w.wait() == 111


# --- ciphers ---

DEFAULT = CIPHERS[:3]


def chosen(w: Wrapped, ciphers: str) -> str:
    with w.tls(client_context(ciphers=ciphers)) as tls:
        return tls.cipher()[0]


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_the_default_list_and_its_order(program: Program, certs: Certs, kind: str) -> None:
    """Three AEAD ciphers in the server's order, whatever the client prefers; no other."""
    suites = [suite(name, kind) for name in CIPHERS]
    for skip in range(3):
        with Wrapped(["-f", certs.server(kind)], ["true"], program=program) as w:
            assert chosen(w, ":".join(reversed(suites[skip:]))) == suites[skip]
    with Wrapped(["-f", certs.server(kind)], ["true"], program=program) as w:
        failure = w.handshake_fails(client_context(ciphers=":".join(suites[3:])))
        assert getattr(failure, "reason", "") == "SSLV3_ALERT_HANDSHAKE_FAILURE"


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
@pytest.mark.parametrize("option", [[], ["-s"], ["-S", "-s"], ["-S"], ["-s", "-S"]], ids=" ".join)
def test_whose_order_counts(program: Program, certs: Certs, kind: str, option: list[str]) -> None:
    mine = ["AES_128_CBC_SHA", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_CBC_SHA256"]
    theirs = ["CHACHA20_POLY1305_SHA256", "AES_128_CBC_SHA256", "AES_256_GCM_SHA384", "AES_128_CBC_SHA"]
    listed = [item for name in mine for item in ("-c", name)]
    with Wrapped([*option, *listed, "-f", certs.server(kind)], ["true"], program=program) as w:
        winner = theirs[0] if option[-1:] == ["-S"] else mine[0]
        assert chosen(w, ":".join(suite(name, kind) for name in theirs)) == suite(winner, kind)


def test_only_the_listed_ciphers(program: Program, certs: Certs) -> None:
    for listed in CIPHERS:
        others = ":".join(suite(name, "p256") for name in CIPHERS if name != listed)
        with Wrapped(["-c", listed, "-f", certs.server("p256")], ["true"], program=program) as w:
            w.handshake_fails(client_context(ciphers=others))
            assert w.wait() == 111


@pytest.mark.parametrize(
    "ciphers", ["kRSA", "kDHE:DHE", "ECDHE-ECDSA-AES128-CCM", "aNULL:eNULL", "PSK"], ids=lambda name: name
)
def test_never_anything_but_ecdhe(program: Program, certs: Certs, ciphers: str) -> None:
    options = ["-m", "tls10", *[item for name in CIPHERS for item in ("-c", name)]]
    with Wrapped([*options, "-f", certs.server("rsa2048")], ["true"], program=program) as w:
        try:
            context = client_context(ciphers=ciphers)
        except ssl.SSLError:
            pytest.skip("this OpenSSL has no such cipher")
        failure = w.handshake_fails(context)
        assert getattr(failure, "reason", "") in ("SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_CIPHERS_AVAILABLE")


# --- curves ---

CURVES = {"x25519": "X25519", "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
ALL = list(CURVES)
CURVE_CASES = [
    # server's -e, the client's list in its order, the one chosen (None: handshake_failure)
    ([], ["x25519", "secp256r1"], "x25519"),
    ([], ["secp256r1", "x25519"], "x25519"),
    ([], ["secp521r1", "secp384r1", "secp256r1"], "secp256r1"),
    ([], ["secp384r1", "secp521r1"], None),
    (ALL, ["secp521r1", "secp384r1", "secp256r1", "x25519"], "x25519"),
    (ALL, ["secp521r1", "secp384r1", "secp256r1"], "secp256r1"),
    (ALL, ["secp521r1", "secp384r1"], "secp384r1"),
    (ALL, ["secp521r1"], "secp521r1"),
    (list(reversed(ALL)), ["secp521r1", "secp384r1", "x25519"], "x25519"),
    (["secp521r1", "secp384r1"], ["secp521r1", "x25519", "secp384r1"], "secp384r1"),
    (["secp384r1"], ["x25519", "secp256r1"], None),
    (["x25519"], ["secp256r1"], None),
    (["x25519"], ["x25519"], "x25519"),
    (["secp256r1"], ["x25519", "secp256r1"], "secp256r1"),
]


@pytest.mark.parametrize("order", ["-s", "-S"])
@pytest.mark.parametrize(("offered", "wanted", "expected"), CURVE_CASES, ids=str)
def test_curves(
    program: Program, certs: Certs, order: str, offered: list[str], wanted: list[str], expected: str | None
) -> None:
    """x25519 first, then the lowest id, whatever the order of either side."""
    openssl = require_peer("openssl")
    options = ["-v", order, *[item for name in offered for item in ("-e", name)]]
    with Wrapped([*options, "-f", certs.server("rsa2048")], ["true"], program=program) as w:
        with relay_port(w.client) as port:
            groups = ":".join(CURVES[name] for name in wanted)
            done = subprocess.run(
                [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-groups", groups, "-tls1_2"],
                input=b"",
                capture_output=True,
                timeout=10,
                check=False,
            )
        if expected:
            assert w.wait() == 0
            assert f", {expected}, sni='" in w.texts("info")[0]
            key = {"x25519": "X25519", "secp256r1": "ECDH, prime256v1"}.get(expected, f"ECDH, {expected}")
            assert re.search(rf"^Server Temp Key: {key}", done.stdout.decode(), re.M)
        else:
            assert w.wait() == 111
            assert b"alert handshake failure" in done.stderr
            assert w.texts("info") == []


# --- what is never offered ---


def test_never_resumed_no_tickets_no_alpn(program: Program, certs: Certs) -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    session = None
    for _ in range(2):
        with Wrapped(["-f", certs.server("p256")], ["true"], program=program) as w:
            tls = context.wrap_socket(w.client, session=session)
            assert not tls.session_reused
            assert tls.selected_alpn_protocol() is None
            assert tls.compression() is None
            session = tls.session
            assert session is None or not session.has_ticket
            tls.close()
            w.wait()
