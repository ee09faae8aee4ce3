"""Servers of others over TLS 1.3, one table for all of them.

Our client has one order of suites and of groups, ChaCha20-Poly1305 and X25519 first, and sends a share of X25519 alone:
any other group comes by a HelloRetryRequest. It resumes nothing: the tickets that all of these send are dropped. What
it cannot verify, an Ed25519 certificate, is no row. What a server cannot do:

    nss     certificates of clients with Ed25519
    python  a suite of the test's choice: OpenSSL's first or the client's first, never AES-128-GCM; groups other than
            OpenSSL's own, but for one curve of NIST's
    go      a suite of the test's choice: it takes the client's first where that is ChaCha20-Poly1305
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from tests.companions.tcp import in_thread
from tests.golang import go_program
from tests.harness import LIMIT_S, free_port, require_peer, server_process
from tests.servers import Tap

from .material import Material
from .peers import TLS13, gnutls_server, openssl_server, server_context

KINDS = ("p256", "p384", "p521", "rsa2048", "rsa4096")
REQUEST = "GET / HTTP/1.0\r\n\r\n"
ANSWERS = ("0.1/PTTH / TEG", "GET / HTTP/1.0\r", "HTTP/1.0 200 OK\r", "GET / HTTP/1.0\r", "GET / HTTP/1.0\r")
SERVERS = ("openssl", "gnutls", "nss", "python", "go")
CHACHA, GCM256, GCM128 = "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"
SUITES = {  # what each of SERVERS is told; None: it cannot be
    CHACHA: (CHACHA, "CHACHA20-POLY1305", ":1303", "client", ""),
    GCM256: (GCM256, "AES-256-GCM", ":1302", "server", None),
    GCM128: (GCM128, "AES-128-GCM", ":1301", None, None),
}
GROUPS = {  # by the names in our log
    "x25519": ("X25519", "X25519", "x25519", "", "29"),
    "secp256r1": ("P-256", "SECP256R1", "P256", "prime256v1", "23"),
    "secp384r1": ("P-384", "SECP384R1", "P384", "secp384r1", "24"),
    "secp521r1": ("P-521", "SECP521R1", "P521", "secp521r1", "25"),
}


class Servers:
    """A method for each of SERVERS: serve on loopback, give the port. A REQUEST gets the one of ANSWERS, first.

    kind   the certificate's
    suite, group  the only one, in the server's own words; empty: as the server likes
    asks   whether the client must have a certificate of our authority for clients
    """

    def __init__(self, material: Material, folder: Path) -> None:
        self.material = material
        self.folder = folder
        self.client_ca = str(material.path("client_ca"))

    @contextlib.contextmanager
    def run(self, server: str, kind: str, *, suite: str = "", group: str = "", asks: bool = False) -> Iterator[Tap]:
        """The server of this name behind a tap; suite and group by our names."""
        at = SERVERS.index(server)
        words = (SUITES[suite][at] if suite else "", GROUPS[group][at] if group else "")
        serving: AbstractContextManager[int] = getattr(self, server)(kind, *words, asks)
        with serving as port, Tap(port) as tap:
            yield tap

    @contextlib.contextmanager
    def openssl(self, kind: str, suite: str, group: str, asks: bool) -> Iterator[int]:
        words = ["-rev", "-quiet"] + (["-ciphersuites", suite] if suite else []) + (["-groups", group] if group else [])
        words += ["-Verify", "2", "-CAfile", self.client_ca, "-verify_return_error"] if asks else []
        with openssl_server(self.material.path(kind), *words, version="-tls1_3") as server:
            yield server.port

    @contextlib.contextmanager
    def gnutls(self, kind: str, suite: str, group: str, asks: bool) -> Iterator[int]:
        priority = ["NORMAL:-VERS-ALL:+VERS-TLS1.3", *([f"-CIPHER-ALL:+{suite}"] if suite else [])]
        priority += [f"-GROUP-ALL:+GROUP-{group}"] if group else []
        words = ["--require-client-cert", "--verify-client-cert", f"--x509cafile={self.client_ca}"] if asks else []
        with gnutls_server(self.material.path(kind), "--echo", *words, priority=":".join(priority)) as server:
            yield server.port

    def nss_store(self, kind: str) -> Path:
        """selfserv's certificate and the authority for clients; a store each, since one subject has one name in it."""
        certutil, pk12util, openssl = (require_peer(name) for name in ("certutil", "pk12util", "openssl"))
        store = self.folder / kind
        if not store.exists():
            store.mkdir()
            words = ("-in", self.material.path(kind), "-name", "server", "-out", store / "p12", "-passout", "pass:x")
            commands: tuple[tuple[str | Path, ...], ...] = (
                (certutil, "-N", "-d", store, "--empty-password"),
                (certutil, "-A", "-d", store, "-n", "ca", "-t", "T,,", "-i", self.client_ca),
                (openssl, "pkcs12", "-export", *words),
                (pk12util, "-i", store / "p12", "-d", store, "-W", "x", "-K", ""),
            )
            for command in commands:
                subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S)
        return store

    @contextlib.contextmanager
    def nss(self, kind: str, suite: str, group: str, asks: bool) -> Iterator[int]:
        """selfserv, which answers a GET with what it has got."""
        port = free_port()
        command = [require_peer("selfserv"), "-d", self.nss_store(kind), "-p", str(port), "-V", "tls1.3:tls1.3", "-u"]
        command += ["-n", "server", *(["-e", "server"] if kind.startswith("p") else [])]
        command += ["-c", suite] if suite else []
        command += [*(["-I", group] if group else []), *(["-r", "-r"] if asks else [])]
        with server_process(command, port):
            yield port

    @contextlib.contextmanager
    def python(self, kind: str, suite: str, group: str, asks: bool) -> Iterator[int]:
        """Python's ssl, for one connection, whose first line it sends back."""
        context = server_context(
            self.material.path(kind), minimum=TLS13, maximum=TLS13, curve=group or None,
            client_ca=Path(self.client_ca) if asks else None,
        )  # fmt: skip
        if suite == "client":
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE

        def serve(listener: socket.socket) -> None:
            sock, _ = listener.accept()
            with context.wrap_socket(sock, server_side=True) as tls, tls.makefile("rb") as lines:
                tls.sendall(lines.readline())

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(LIMIT_S)
            served = in_thread(lambda: serve(listener))
            yield listener.getsockname()[1]
            served()

    @cached_property
    def go_server(self) -> Path:
        return go_program(Path(__file__).with_name("server.go"), self.folder)

    @contextlib.contextmanager
    def go(self, kind: str, suite: str, group: str, asks: bool) -> Iterator[int]:
        port = free_port()
        command: Sequence[str | Path] = [self.go_server, str(port), self.material.path(kind), group or "29"]
        with server_process([*command, *([self.client_ca] if asks else [])], port):
            yield port
