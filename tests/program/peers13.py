"""Clients of others over TLS 1.3, one table for all of them; and the server that they talk to.

Suites are chosen by the server's -c and groups by its -e, since not every client can be told a suite; a client is told
which groups it has, and sends a share of the first. What a client cannot do:

    nss       certificates with Ed25519
    python    other groups than one curve of NIST's, or else OpenSSL's own with a share of X25519: no retry for that
    chromium  certificates with P-521 and Ed25519; the group secp521r1; a hello without a share of X25519; a certificate
              of its own, without a profile made before
    go        a ticket after a HelloRetryRequest, with 1.19.6 to 1.20.3: a wrong binder (its issue 59424)
"""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tests.certs import Certs
from tests.golang import go_program
from tests.harness import LIMIT_S, OURS, Listener, Program, client_context, read_all, require_peer

from .test_clients import chromium

V13 = ssl.TLSVersion.TLSv1_3
SUITES = {
    "CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
    "AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
}
KINDS = ["rsa2048", "rsa4096", "p256", "p384", "p521", "ed25519"]
CLIENTS = ("openssl", "gnutls", "nss", "curl", "python", "go")
GROUPS = {  # by our names, those of CLIENTS
    "x25519": ("X25519", "GROUP-X25519", "x25519", "X25519", "", "29"),
    "secp256r1": ("P-256", "GROUP-SECP256R1", "P256", "P-256", "prime256v1", "23"),
    "secp384r1": ("P-384", "GROUP-SECP384R1", "P384", "P-384", "secp384r1", "24"),
    "secp521r1": ("P-521", "GROUP-SECP521R1", "P521", "P-521", "secp521r1", "25"),
}
CHROMIUM_KINDS = ("rsa2048", "rsa4096", "p256", "p384")
CHROMIUM_GROUPS = {"x25519": False, "secp256r1": True, "secp384r1": True}  # whether by a HelloRetryRequest
SAYS = r"""printf 'HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\n'
    echo "$SSL_PROTOCOL $SSL_CIPHER ${SSL_ALPN:-${SSL_PEER_CERT_SUBJECT:-none}}"; head -n 1"""

FETCH = """HTTP/1.0 200 OK
Content-Type: text/html

<!doctype html><pre id=a></pre><script>async function go(ports) { for (const port of ports) {
    const answer = await fetch('https://localhost:' + port + '/hello')
    document.getElementById('a').textContent += port + ' ' + await answer.text() } } go(%s)</script>"""


def server(program: Program, certs: Certs, kind: str, *options: object) -> Listener:
    """A listening wrapper around a prog that says, as HTTP, what it was told, and ends."""
    words = [program.path, "-v", *map(str, options), "-f", certs.server(kind)]
    return Listener([*words, "sh", "-c", SAYS])


def groups_for(group: str, retry: bool) -> list[str]:
    """A client's groups that lead to `group`, with a share of it or with one of another first."""
    first = "secp384r1" if group == "secp256r1" else "secp256r1"
    return [first, group] if retry else [group]


