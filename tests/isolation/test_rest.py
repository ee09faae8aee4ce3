"""An idle connection gives its memory back, plaintext first, and goes on where it was."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from tests.certs import Certs
from tests.client.peers import server_context
from tests.client.tlsc import Tlsc
from tests.harness import RecordClient, Wrapped, duplex, needs_root, read_exactly

from . import needles
from .frozen import Frozen
from .memory import Image, wait_rest

pytestmark = needs_root
MIB = 1 << 20
SLACK_KIB = 32  # a transfer leaves 140 in net and key, and the ring


def own_kib(*pids: int) -> int:
    """Memory that is nobody else's, the ring aside."""
    text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(size) for size in re.findall(r"^Private_Dirty:\s+(\d+) kB", text, re.M))


def test_what_a_transfer_used_goes_back(certs: Certs) -> None:
    """Rings, slots, the handshake's rooms and the stack; and again after the next transfer."""
    with Wrapped(["-f", str(certs.server("rsa4096"))], ["cat"]) as wrapped:
        tls = wrapped.tls()
        found = wrapped.processes()
        assert found.key is not None
        fresh_kib = own_kib(found.net, found.key)
        for _ in range(2):
            data = os.urandom(4 * MIB)
            assert duplex(tls, data, len(data)) == data
            wait_rest(found.net, found.key)
            assert own_kib(found.net, found.key) <= fresh_kib + SLACK_KIB
        tls.close()
        assert wrapped.wait() == 0


def test_delivered_plaintext_is_forgotten(certs: Certs) -> None:
    """It is in key right after the transfer, both ways, and nowhere in key once the connection rests."""
    up, down = os.urandom(64), os.urandom(64)
    prog = ["sh", "-c", "head -c 262144 >/dev/null; exec cat"]
    with Wrapped(["-f", str(certs.server("p256"))], prog) as wrapped:
        tls = wrapped.tls()
        found = wrapped.processes()
        assert found.key is not None
        tls.sendall(up * 4096)
        tls.sendall(down * 4096)
        assert read_exactly(tls, 262144) == down * 4096
        wanted = needles.pieces("up", up) | needles.pieces("down", down)
        with Frozen(found.key):
            assert Image(found.key).find(wanted), "the search is broken"
        wait_rest(found.net, found.key)
        with Frozen(found.key):
            left = Image(found.key).find(wanted)
        assert not left, f"key still holds {needles.names(left)}"
        tls.sendall(b"more")
        assert read_exactly(tls, 4) == b"more"


def test_nothing_is_lost_while_prog_does_not_read(certs: Certs) -> None:
    """What is opened and waits for prog stays, also past the time after which an idle connection rests."""
    data = os.urandom(2 * MIB)
    with Wrapped(["-f", str(certs.server("p256"))], ["sh", "-c", "sleep 2.5; exec cat"]) as wrapped:
        tls = wrapped.tls()
        assert duplex(tls, data, len(data)) == data


def test_nothing_is_lost_while_the_client_does_not_read(certs: Certs, tmp_path: Path) -> None:
    """What is sealed and waits for the client stays, a record half written too."""
    text = tmp_path / "text"
    text.write_bytes(os.urandom(4 * MIB))
    prog = ["sh", "-c", '(sleep 2.5; echo rested >&2) & cat "$0"; wait', str(text)]
    with Wrapped(["-f", str(certs.server("p256"))], prog) as wrapped:
        wrapped.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        tls = wrapped.tls()
        assert wrapped.wait_stderr("rested")
        assert read_exactly(tls, 4 * MIB) == text.read_bytes()


def test_half_a_record_stays(certs: Certs) -> None:
    """A record whose second half comes after the silence opens."""
    prog = ["sh", "-c", "(sleep 2.5; echo rested >&2) & exec cat"]
    with Wrapped(["-f", str(certs.server("p256"))], prog) as wrapped:
        client = RecordClient(wrapped.client)
        client.handshake()
        data = os.urandom(10000)
        sealed = client.seal(b"before") + client.seal(data)
        wrapped.client.sendall(sealed[:5000])
        assert client.read_exactly(6) == b"before"
        assert wrapped.wait_stderr("rested")
        wrapped.client.sendall(sealed[5000:])
        assert client.read_exactly(10000) == data


def test_a_client_rests_too(certs: Certs) -> None:
    """s6-tlsc: the same processes, another loop."""
    with Tlsc(["-k", "localhost"], ["sh", "-c", "cat <&6 >&7 & wait"], env={"CAFILE": certs.ca}) as run:
        tls = run.serve(server_context(certs.server("p256")))
        found = run.processes()
        assert found.key is not None
        fresh_kib = own_kib(found.net, found.key)
        data = os.urandom(MIB)
        assert duplex(tls, data, len(data)) == data
        wait_rest(found.net, found.key)
        assert own_kib(found.net, found.key) <= fresh_kib + SLACK_KIB
        tls.sendall(b"here")
        assert read_exactly(tls, 4) == b"here"
