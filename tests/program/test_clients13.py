"""Real clients over TLS 1.3: suites, groups, certificates of both sides, HelloRetryRequest, ALPN, ends."""

from __future__ import annotations

import contextlib
import itertools
import re
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.certs import Certs, certificate_pem
from tests.client.server13 import RETRY_RANDOM
from tests.harness import Listener, Program, Wrapped, client_context, needs_root, require_peer
from tests.isolation.connection import hooked
from tests.servers import Tap
from tests.wire.names import WARNING, Alert
from tests.wire.records import Refused
from tests.wire13.client import Client13

from .peers13 import (
    CHROMIUM_GROUPS,
    CHROMIUM_KINDS,
    CLIENTS,
    GROUPS,
    KINDS,
    SUITES,
    V13,
    Clients,
    groups_for,
    run,
    server,
)

pytestmark = needs_root


def heard(text: str, suite: str = "CHACHA20_POLY1305_SHA256", subject: str = "none") -> int:
    """How often the server said what it should, and what it was told."""
    return len(re.findall(rf"TLSv1\.3 {SUITES[suite]} {subject}\n(?:GET /)?hello", text))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", CLIENTS)
def test_suites_and_certificates(
    ours: Program, certs: Certs, clients: Clients, client: str, kind: str, suite: str
) -> None:
    with server(ours, certs, kind, "-c", suite) as listener:
        text = clients.run(client, listener.port)
        if (client, kind) == ("nss", "ed25519"):
            assert "SSL_ERROR_NO_CYPHER_OVERLAP" in text and listener.codes() == [111], text  # handshake_failure
            return
        assert heard(text, suite) == listener.codes().count(0) == (2 if client == "go" else 1), text


@pytest.mark.parametrize(
    ("suite", "code"), list(zip(SUITES, (0x1303, 0x1302, 0x1301), strict=True))
)
@pytest.mark.parametrize("client", ["openssl", "nss", "curl"])
def test_the_one_suite_of_the_client(
    ours: Program, certs: Certs, clients: Clients, client: str, suite: str, code: int
) -> None:
    name = SUITES[suite]
    words = {"openssl": ("-ciphersuites", name), "nss": ("-c", f":{code:X}"), "curl": ("--tls13-ciphers", name)}
    with server(ours, certs, "p256") as listener:
        text = clients.run(client, listener.port, (), *words[client])
        assert heard(text, suite) == listener.codes().count(0) == 1, text


@pytest.mark.parametrize(("client", "group", "retry"), [
    row for row in itertools.product(CLIENTS, GROUPS, (False, True)) if row != ("python", "x25519", True)
])  # fmt: skip
def test_groups(ours: Program, certs: Certs, clients: Clients, client: str, group: str, retry: bool) -> None:
    """With a share of the group, and with one of another first: a HelloRetryRequest."""
    with server(ours, certs, "p256", "-e", group) as listener, Tap(listener.port) as tap:
        text = clients.run(client, tap.port, groups_for(group, retry))
        assert heard(text) == listener.codes().count(0) == (2 if client == "go" else 1), text
        assert tap.said.count(RETRY_RANDOM) == retry * heard(text)
        assert listener.wait_stderr(f", {group}, sni='localhost'")


