"""tlswrapper-tcp on one connection, the host that it forwards to, and names that only it can resolve."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.harness import LIMIT_S, OURS, Argument, Program, Wrapped, missing_peer, require_program

TOOL = "tlswrapper-tcp"
SIZE = 131_072  # bytes each way


def tool(program: Program = OURS) -> Path:
    """The path of tlswrapper-tcp in one implementation."""
    return require_program(program).tool(TOOL)


class Tcp(Wrapped):
    """`tlswrapper-tcp OPTIONS HOST PORT`; `client` is the client's end, as of Wrapped.

    before: a command that ends by running its arguments, such as private_names gives.
    """

    def __init__(
        self,
        words: Sequence[Argument | int],
        *,
        program: Program = OURS,
        before: Sequence[Argument] = (),
        **more: object,
    ) -> None:
        command = [*before, tool(program), *(str(word) if isinstance(word, int) else word for word in words)]
        super().__init__(command[1:], [], program=program, executable=command[0], **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def host(family: str = "tcp") -> Iterator[tuple[socket.socket, list[str]]]:
    """A listening socket and the words that name it: "tcp" or "tcp6" on loopback, or "unix", open to everybody."""
    with contextlib.ExitStack() as stack:
        if family == "unix":
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "host"
            path.parent.chmod(0o755)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen(8)
            words = [f"unix:{path}"]
        else:
            kind, address = (socket.AF_INET6, "::1") if family == "tcp6" else (socket.AF_INET, "127.0.0.1")
            listener = stack.enter_context(socket.create_server((address, 0), family=kind))
            words = [address, str(listener.getsockname()[1])]
        listener.settimeout(LIMIT_S)
        yield listener, words


def accept(listener: socket.socket) -> socket.socket:
    """The next connection, with the time limit of all waits."""
    sock = listener.accept()[0]
    sock.settimeout(LIMIT_S)
    return sock


@contextlib.contextmanager
def joined(
    *options: str, families: tuple[str, str] = ("tcp", "tcp"), **more: object
) -> Iterator[tuple[Tcp, socket.socket]]:
    """A relay between a client and a host of these families, and the host's end of its connection."""
    with (
        host(families[1]) as (listener, words),
        Tcp([*options, *words], family=families[0], **more) as w,  # type: ignore[arg-type]
        accept(listener) as peer,
    ):
        yield w, peer


@contextlib.contextmanager
def black_hole(address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that answers no connect: the listener's queue is full. Gives the port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(8):  # one fits; the first whose connect does not end shows that the queue is full
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue never fills")
        yield int(listener.getsockname()[1])


def private_names(
    folder: Path,
    hosts: str = "",
    *,
    server: str | None = None,
    options: str = "timeout:1 attempts:1",
    getent: str | None = None,
) -> list[str]:
    """A command that runs its arguments where names mean what the test says, in a mount namespace of its own.

    hosts: text of /etc/hosts; server: address of the one name server, asked only when given; getent: text of a
    script that stands in for getent(1).
    """
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        missing_peer("unshare", "no mount namespace can be made here")
    files = {
        "/etc/hosts": hosts,
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files" + (" dns" if server else "") + "\n",
        "/etc/resolv.conf": f"nameserver {server or '127.0.0.1'}\noptions {options}\n",
    }
    if getent is not None:
        files["/usr/bin/getent"] = getent
    folder.chmod(0o755)
    lines = ["set -e"]
    for at, (path, text) in enumerate(files.items()):
        (folder / f"file{at}").write_text(text)
        (folder / f"file{at}").chmod(0o755)
        lines.append(f"mount --bind {folder / f'file{at}'} {path}")
    return ["/usr/bin/unshare", "-m", "sh", "-c", "\n".join([*lines, 'exec "$@"']), "sh"]


@contextlib.contextmanager
def name_server(records: dict[str, list[str]] | None) -> Iterator[str]:
    """A DNS server for A and AAAA records on a loopback address of its own (port 53); None: it never answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range(os.getpid() % 200, os.getpid() % 200 + 50):
        with contextlib.suppress(OSError):
            sock.bind((f"127.53.{number}.{1 + number % 250}", 53))
            break
    else:
        missing_peer("port 53", "no loopback address has it free")
    address = str(sock.getsockname()[0])

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = sock.recvfrom(512)
                if not question:
                    return
                if records is not None:
                    sock.sendto(_dns_answer(question, records), client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
            stop.sendto(b"", (address, 53))
        thread.join(LIMIT_S)
        sock.close()


def _dns_answer(question: bytes, records: dict[str, list[str]]) -> bytes:
    """One answer (RFC 1035 section 4.1): all addresses of the asked kind, or that there is no such name."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]])
        at += 1 + question[at]
    kind = int.from_bytes(question[at + 1 : at + 3])
    found = records.get(b".".join(labels).decode().lower())
    family, colon = (socket.AF_INET, False) if kind == 1 else (socket.AF_INET6, True)
    chosen = [one for one in found or [] if kind in (1, 28) and (":" in one) == colon]
    flags = 0x8180 if found is not None else 0x8183
    header = question[:2] + flags.to_bytes(2) + b"\0\1" + len(chosen).to_bytes(2) + b"\0\0\0\0"
    body = b"".join(
        b"\xc0\x0c" + kind.to_bytes(2) + b"\0\1\0\0\0\x05" + len(raw).to_bytes(2) + raw
        for raw in (socket.inet_pton(family, one) for one in chosen)
    )
    return header + question[12 : at + 5] + body


def in_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Run `work` in a thread; the function given back waits for it and gives its result, or raises its error."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> object:
        thread.join(LIMIT_S)
        assert result, "still at work"
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    return join


def noise(seed: int, size: int = SIZE) -> bytes:
    """Bytes that are the same for the same seed."""
    return random.Random(seed).randbytes(size)


def finish(sock: socket.socket, data: bytes) -> None:
    """Send all and half-close."""
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def send_what_goes(sock: socket.socket, most: int) -> None:
    """Send zeros until the other side takes no more."""
    piece = bytes(1 << 20)
    with contextlib.suppress(OSError):
        for _ in range(most >> 20):
            sock.sendall(piece)
