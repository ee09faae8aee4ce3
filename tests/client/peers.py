"""Servers for the client to talk to: Python's ssl on a socket, and real ones as processes."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness import (
    OURS,
    Deadline,
    Listener,
    ServerProcess,
    free_port,
    require_peer,
    require_program,
    server_process,
)
from tests.tlsclient import _allow_old_versions as allow_old_versions

TLS10, TLS11, TLS12, TLS13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
IGNORE_UNEXPECTED_EOF = 0x80  # SSL_OP_IGNORE_UNEXPECTED_EOF, which some Pythons set


def server_context(
    certificate: Path,
    *,
    minimum: ssl.TLSVersion = TLS10,
    maximum: ssl.TLSVersion = TLS12,
    ciphers: str = "DEFAULT",
    curve: str | None = None,
    client_ca: Path | None = None,
    required: bool = True,
) -> ssl.SSLContext:
    """A server of OpenSSL at security level 0; with `client_ca` it asks for a certificate, `required` or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.options &= ~IGNORE_UNEXPECTED_EOF
    if minimum < TLS12:
        allow_old_versions(context)
    context.minimum_version, context.maximum_version = minimum, maximum
    context.load_cert_chain(certificate)
    if curve:
        context.set_ecdh_curve(curve)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


@contextlib.contextmanager
def gnutls_server(certificate: Path, *words: str, priority: str = "NORMAL:-VERS-TLS1.3") -> Iterator[ServerProcess]:
    """gnutls-serv on loopback; `words` is what it does (--echo, --http)."""
    port = free_port()
    command = [require_peer("gnutls-serv"), f"--port={port}", f"--priority={priority}", "--quiet", "--nodb"]
    command += [f"--x509keyfile={certificate}", f"--x509certfile={certificate}", *words]
    with server_process(command, port) as server:
        _wait_ipv4(server)
        yield server


def _wait_ipv4(server: ServerProcess) -> None:
    """gnutls-serv listens on IPv6 first, and a moment later on IPv4; as with wait_listening there is no event."""
    deadline, wanted = Deadline(), f":{server.port:04X}"
    while not any(
        fields[1].endswith(wanted) and fields[3] == "0A"
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    ):
        assert not deadline.over(), f"nothing listens on port {server.port} of IPv4: {server.output}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the server ended with {server.popen.wait(0.005)}: {server.output}")


@contextlib.contextmanager
def openssl_server(certificate: Path, *words: str, version: str = "-no_tls1_3") -> Iterator[ServerProcess]:
    """openssl s_server on loopback, TLS 1.2 at most unless `version` says so."""
    port = free_port()
    command = [require_peer("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", version]
    command += ["-cert", str(certificate), "-key", str(certificate), "-cipher", "DEFAULT:@SECLEVEL=0", *words]
    with server_process(command, port) as server:
        yield server


@contextlib.contextmanager
def tlswrapper(certificate: Path, prog: list[str], *words: str) -> Iterator[Listener]:
    """Our own server, a wrapper a connection."""
    with Listener([require_program(OURS).path, "-f", certificate, *words, *prog]) as listener:
        yield listener
