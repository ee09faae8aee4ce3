"""The examples of s6-tlsc(1) and s6-tlsclient(1), run with a host of ours in place of the one they name."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.certs import Certs
from tests.harness import BIN, LIMIT_S, ROOT, require_peer

PAGES = ["s6-tlsc", "s6-tlsclient"]


def example(page: str, sign: str) -> str:
    """The first example of a page that has `sign` in it, as sh reads it."""
    text = (ROOT / "man" / f"{page}.1").read_text().split("\n.Sh EXAMPLES")[1]
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", text, re.M)
    (block, *_) = [block for block in blocks if sign in block]
    return block.replace("\\e", "\\")


@pytest.fixture
def asked(certs: Certs) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a TLS host that answers whatever it is asked, and what it was asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server("p256"))
    questions: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        sock.settimeout(LIMIT_S)
        with sock, context.wrap_socket(sock, server_side=True) as tls:
            while not questions or b"\n" not in questions[-1]:
                questions.append(tls.recv(1000))
            tls.sendall(b"answer\n")
            tls.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_S)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], questions
        thread.join(LIMIT_S)


def run(script: str, port: int, certs: Certs, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A script with its host and its anchors replaced."""
    script = re.sub(r"CA(?:DIR|FILE)=\S+", f"CAFILE={certs.ca}", script)
    host = "localhost"
    if "tcpclient" in script:
        require_peer("tcpclient")
        host = "127.0.0.1"  # it asks the domain name system alone
    script = re.sub(r"\b(?:www|imap)\.example\.com (?:443|993)\b", f"{host} {port}", script)
    script = re.sub(r"-k (?:www|imap)\.example\.com", "-k localhost", script)
    env = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, env=env, timeout=LIMIT_S, check=False)


@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_by_hand(page: str, asked: tuple[int, list[bytes]], certs: Certs) -> None:
    port, questions = asked
    done = run(example(page, "GET /"), port, certs)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"answer\n", b"")
    assert b"".join(questions) == b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("sign", ["-K 10000", "set tunnel"])
def test_a_terminal_or_a_mail_client(page: str, sign: str, asked: tuple[int, list[bytes]], certs: Certs) -> None:
    """What is typed goes there, and what comes is shown; a mail client runs the same command by itself."""
    port, questions = asked
    script = example(page, sign)
    if sign == "set tunnel":
        script = script.removeprefix('set tunnel="').rstrip().removesuffix('"')
    done = run(script, port, certs, b"a1 CAPABILITY\r\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"answer\n", b"")
    assert questions == [b"a1 CAPABILITY\r\n"]
