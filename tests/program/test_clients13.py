"""Real clients over TLS 1.3: suites, groups, certificates of both sides, HelloRetryRequest, resumption, ALPN."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.certs import Certs, certificate_pem
from tests.harness import LIMIT_S, Listener, Program, Wrapped, client_context, needs_root, require_peer
from tests.isolation.connection import hooked
from tests.program.test_clients import chromium
from tests.serve.listening import Serving
from tests.wire.names import WARNING, Alert
from tests.wire.records import Refused
from tests.wire13.client import Client13

pytestmark = needs_root
V13 = ssl.TLSVersion.TLSv1_3
SUITES = {
    "CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
    "AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
}
OPENSSL_GROUPS = {"x25519": "X25519", "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
GNUTLS_GROUPS = {
    "x25519": "GROUP-X25519", "secp256r1": "GROUP-SECP256R1", "secp384r1": "GROUP-SECP384R1",
    "secp521r1": "GROUP-SECP521R1",
}  # fmt: skip
KINDS = ["rsa2048", "rsa4096", "p256", "p384", "p521", "ed25519"]


def server(program: Program, certs: Certs, kind: str, *options: str) -> Listener:
    """A listening wrapper around a prog that says what it was told, and ends."""
    prog = ["sh", "-c", 'echo "$SSL_PROTOCOL $SSL_CIPHER ${SSL_ALPN:-none}"; head -n 1']
    return Listener([program.path, "-v", *options, "-f", certs.server(kind), *prog])


def run(argv: Sequence[object], text: bytes = b"hello\n") -> str:
    """A client that gets a line on its input; all that it says."""
    done = subprocess.run(list(map(str, argv)), input=text, capture_output=True, timeout=3 * LIMIT_S, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def openssl(listener: Listener, certs: Certs, *more: object) -> str:
    """What s_client says, verifying the server."""
    argv = [require_peer("openssl"), "s_client", "-connect", f"localhost:{listener.port}", "-4", "-tls1_3", "-ign_eof"]
    return run([*argv, "-CAfile", certs.ca, "-verify_return_error", "-servername", "localhost", *more])


def gnutls(listener: Listener, certs: Certs, priority: str, *more: object) -> str:
    """What gnutls-cli says, verifying the server."""
    argv = [require_peer("gnutls-cli"), "--x509cafile", certs.ca, "--priority", priority, "--sni-hostname", "localhost"]
    return run([*argv, "--verify-hostname", "localhost", "-p", listener.port, *more, "127.0.0.1"])


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", KINDS)
def test_openssl(ours: Program, certs: Certs, kind: str, suite: str) -> None:
    with server(ours, certs, kind, "-c", suite) as listener:
        text = openssl(listener, certs)
        assert f"TLSv1.3 {SUITES[suite]} none" in text and "hello" in text, text
        assert listener.codes() == [0]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", KINDS)
def test_gnutls(ours: Program, certs: Certs, kind: str, suite: str) -> None:
    with server(ours, certs, kind, "-c", suite) as listener:
        text = gnutls(listener, certs, "NORMAL:-VERS-ALL:+VERS-TLS1.3")
        assert f"TLSv1.3 {SUITES[suite]} none" in text and "hello" in text, text


@pytest.mark.parametrize("group", OPENSSL_GROUPS)
@pytest.mark.parametrize("retry", [False, True], ids=["share", "retry"])
def test_groups(ours: Program, certs: Certs, group: str, retry: bool) -> None:
    """With a share of the group, and with one of another first: a HelloRetryRequest."""
    first = "P-384" if group == "secp256r1" else "P-256"
    wanted = f"{first}:{OPENSSL_GROUPS[group]}" if retry else OPENSSL_GROUPS[group]
    with server(ours, certs, "p256", "-e", group) as listener:
        text = openssl(listener, certs, "-groups", wanted, "-msg")
        assert "hello" in text, text
        assert len(re.findall(r">>> TLS 1\.3, Handshake \[length \w+\], ClientHello", text)) == 1 + retry, text
        assert listener.wait_stderr(f", {group}, sni='localhost'")
        other = "GROUP-SECP384R1" if group == "secp256r1" else "GROUP-SECP256R1"
        names = f"+{other}:+{GNUTLS_GROUPS[group]}" if retry else f"+{GNUTLS_GROUPS[group]}"
        single = ["--single-key-share"] if retry else []
        text = gnutls(listener, certs, f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:{names}", *single)
        assert "hello" in text, text


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


def test_resumption_openssl(ours: Program, certs: Certs, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with Serving(["-f", str(certs.server("p256"))], ["sh", "-c", "echo greetings; head -n 1"]) as serving:
        argv = [require_peer("openssl"), "s_client", "-connect", f"127.0.0.1:{serving.port}", "-tls1_3", "-ign_eof"]
        assert "New, TLSv1.3" in run([*argv, "-sess_out", session])
        for _ in range(2):
            assert "Reused, TLSv1.3" in run([*argv, "-sess_in", session])
        assert serving.wait_counter("bearwrap_served_total", 3)["bearwrap_resumed_total"] == 2


def test_resumption_gnutls(ours: Program, certs: Certs) -> None:
    with Serving(["-f", str(certs.server("p256"))], ["sh", "-c", "echo greetings; head -n 1"]) as serving:
        argv = [require_peer("gnutls-cli"), "--resume", "--insecure", "--waitresumption", "127.0.0.1"]
        text = run([*argv, "-p", serving.port])
        assert "*** This is a resumed session" in text, text


def test_resumption_nss(certs: Certs, tmp_path: Path) -> None:
    """tstclnt connects twice, verifying the server the first time."""
    tstclnt, certutil = require_peer("tstclnt"), require_peer("certutil")
    store, request = f"sql:{tmp_path}", tmp_path / "request"
    for command in (["-N", "--empty-password"], ["-A", "-n", "ca", "-t", "C,,", "-i", certs.ca]):
        run([certutil, *command, "-d", store])
    request.write_bytes(b"hello\n")
    with Serving(["-f", str(certs.server("p256"))], ["sh", "-c", "echo greetings; head -n 1"]) as serving:
        argv = [tstclnt, "-h", "localhost", "-p", serving.port, "-d", store, "-4", "-V", "tls1.3:tls1.3"]
        text = run([*argv, "-A", request, "-L", 2])
        assert text.count("greetings\nhello\n") == 2 and "1 stateless resumes" in text, text
        assert serving.wait_counter("bearwrap_served_total", 2)["bearwrap_resumed_total"] == 1


def numbers(folder: Path) -> Path:
    """A site whose page fetches four files, one after the other, and shows their sum."""
    script = """let sum = 0; async function add() { for (let i = 0; i < 4; i++) {
        sum += Number(await (await fetch('n' + i)).text()); document.getElementById('a').textContent = 'sum ' + sum }
    } add()"""
    folder.mkdir()
    (folder / "index.html").write_text(f"<!doctype html><h1 id=a>not run</h1><script>{script}</script>")
    for i in range(4):
        (folder / f"n{i}").write_text(str(i + 1))
    return folder


def test_resumption_chromium(certs: Certs, tmp_path: Path) -> None:
    """A connection for each file: once the browser has a ticket, it resumes."""
    prog = [require_peer("busybox"), "httpd", "-i", "-h", numbers(tmp_path / "site")]
    with Serving(["-f", str(certs.server("p256"))], prog) as serving:
        done = chromium(["--dump-dom", "--virtual-time-budget=5000"], f"https://localhost:{serving.port}/", tmp_path)
        assert b'<h1 id="a">sum 10</h1>' in done.stdout, done.stderr[-2000:]
        assert serving.counters()["bearwrap_resumed_total"] >= 1


def test_resumption_curl(certs: Certs, tmp_path: Path) -> None:
    """Several addresses in one call, a connection each."""
    prog = [require_peer("busybox"), "httpd", "-i", "-h", numbers(tmp_path / "site")]
    with Serving(["-f", str(certs.server("rsa2048"))], prog) as serving:
        argv = [require_peer("curl"), "-sS", "--fail", "--http1.0", "--noproxy", "*", "--cacert", certs.ca]
        text = run([*argv, *(f"https://localhost:{serving.port}/n{i}" for i in range(4))])
        assert text == "1234"
        assert serving.wait_counter("bearwrap_served_total", 4)["bearwrap_resumed_total"] >= 1


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """client.go, compiled; Go is a large package, so it is no peer that must be there."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler")
    folder = tmp_path_factory.mktemp("go")
    env = {**os.environ, "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOPROXY": "off", "CGO_ENABLED": "0"}
    source = Path(__file__).with_name("client.go")
    subprocess.run([go, "build", "-o", folder / "client", source], env=env, check=True, timeout=300)
    return folder / "client"


