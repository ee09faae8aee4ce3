"""What `bearwrap serve` becomes: the listener of its build, which has no interpreter in it, or itself without that."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import BIN, needs_root
from tests.procs import children

from .listening import Serving

pytestmark = needs_root
LIBRARY = BIN.parent / "lib" / "bearwrap"
INTERPRETER = b"_frozen_importlib"  # a text that every CPython has in it


def executable(pid: int) -> Path:
    return Path(os.readlink(f"/proc/{pid}/exe"))


def listener() -> Path:
    found = list(LIBRARY.glob("listener-*"))
    if not found:
        pytest.skip("the programs are not static here: there is no listener of its own")
    (path,) = found
    return path


def copied(top: Path) -> Path:
    """The program alone, without anything beside it."""
    (top / "bin").mkdir()
    shutil.copy(BIN / "tlswrapper", top / "bin" / "tlswrapper")
    (top / "bin" / "bearwrap").symlink_to("tlswrapper")
    return top / "bin" / "bearwrap"


def test_no_interpreter_and_no_heap_in_any_process(certs: Certs) -> None:
    """What malloc gives lies in the image (src/heap.c), where a fork copies it with the rest."""
    path = listener()
    assert INTERPRETER in (BIN / "bearwrap").read_bytes() and INTERPRETER not in path.read_bytes()
    with Serving(["-f", str(certs.server("p256"))], options=["--workers", "2"]) as server:
        server.echo()
        workers = server.wait_idle(2)
        everyone = [server.pid, *workers, *(pid for worker in workers for pid in children(worker))]
        assert len(everyone) == 7 and {executable(pid) for pid in everyone} == {path}
        assert not any("[heap]" in Path(f"/proc/{pid}/maps").read_text() for pid in everyone)


@pytest.mark.parametrize("beside", ["nothing", "another build's"])
def test_without_the_listener_of_its_build(certs: Certs, tmp_path: Path, beside: str) -> None:
    """It is its own listener then; what another build has left is not run."""
    program = copied(tmp_path)
    if beside != "nothing":
        library = tmp_path / "lib" / "bearwrap"
        library.mkdir(parents=True)
        for name in ("listener", "listener-000000000000"):
            (library / name).write_text("#!/bin/sh\nexit 99\n")
            (library / name).chmod(0o755)
    with Serving(["-f", str(certs.server("p256"))], program=program) as server:
        server.echo()
        assert executable(server.pid) == tmp_path / "bin" / "tlswrapper"


def test_the_listener_alone() -> None:
    for words in ([], ["serve", "127.0.0.1:1"], ["serve", "--settings-fd=0", "x"]):
        done = subprocess.run(
            ["bearwrap", *words], executable=listener(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=10,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (111, b"")
        assert done.stderr == b"bearwrap: fatal: this is a part of `bearwrap serve`, which starts it\n"
