"""Compile C files and link them, rebuilding only what changed.

An object is rebuilt when its command line, its source or any header the compiler read for it changed; a
link when its command line or any input did. The command line stands in a file beside the output (`.cmd`),
the headers in the compiler's dependency file (`.d`). setup.py and launcher.py build through this and
nothing else.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Two compilers at a time: the machines this is built on are small, and a build must not starve them.
JOBS = 2


class BuildError(Exception):
    """A compiler or linker failed; the text holds the command and what it said."""


def run(command: list[str], judge: Callable[[str], str] = str.rstrip) -> None:
    """Run one tool. Raise BuildError with its output if it fails; else print what `judge` leaves of it."""
    try:
        done = _captured(command)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}\n{done.stdout}")
    warnings = judge(done.stdout)
    if warnings:
        print(warnings, flush=True)


def _captured(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool with `text` as its input; its output and errors come as one text."""
    return subprocess.run(
        command, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )


def compiler() -> list[str]:
    """The C compiler: CC of the environment, else gcc, else cc."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    return ["gcc"] if shutil.which("gcc") else ["cc"]


def accepts(*flags: str) -> bool:
    """True if the compiler takes these flags for an empty program that is also linked."""
    with tempfile.TemporaryDirectory() as folder:  # never /dev/null: a linker run by root may replace it
        command = [*compiler(), "-Werror", *flags, "-x", "c", "-", "-o", os.path.join(folder, "probe")]
        return _captured(command, "int main(void){return 0;}").returncode == 0


def succeeds(*arguments: str) -> bool:
    """True if the compiler makes a program of these arguments, and that runs and ends with 0."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "probe")
        built = _captured([*compiler(), *arguments, "-o", program]).returncode == 0
        return built and _captured([program]).returncode == 0


def file_name(library: str) -> str:
    """Where the compiler finds a library; empty if it does not."""
    found = _captured([*compiler(), f"-print-file-name={library}"]).stdout.strip()
    return found if Path(found).is_absolute() and Path(found).exists() else ""


def _time(path: Path) -> int:
    """Modification time in ns, or the far future if the file is gone, so that its user is rebuilt."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 1 << 62


def _headers(path: Path) -> list[Path]:
    """The files a compiler-written dependency file names; an empty list if there is none."""
    try:
        text = path.read_text()
    except OSError:
        return []
    return [Path(name) for name in shlex.split(text.replace("\\\n", " ").partition(":")[2])]


def is_current(target: Path, command: list[str], inputs: list[Path], notes: Path | None = None) -> bool:
    """True if target was made by this very command and nothing it was made from is newer."""
    try:
        made = target.stat().st_mtime_ns
        if _note(target, notes).read_text() != shlex.join(command):
            return False
    except OSError:
        return False
    return all(_time(path) <= made for path in inputs)


def _note(target: Path, notes: Path | None) -> Path:
    """The file that holds the command which made target."""
    if notes is None:
        return target.with_name(target.name + ".cmd")
    return notes / (str(target.absolute()).strip("/").replace("/", "!") + ".cmd")


def _done(target: Path, command: list[str], began: int, notes: Path | None = None) -> None:
    """Note the command that made target, and date it back to when that began (ns).

    So a file that was edited while the compiler was at work counts as newer.
    """
    os.utime(target, ns=(began, began))
    note = _note(target, notes)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(shlex.join(command))


def write_if_changed(path: Path, text: str) -> None:
    """Write a generated file only if its content differs, so that nothing is rebuilt for nothing."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def compile_one(source: Path, target: Path, flags: list[str]) -> bool:
    """Bring one object up to date; returns whether it was compiled."""
    depfile = target.with_suffix(".d")
    command = [*compiler(), *flags, "-MMD", "-MF", str(depfile), "-c", str(source), "-o", str(target)]
    if depfile.exists() and is_current(target, command, [source, *_headers(depfile)]):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    began = time.time_ns()
    run(command)
    _done(target, command, began)
    return True


def compile_all(pairs: list[tuple[Path, Path]], flags: list[str]) -> int:
    """Bring (source, object) pairs up to date, JOBS at a time; returns how many were compiled."""
    with ThreadPoolExecutor(JOBS) as pool:
        return sum(pool.map(lambda pair: compile_one(pair[0], pair[1], flags), pairs))


def archive(target: Path, objects: list[Path]) -> bool:
    """Bring a static library up to date; returns whether it was made anew."""
    command = [os.environ.get("AR", "ar"), "rcsD", str(target), *map(str, objects)]
    if is_current(target, command, objects):
        return False
    target.unlink(missing_ok=True)
    began = time.time_ns()
    run(command)
    _done(target, command, began)
    return True


def link(
    target: Path,
    arguments: list[str],
    inputs: list[Path],
    notes: Path,
    judge: Callable[[str], str] = str.rstrip,
) -> bool:
    """Link a program or shared object; `arguments` is all but compiler and `-o`. Returns whether it ran.

    The note of the command goes into the folder `notes`, since people look into the target's own folder. It
    must be the same folder for everything that may be linked to that target.

    The new file takes the old one's place in one step, so that a running program keeps its own.
    """
    fresh = target.with_name(f".{target.name}.new")
    command = [*compiler(), *arguments, "-o", str(fresh)]
    if is_current(target, command, inputs, notes):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    began = time.time_ns()
    run(command, judge)
    fresh.replace(target)
    _done(target, command, began, notes)
    return True
