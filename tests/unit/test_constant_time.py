"""Operations on secrets branch on none and use none as an address: valgrind looks, at the code that is linked.

Our C between BearSSL and the libraries, and these as this machine has them, in the same static form. Two
things are let through: the branches of assertions, which always go the same way (nettle is built with them), and the
length of RSA's result, which is the signature.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

sys.path.insert(0, str(ROOT / "build-aux"))
import bearssl
import cbuild
import native

VARIANT = native.Variant()
OPERATIONS = [
    "mul-x25519", "mulgen-x25519", *(["sign-ed25519"] if native.use_sodium(VARIANT) else []),
    *(f"{what}-{curve}" for what in ("mulgen", "mul", "sign") for curve in ("p256", "p384", "p521")),
    "rsa-1024", "rsa-2048", "rsa-3072", "rsa-4096",
    *(f"chapol-{length}" for length in (0, 15, 100, 1000, 16384)),
    *(f"hmac-{length}" for length in (0, 32, 100, 1000)),
]  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("valgrind") is None or not cbuild.accepts("-include", "valgrind/memcheck.h"):
        pytest.skip("valgrind is not installed")
    target = tmp_path_factory.mktemp("constant") / "constant_time"
    ours = [path for path in native.sources(VARIANT) if path.stem != "hs_server"]
    flags = [flag for flag in native.cflags(VARIANT) if "FORTIFY" not in flag]
    libraries, _built = native.libraries(VARIANT)
    source = Path(__file__).with_name("constant_time.c")
    flags += ["-DBEARWRAP_MARKED_SECRETS=1", "-Wno-unused-function", f"-I{native.SRC}", *bearssl.includes()]
    files = [str(source), *map(str, ours), *libraries]
    cbuild.run([*cbuild.compiler(), *flags, "-no-pie", *files, "-o", str(target)])
    return target


@pytest.fixture(scope="module")
def code(program: Path) -> dict[int, str]:
    """The instructions by their addresses, in order."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(program)], capture_output=True, text=True,
                             timeout=60, check=True).stdout  # fmt: skip
    return {int(at, 16): text for at, text in re.findall(r"^ *([0-9a-f]+):\t(.*)$", listing, re.M)}


def leads_to_assert(code: dict[int, str], at: int) -> bool:
    """Whether what stands here ends in a failed assertion, without another branch."""
    for address in range(at, at + 64):
        text = code.get(address, "")
        if "<__assert_fail" in text:
            return True
        if text.startswith(("j", "ret", "call")):
            return False
    return False


def is_assertion(code: dict[int, str], at: int) -> bool:
    """Whether a conditional jump decides only about a failed assertion."""
    found = re.match(r"j\w+ +([0-9a-f]+)", code[at])
    assert found, code[at]
    behind = next(address for address in range(at + 1, at + 16) if address in code)
    return leads_to_assert(code, int(found[1], 16)) or leads_to_assert(code, behind)


def complaints(code: dict[int, str], said: str) -> list[str]:
    """What valgrind says, less what is let through."""
    found = []
    for report in re.split(r"^==\d+== \n", said, flags=re.M):
        frames = re.findall(r"(?:at|by) 0x([0-9A-F]+): (\S+)", report)
        if not frames:
            continue
        if "Conditional jump" in report and is_assertion(code, int(frames[0][0], 16)):
            continue
        if [name for _at, name in frames[:2]] == ["__gmpz_limbs_finish", "nettle_rsa_compute_root"]:
            continue
        found.append(report)
    return found


def verdict(program: Path, operation: str) -> tuple[int, str]:
    """Exit code, 99 where memcheck saw something, and what it says."""
    command = ["valgrind", "-q", "--error-exitcode=99", "--track-origins=no", str(program), operation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


def test_a_leak_is_seen(program: Path, code: dict[int, str]) -> None:
    status, said = verdict(program, "leak")
    assert status == 99 and len(complaints(code, said)) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_constant_time(program: Path, code: dict[int, str], operation: str) -> None:
    status, said = verdict(program, operation)
    assert status in (0, 99), said
    assert not complaints(code, said)
