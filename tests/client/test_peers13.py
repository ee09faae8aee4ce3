"""s6-tlsc and TLS 1.3 servers of others: every suite, group and kind of certificate, HelloRetryRequest, our own key."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import ServerProcess, free_port, require_peer, server_process

from .material import Material
from .peers import gnutls_server, openssl_server
from .test_memory import hooked
from .test_peers import FETCH, LOCAL, connected, variables
from .tlsc import Tlsc

ECHO = ["sh", "-c", 'echo abc >&7; read x <&6; echo "$x $SSL_PROTOCOL $SSL_CIPHER"']
SUITES = ("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")
KINDS = ("p256", "p384", "p521", "rsa2048", "rsa4096")
GROUPS = {"X25519": "x25519", "P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}


def group_used(run: Tlsc) -> str:
    """What the line at -v2 says."""
    found = re.search(r"SSL connection: TLS 1\.3, .*, (\w+), sni='localhost'", run.stderr)
    assert found, run.stderr
    return found[1]


def openssl(material: Material, kind: str, *words: str):  # type: ignore[no-untyped-def]
    return openssl_server(material.path(kind), "-rev", "-quiet", *words, version="-tls1_3")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suite", SUITES)
def test_openssl(material: Material, kind: str, suite: str) -> None:
    with (
        openssl(material, kind, "-ciphersuites", suite) as server,
        Tlsc(["-S", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.decode() == f"cba TLSv1.3 {suite}\n"


@pytest.mark.parametrize("group", GROUPS)
def test_openssl_groups(material: Material, group: str) -> None:
    """All but the first by a HelloRetryRequest."""
    with (
        openssl(material, "p256", "-groups", group) as server,
        Tlsc(["-S", "-v2", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert group_used(run) == GROUPS[group]


@pytest.mark.parametrize("scheme", ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"])
def test_openssl_pss(material: Material, scheme: str) -> None:
    with (
        openssl(material, "rsa2048", "-sigalgs", scheme) as server,
        Tlsc(["-S", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr


@pytest.mark.parametrize("scheme", ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha512"])
def test_openssl_pss_in_tls_1_2(material: Material, scheme: str) -> None:
    """What is offered for TLS 1.3 may be used in 1.2 (RFC 8446 section 4.2.3)."""
    words = ["-rev", "-quiet", "-sigalgs", scheme]
    with (
        openssl_server(material.path("rsa2048"), *words, version="-tls1_2") as server,
        Tlsc(["-S", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.startswith(b"cba TLSv1.2 ECDHE-RSA-")


@pytest.mark.parametrize("pair", ["ec", "rsa", ""])
def test_openssl_asks_for_a_certificate(material: Material, pair: str) -> None:
    """Its refusal comes when the handshake is over for us."""
    words = ["-Verify", "2", "-CAfile", str(material.path("client_ca")), "-verify_return_error"]
    prog = ["sh", "-c", "echo abc >&7; read x <&6 && echo $x"]
    with (
        openssl(material, "p256", *words) as server,
        Tlsc(["-S", *(["-y"] if pair else []), *LOCAL], prog, env=variables(material, pair),
             sock=connected(server.port)) as run,
    ):  # fmt: skip
        code = run.wait()
        assert (code == 0, run.stdout) == ((True, b"cba\n") if pair else (False, b"")), run.stderr
        if not pair:
            assert "after the handshake: alert certificate_required received" in run.stderr


def test_openssl_middlebox_and_tickets(material: Material) -> None:
    """Without the compatibility mode of the server, and with many tickets."""
    with (
        openssl(material, "p256", "-no_middlebox", "-num_tickets", "9") as server,
        Tlsc(["-S", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr


@pytest.mark.parametrize("suite", SUITES)
def test_openssl_follows_our_key_updates(material: Material, suite: str) -> None:
    """A key that has sealed as much as it may is followed by the next (RFC 8446 5.5); here after a few."""
    size = 300_000
    prog = ["sh", "-c", f"(head -c {size} /dev/zero | tr '\\0' x >&7) & exec 7>&-; tr -d '\\n' <&6 | wc -c"]
    env = {**variables(material), "BEARWRAP_TEST_RECORDS": "70"}
    with (
        openssl(material, "p256", "-ciphersuites", suite, "-msg") as server,
        Tlsc(["-S", *LOCAL], prog, env=env, sock=connected(server.port), executable=hooked()) as run,
    ):
        assert (run.wait(), run.stdout.strip()) == (0, b"%d" % size), run.stderr
        assert server.wait_output(r"(?:^<<< TLS 1\.3, Handshake .*KeyUpdate$(?s:.*)){3}")


# --- GnuTLS ---


def gnutls(material: Material, kind: str, priority: str, *words: str):  # type: ignore[no-untyped-def]
    return gnutls_server(material.path(kind), *words, priority=f"NORMAL:-VERS-ALL:+VERS-TLS1.3:{priority}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("cipher", "suite"), zip(("CHACHA20-POLY1305", "AES-256-GCM", "AES-128-GCM"), SUITES, strict=True)
)
def test_gnutls(material: Material, kind: str, cipher: str, suite: str) -> None:
    with (
        gnutls(material, kind, f"-CIPHER-ALL:+{cipher}", "--echo") as server,
        Tlsc(["-S", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.decode() == f"abc TLSv1.3 {suite}\n"


@pytest.mark.parametrize("group", ["X25519", "SECP256R1", "SECP384R1", "SECP521R1"])
def test_gnutls_groups(material: Material, group: str) -> None:
    with (
        gnutls(material, "p256", f"-GROUP-ALL:+GROUP-{group}", "--echo") as server,
        Tlsc(["-S", "-v2", *LOCAL], ECHO, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert group_used(run) == group.lower()


@pytest.mark.parametrize("pair", ["ec", "rsa"])
def test_gnutls_asks_for_a_certificate(material: Material, pair: str) -> None:
    words = ["--echo", "--require-client-cert", "--verify-client-cert", f"--x509cafile={material.path('client_ca')}"]
    with (
        gnutls(material, "p256", "%COMPAT", *words) as server,
        Tlsc(["-S", "-y", *LOCAL], ECHO, env=variables(material, pair), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.startswith(b"abc TLSv1.3")


@pytest.mark.parametrize("size", [512, 4096])
def test_gnutls_takes_small_records(material: Material, size: int) -> None:
    """Its record_size_limit holds for what prog sends."""
    prog = ["sh", "-c", "(yes | head -c 100000 >&7) & head -c 100000 <&6 | wc -c"]
    with (
        gnutls(material, "p256", "%COMPAT", "--echo", f"--recordsize={size}") as server,
        Tlsc(["-S", *LOCAL], prog, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert (run.wait(), run.stdout.strip()) == (0, b"100000"), run.stderr


# --- NSS ---


@contextmanager
def nss_server(material: Material, folder: Path, kind: str, *words: str) -> Iterator[ServerProcess]:
    """selfserv, which answers a GET with what it has got."""
    selfserv, certutil, pk12util = (require_peer(name) for name in ("selfserv", "certutil", "pk12util"))
    subprocess.run([certutil, "-N", "-d", folder, "--empty-password"], check=True, capture_output=True)
    subprocess.run(
        [require_peer("openssl"), "pkcs12", "-export", "-in", material.path(kind), "-name", "server", "-out",
         folder / "p12", "-passout", "pass:x"], check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        [pk12util, "-i", folder / "p12", "-d", folder, "-W", "x", "-K", ""], check=True, capture_output=True
    )
    port = free_port()
    command = [selfserv, "-d", folder, "-n", "server", "-p", str(port), "-V", "tls1.3:tls1.3", "-u", *words]
    command += ["-e", "server"] if kind.startswith("p") else []
    with server_process(command, port) as server:
        yield server


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
@pytest.mark.parametrize("groups", [(), ("-I", "P256"), ("-I", "P521")], ids=["any", "P256", "P521"])
def test_nss(material: Material, tmp_path: Path, kind: str, groups: tuple[str, ...]) -> None:
    with (
        nss_server(material, tmp_path, kind, *groups) as server,
        Tlsc(["-S", *LOCAL], FETCH, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.startswith(b"HTTP/1.0 200 OK")

