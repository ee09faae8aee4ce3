"""peers - the servers and the clients that are compared, one row each.

A peer is a name, a way to find out whether it is there, and a function from a Setup to a command
line. All servers listen on 127.0.0.1 and run the same wrapped program; all clients connect to the
same server.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from prepare import IN_TREE, ROOT, Certificate

HELP_TIMEOUT_S = 10.0
JAIL = "/var/lib/tlswrapper/empty"
# What `aes128` means to those who take OpenSSL's names, and to the client for those who take none.
OPENSSL_CIPHERS = {"aes128": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"}
TLSWRAPPER_CIPHERS = {"aes128": ["-c", "AES_128_GCM_SHA256"]}
SERVER_NAME = "bench.test"


@dataclass(frozen=True)
class Setup:
    """What a server is started with, or a client: then `program` is what it does.

    `cipher` is "default" or a key of the tables above.
    """

    port: int
    certificate: Certificate
    cipher: str
    program: list[str]
    nodelay: bool
    most: int  # connections at a time
    folder: Path  # for configuration files
    ticket_keys: Path | None = None  # a file of keys, for a wrapper that is to resume
    backend: int = 0  # the port of the plain server behind a proxy


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
    backend: bool = False  # a proxy: a plain server of its own runs behind it
    ways: bool = False  # takes part where one way of connecting is measured beside another
    side: str = "server"  # or "client", or "aead": no connection, only the speed of the cipher


def our_folder() -> Path:
    """Where our own programs lie: build/bin in the tree, PREFIX/bin beside PREFIX/lib/bearwrap/bench."""
    usual = ROOT / "build" / "bin" if IN_TREE else ROOT.parent.parent / "bin"
    return Path(os.environ.get("BEARWRAP_BIN", usual)).resolve()


def _ours(name: str) -> Callable[[], str | None]:
    def find() -> str | None:
        path = our_folder() / name
        return str(path) if os.access(path, os.X_OK) else None

    return find


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
    """Debian has some servers where only root looks."""
    places = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    return lambda: next((path for name in names if (path := shutil.which(name, path=places))), None)


def _tcpserver(setup: Setup, argv: list[str]) -> list[str]:
    """`-D` switches Nagle's algorithm off, for every peer alike; see README.md, "Nagle"."""
    flags = "-DHRl0" if setup.nodelay else "-HRl0"
    tcpserver = shutil.which("tcpserver") or "tcpserver"  # where the driver finds it: peers have another PATH
    return [tcpserver, flags, "-c", str(setup.most), "127.0.0.1", str(setup.port), *argv]


def _wrapper_options(setup: Setup) -> list[str]:
    resume = ["--ticket-keys", str(setup.ticket_keys)] if setup.ticket_keys else []
    return [*TLSWRAPPER_CIPHERS.get(setup.cipher, []), *resume, "-f", setup.certificate.both]


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


def _hitch_command(binary: str, setup: Setup) -> list[str]:
    """hitch only takes the TLS off: behind it tcpserver runs the program, as it does for the wrappers."""
    argv = [binary, f"--workers={len(os.sched_getaffinity(0))}", "--ocsp-dir="]
    argv += [f"--frontend=[127.0.0.1]:{setup.port}", f"--backend=[127.0.0.1]:{setup.backend}"]
    if os.geteuid() == 0:
        argv.append("--user=nobody")  # it refuses to work as root
    if setup.cipher in OPENSSL_CIPHERS:
        argv.append(f"--ciphers={OPENSSL_CIPHERS[setup.cipher]}")
    behind = [*until_parent_ends(), *_tcpserver(replace(setup, port=setup.backend), setup.program)]
    return ["sh", "-c", f"{shlex.join(behind)} & exec {shlex.join([*argv, setup.certificate.both])}"]


def until_parent_ends() -> list[str]:
    """The words before a command that ends with who started it, should that be killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _s6_command(binary: str, setup: Setup) -> list[str]:
    return [binary, "-c", str(setup.most), "--", "127.0.0.1", str(setup.port), *setup.program]


def _s6_environment(setup: Setup) -> dict[str, str]:
    return {"KEYFILE": setup.certificate.key, "CERTFILE": setup.certificate.chain}


def _client_command(binary: str, setup: Setup) -> list[str]:
    """As the other client: no name is looked up, close_notify both ways."""
    return [binary, "-H", "-S", "-k", SERVER_NAME, "127.0.0.1", str(setup.port), *setup.program]


def _client_environment(setup: Setup) -> dict[str, str]:
    return {"CAFILE": setup.certificate.chain}


def _load_command(binary: str, setup: Setup) -> list[str]:
    """`binary` is Tools.load: clients.py knows it."""
    argv = [binary, "--port", str(setup.port), "--name", SERVER_NAME, "--anchors", setup.certificate.chain]
    mode, *more = setup.program[1:]
    return [*argv, "--mode", mode, *(["--bytes", *more] if more else [])]


def _aead_command(binary: str, setup: Setup) -> list[str]:
    cipher = "aes-128-gcm" if setup.cipher == "aes128" else "chacha20-poly1305"
    seconds, size = "1", "16384"
    return [binary, "speed", "-evp", cipher, "-bytes", size, "-seconds", seconds, "-mr"]


def _records_command(binary: str, setup: Setup) -> list[str]:
    return [sys.executable, binary, setup.cipher, setup.program[1]]


def _records() -> str | None:
    path = Path(__file__).with_name("records.py")
    return str(path) if any((ROOT / "bearwrap").glob("_bear.*.so")) else None


PEERS = (
    Peer(
        "ours",
        "tcpserver + bearwrap's tlswrapper",
        _ours("tlswrapper"),
        _ours_command,
        needs=("tcpserver",),
        root=True,
        per_connection=True,
        ways=True,
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
    Peer("serve", "bearwrap serve, no super-server", _serve, _serve_command, root=True, ways=True),
    Peer("stunnel", "stunnel, threads, OpenSSL", _which("stunnel4", "stunnel"), _stunnel_command),
    Peer(
        "hitch",
        "hitch, a process a core, OpenSSL; behind it tcpserver",
        _which("hitch"),
        _hitch_command,
        needs=("tcpserver",),
        backend=True,
    ),
    Peer("s6", "s6-tlsserver", _which("s6-tlsserver"), _s6_command, _s6_environment),
    Peer(
        "tcpserver",
        "tcpserver alone, no TLS",
        _which("tcpserver"),
        lambda binary, setup: _tcpserver(setup, setup.program),
        tls=False,
    ),
    Peer(
        "s6-tlsc",
        "client: bearwrap's s6-tlsclient, which connects and is s6-tlsc then",
        _ours("s6-tlsclient"),
        _client_command,
        _client_environment,
        side="client",
    ),
    Peer(
        "openssl",
        "client: the load generator",
        lambda: "load",  # which is made before it is run
        _load_command,
        side="client",
    ),
    Peer("aead", "openssl speed, one core, no records", _which("openssl"), _aead_command, side="aead"),
    Peer("records", "our record layer alone, one core", _records, _records_command, side="aead"),
)
REFERENCE = "original"
CLIENT_REFERENCE = "openssl"


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