@pytest.mark.parametrize("retry", [False, True], ids=["share", "retry"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ed25519"])
@pytest.mark.parametrize("client", CLIENTS)
def test_client_certificates(
    ours: Program, certs: Certs, clients: Clients, client: str, kind: str, retry: bool
) -> None:
    """All that -a asks for; Ed25519 is not among it."""
    with server(ours, certs, "p256", "-e", "secp384r1", "-a", certs.client_ca) as listener, Tap(listener.port) as tap:
        text = clients.run(client, tap.port, groups_for("secp384r1", retry), *clients.shows(client, kind))
        assert heard(text, subject=f"CN={kind}") == listener.codes().count(0) == (2 if client == "go" else 1), text
        assert tap.said.count(RETRY_RANDOM) == retry * listener.codes().count(0)


def test_chromium(ours: Program, certs: Certs, clients: Clients, tmp_path: Path) -> None:
    """One start for all: a page fetches from a server for each suite and certificate, and from one for each group."""
    with contextlib.ExitStack() as stack:
        wanted, taps = {}, {}
        for kind, suite in itertools.product(CHROMIUM_KINDS, SUITES):
            wanted[stack.enter_context(server(ours, certs, kind, "-c", suite)).port] = SUITES[suite]
        for group in CHROMIUM_GROUPS:
            listener = stack.enter_context(server(ours, certs, "p256", "-e", group))
            taps[group] = stack.enter_context(Tap(listener.port))
            wanted[taps[group].port] = SUITES["CHACHA20_POLY1305_SHA256"]
        text = clients.chromium(list(wanted), tmp_path)
        for port, suite in wanted.items():
            assert f"{port} TLSv1.3 {suite} none\nGET /hello" in text, text
        assert {group: RETRY_RANDOM in tap.said for group, tap in taps.items()} == CHROMIUM_GROUPS


CHOICES = [  # the files in their order, what the client verifies, whose certificate it gets (None: no handshake)
    (("p384", "p256"), "ECDSA+SHA256", "p256"),
    (("p384", "p256"), "ECDSA+SHA256:ECDSA+SHA384", "p384"),
    (("p521", "p384", "p256"), "ECDSA+SHA384", "p384"),
    (("p384", "rsa2048"), "ECDSA+SHA256:RSA-PSS+SHA256", "rsa2048"),
    (("p384", "p521"), "ECDSA+SHA256", None),
    (("ed25519", "p256"), "ed25519:ECDSA+SHA256", "ed25519"),
    (("ed25519", "p256"), "ECDSA+SHA256", "p256"),
    (("ed25519", "rsa2048"), "RSA-PSS+SHA512", "rsa2048"),
    (("rsa2048", "p256", "ed25519"), "ed25519", "ed25519"),
    (("ed25519",), "ECDSA+SHA256:RSA-PSS+SHA256", None),
]


@pytest.mark.parametrize(("kinds", "schemes", "chosen"), CHOICES, ids=str)
@pytest.mark.parametrize("retry", [False, True], ids=["share", "retry"])
def test_the_identity_that_fits(
    ours: Program, certs: Certs, kinds: Sequence[str], schemes: str, chosen: str | None, retry: bool
) -> None:
    """The first that can sign by a scheme of the client's, whatever else has its type of key."""
    options = [word for kind in kinds for word in ("-f", certs.server(kind))]
    prog = ["sh", "-c", 'echo "$SSL_PROTOCOL"; head -n 1']
    argv = [require_peer("openssl"), "s_client", "-tls1_3", "-ign_eof", "-sigalgs", schemes]
    argv += ["-groups", "P-384:X25519"] if retry else []
    with Listener([ours.path, "-v", *options, *prog]) as listener:
        text = run([*argv, "-connect", f"127.0.0.1:{listener.port}"])
        if chosen is None:
            assert "alert handshake failure" in text, text
            assert listener.codes() == [111]
            return
        assert "TLSv1.3\nhello" in text and certificate_pem(certs.leaf(chosen)) in text, text
        assert listener.codes() == [0]


def test_ed25519_is_passed_over_before_tls_1_3(ours: Program, certs: Certs) -> None:
    """One file for those who can, one for the others."""
    argv = [require_peer("openssl"), "s_client", "-tls1_2", "-ign_eof"]
    with server(ours, certs, "p256", "-f", certs.server("ed25519")) as listener:
        text = run([*argv, "-connect", f"127.0.0.1:{listener.port}"])
        assert "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305" in text and "hello" in text, text


@pytest.mark.parametrize(("offered", "ours_", "chosen"), [
    (["h2", "http/1.1"], "h2,http/1.1", "h2"), (["h2", "http/1.1"], "http/1.1,h2", "http/1.1"),
    (["http/1.1"], "h2,http/1.1", "http/1.1"), ([], "h2", None), (["x"], "h2", "refused"),
])  # fmt: skip
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, V13], ids=["tls12", "tls13"])
def test_alpn(
    ours: Program, certs: Certs, version: ssl.TLSVersion, offered: list[str], ours_: str, chosen: str | None
) -> None:
    """The first of ours that the client has, in SSL_ALPN too; no_application_protocol when there is none."""
    context = client_context(minimum=version, maximum=version)
    if offered:
        context.set_alpn_protocols(offered)
    prog = ["sh", "-c", 'echo "${SSL_ALPN-unset}"']
    with Wrapped(["-v", "--alpn", ours_, "-f", certs.server("p256")], prog, program=ours,
                 extra_env={"SSL_ALPN": "inherited"}) as w:  # fmt: skip
        if chosen == "refused":
            assert "alert no application protocol" in str(w.handshake_fails(context))
            assert w.wait() == 111
            return
        with w.tls(context) as tls:
            assert tls.selected_alpn_protocol() == chosen
            assert tls.recv(100).decode().strip() == (chosen or "unset")
        assert w.wait() == 0


