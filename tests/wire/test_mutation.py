"""Property: whatever a ClientHello is turned into, the server ends in order.

It answers with its flight or with exactly one fatal alert (or, if the message never ends, with nothing at
all), closes with EOF, exits 111, never runs prog, and never hangs.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import Program, Wrapped, needs_root

from .client import Client
from .identities import Identities
from .messages import Hello
from .names import FATAL, Record
from .records import Ended
from .row import FAILED_CODE, PROG
from .rows_extension import like_tls13

pytestmark = needs_root
EXAMPLES = 100

SEEDS = [
    Hello(random=bytes(range(32))),
    like_tls13(Hello(random=bytes(range(32)))),
    Hello(random=bytes(range(32)), extensions=None),
]


@dataclass(frozen=True)
class Change:
    """One step of a mutation: what to do at `place` (0 to 1, of the whole) with `number`."""

    what: str
    place: float
    number: int

    def apply(self, data: bytes) -> bytes:
        """The changed bytes."""
        at = int(self.place * len(data))
        if self.what == "flip":
            return data[:at] + bytes(b ^ (1 << self.number % 8) for b in data[at : at + 1]) + data[at + 1 :]
        if self.what == "byte":
            return data[:at] + bytes([self.number % 256]) + data[at + 1 :]
        if self.what == "length":
            return data[:at] + (self.number % 65536).to_bytes(2, "big") + data[at + 2 :]
        if self.what == "cut":
            return data[:at]
        if self.what == "drop":
            return data[:at] + data[at + 1 + self.number % 16 :]
        return data[:at] + data[at : at + 1 + self.number % 64] * 2 + data[at + 1 + self.number % 64 :]


changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(["flip", "byte", "length", "cut", "drop", "double"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 65535),
    ),
    min_size=1,
    max_size=3,
)


@given(seed=st.sampled_from(SEEDS), steps=changes, framed=st.booleans())
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_mutated_hello(
    ours: Program, identities: Identities, seed: Hello, steps: list[Change], framed: bool
) -> None:
    data = seed.message()
    for step in steps:
        data = step.apply(data)
    with Wrapped(["-vv", "-f", identities.files["rsa"]], PROG, program=ours) as wrapped:
        client = Client(wrapped.client)
        try:
            client.send_raw(data if not framed else client.frame(Record.HANDSHAKE, data))
            wrapped.client.shutdown(1)
        except (Ended, OSError):
            pass  # refused before all was sent; what was answered can still be read
        end = client.drain()
        wrapped.client.close()
        code = wrapped.wait()
        fatals = [alert for alert in client.alerts if alert.level == FATAL]
        assert end == "eof"
        assert len(fatals) <= 1
        assert not fatals or client.seen[-1].kind == Record.ALERT
        assert code == FAILED_CODE
        assert "PROG RAN" not in wrapped.stderr
