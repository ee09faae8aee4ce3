"""Make the sdist and a wheel, and try them: `make dist`.

The wheel is built from the unpacked sdist, without a network where the kernel lets us take it away, and
installed into a fresh environment, where the extension is imported and the programs are run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
TRIAL = """
import bearwrap, bearwrap.programs
from bearwrap import _bear, _version
print("dist: imported", _version.__version__, "from the wheel")
"""


def run(command: list[str], cwd: Path | str = "/", **more: str) -> None:
    """Run one step; its failure ends the program. The environment cannot lead back to the tree."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout)
        raise SystemExit(f"error: {' '.join(command)} failed ({done.returncode})")
    sys.stdout.write("".join(line + "\n" for line in done.stdout.splitlines() if line.startswith("dist:")))


def offline() -> list[str]:
    """A command prefix that takes the network away, or none where that is not allowed."""
    prefix = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if not shutil.which("unshare"):
        return []
    works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if works else []


def main() -> int:
    """The steps in order."""
    shutil.rmtree(DIST, ignore_errors=True)
    print("dist: sdist", flush=True)
    run([sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(DIST), str(ROOT)])
    archive = next(DIST.glob("*.tar.gz"))
    with tempfile.TemporaryDirectory(prefix="bearwrap-dist.") as folder:
        shutil.unpack_archive(archive, folder)
        tree = Path(folder) / archive.name.removesuffix(".tar.gz")
        prefix = offline()
        print(f"dist: wheel from the sdist, {'without a network' if prefix else 'network left'}", flush=True)
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(DIST), str(tree)]
        run([*prefix, *build], PIP_NO_INDEX="1")
        wheel = next(DIST.glob("*.whl"))
        fresh = Path(folder) / "venv"
        run([sys.executable, "-m", "venv", str(fresh)])
        run([str(fresh / "bin" / "pip"), "install", "-q", "--no-index", str(wheel)])
        run([str(fresh / "bin" / "python"), "-c", TRIAL])
        for program in ("tlswrapper", "bearwrap"):
            path = fresh / "bin" / program
            if path.exists():
                run([str(path), *(["bench", "--list"] if program == "bearwrap" else ["--version"])])
                print(f"dist: {program} runs from the wheel", flush=True)
                for listener in (fresh / "lib" / "bearwrap").glob("listener-*"):
                    if not os.access(listener, os.X_OK):
                        raise SystemExit(f"error: {listener.name} cannot be run as the wheel installs it")
            else:
                print(f"dist: no native {program} in the wheel (no libpython to link)", flush=True)
    for path in sorted(DIST.iterdir()):
        print(f"dist: {path.relative_to(ROOT)} {path.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