@pytest.mark.parametrize(
    ("kind", "version"), [(kind, v) for kind in KINDS for v in ("tls12", "tls13") if (kind, v) != ("ed25519", "tls12")]
)
def test_alpn_go(ours: Program, certs: Certs, clients: Clients, kind: str, version: str) -> None:
    """Go's crypto/tls verifies every kind of certificate; application protocol and the line it sent come back."""
    with server(ours, certs, kind, "-M", version, "--alpn", "foo") as listener:
        text = clients.go(listener.port, (), None, "foo")
        name = "TLSv1.3" if version == "tls13" else "TLSv1.2"
        assert len(re.findall(rf' false "foo"\n[^"]*\n{name} \S+ foo\nhello\n', text)) == 2, text


@pytest.mark.parametrize("field", ["commonName", "emailAddress"])
def test_client_certificate(ours: Program, certs: Certs, field: str) -> None:
    """-a and -U: prog runs as the account that the certificate names."""
    context = client_context(minimum=V13, maximum=V13)
    pem = certs.client("nobody") if field == "commonName" else certs.client("x", email="nobody@example.com")
    context.load_cert_chain(pem)
    words = ["-v", "-a", certs.client_ca, "-U", field, "-f", certs.server("p256")]
    with Wrapped(words, ["sh", "-c", 'id -un; echo "$SSL_PEER_CERT_HASH"'], program=ours) as w:
        with w.tls(context) as tls:
            said = b""
            while data := tls.recv(1000):
                said += data
        assert said.startswith(b"nobody\nSHA256:"), said
        assert w.wait() == 0


@pytest.mark.parametrize("suite", SUITES)
def test_key_update_at_the_limit(certs: Certs, suite: str) -> None:
    """A key that has sealed as much as it may is followed by the next (RFC 8446 5.5); here after a hundred records."""
    size, most = 4_000_000, 100
    words = ["-c", suite, "-f", certs.server("p256")]
    prog = ["head", "-c", str(size), "/dev/zero"]
    with Wrapped(words, prog, program=hooked(), extra_env={"BEARWRAP_TEST_RECORDS": str(most)}) as w:
        client = Client13(w.client)
        client.handshake()
        longest = 0
        with pytest.raises(Refused):  # by close_notify, before which another KeyUpdate may come
            while True:
                client.pump()
                longest = max(longest, client.read_seq)
        assert [alert.description for alert in client.alerts] == [Alert.CLOSE_NOTIFY]
        assert not any(client.data) and len(client.data) == size
        assert len(client.updates) >= size // 16384 // most and set(client.updates) == {b"\0"}
        assert longest < most
        assert client.close() == "eof"
        assert w.wait() == 0


def test_half_close(ours: Program, certs: Certs) -> None:
    """The client's close_notify ends prog's input, and what prog says then still arrives (RFC 8446 6.1)."""
    prog = ["sh", "-c", "cat >/dev/null; echo after the end"]
    with Wrapped(["-f", certs.server("p256")], prog, program=ours) as w:
        client = Client13(w.client)
        client.handshake()
        client.send_data(b"a line")
        client.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        assert client.read_data(14) == b"after the end\n"
        assert client.drain() == "eof"
        assert [alert.description for alert in client.alerts] == [Alert.CLOSE_NOTIFY]
        assert w.wait() == 0
