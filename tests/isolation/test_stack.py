"""What key's operations with secrets leave on the stack: bw_wipe_stack goes deeper than any of them.

The stack below the waiting key is painted from outside. Where the program with test hooks stops, just before it wipes,
the lowest byte that is no paint tells how deep it has been; and once it waits again, how deep it has wiped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Wrapped, needs_root
from tests.wire.client import Client
from tests.wire.names import GROUP_OPTIONS, Group
from tests.wire13.client import Client13, hello13

from .connection import Shape, hooked, ready
from .frozen import Frozen, Tracer

pytestmark = needs_root
PAINT = b"\xa5"
DEPTH = 1 << 16  # painted
SPARE = 2048  # by which the wipe must go deeper than the operation
KINDS = [("p256", Group.X25519), ("rsa4096", Group.SECP256R1), ("p384", Group.SECP384R1), ("p521", Group.SECP521R1)]
kinds = pytest.mark.parametrize(("kind", "group"), KINDS)
Step = Callable[[], object]


def pointer(pid: int) -> int:
    """The stack pointer of a process that is in a system call (proc_pid_syscall(5))."""
    return int(Path(f"/proc/{pid}/syscall").read_text().split()[-2], 16)


def untouched(pid: int, bottom: int) -> int:
    """How much of the paint above an address is still there."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(bottom)
        painted: bytes = memory.read(DEPTH)
    return len(painted) - len(painted.lstrip(PAINT))


@contextmanager
def wiped(wrapped: Wrapped) -> Iterator[Callable[[Step, Step], None]]:
    """A check: the first step leads key to the hook's stop; at the end of the second it has wiped and waits."""
    key = ready(wrapped)[1]
    watch = Tracer(key)

    def check(to_stop: Step, to_wait: Step) -> None:
        watch.interrupt()
        bottom = pointer(key) - 256 - DEPTH
        with open(f"/proc/{key}/mem", "r+b", buffering=0) as memory:
            memory.seek(bottom)
            memory.write(PAINT * DEPTH)
        watch.resume()
        to_stop()
        watch.wait_stop()
        used = untouched(key, bottom)
        assert 0 < used < DEPTH, "the operation went deeper than the paint, or nowhere"
        watch.go_on()
        to_wait()
        with Frozen(key):
            assert untouched(key, bottom) <= used - SPARE

    yield check


@kinds
def test_signature(kind: str, group: Group, certs: Certs) -> None:
    """The private key's operation, after which the file's text and the key itself have left remains too."""
    shape = Shape(kind, "AES_256_GCM_SHA384", group=group)
    words, environment = ["-vv", *shape.options(certs)], {"BEARWRAP_TEST_STOP": "sign"}
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped, wiped(wrapped) as check:
        client = Client(wrapped.client)
        check(lambda: client.send_hello(shape.hello()), client.read_flight)


@kinds
def test_derivation(kind: str, group: Group, certs: Certs) -> None:
    """The shared secret, the master secret and the record keys."""
    shape = Shape(kind, "AES_256_GCM_SHA384", group=group)
    words, environment = ["-vv", *shape.options(certs)], {"BEARWRAP_TEST_STOP": "derive"}
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped, wiped(wrapped) as check:
        client = Client(wrapped.client)
        client.start(shape.hello())

        def finish() -> None:
            client.send_ccs()
            client.send_finished()
            client.read_finished()

        check(client.send_key_exchange, finish)


@kinds
def test_tls13(kind: str, group: Group, certs: Certs) -> None:
    """Shared secret, schedule and signature of TLS 1.3."""
    words = ["-vv", "-e", GROUP_OPTIONS[group], "-f", str(certs.server(kind))]
    environment = {"BEARWRAP_TEST_STOP": "sign"}
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped, wiped(wrapped) as check:
        client = Client13(wrapped.client)
        hello = client.shared_hello(hello13((group,)), [group])
        check(lambda: client.send_hello(hello), lambda: (client.read_hello(), client.read_flight()))


def test_tickets(certs: Certs, tmp_path: Path) -> None:
    """The end of a handshake of TLS 1.3, where tickets are sealed."""
    keys = tmp_path / "keys"
    keys.write_bytes(bytes(range(96)))
    words = ["-vv", "-e", "x25519", "--ticket-keys", str(keys), "-f", str(certs.server("p256"))]
    environment = {"BEARWRAP_TEST_STOP": "finished"}
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped, wiped(wrapped) as check:
        client = Client13(wrapped.client)
        client.send_hello(client.shared_hello(hello13((Group.X25519,)), [Group.X25519]))
        client.read_hello()
        client.read_flight()
        check(client.send_finished, lambda: client.echo(b"x"))
