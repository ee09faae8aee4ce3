"""A busybox that has tcpsvd, which Debian's leaves out: found, or built from Debian's source package.

Looked for in BEARWRAP_BUSYBOX, on the PATH, and in build/peers/, where a built one is kept.
The build needs apt-get, make and a compiler, takes twenty seconds once, changes nothing of the system's and
needs no root.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

from tests.harness import ROOT, missing_peer

KEPT = ROOT / "build" / "peers" / "busybox"
SWITCHED_ON = (
    "BUSYBOX",
    "SHOW_USAGE",
    "TCPSVD",
    "FEATURE_IPV6",
    "TRUE",
)  # one applet alone takes no applet name
APT_CONF = """
Dir::State::Lists "{top}/lists";
Dir::Cache "{top}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{top}/parts";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
"""


def busybox_with_tcpsvd() -> str:
    """The path of one; skips loudly (or fails, see `missing_peer`) when none can be had."""
    for candidate in (os.environ.get("BEARWRAP_BUSYBOX"), shutil.which("busybox"), str(KEPT)):
        if candidate and _has_tcpsvd(candidate):
            return candidate
    try:
        _build()
    except (OSError, RuntimeError, subprocess.SubprocessError, tarfile.TarError) as error:
        return missing_peer("busybox tcpsvd", f"Debian's busybox lacks it, and building one failed: {error}")
    return str(KEPT)


def _has_tcpsvd(path: str) -> bool:
    try:
        done = subprocess.run([path, "tcpsvd", "--help"], capture_output=True, timeout=10, check=False)
    except OSError:
        return False
    return b"applet not found" not in done.stderr and b"tcpsvd" in done.stderr


def _fetcher() -> ModuleType:
    """The fetch step of the vendored library: it knows this machine's package sources."""
    spec = importlib.util.spec_from_file_location("fetch_step", ROOT / "vendor" / "bearssl" / "fetch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_step"] = module
    spec.loader.exec_module(module)
    return module


def _build() -> None:
    with tempfile.TemporaryDirectory(prefix="busybox-build.") as folder:
        top = Path(folder)
        source = _unpack(_download(top), top)
        _run(["make", "allnoconfig"], source)
        config = source / ".config"
        text = config.read_text()
        for name in SWITCHED_ON:
            text = text.replace(f"# CONFIG_{name} is not set", f"CONFIG_{name}=y")
        config.write_text(text)
        _run(["make", "oldconfig"], source, answers="\n" * 500)
        _run(["make", "-j2"], source)
        if not _has_tcpsvd(str(source / "busybox")):
            raise RuntimeError("the one built has no tcpsvd")
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "busybox", KEPT.with_suffix(".new"))
        KEPT.with_suffix(".new").rename(KEPT)


def _download(top: Path) -> Path:
    entries = _fetcher().source_entries()
    if not entries or not shutil.which("apt-get"):
        raise RuntimeError("no package sources")
    for name in ("lists/partial", "cache/archives/partial", "parts", "got"):
        (top / name).mkdir(parents=True)
    (top / "parts/machine.sources").write_text("\n".join(entries))
    (top / "apt.conf").write_text(APT_CONF.format(top=top))
    environment = {**os.environ, "APT_CONFIG": str(top / "apt.conf"), "LC_ALL": "C"}
    _run(["apt-get", "-q", "update"], top, env=environment)
    _run(["apt-get", "-q", "source", "--download-only", "busybox"], top / "got", env=environment)
    return next(path for path in (top / "got").glob("*.orig.tar.*") if path.suffix != ".asc")


def _unpack(archive: Path, top: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(top / "source", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return next((top / "source").iterdir())


def _run(command: list[str], cwd: Path, env: dict[str, str] | None = None, answers: str = "") -> None:
    done = subprocess.run(
        command, cwd=cwd, env=env, input=answers, text=True, timeout=110, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.splitlines()[-1:]}")
