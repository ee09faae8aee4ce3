"""prepare - what a benchmark run needs before its first measurement.

Finds or compiles the C programs of this folder, raises the limit of descriptors, and makes the throw-away
certificates in a temporary folder. Raises BenchError with a line for the user when something is missing.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IN_TREE = (ROOT / "src" / "_bear.pyx").exists()
INSTALLED = HERE / "programs"  # where `make install` puts the compiled programs
COMMAND_TIMEOUT_S = 120
# All that a measured program has of the environment, so that a figure does not depend on who runs the benchmark: with a
# LANG, each start of cat loads the locale.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}


class BenchError(Exception):
    """The run cannot go on; the text is the whole line for the user."""


@dataclass(frozen=True)
class Tools:
    """The compiled programs."""

    load: str
    program: str
    spawn: str
    serve: str
    fetch: str


@dataclass(frozen=True)
class Certificate:
    """PEM files of one certificate; `both` holds the key and the certificate."""

    key: str
    chain: str
    both: str


def _hint(errors: str) -> str:
    """Which Debian package holds what a compiler did not find."""
    return "\nOpenSSL's headers are needed: libssl-dev in Debian" if "openssl/" in errors else ""


def _run(argv: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise BenchError(f"{what}: {argv[0]} is not installed") from None
    except OSError as error:
        raise BenchError(f"{what}: {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"{what}: {argv[0]} took over {COMMAND_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise BenchError(f"{what}: {' '.join(argv)}\n{done.stderr.strip()}{_hint(done.stderr)}")


def _compile(target: Path, sources: list[str], flags: list[str], libraries: list[str]) -> str:
    paths = [HERE / name for name in sources]
    inputs = [*paths, HERE / "wire.h", Path(__file__)]  # the flags are here
    if target.exists() and target.stat().st_mtime >= max(path.stat().st_mtime for path in inputs):
        return str(target)
    new = target.with_name(f"{target.name}.{os.getpid()}")
    compiler = os.environ.get("CC", "cc")
    try:
        argv = [compiler, "-O2", "-Wall", "-Wextra", *flags, "-o", str(new), *map(str, paths), *libraries]
        _run(argv, f"compiling {target.name}")
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return str(target)


def find_tools(folder: Path) -> Tools:
    """The programs: in the tree those of build/bench, installed those beside this file; where neither is,
    they are compiled into `folder`, which is the run's own."""
    names = [field.name for field in fields(Tools)]
    if not IN_TREE and all(os.access(INSTALLED / name, os.X_OK) for name in names):
        return Tools(**{name: str(INSTALLED / name) for name in names})
    return build_tools(ROOT / "build" / "bench" if IN_TREE else folder)


def build_tools(folder: Path) -> Tools:
    """Compile what is out of date, statically where that works.

    The wrapped program's own start is then the least that a program start can cost; and the client
    shares no page of a library with the servers, which would make their proportional size smaller.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wire, openssl = ["wire.c", "pubkey.c"], ["-lssl", "-lcrypto"]
    return Tools(
        load=_compile_static(folder / "load", ["load.c", *wire], ["-pthread"], openssl),
        program=_compile_static(folder / "program", ["program.c"], [], []),
        spawn=_compile(folder / "spawn", ["spawn.c"], [], []),
        serve=_compile_static(folder / "serve", ["serve.c", *wire], ["-pthread"], openssl),
        fetch=_compile_static(folder / "fetch", ["fetch.c"], [], []),
    )


def raise_descriptors(wanted: int) -> int:
    """Raise the soft limit of descriptors, and as root the hard one, to `wanted`; returns what it is then.

    The servers and the load generator inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return soft
    for most in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))
            return min(wanted, most)
        except (ValueError, OSError):  # the hard limit is root's to raise
            continue
    return soft


def _compile_static(target: Path, sources: list[str], flags: list[str], libraries: list[str]) -> str:
    try:
        return _compile(target, sources, [*flags, "-static"], libraries)
    except BenchError:
        return _compile(target, sources, flags, libraries)


def make_folder() -> Path:
    """A temporary folder. The original tlswrapper rewrites every "/." of a path, so a TMPDIR that
    has one is not used."""
    base = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="bearwrap-bench-", dir="/tmp" if "/." in base else base)
    return Path(folder)


def make_certificates(folder: Path) -> dict[str, Certificate]:
    """One self-signed certificate of each kind, keyed `ecdsa` (P-256) and `rsa` (2048 bits)."""
    openssl = shutil.which("openssl")
    if not openssl:
        raise BenchError("certificates: openssl is not installed")
    kinds = {
        "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa": ["-newkey", "rsa:2048"],
    }
    made = {}
    for kind, options in kinds.items():
        key, chain, both = (folder / f"{kind}-{part}.pem" for part in ("key", "chain", "both"))
        argv = [openssl, "req", "-x509", *options, "-nodes", "-days", "2", "-subj", "/CN=bench.test"]
        _run([*argv, "-keyout", str(key), "-out", str(chain)], f"making the {kind} certificate")
        both.write_text(key.read_text() + chain.read_text())
        made[kind] = Certificate(str(key), str(chain), str(both))
    return made


def run_json(argv: list[str], timeout_s: float, environment: dict[str, str] | None = None) -> str:
    """Run a program with ENVIRONMENT and more, and give back its stdout; raises BenchError when it fails.

    It gets a session of its own, so that an interrupt at the terminal reaches the driver alone.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**ENVIRONMENT, **(environment or {})},
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{Path(argv[0]).name}: no result in {timeout_s:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if not out:
        raise BenchError(err.strip() or f"{Path(argv[0]).name}: exit status {process.returncode}")
    return out