@pytest.mark.parametrize(
    ("kind", "version"), [(kind, v) for kind in KINDS for v in ("tls12", "tls13") if (kind, v) != ("ed25519", "tls12")]
)
def test_go(ours: Program, certs: Certs, go_client: Path, kind: str, version: str) -> None:
    """Go's crypto/tls verifies every kind of certificate; application protocol and the line it sent come back."""
    with server(ours, certs, kind, "-M", version, "--alpn", "foo") as listener:
        lines = run([go_client, listener.port, certs.ca, 29, "foo"]).splitlines()
        name = "TLSv1.3" if version == "tls13" else "TLSv1.2"
        assert len(lines) == 2 and all(f'false "foo" {name}' in line for line in lines), lines


@pytest.mark.parametrize("group", OPENSSL_GROUPS)
def test_go_groups_and_resumption(certs: Certs, go_client: Path, group: str) -> None:
    """A share of the group, then a ticket; a HelloRetryRequest for X25519.

    Not both: Go 1.19.6 to 1.20.3 make a wrong binder after a HelloRetryRequest (its issue 59424).
    """
    number = {"x25519": 29, "secp256r1": 23, "secp384r1": 24, "secp521r1": 25}[group]
    for ours in (group, "x25519"):
        with Serving(["-e", ours, "-f", str(certs.server("p256"))], ["sh", "-c", "head -n 1"]) as serving:
            lines = run([go_client, serving.port, certs.ca, number]).splitlines()
            resumed = [line.split()[2] for line in lines if "a line from Go" in line]
            assert resumed == ["false", "true"] or (ours != group and resumed[:1] == ["false"]), lines


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_resumption_python(ours: Program, certs: Certs, tmp_path: Path, kind: str) -> None:
    """With --ticket-keys, from one process to the next."""
    keys = tmp_path / "keys"
    keys.write_bytes(os.urandom(48))
    context = client_context(minimum=V13, maximum=V13)
    session = None
    for turn in range(3):
        with Wrapped(["-v", "--ticket-keys", keys, "-f", certs.server(kind)], ["echo", "hi"], program=ours) as w:
            tls = context.wrap_socket(w.client, session=session)
            assert tls.recv(10) == b"hi\n"
            assert tls.session_reused == (turn > 0)
            session = tls.session
            tls.close()
            assert w.wait() == 0
            assert (", resumed" in w.texts("info")[0]) == (turn > 0)


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
