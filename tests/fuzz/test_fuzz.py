"""`make fuzz`, shorter; and that it would tell of a crash, a hang, a leak and a broken promise."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random

import pytest

from fuzz import hello
from fuzz.__main__ import CONNECTIONS, PURE, main
from fuzz.watch import KIB_ALLOWED, Target, generator, watch
from tests.harness import ROOT, needs_root

CASES, WHOLE = 5000, 20
kept: list[bytearray] = []


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=ROOT)


@pytest.mark.parametrize("name", PURE)
def test_parsers(name: str) -> None:
    done = run("--target", name, "--count", str(CASES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {CASES:,} cases borne" in done.stdout


@pytest.mark.parametrize("name", [pytest.param("handshake", marks=needs_root), "client"])
def test_whole_connections(name: str) -> None:
    done = run("--target", name, "--connections", str(WHOLE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {WHOLE} cases borne" in done.stdout


@pytest.mark.parametrize("words", [["--count", "-1"], ["--target", "nothing"], ["--seed", "x"], ["more"]], ids=" ".join)
def test_bad_usage(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2 and done.stderr.startswith("usage: python -m fuzz ") and not done.stdout


@pytest.mark.parametrize("module", [*PURE.values(), *CONNECTIONS.values()], ids=lambda module: module.__name__)
def test_a_seed_gives_the_same_cases(module: object) -> None:
    def cases(seed: int) -> list[bytes]:
        return [module.make(generator(seed, "x", number)) for number in range(50)]  # type: ignore[attr-defined]

    assert cases(7) == cases(7) != cases(8)


def test_many_hellos_are_good() -> None:
    """Else the choice behind the parser would not be reached."""
    found = [hello._bear.client_hello13(hello.make(generator(1, "x", number)))[0] for number in range(1000)]
    assert 150 < found.count(0) < 800
    assert {0, 40, 47, 50, 70, 109} <= set(found)


def crash(r: Random, case: bytes) -> None:
    if case == b"30":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)


def hang(r: Random, case: bytes) -> None:
    if case == b"30":
        time.sleep(3600)


def leak(r: Random, case: bytes) -> None:
    kept.append(bytearray(b"x") * (KIB_ALLOWED * 1024))  # more than the worker may have free from other tests


def broken(r: Random, case: bytes) -> None:
    assert case != b"30", "no thirty"


def test_a_case_that_is_not_borne_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(r: Random, case: bytes) -> None:
        assert len(case) != 100, "a hundred"

    monkeypatch.setattr(hello, "check", check)
    monkeypatch.setattr(hello, "make", lambda r: bytes(r.randrange(200)))
    assert main(["--seed", "1", "--count", "5000", "--target", "hello"]) == 1
    said = capsys.readouterr().out
    assert "AssertionError: a hundred" in said and "\n  " + "00" * 100 + "\n" in said
    words = said.partition('ARGS="')[2].partition('"')[0].split()
    assert words[-1] == "1" and main(words) == 1
    assert "AssertionError: a hundred" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (crash, "crashes: SIGSEGV"),
        (hang, "hangs: no end after 0.5 s"),
        (leak, "leaks: "),
        (broken, "AssertionError: no thirty"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_told(check: Callable[[Random, bytes], None], words: str) -> None:
    numbers = iter(range(100))
    target = Target("x", lambda r: str(next(numbers)).encode(), check)
    found = watch(target, 1, range(100), lambda number: None, hang_s=0.5)
    assert found.wrong is not None and words in found.wrong
    if check is not leak:
        assert (found.number, found.case) == (30, b"30")
