"""One row of the measured table: how s6-tlsc is started, who its peer is, and what must come of it.

A row is data. `options`, `env` and `prog` are command lines in one string, in which {name} stands for a file of
`Material`; `line` is the text after `s6-tlsc: fatal: ` (the whole line when it begins with the program's name, a
regular expression when it begins with `~`), in which {D} is the beginning of every handshake error and {X509_EXPIRED}
the words and the symbol of that error in src/tables.h. Every other line on stderr is a fault.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.companions.tcp import in_thread
from tests.harness import LIMIT_S, ROOT
from tests.tlsclient import reset

from .material import Material
from .peers import IGNORE_UNEXPECTED_EOF, TLS10, TLS12, gnutls_server, server_context
from .tlsc import Tlsc

DURING = "the TLS engine closed the connection during the handshake: "
NO_NAME = "s6-tlsc: warning: no -k: the server's name is not verified"
ECHO = "echo ran; echo hello >&7; read x <&6; echo got $x"  # what prog does in most rows
ECHOED = "ran\ngot hello\n"
FACTS = 'echo "$SSL_PROTOCOL $SSL_CIPHER"; ' + ECHO


@dataclass(frozen=True)
class OpenSSL:
    """A TLS server by Python's ssl that sends back the first line; `certificate` names a file of Material."""

    certificate: str = "p256"
    minimum: ssl.TLSVersion = TLS10
    maximum: ssl.TLSVersion = TLS12
    ciphers: str = "DEFAULT"
    curve: str | None = None
    client_ca: str | None = None

    def context(self, material: Material) -> ssl.SSLContext:
        """What it serves with; a half-close is no error to it (that it can be one is a matter of test_closing.py)."""
        made = server_context(
            material.path(self.certificate),
            minimum=self.minimum,
            maximum=self.maximum,
            ciphers=self.ciphers,
            curve=self.curve,
            client_ca=material.path(self.client_ca) if self.client_ca else None,
        )
        made.options |= IGNORE_UNEXPECTED_EOF
        return made


def echo_line(sock: socket.socket, context: ssl.SSLContext) -> str:
    """Serve one connection; gives the alert that came, as OpenSSL names it, or nothing."""
    try:
        with context.wrap_socket(sock, server_side=True) as tls:
            line = b""
            while not line.endswith(b"\n") and (piece := tls.recv(65536)):  # TLS 1.0 comes in two records
                line += piece
            tls.sendall(line)
            while tls.recv(65536):
                pass
    except ssl.SSLError as error:
        return (error.reason or "").lower()
    except OSError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class GnuTLS:
    """gnutls-serv as an echo server."""

    certificate: str
    priority: str


Raw = Callable[[socket.socket], bytes]
Peer = OpenSSL | GnuTLS | Raw


def watches(sock: socket.socket) -> bytes:
    """Says nothing; gives all that came."""
    seen = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            seen += piece
    return bytes(seen)


def closes(sock: socket.socket) -> bytes:
    """Closes once the ClientHello is there."""
    seen = sock.recv(65536)
    sock.close()
    return seen


def closes_at_once(sock: socket.socket) -> bytes:
    """Ends its direction at once, and reads what comes."""
    sock.shutdown(socket.SHUT_WR)
    return watches(sock)


def resets(sock: socket.socket) -> bytes:
    """Resets once the ClientHello is there."""
    sock.recv(1)
    reset(sock)
    return b""


def speaks_http(sock: socket.socket) -> bytes:
    """Answers as a web server without TLS does."""
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    return watches(sock)


def alerts(description: int, level: int = 2) -> Raw:
    """Answers the ClientHello with an alert."""

    def peer(sock: socket.socket) -> bytes:
        sock.recv(65536)
        sock.sendall(bytes([21, 3, 3, 0, 2, level, description]))
        return watches(sock)

    return peer


def trickles(sock: socket.socket) -> bytes:
    """A byte of a large record every 20 ms until the other side leaves."""
    sock.recv(65536)
    data = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc\x03\x03" + bytes(32)
    sock.settimeout(0.02)
    for at in range(int(LIMIT_S / 0.02)):
        try:
            sock.sendall(data[at % len(data) :][:1])
            if not sock.recv(65536):
                break
        except TimeoutError:
            pass
        except OSError:
            break
    return b""


@dataclass(frozen=True)
class Row:
    """See the module. `ran` tells whether prog was started, `out` what it wrote if it was.

    alert     what the OpenSSL peer was told, in its words
    warned    the warning that there is no -k is awaited
    hushed    no warning although there is no -k
    network   descriptors to be there; none of them with ""
    took      bounds of the time in seconds
    """

    name: str
    code: int = 0
    line: str = ""
    options: str = "-k localhost"
    env: str = "CAFILE={ca}"
    peer: Peer = field(default_factory=OpenSSL)
    prog: str = f"sh -c '{ECHO}'"
    ran: bool = False
    out: str = ECHOED
    alert: str = ""
    warned: bool = False
    network: bool = True
    root: bool = False
    took: tuple[float, float] = (0, LIMIT_S)

    def with_files(self, text: str, material: Material) -> str:
        return re.sub(r"\{([a-z]\w*)\}", lambda match: str(material.path(match[1])), text)

    def expected(self, material: Material) -> str:
        """The line awaited on stderr, as a regular expression."""
        pattern = self.line.startswith("~")
        text = self.line.removeprefix("~")
        text = self.with_files(text, material).replace("{D}", DURING)
        text = re.sub(r"\{([A-Z]\w+)\}", lambda match: re.escape(words(match[1])) if pattern else words(match[1]), text)
        if not pattern:
            text = re.escape(text)
        return text if self.line.startswith("s6-tlsc: ") else "s6-tlsc: fatal: " + text