def run(argv: Sequence[object], text: bytes = b"hello\n") -> str:
    """A client that gets a line on its input; all that it says."""
    done = subprocess.run(list(map(str, argv)), input=text, capture_output=True, timeout=3 * LIMIT_S, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


class Clients:
    """A method for each of CLIENTS: verify the server, say hello, give back all that was heard.

    `groups` are the client's in its own names, `more` are words for its command line.
    """

    def __init__(self, certs: Certs, folder: Path) -> None:
        self.certs = certs
        self.folder = folder

    def run(self, client: str, port: int, groups: Sequence[str] = (), *more: object) -> str:
        """The client of this name; `groups` in our names."""
        said: str = getattr(self, client)(port, [GROUPS[group][CLIENTS.index(client)] for group in groups], *more)
        return said

    def openssl(self, port: int, groups: Sequence[str] = (), *more: object) -> str:
        argv = [require_peer("openssl"), "s_client", "-connect", f"localhost:{port}", "-4", "-tls1_3", "-ign_eof"]
        words = ["-groups", ":".join(groups)] if groups else []
        return run([*argv, "-CAfile", self.certs.ca, "-verify_return_error", "-servername", "localhost", *words, *more])

    def gnutls(self, port: int, groups: Sequence[str] = (), *more: object) -> str:
        argv = [require_peer("gnutls-cli"), "--x509cafile", self.certs.ca, "--sni-hostname", "localhost"]
        argv += ["--verify-hostname", "localhost", "-p", port, "--single-key-share", "--priority"]
        words = ["-GROUP-ALL", *(f"+{group}" for group in groups)] if groups else []
        return run([*argv, ":".join(["NORMAL:-VERS-ALL:+VERS-TLS1.3", *words]), *more, "127.0.0.1"])

    def shows(self, client: str, kind: str) -> list[object]:
        """The words with which a client has a certificate of this kind, for CN=kind, to show."""
        pem = self.certs.client(kind, kind=kind)
        if client == "nss":
            bag = self.folder / "p12"
            words = ["-export", "-in", pem, "-name", kind, "-out", bag, "-passout", "pass:x"]
            run([require_peer("openssl"), "pkcs12", *words])
            run([require_peer("pk12util"), "-i", bag, "-d", f"sql:{self.nss_store}", "-W", "x", "-K", ""])
            return ["-n", kind]
        return {
            "openssl": ["-cert", pem], "gnutls": ["--x509certfile", pem, "--x509keyfile", pem], "curl": ["--cert", pem],
        }.get(client, [pem])  # fmt: skip

    @cached_property
    def nss_store(self) -> str:
        """tstclnt's certificates: our authority."""
        store = self.folder / "nss"
        store.mkdir()
        for command in (["-N", "--empty-password"], ["-A", "-n", "ca", "-t", "C,,", "-i", self.certs.ca]):
            run([require_peer("certutil"), *command, "-d", f"sql:{store}"])
        (store / "request").write_bytes(b"hello\n")
        return str(store)

    def nss(self, port: int, groups: Sequence[str] = (), *more: object) -> str:
        """tstclnt does not leave at the end of its input, but at that of the server's output."""
        argv = [require_peer("tstclnt"), "-h", "localhost", "-p", port, "-d", f"sql:{self.nss_store}", "-4"]
        words = ["-I", ",".join(groups)] if groups else []
        return run([*argv, "-V", "tls1.3:tls1.3", "-A", f"{self.nss_store}/request", *words, *more])

    def curl(self, port: int, groups: Sequence[str] = (), *more: object) -> str:
        argv = [require_peer("curl"), "-sS", "--tlsv1.3", "--noproxy", "*", "--cacert", self.certs.ca]
        words = ["--curves", ":".join(groups)] if groups else []
        return run([*argv, *words, *more, f"https://localhost:{port}/hello"])

    def python(self, port: int, groups: Sequence[str] = (), certificate: Path | None = None) -> str:
        curve = groups[0] if len(groups) == 1 else None
        context = client_context(ca=self.certs.ca, minimum=V13, maximum=V13, certificate=certificate, curve=curve)
        context.check_hostname = True
        with (
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as sock,
            context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as tls,
        ):
            tls.sendall(b"hello\n")
            return read_all(tls).decode()

    @cached_property
    def go_client(self) -> Path:
        return go_program(Path(__file__).with_name("client.go"), self.folder)

    def go(self, port: int, groups: Sequence[str] = (), certificate: Path | None = None, *protocols: str) -> str:
        """Two connections."""
        argv = [self.go_client, port, self.certs.ca, ",".join(groups or ["29"]), certificate or "-"]
        return run([*argv, *protocols])

    def chromium(self, ports: Sequence[int], folder: Path) -> str:
        """What the browser gets in one start, from one port after the other, each after its number."""
        page = folder / "page"
        page.write_text(FETCH % list(ports))
        # an answer that is there before the request is none to a browser: it may find the connection closed already
        prog = ["sh", "-c", 'read -r request; exec cat "$0"', page]
        with Listener([OURS.path, "-f", self.certs.server("p256"), *prog]) as front:
            done = chromium(["--dump-dom", "--virtual-time-budget=5000"], f"https://localhost:{front.port}/", folder)
        return (done.stdout + done.stderr[-2000:]).decode(errors="replace")
