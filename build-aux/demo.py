"""Show the program at work: one wrapped web server, one page, the three processes of a connection, the log.

Usage: demo.py [--serve] [--port N]        as root, after `make`

A throw-away certificate, a web folder and an empty folder for the jail are made in a temporary place; `busybox
httpd -i` is served through build/bin/tlswrapper (another folder: BEARWRAP_BIN) under tcpserver, or busybox's tcpsvd,
on a loopback port. What was started is ended by its pid, and the temporary place is removed. --serve leaves the
server running until it is interrupted. A failure is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "<!doctype html>\n<title>bearwrap</title>\n<h1>This page came through TLS</h1>\n"
LIMIT_S = 10.0  # of each wait; a healthy run needs a fraction of a second
ACCOUNT = "nobody"  # prog's


class Trouble(Exception):
    """What keeps the demo from going on: one line."""


# --- what is printed ---


def paint(code: str, text: str) -> str:
    """Text with a terminal attribute, on a terminal only."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


def heading(text: str) -> None:
    print("\n" + paint("1;32", text), flush=True)


def command(words: list[str]) -> None:
    print(paint("1", "$ " + shlex.join(words)), flush=True)


def indent(text: str) -> None:
    for line in text.splitlines():
        print("    " + line, flush=True)


# --- what is needed ---


def tool(name: str, package: str) -> str:
    """The path of a program; Trouble that names its Debian package."""
    path = shutil.which(name)
    if path is None:
        raise Trouble(f"{name} is missing (Debian: apt-get install {package})")
    return path


def has_applet(busybox: str, applet: str) -> bool:
    done = subprocess.run([busybox, applet, "--help"], capture_output=True, check=False)
    return b"applet not found" not in done.stderr


def super_server(busybox: str, port: int) -> list[str]:
    """The command line of a super-server on a loopback port (0: any), without the program it starts."""
    path = shutil.which("tcpserver")
    if path:  # -1: it prints the port; -D: no Nagle delay; -HRl0: no look-ups
        return [path, "-1DHRl0", "127.0.0.1", str(port)]
    if has_applet(busybox, "tcpsvd"):
        return [busybox, "tcpsvd", "127.0.0.1", str(port or free_port())]
    raise Trouble("tcpserver is missing (Debian: apt-get install ucspi-tcp)")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a client or a tool to its end; Trouble with its last words when it fails."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"{Path(words[0]).name} did not end within {LIMIT_S:.0f} seconds") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Trouble(f"{Path(words[0]).name} failed ({done.returncode}): {last}")
    return done