@cache
def _errors() -> dict[str, str]:
    source = (ROOT / "src" / "tables.h").read_text()
    return dict(re.findall(r'\bBW_ERROR\(BR_ERR_(\w+), \d+, "([^"]*)"\)', source))


def words(symbol: str) -> str:
    """What is said of a BearSSL error: `X509_EXPIRED` -> `certificate: expired ... (BR_ERR_X509_EXPIRED)`."""
    return f"{_errors()[symbol]} (BR_ERR_{symbol})"


def good(name: str, **more: object) -> Row:
    """A row in which prog runs, talks with the peer, and nothing is said."""
    return Row(name, ran=True, **more)  # type: ignore[arg-type]


def bad(name: str, code: int, line: str, **more: object) -> Row:
    """A row in which prog never runs."""
    return Row(name, code, line, **more)  # type: ignore[arg-type]


def unready(name: str, code: int, line: str, options: str = "-k localhost", **more: object) -> Row:
    """A row that fails before a byte goes over the network."""
    return Row(name, code, line, options, peer=watches, **more)  # type: ignore[arg-type]


def run(row: Row, material: Material) -> list[str]:
    """Run a row; the complaints."""
    with contextlib.ExitStack() as stack:
        changes: dict[str, str | os.PathLike[str] | None] = {}
        for word in shlex.split(row.with_files(row.env, material)):
            name, _, value = word.partition("=")
            changes[name] = value
        more: dict[str, object] = {} if row.network else {"network": {}}
        if isinstance(row.peer, GnuTLS):
            certificate = material.path(row.peer.certificate)
            server = stack.enter_context(gnutls_server(certificate, "--echo", priority=row.peer.priority))
            more["sock"] = socket.create_connection(("127.0.0.1", server.port))
        context = row.peer.context(material) if isinstance(row.peer, OpenSSL) else None
        begin = time.monotonic()
        options = shlex.split(row.with_files(row.options, material))
        prog = shlex.split(row.with_files(row.prog, material))
        tlsc = stack.enter_context(Tlsc(options, prog, env=changes, **more))  # type: ignore[arg-type]
        peer = None
        if context is not None:
            served = context
            peer = in_thread(lambda: echo_line(tlsc.peer, served))
        elif not isinstance(row.peer, GnuTLS):
            raw = row.peer
            peer = in_thread(lambda: raw(tlsc.peer))
        code = tlsc.wait()
        took = time.monotonic() - begin
        faults = judge(row, tlsc, code, material)
        if not row.took[0] <= took <= row.took[1]:
            faults.append(f"took {took:.2f} s")
        if not tlsc.no_process_left():
            faults.append("a process is left")
        result = peer() if peer is not None else ""
        if row.alert and row.alert.replace(" ", "_") not in str(result):
            faults.append(f"the peer was told {result!r}")
        if row.peer is watches:
            faults += judge_bytes(row, result)  # type: ignore[arg-type]
        return faults


def judge(row: Row, tlsc: Tlsc, code: int, material: Material) -> list[str]:
    """The complaints about exit code, stdout and stderr."""
    faults = []
    if code != row.code:
        faults.append(f"exit code {code}, awaited {row.code}")
    out = tlsc.stdout.decode()
    if (out != "") != row.ran:
        faults.append(f"prog {'ran' if out else 'did not run'}")
    elif row.ran and out != row.out:
        faults.append(f"prog said {out!r}, awaited {row.out!r}")
    lines = tlsc.stderr.splitlines()
    awaited = [re.escape(NO_NAME)] if row.warned else []
    awaited += [row.expected(material)] if row.line else []
    if len(lines) != len(awaited) or not all(map(re.fullmatch, awaited, lines)):
        faults.append(f"stderr {lines}, awaited {awaited}")
    return faults


def judge_bytes(row: Row, seen: bytes) -> list[str]:
    """What may come over the network when nothing is answered: nothing, or the ClientHello and no alert."""
    if row.line == "handshake timed out" or (row.took[0] and not row.line):
        size = 5 + int.from_bytes(seen[3:5], "big")
        return [] if seen[:1] == b"\x16" and len(seen) == size else [f"the peer got {seen[:1000]!r}"]
    return [f"bytes on the network: {seen[:100]!r}"] if seen else []


__all__ = ["ECHO", "ECHOED", "FACTS", "GnuTLS", "OpenSSL", "Path", "Row", "bad", "good", "run", "unready", "words"]
