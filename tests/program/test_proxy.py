"""PROXY v1 in front of TLS (-p1): which headers are accepted, what they set, and how bad ones end."""

from __future__ import annotations

import os
import select
import socket

import pytest

from tests.certs import Certs
from tests.harness import Deadline, Program, Wrapped, ending, read_all, wait_ready

NAMES = ("TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT")
UNKNOWN = ("::", "0", "::", "0")
REFUSED = "unable to receive incoming proxy-protocol v1 string"


def seen(w: Wrapped) -> tuple[str, ...]:
    """Handshake with a wrapped `env -0`; give the four address variables."""
    with w.tls() as tls:
        pairs = dict(item.split("=", 1) for item in os.fsdecode(read_all(tls)).split("\0") if item)
    return tuple(pairs[name] for name in NAMES)


GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", ("192.0.2.1", "56324", "198.51.100.2", "443")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\n", ("192.0.2.1", "0", "198.51.100.2", "65535")),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", ("2001:db8::1", "1", "::1", "2")),
    (b"PROXY TCP6 ::ffff:192.0.2.1 0:0:0::1 1 2\r\n", ("192.0.2.1", "1", "::1", "2")),
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    (b"PROXY UNKNOWN\n", UNKNOWN),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", UNKNOWN),
    (b"PROXY UNKNOWNanything\r\n", UNKNOWN),
    (b"PROXY UNKNOWN".ljust(126, b"x") + b"\n", UNKNOWN),
    (b"PROXY UNKNOWN".ljust(125, b"x") + b"\r\n", UNKNOWN),
]


@pytest.mark.parametrize(("header", "expected"), GOOD, ids=lambda value: repr(value)[:50])
def test_a_good_header(program: Program, certs: Certs, header: bytes, expected: tuple[str, ...]) -> None:
    """Its addresses win over the environment and the socket, and stand in the log."""
    env = dict(zip(NAMES, ("203.0.113.9", "9", "203.0.113.8", "8"), strict=True))
    options = ["-v", "-p", "1", "-f", certs.server("p256")]
    with Wrapped(options, ["env", "-0"], program=program, extra_env=env) as w:
        w.client.sendall(header)
        assert seen(w) == expected
        assert w.wait() == 0
        assert {line.ip for line in w.log("info")} == {expected[0]}


def test_the_header_may_come_with_the_hello_or_byte_by_byte(program: Program, certs: Certs) -> None:
    from tests.harness import RecordClient

    header = b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n"
    with Wrapped(["-p1", "-f", certs.server("p256")], ["env", "-0"], program=program) as w:
        client = RecordClient(w.client)
        w.client.sendall(header + client.client_hello())
        client.handshake()
        assert b"TCPREMOTEIP=192.0.2.1\0" in client.ending()[0]
    with Wrapped(["-p1", "-f", certs.server("p256")], ["env", "-0"], program=program) as w:
        for byte in header:
            w.client.sendall(bytes([byte]))
        assert seen(w)[0] == "192.0.2.1"


def field(name: str) -> str:
    return f"unable to parse {name} from proxy-protocol string '%s'"


