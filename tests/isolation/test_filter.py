"""The filter of system calls, run here instead of in the kernel: it allows what its table says, and nothing else.

Every number up to 1,023, those of x32, -1 and others; arguments that fit and that differ in a bit; other machines.
"""

from __future__ import annotations

import platform
import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bearwrap import _bear
from tests.harness import ROOT

Call = tuple[int, int, int, int, int]  # who, argument, number, mask, value
Step = tuple[int, int, int, int]  # code, jt, jf, k

if b"__asan_init" in Path(_bear.__file__).read_bytes():
    pytest.skip("a build with sanitizers has no filter", allow_module_level=True)

NET, KEY = 1, 2
ARCHS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}  # linux/audit.h
ARCH = ARCHS[platform.machine()]
OTHERS = sorted({*ARCHS.values(), 0x40000003, 0x40000028, 0x8000003E, 0, 0xFFFFFFFF} - {ARCH})
LOAD, MASK, EQUAL, TO_INDEX, RETURN = 0x20, 0x54, 0x15, 0x07, 0x06  # linux/bpf_common.h, linux/filter.h
ALLOW, KILL = 0x7FFF0000, 0x80000000  # linux/seccomp.h
ALL = 0xFFFFFFFF
NUMBERS = [*range(1024), *(0x40000000 | n for n in range(1024)), 1 << 31, ALL - 1, ALL]
LOOPS = {"epoll_wait": 232, "readv": 19, "writev": 20, "read": 0, "write": 1, "recvfrom": 45}  # of x86-64


