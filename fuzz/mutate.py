"""mutate - seeded randomness in, wrong bytes out: the same generator gives the same case again.

`scramble` knows nothing of what it changes. `random_hello` composes a ClientHello field by field, so that most of what
it makes is well-formed and the rare rules are reached too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from tests.wire.messages import Hello, server_name, u16, u16s, vec

LONGEST = 20_000  # bytes of a case, above every limit of ours
EDGES = (0, 1, 2, 3, 4, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 257, 16384, 16385, 32767, 32768, 65534, 65535)
GROUPS = (29, 23, 24, 25, 30, 256, 0x0A0A, 0x6399)
POINTS = {29: 32, 23: 65, 24: 97, 25: 133}
SUITES = (0x1301, 0x1302, 0x1303, 0x1304, 0xC02B, 0xC02F, 0xCCA8, 0xCCA9, 0x009C, 0x00FF, 0x5600, 0x0A0A)
SCHEMES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0203, 0x1A1A)
VERSIONS = (0x0304, 0x0303, 0x0302, 0x0301, 0x0300, 0x0305, 0x7F1C, 0x2A2A)


def number(r: Random) -> int:
    """Of two bytes, often where a limit could be."""
    return r.choice(EDGES) if r.random() < 0.7 else r.getrandbits(16)


def _flip(r: Random, data: bytearray, at: int) -> None:
    if at < len(data):
        data[at] ^= 1 << r.randrange(8)


def _byte(r: Random, data: bytearray, at: int) -> None:
    data[at : at + 1] = bytes([number(r) & 255])


def _length(r: Random, data: bytearray, at: int) -> None:
    data[at : at + 2] = u16(number(r))


def _near(r: Random, data: bytearray, at: int) -> None:
    """A number one beside what it was: the likeliest mistake with lengths."""
    if at < len(data):
        data[at] = (data[at] + r.choice((-1, 1))) & 255


def _cut(r: Random, data: bytearray, at: int) -> None:
    del data[at:]


def _drop(r: Random, data: bytearray, at: int) -> None:
    del data[at : at + 1 + r.randrange(64)]


def _double(r: Random, data: bytearray, at: int) -> None:
    data[at:at] = data[at : at + 1 + r.randrange(64)]


def _insert(r: Random, data: bytearray, at: int) -> None:
    data[at:at] = r.randbytes(1 + r.randrange(32))


def _swap(r: Random, data: bytearray, at: int) -> None:
    n = 1 + r.randrange(32)
    data[at : at + 2 * n] = data[at + n : at + 2 * n] + data[at : at + n]


def _fill(r: Random, data: bytearray, at: int) -> None:
    n = min(1 + r.randrange(32), len(data) - at)
    data[at : at + n] = bytes([r.choice((0, 255))]) * n


STEPS: tuple[Callable[[Random, bytearray, int], None], ...] = (
    _flip, _byte, _length, _near, _near, _cut, _drop, _double, _insert, _swap, _fill,
)  # fmt: skip


def scramble(r: Random, data: bytes, most: int = 4) -> bytes:
    """The bytes with 1 to `most` steps applied, at most LONGEST of them."""
    out = bytearray(data)
    for _ in range(1 + r.randrange(most)):
        r.choice(STEPS)(r, out, r.randrange(len(out) + 1))
    return bytes(out[:LONGEST])


def noise(r: Random) -> bytes:
    """Bytes with no sense in them."""
    return r.randbytes(r.choice((r.randrange(8), r.randrange(64), r.randrange(600))))


def some(r: Random, of: Sequence[int], most: int = 5) -> list[int]:
    """A few of these numbers, now and then none, or one twice and another."""
    if r.random() < 0.02:
        return []
    out = r.sample(of, 1 + r.randrange(min(most, len(of))))
    if r.random() < 0.1:
        out += [r.choice(of), r.getrandbits(16)]
    return out


def rarely(r: Random, usual: bytes, *others: bytes) -> bytes:
    """The first, nineteen times of twenty."""
    return usual if r.random() < 0.95 else r.choice(others)


def shares(r: Random, groups: Sequence[int]) -> bytes:
    """KeyShareEntry by KeyShareEntry, most in the groups' order and of the right size."""
    out = b""
    for group in groups:
        if r.random() < 0.7:
            size = POINTS.get(group, 1) if r.random() < 0.97 else number(r) % 200
            out += u16(group) + vec(2, r.randbytes(size))
    return out