PLAIN = "unable to parse proxy-protocol string '%s'"
UNREAD = "unable to read proxy-protocol string"
BAD = [
    (b"PROXY TCP4 ::1 198.51.100.2 1 2\r\n", field("remoteip")),
    (b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", field("remoteip")),
    (b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", field("remoteip")),
    (b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", field("remoteip")),
    (b"PROXY TCP6 [::1] ::1 1 2\r\n", field("remoteip")),
    (b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", field("remoteip")),
    (b"PROXY TCP4 192.0.2.1 ::1 1 2\r\n", field("localip")),
    (b"PROXY TCP6 ::1 198.51.100.2 1 2\r\n", field("localip")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 x 2\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2  1 2\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", field("remoteport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", field("localport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n", field("localport")),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", field("localport")),
    (b"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n", PLAIN),
    (b"proxy UNKNOWN\r\n", PLAIN),
    (b"PROXY  UNKNOWN\r\n", PLAIN),
    (b"PROXY\tUNKNOWN\r\n", PLAIN),
    (b" PROXY UNKNOWN\r\n", PLAIN),
    (b"PROXY\r\n", PLAIN),
    (b"\r\n", PLAIN),
    (b"\n", PLAIN),
    (b"GET / HTTP/1.0\r\n", PLAIN),
    (b"PROXY UNKNOWN".ljust(127, b"x") + b"\n", UNREAD + ", no CRLF"),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\0\1\0\2", PLAIN),  # version 2
]


def escaped(header: bytes) -> str:
    text = {10: r"\n", 13: r"\r", 9: r"\t"}
    return "".join(text.get(b) or (chr(b) if 32 <= b <= 126 else f"\\x{b:02x}") for b in header)


@pytest.mark.parametrize(("header", "text"), BAD, ids=lambda value: repr(value)[:50])
def test_a_bad_header_is_100(program: Program, certs: Certs, header: bytes, text: str) -> None:
    with Wrapped(["-v", "-p1", "-f", certs.server("p256")], ["true"], program=program) as w:
        w.client.sendall(header)
        assert ending(w.client)[0] == b"", "no TLS bytes"
        assert w.wait() == 100
        line = header[: header.index(b"\n") + 1]
        lines = [(entry.level, entry.text) for entry in w.log()]
        expected = text % escaped(line) if "%" in text else text
        assert lines == [("error", expected), ("fatal", REFUSED)]
        assert w.no_process_left()


@pytest.mark.parametrize("header", [b"", b"P", b"PROXY TCP4 192.0.2.1", b"PROXY UNKNOWN\r"], ids=repr)
def test_an_early_end_is_100(program: Program, certs: Certs, header: bytes) -> None:
    with Wrapped(["-v", "-p1", "-f", certs.server("p256")], ["true"], program=program) as w:
        w.client.sendall(header)
        w.client.shutdown(socket.SHUT_WR)
        assert ending(w.client)[0] == b""
        assert w.wait() == 100
        assert [(line.level, line.text) for line in w.log()] == [("error", UNREAD), ("fatal", REFUSED)]


def test_at_the_default_level_only_the_fatal_line(program: Program, certs: Certs) -> None:
    with Wrapped(["-p1", "-f", certs.server("p256")], ["true"], program=program) as w:
        w.client.sendall(b"x\n")
        assert w.wait() == 100
        assert [(line.level, line.text, line.ip) for line in w.log()] == [("fatal", REFUSED, None)]


@pytest.mark.parametrize("place", [3, 4], ids=["remote port", "local port"])
def test_a_leading_zero_in_a_port_is_refused(ours: Program, certs: Certs, place: int) -> None:
    fields = [b"PROXY TCP4", b"192.0.2.1", b"198.51.100.2", b"1", b"2"]
    fields[place] = b"0443"
    with Wrapped(["-p1", "-f", certs.server("p256")], ["true"], program=ours) as w:
        w.client.sendall(b" ".join(fields) + b"\r\n")
        assert w.wait() == 100


def test_a_nul_in_the_header_is_refused(ours: Program, certs: Certs) -> None:
    """The original reads a C string and never sees what stands behind the NUL."""
    with Wrapped(["-p1", "-f", certs.server("p256")], ["true"], program=ours) as w:
        w.client.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\0\r\n")
        assert w.wait() == 100


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "drip"])
def test_the_deadline_covers_the_header(ours: Program, certs: Certs, drip: bool) -> None:
    """-T counts from the end of option parsing; a byte in time does not extend it. 100, no TLS bytes."""
    deadline = Deadline(1.9)
    with Wrapped(["-T1", "-p1", "-f", certs.server("p256")], ["true"], program=ours) as w:
        header = iter(b"PROXY UNKNOWN".ljust(120, b"x"))
        while drip and not wait_ready(w.client, select.POLLIN, 0.2) and not deadline.over():
            w.client.sendall(bytes([next(header)]))
        assert ending(w.client)[0] == b""
        assert w.wait() == 100
        assert not deadline.over()
        assert w.texts("fatal") == [REFUSED]
        assert w.no_process_left()


def test_the_deadline_covers_header_and_handshake_together(ours: Program, certs: Certs) -> None:
    """A header that comes late leaves the handshake only the rest."""
    deadline = Deadline(1.9)
    with Wrapped(["-T1", "-p1", "-f", certs.server("p256")], ["true"], program=ours) as w:
        assert not wait_ready(w.client, select.POLLIN, 0.6)
        w.client.sendall(b"PROXY UNKNOWN\r\n")
        assert ending(w.client)[0] == b""
        assert w.wait() == 111
        assert not deadline.over()