def run(steps: list[Step], number: int, arguments: list[int], arch: int = ARCH) -> tuple[int, int, bool]:
    """The answer, after how many steps, and whether an argument was looked at (seccomp(2)). The index is never used."""
    data = [number, arch, 0, 0]
    for argument in arguments:
        data += argument & ALL, argument >> 32
    at = taken = loaded = 0
    looked = False
    while True:
        code, when_true, when_false, k = steps[at]
        at, taken = at + 1, taken + 1
        if code == LOAD:
            loaded, looked = data[k // 4], looked or k >= 16
            assert k % 4 == 0
        elif code == MASK:
            loaded &= k
        elif code == EQUAL:
            at += when_true if loaded == k else when_false
        elif code == RETURN:
            return k, taken, looked
        else:
            assert code == TO_INDEX


def fits(call: Call, arguments: list[int]) -> bool:
    _, argument, _, mask, value = call
    return mask == 0 or arguments[argument] & mask == value


def attempts(rows: list[Call]) -> Iterable[list[int]]:
    """Arguments that fit a row of one number or miss it by a bit, among others that are anything."""
    for argument, value, bit in ((row[1], row[4], bit) for row in rows for bit in range(-1, 64)):
        arguments = [random.Random(bit).getrandbits(64) for _ in range(6)]
        arguments[argument] = value ^ (1 << bit if bit >= 0 else 0)
        yield arguments
    yield [0] * 6
    yield [(1 << 64) - 1] * 6


def check(calls: list[Call], who: int) -> list[Step]:
    steps = _bear.system_call_filter(calls, who)
    assert steps[0][0] == TO_INDEX, "the kernel tries the filter with every number"
    assert all(code in (LOAD, MASK, EQUAL, RETURN) for code, _, _, _ in steps[1:])
    mine: dict[int, list[Call]] = {}
    for call in calls:
        if call[0] & who:
            mine.setdefault(call[2] & ALL, []).append(call)
    edges = {(number + off) & ALL for number in mine for off in (-1, 0, 1)}
    for number in sorted(edges.union(NUMBERS)):
        rows = mine.get(number, [])
        for arguments in attempts(rows):
            answer, _, looked = run(steps, number, arguments)
            assert answer == (ALLOW if any(fits(row, arguments) for row in rows) else KILL), (number, arguments)
            assert not looked or any(row[3] for row in rows), f"{number} is allowed whatever its arguments are"
        for arch in OTHERS:
            assert run(steps, number, [0] * 6, arch)[0] == KILL, (number, arch)
    return steps


@pytest.mark.parametrize("who", [NET, KEY], ids=["net", "key"])
def test_the_table(who: int) -> None:
    """What it costs to install is in src/seccomp.pxi; what a transfer calls is allowed after few steps."""
    steps = check(_bear.system_calls(), who)
    assert len(steps) <= 70
    if platform.machine() == "x86_64":
        assert all(run(steps, number, [0] * 6)[1] <= 12 for number in LOOPS.values())


def generic() -> list[Call]:
    """The table with the numbers of aarch64 and riscv64."""
    header = Path("/usr/include/asm-generic/unistd.h").read_text()
    numbers = {name: int(n) for name, n in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)$", header, re.M)}
    source = re.sub(r"#ifdef BEARWRAP_TEST_HOOKS.*?#endif", "", (ROOT / "src" / "syscalls.h").read_text(), flags=re.S)
    rows = re.findall(r"\{ BW_(\w+), (\d), (?:SYS_)?([-\w]+), (\w+), (\w+) \}", source)
    assert len(rows) == len(_bear.system_calls()) and sum(row[2] in numbers for row in rows) > 30
    masks = {"0": 0, "0xffffffff": ALL, "PROT_EXEC": 4}
    return [
        ({"NET": 1, "KEY": 2, "BOTH": 3}[who], int(argument), numbers.get(name, -1), masks[mask],
         int(value) if value.isdigit() else sum(value.encode()))  # any value does that is its own
        for who, argument, name, mask, value in rows
        if name in numbers or name == "-1"
    ]  # fmt: skip


@pytest.mark.parametrize("who", [NET, KEY], ids=["net", "key"])
def test_the_numbers_of_other_machines(who: int) -> None:
    check(generic(), who)


EDGES: dict[str, list[Call]] = {
    "nothing": [],
    "nothing for net": [(KEY, 0, 1, 0, 0)],
    "the first": [(3, 0, 0, 0, 0)],
    "the first, bound": [(3, 5, 0, ALL, ALL)],
    "the last": [(3, 0, -1, 0, 0)],
    "the last, bound": [(3, 0, -1, 0x80000000, 0x80000000)],
    "one beside the other": [(3, 0, 7, 0, 0), (3, 1, 8, 1, 1), (3, 0, 9, 0, 0), (3, 0, 10, 0, 0)],
    "values of one": [(3, 2, 7, ALL, 1), (3, 2, 7, ALL, 2), (3, 0, 7, 0xF0, 0x10)],
    "bound and not": [(3, 2, 7, ALL, 1), (3, 0, 7, 0, 0), (3, 2, 9, 0, 0), (3, 2, 9, ALL, 1)],
    "above 512": [(3, 0, 511, 0, 0), (3, 0, 512, 0, 0), (3, 0, 900, 0, 0), (3, 0, 0x40000001, 0, 0)],
}


@pytest.mark.parametrize("name", EDGES)
def test_a_small_table(name: str) -> None:
    check(EDGES[name], NET)


@pytest.mark.parametrize("seed", range(10))
def test_any_table(seed: int) -> None:
    """As many rows as ours has, close together or far apart."""
    rng = random.Random(seed)
    numbers = rng.sample(range(60 if seed % 2 else 1000), len(_bear.system_calls()))
    rows = [(rng.randrange(1, 4), rng.randrange(6), number, rng.choice((0, ALL, 4, 0x80000001))) for number in numbers]
    check([(*row, rng.getrandbits(32) & row[3]) for row in rows], NET)


def test_the_longest_filter() -> None:
    """Every row has a number of its own and an argument under a mask: BW_FILTER_MAX instructions."""
    rows = len(_bear.system_calls())
    assert len(check([(3, 0, 2 * n + 1, 4, 0) for n in range(rows)], NET)) == 6 + 4 * rows


def test_a_longer_table_is_refused() -> None:
    with pytest.raises(ValueError, match="more calls than the table has"):
        _bear.system_call_filter([(3, 0, 1, 0, 0)] * (len(_bear.system_calls()) + 1), NET)
