"""peers - the servers that are compared, one row each.

A peer is a name, a way to find out whether it is there, and a function from a Setup to a command
line. All of them listen on 127.0.0.1 and run the same wrapped program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prepare import ROOT, Certificate

HELP_TIMEOUT_S = 10.0
JAIL = "/var/lib/tlswrapper/empty"
# What `aes128` means to those who take OpenSSL's names, and to the client for those who take none.
OPENSSL_CIPHERS = {"aes128": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"}
TLSWRAPPER_CIPHERS = {"aes128": ["-c", "AES_128_GCM_SHA256"]}


@dataclass(frozen=True)
class Setup:
    """What a server is started with. `cipher` is "default" or a key of the tables above."""

    port: int
    certificate: Certificate
    cipher: str
    program: list[str]
    nodelay: bool
    most: int  # connections at a time
    folder: Path  # for configuration files


@dataclass(frozen=True)
class Peer:
    """One row of the comparison."""

    name: str
    what: str
    find: Callable[[], str | None]  # the path of its program, None when not there
    command: Callable[[str, Setup], list[str]]
    environment: Callable[[Setup], dict[str, str]] = field(default=lambda setup: {})
    tls: bool = True
    needs: tuple[str, ...] = ()
    root: bool = False
    per_connection: bool = False  # the program found is started once a connection


def our_folder() -> Path:
    """Where our own programs lie."""
    return Path(os.environ.get("BEARWRAP_BIN", ROOT / "build" / "bin")).resolve()


def _ours() -> str | None:
    path = our_folder() / "tlswrapper"
    return str(path) if os.access(path, os.X_OK) else None


def _serve() -> str | None:
    path = our_folder() / "bearwrap"
    if not os.access(path, os.X_OK):
        return None
    try:
        done = subprocess.run(
            [path, "serve", "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HELP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return str(path) if done.returncode == 0 else None


def _which(*names: str) -> Callable[[], str | None]:
    return lambda: next((path for name in names if (path := shutil.which(name))), None)


def _tcpserver(setup: Setup, argv: list[str]) -> list[str]:
    """`-D` switches Nagle's algorithm off, for every peer alike; see README.md, "Nagle"."""
    flags = "-DHRl0" if setup.nodelay else "-HRl0"
    return ["tcpserver", flags, "-c", str(setup.most), "127.0.0.1", str(setup.port), *argv]


def _wrapper_options(setup: Setup) -> list[str]:
    return [*TLSWRAPPER_CIPHERS.get(setup.cipher, []), "-f", setup.certificate.both]


def _jail_options(setup: Setup) -> list[str]:
    """Ours may run from the build tree on a machine where nothing is installed."""
    if os.path.isdir(JAIL):
        return []
    empty = setup.folder / "empty"
    empty.mkdir(exist_ok=True)
    return ["-J", str(empty)]


def _ours_command(binary: str, setup: Setup) -> list[str]:
    return _tcpserver(setup, [binary, *_jail_options(setup), *_wrapper_options(setup), *setup.program])


def _original_command(binary: str, setup: Setup) -> list[str]:
    return _tcpserver(setup, [binary, *_wrapper_options(setup), *setup.program])


def _serve_command(binary: str, setup: Setup) -> list[str]:
    options = [*_jail_options(setup), *_wrapper_options(setup), "--max-connections", str(setup.most)]
    return [binary, "serve", f"127.0.0.1:{setup.port}", *options, *setup.program]


def _stunnel_command(binary: str, setup: Setup) -> list[str]:
    lines = [
        "foreground = yes",
        "pid =",
        "debug = 0",
        "[bench]",
        f"accept = 127.0.0.1:{setup.port}",
        f"cert = {setup.certificate.chain}",
        f"key = {setup.certificate.key}",
        f"exec = {setup.program[0]}",
        f"execArgs = {' '.join(setup.program)}",
    ]
    if setup.cipher in OPENSSL_CIPHERS:
        lines.append(f"ciphers = {OPENSSL_CIPHERS[setup.cipher]}")
    path = setup.folder / f"stunnel-{setup.port}.conf"
    path.write_text("\n".join(lines) + "\n")
    return [binary, str(path)]


def _s6_command(binary: str, setup: Setup) -> list[str]:
    return [binary, "-c", str(setup.most), "--", "127.0.0.1", str(setup.port), *setup.program]


def _s6_environment(setup: Setup) -> dict[str, str]:
    return {"KEYFILE": setup.certificate.key, "CERTFILE": setup.certificate.chain}


PEERS = (
    Peer(
        "ours",
        "tcpserver + build/bin/tlswrapper",
        _ours,
        _ours_command,
        needs=("tcpserver",),
        root=True,
        per_connection=True,
    ),
    Peer(
        "original",
        "tcpserver + the installed tlswrapper",
        lambda: "/usr/bin/tlswrapper" if os.access("/usr/bin/tlswrapper", os.X_OK) else None,
        _original_command,
        needs=("tcpserver",),
        root=True,
        per_connection=True,
    ),
    Peer("serve", "bearwrap serve, no super-server", _serve, _serve_command, root=True),
    Peer("stunnel", "stunnel, threads, OpenSSL", _which("stunnel4", "stunnel"), _stunnel_command),
    Peer("s6", "s6-tlsserver", _which("s6-tlsserver"), _s6_command, _s6_environment),
    Peer(
        "tcpserver",
        "tcpserver alone, no TLS",
        _which("tcpserver"),
        lambda binary, setup: _tcpserver(setup, setup.program),
        tls=False,
    ),
)
REFERENCE = "original"


def why_absent(peer: Peer) -> str | None:
    """Why a peer cannot take part, or None when it can."""
    if peer.find() is None:
        return "not found"
    missing = [name for name in peer.needs if not shutil.which(name)]
    if missing:
        return f"needs {missing[0]}"
    if peer.root and os.geteuid() != 0:
        return "needs root"
    return None
