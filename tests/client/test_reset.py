"""A connection that is reset: it is told, whatever prog does meanwhile."""

from __future__ import annotations

import os
import socket
import time

from tests.harness import LIMIT_S, Deadline, marked, needs_root, proc_status, require_peer, reset

from .material import Material
from .scripted import identity
from .server import Server
from .test_closing import SIZE, eofs, finished, scripted, start, styles
from .tlsc import loopback


@eofs
def test_reset(material: Material, eof: list[str]) -> None:
    with start(material, eof, "head -c 4 <&6; cat <&6; exit 7") as run:
        server = scripted(run, material)
        server.send_data(b"data")
        assert run.wait_stdout("data")
        reset(server.sock)
        finished(run, 7, b"data", "s6-tlsc: fatal: unable to read from remote: Connection reset by peer\n")


@needs_root
def test_reset_while_prog_ends(material: Material) -> None:
    """prog, whose input the reset ends, may be gone before net looks again: net's word to key takes a while here."""
    slow = [require_peer("strace"), "-f", "-qq", "-e", "inject=writev:delay_exit=200000", "-o", os.devnull]

    def held() -> bool:
        """Whether strace holds one of them: in state t, not yet at rest."""
        return any(proc_status(pid)["State"].startswith("t") for pid in marked(run.mark))

    with start(material, ["-s"], "cat <&6; exit 7", launcher=slow) as run:
        server = scripted(run, material)
        server.send_data(b"data")
        assert run.wait_stdout("data")
        deadline = Deadline(LIMIT_S)
        while held():
            assert not deadline.over()
            time.sleep(0.01)
        reset(server.sock)
        finished(run, 7, b"data", "s6-tlsc: fatal: unable to read from remote: Connection reset by peer\n")


@styles
def test_reset_before_all_is_out(material: Material, style: list[str]) -> None:
    """prog has said it all and ended well: that it has not arrived is not kept from whoever reads the log."""
    sock, peer = loopback()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    said = 2 * SIZE  # more than the sockets hold, less than they and the ring
    with start(material, style, f"head -c {said} /dev/zero >&7; echo done; exec 7>&-; exit 5", sock=sock) as run:
        server = Server(peer, identity(material.path("p256").read_text()))
        server.handshake()
        assert run.wait_stdout("done")
        reset(peer)
        finished(run, 5, b"done\n", "s6-tlsc: fatal: unable to read from remote: Connection reset by peer\n")