def tickets(r: Random) -> bytes:
    """The body of pre_shared_key."""
    count, sizes = r.randrange(1, 4), (32, 48) if r.random() < 0.9 else (31, 255, 32)
    identities = b"".join(vec(2, r.randbytes(1 + r.randrange(200))) + r.randbytes(4) for _ in range(count))
    count += r.random() < 0.1
    return vec(2, identities) + vec(2, b"".join(vec(1, r.randbytes(r.choice(sizes))) for _ in range(count)))


def extension_data(r: Random, groups: Sequence[int]) -> dict[int, bytes]:
    """Good data, or nearly, for each extension that our parsers know."""
    good = r.choice((b"localhost", b"a.example", b"A.Example.", b"xn--nxasmq6b.example"))
    name = rarely(r, good, b"", b".", b"a..b", b"x" * 255, b"-\0", b"../x", noise(r)[:80])
    protocols = b"".join(vec(1, word) for word in r.sample((b"h2", b"http/1.1", b"x", b"\x0a\x0a"), r.randrange(1, 5)))
    return {
        0: server_name(*[name] * (1 if r.random() < 0.97 else r.choice((2, 0)))),
        1: rarely(r, bytes([1 + r.randrange(4)]), b"\0", b"\5"),
        5: b"\1\0\0\0\0",
        10: vec(2, u16s(groups)),
        11: vec(1, rarely(r, r.choice((b"\0", b"\0\1\2")), b"\1", b"")),
        13: vec(2, u16s(some(r, SCHEMES, 8))),
        16: vec(2, protocols),
        22: b"",
        23: b"",
        28: rarely(r, u16(64 + r.randrange(16322)), u16(number(r))),
        42: b"",
        43: vec(1, u16s([0x0304, *some(r, VERSIONS, 4)] if r.random() < 0.9 else some(r, VERSIONS))),
        44: vec(2, r.randbytes(1 + r.randrange(40))),
        45: vec(1, rarely(r, r.choice((b"\1", b"\0\1", b"\x0b\1")), b"\0", b"")),
        47: vec(2, vec(2, r.randbytes(1 + r.randrange(30)))),
        49: b"",
        50: vec(2, u16s(some(r, SCHEMES, 8))),
        51: vec(2, shares(r, groups)),
        0xFF01: vec(1, rarely(r, b"", r.randbytes(12))),
        0x1A1A: r.randbytes(r.randrange(3)),
    }


USUAL = (0, 10, 13, 43, 45, 51)  # without which there is little to choose


def random_hello(r: Random) -> Hello:
    """Composed: most are good for TLS 1.3, the rest are wrong in one or two places."""
    groups = some(r, GROUPS) or [29]
    have = extension_data(r, groups)
    kinds = [kind for kind in have if (kind in USUAL) == (r.random() < 0.9) or r.random() < 0.05]
    if r.random() < 0.5:
        r.shuffle(kinds)
    if 45 in kinds and r.random() < 0.4:
        kinds.append(41)
        have[41] = tickets(r)
    if r.random() < 0.03 and kinds:
        kinds.insert(r.randrange(len(kinds) + 1), r.choice(kinds))
    extensions = [(kind, have[kind]) for kind in kinds]
    if r.random() < 0.2 and extensions:
        at = r.randrange(len(extensions))
        extensions[at] = (extensions[at][0], scramble(r, extensions[at][1], 2))
    return Hello(
        version=0x0303 if r.random() < 0.9 else r.choice(VERSIONS),
        random=r.randbytes(32),
        session_id=r.randbytes(r.choice((0, 32)) if r.random() < 0.95 else r.choice((1, 33))),
        suites=tuple(some(r, SUITES, 8)) or (0x1301,),
        compressions=rarely(r, b"\0", b"", b"\1\0", b"\0\1", b"\1"),
        extensions=extensions if r.random() < 0.98 else None,
    )


def hello_body(r: Random) -> bytes:
    """A ClientHello's body: one in twenty is noise, half are composed, the rest composed and scrambled."""
    if r.random() < 0.05:
        return noise(r)
    body = random_hello(r).body()
    return body[:LONGEST] if r.random() < 0.5 else scramble(r, body)