def certificate(openssl: str, folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for localhost, good for a day; (key and certificate, certificate alone)."""
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "server.pem"
    run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)])  # fmt: skip
    both.touch(0o600)
    both.write_text(key.read_text() + cert.read_text())
    key.unlink()
    return both, cert


# --- the server ---


class Server:
    """A running super-server, its port, and the log lines of what it starts."""

    def __init__(self, words: list[str]) -> None:
        names = ("TCPLOCALIP", "TCPLOCALPORT", "TCPREMOTEIP", "TCPREMOTEPORT", "LOG_ID")
        environment = {name: value for name, value in os.environ.items() if name not in names}
        # A session of its own: Ctrl-C is for us, and we end it in order.
        self.popen = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.follow: Callable[[str], None] | None = None
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = self._learn_port(words)

    def _read(self) -> None:
        assert self.popen.stderr
        for line in self.popen.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
            if self.follow:
                self.follow(line.rstrip("\n"))

    def _learn_port(self, words: list[str]) -> int:
        if "tcpsvd" not in words:
            assert self.popen.stdout
            said = self.popen.stdout.readline().strip()
            if not said.isdigit():
                raise Trouble(self._why())
            return int(said)
        port = int(words[words.index("127.0.0.1") + 1])
        deadline = time.monotonic() + LIMIT_S
        while self.popen.poll() is None and time.monotonic() < deadline:
            if any(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in tcp_table()):
                return port
            time.sleep(0.01)
        self.popen.terminate()
        raise Trouble(self._why())

    def _why(self) -> str:
        self.popen.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return "the server did not start: " + (self.lines or ["no message"])[-1]

    def wait_line(self, text: str) -> None:
        """Wait for a log line that holds a text."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(text in line for line in self.lines), LIMIT_S):
                raise Trouble(f"no log line with {text!r} came")

    def close(self) -> None:
        """End the server, then what is left of its connections, each by its pid."""
        left = [pid for child in children(self.popen.pid) for pid in (*children(child), child)]
        self.popen.terminate()
        try:
            self.popen.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for pid in left:  # they have normally gone with their client
            wait_gone(pid, 3.0)
        self._reader.join(1.0)
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream and not self._reader.is_alive():
                stream.close()


def wait_gone(pid: int, limit_s: float) -> None:
    """Wait for a process that is no child of ours; kill it at the limit."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], limit_s)[0]:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    finally:
        os.close(fd)


# --- processes, as /proc shows them ---


def children(pid: int) -> list[int]:
    """The direct children of a process, oldest first."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] not in "ZX":
                    found.append((int(fields[19]), int(name)))
    return [child for _start, child in sorted(found)]


def words_of(pid: int) -> list[str]:
    return Path("/proc", str(pid), "cmdline").read_text().split("\0")[:-1]


def tcp_table() -> list[list[str]]:
    """The kernel's table of TCP sockets, IPv4 and IPv6, as fields."""
    return [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]


def has_connection(pid: int) -> bool:
    """Whether the process holds a TCP socket."""
    inodes = {line[9] for line in tcp_table()}
    folder = Path("/proc", str(pid), "fd")
    return any(os.readlink(entry).strip("socket:[]") in inodes for entry in folder.iterdir())


def row(name: str, pid: int) -> tuple[str, ...]:
    """One line of the table of processes."""
    status = dict(line.split(":", 1) for line in Path("/proc", str(pid), "status").read_text().splitlines())
    limits = Path("/proc", str(pid), "limits").read_text()
    files = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
    connection = "yes" if has_connection(pid) else "no"
    root = os.readlink(f"/proc/{pid}/root")
    words = words_of(pid)
    shown = " ".join([Path(words[0]).name, *words[1:]])
    return (name, str(pid), status["Uid"].split()[0], connection, files, root, shown[:32])


def connection_processes(server: Server) -> list[tuple[str, int]]:
    """net, key and prog of the youngest connection, once prog runs its program."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):
            net = children(server.popen.pid)[-1]
            pair = children(net)
            prog = next((pid for pid in pair if words_of(pid) != words_of(net)), None)
            if prog is not None and len(pair) == 2:
                key = next(pid for pid in pair if pid != prog)
                return [("net", net), ("key", key), ("prog", prog)]
        time.sleep(0.01)
    raise Trouble("the three processes of a connection did not appear")


def table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for line in rows:
        indent("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


# --- the story ---


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A temporary folder that the wrapped program may look into."""
    with tempfile.TemporaryDirectory(prefix="bearwrap-demo.") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("www", "empty"):
            (folder / part).mkdir(0o755)
        (folder / "www" / "index.html").write_text(PAGE)
        yield folder


def show(server: Server, curl: str, openssl: str, cert: Path) -> None:
    """Fetch the page, then look at the handshake, at a held connection, and at the log."""
    url = f"https://localhost:{server.port}/"
    heading("The page")
    words = [curl, "-4", "-sS", "--fail", "--noproxy", "*", "--cacert", str(cert), url]
    command(words)
    indent(run(words).stdout)
    server.wait_line("child exited")
    first = list(server.lines)

    heading("The handshake")
    words = [openssl, "s_client", "-brief", "-4", "-connect", f"localhost:{server.port}", "-CAfile", str(cert)]
    command(words)
    wanted = ("Protocol version", "Ciphersuite", "Peer certificate", "Verification", "Server Temp Key")
    done = run(words)
    indent("\n".join(line for line in (done.stderr + done.stdout).splitlines() if line.startswith(wanted)))

    heading("The three processes of a connection, while it is held open")
    context = ssl.create_default_context(cafile=str(cert))
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S)
    with plain, context.wrap_socket(plain, server_hostname="localhost"):
        rows = [row(name, pid) for name, pid in connection_processes(server)]
    table([("", "pid", "uid", "connection", "files", "root", "command"), *rows])
    indent("connection: holds the client's socket; files: how many it may open")

    heading("The log of the first connection (-vv)")
    indent("\n".join(first))


def serve(server: Server, cert: Path) -> None:
    """Leave it running until an interrupt."""
    server.follow = indent  # before the port is told: whoever connects at once is shown too
    heading(f"Serving https://localhost:{server.port}/ until you press Ctrl-C")
    indent(f"curl --cacert {cert} https://localhost:{server.port}/")
    indent(f"openssl s_client -CAfile {cert} -connect localhost:{server.port}")
    indent("A browser will warn, for nobody has signed this certificate.")
    server.popen.wait()
    raise Trouble("the server ended: " + (server.lines or ["no message"])[-1])


def demo(stay: bool, port: int) -> None:
    """The whole of it. Raises Trouble."""
    if os.geteuid() != 0:
        raise Trouble("run as root: each connection gets its own jail, and only root can make one")
    program = Path(os.environ.get("BEARWRAP_BIN", ROOT / "build" / "bin")).resolve() / "tlswrapper"
    if not program.exists():
        raise Trouble(f"{program} is missing: run make")
    busybox, curl, openssl = tool("busybox", "busybox"), tool("curl", "curl"), tool("openssl", "openssl")
    if not has_applet(busybox, "httpd"):
        raise Trouble(f"{busybox} has no httpd")
    listen = super_server(busybox, port)
    with place() as folder:
        both, cert = certificate(openssl, folder)
        heading("A web server that knows nothing of TLS, behind the wrapper")
        wrapper = [str(program), "-vv", "-f", str(both), "-J", str(folder / "empty"), "-u", ACCOUNT]
        words = [*listen, *wrapper, busybox, "httpd", "-i", "-h", str(folder / "www")]
        command(words)
        server = Server(words)
        try:
            show(server, curl, openssl, cert)
            if stay:
                serve(server, cert)
        finally:
            server.close()


def interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Parse the options and tell the story; the exit code."""
    parser = argparse.ArgumentParser(description="show one wrapped web server at work")
    parser.add_argument("--serve", action="store_true", help="leave the server running until interrupted")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        demo(options.serve, options.port)
    except KeyboardInterrupt:
        print(flush=True)
        return 0 if options.serve else 130
    except (Trouble, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
