"""s6-tlsc and TLS 1.3 servers of others: suites, groups and HelloRetryRequest, certificates of both sides."""

from __future__ import annotations

import itertools
import re

import pytest

from .material import Material
from .peers import gnutls_server, openssl_server
from .peers13 import ANSWERS, GROUPS, KINDS, REQUEST, SERVERS, SUITES, Servers
from .server13 import RETRY_RANDOM
from .test_memory import hooked
from .test_peers import LOCAL, connected, variables
from .tlsc import Tlsc

ECHO = ["sh", "-c", 'echo abc >&7; read x <&6; echo "$x $SSL_PROTOCOL $SSL_CIPHER"']
GET = ["sh", "-c", f"printf {REQUEST!r} >&7; read x <&6 && echo \"$SSL_PROTOCOL $SSL_CIPHER $x\""]


@pytest.fixture(scope="module")
def servers(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return Servers(material, tmp_path_factory.mktemp("servers"))


@pytest.mark.parametrize(("server", "suite"), [
    (server, suite) for at, server in enumerate(SERVERS) for suite in SUITES if SUITES[suite][at] is not None
])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_suites_and_certificates(servers: Servers, material: Material, server: str, suite: str, kind: str) -> None:
    with (
        servers.run(server, kind, suite=suite) as tap,
        Tlsc(["-S", *LOCAL], GET, env=variables(material), sock=connected(tap.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.decode() == f"TLSv1.3 {suite} {ANSWERS[SERVERS.index(server)]}\n"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("server", SERVERS)
def test_groups(servers: Servers, material: Material, server: str, group: str) -> None:
    """All but the first by a HelloRetryRequest."""
    with (
        servers.run(server, "p256", group=group) as tap,
        Tlsc(["-S", "-v2", *LOCAL], GET, env=variables(material), sock=connected(tap.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert re.search(rf"SSL connection: TLS 1\.3, .*, {group}, sni='localhost'", run.stderr), run.stderr
        assert tap.said.count(RETRY_RANDOM) == (group != "x25519")


@pytest.mark.parametrize("retry", [False, True], ids=["share", "retry"])
@pytest.mark.parametrize(("server", "kind"), [
    row for row in itertools.product(SERVERS, (*KINDS, "ed25519")) if row != ("nss", "ed25519")
])  # fmt: skip
def test_client_certificates(servers: Servers, material: Material, server: str, kind: str, retry: bool) -> None:
    """A server that insists answers when it has verified ours."""
    pem = material.certs.client("nobody", kind=kind)
    env = {**variables(material), "KEYFILE": pem, "CERTFILE": pem}
    with (
        servers.run(server, "p256", group="secp384r1" if retry else "x25519", asks=True) as tap,
        Tlsc(["-S", "-y", *LOCAL], GET, env=env, sock=connected(tap.port)) as run,
    ):
        assert run.wait() == 0, run.stderr
        assert run.stdout.decode().endswith(f" {ANSWERS[SERVERS.index(server)]}\n")
        assert tap.said.count(RETRY_RANDOM) == retry


# --- OpenSSL ---


def openssl(material: Material, kind: str, *words: str):  # type: ignore[no-untyped-def]
    return openssl_server(material.path(kind), "-rev", "-quiet", *words, version="-tls1_3")


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


@pytest.mark.parametrize("size", [512, 4096])
def test_gnutls_takes_small_records(material: Material, size: int) -> None:
    """Its record_size_limit holds for what prog sends."""
    prog = ["sh", "-c", "(yes | head -c 100000 >&7) & head -c 100000 <&6 | wc -c"]
    with (
        gnutls(material, "p256", "%COMPAT", "--echo", f"--recordsize={size}") as server,
        Tlsc(["-S", *LOCAL], prog, env=variables(material), sock=connected(server.port)) as run,
    ):
        assert (run.wait(), run.stdout.strip()) == (0, b"100000"), run.stderr
