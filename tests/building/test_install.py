"""make install, make uninstall, the package script and the Makefile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.building.tools import build_module, write_tree
from tests.harness import ROOT, needs_root

inplace = build_module("inplace")


def run(*command: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run to the end and keep what it said."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **more)


def install(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run install.py on the tree as it was built."""
    done = run(sys.executable, ROOT / "build-aux/install.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def files(top: Path) -> list[str]:
    """Every file and link below a folder, by relative name."""
    found = [path for path in top.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(str(path.relative_to(top)) for path in found)


@pytest.mark.parametrize("form", [[], ["--script"]], ids=["as-built", "script"])
def test_install_and_uninstall(tmp_path: Path, form: list[str]) -> None:
    """Everything lands below DESTDIR and PREFIX, runs from there, and goes again."""
    where = ["--destdir", tmp_path / "dest", "--prefix", "/opt/pre fix"]
    install(*where, *form)
    top = tmp_path / "dest/opt/pre fix"
    for name in inplace.PROGRAMS:
        done = run(top / "bin" / name, "--version", cwd="/", env={})
        assert (done.returncode, done.stderr) == (0, "")
    done = run(top / "bin/bearwrap", "bench", "--list", cwd="/")
    assert (done.returncode, done.stderr) == (0, "") and "growth-500" in done.stdout
    compiled = sorted(path.name for path in (top / "lib/bearwrap/bench/programs").iterdir())
    assert compiled == ["fetch", "load", "program", "serve", "spawn"]
    # beside programs that have their interpreter in them, the listener of this build and of no other
    there = {path.name: path.stat().st_mode & 0o777 for path in (top / "lib/bearwrap").glob("listener-*")}
    built = [path.name for path in (ROOT / "build/lib/bearwrap").glob("listener-*")] if not form else []
    assert there == dict.fromkeys(built, 0o755)
    jail = tmp_path / "dest/var/lib/tlswrapper/empty"
    assert jail.is_dir()
    assert list(jail.iterdir()) == []
    assert jail.stat().st_mode & 0o7777 == 0o755
    pages = sorted(path.name for path in (ROOT / "man").glob("*.1"))
    man = top / "share/man/man1"
    assert (sorted(path.name for path in man.iterdir()) if man.exists() else []) == pages
    # A second time over the first, which another build had left, then away.
    (top / "lib/bearwrap/listener-0123456789ab").touch()
    install(*where, *form)
    assert form or not (top / "lib/bearwrap/listener-0123456789ab").exists()
    install(*where, "--uninstall")
    assert files(tmp_path / "dest") == []
    assert not jail.exists()


def test_installed_scripts_do_not_know_destdir(tmp_path: Path) -> None:
    """A tree staged with DESTDIR can be moved to where it belongs: no file of it names the staging folder."""
    install("--destdir", tmp_path / "stage", "--script")
    needle = str(tmp_path).encode()
    for name in files(tmp_path / "stage"):
        path = tmp_path / "stage" / name
        assert path.is_symlink() or needle not in path.read_bytes(), name
    (tmp_path / "stage").rename(tmp_path / "moved")
    done = run(tmp_path / "moved/usr/local/bin/tlswrapper", "--version", cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


def test_relative_prefix_is_refused() -> None:
    """A relative PREFIX would install below whatever the current directory is."""
    done = run(sys.executable, ROOT / "build-aux/install.py", "--prefix", "opt")
    assert done.returncode == 1
    assert "absolute" in done.stderr


def test_uninstall_leaves_what_is_not_ours(tmp_path: Path) -> None:
    """A file of somebody's in the jail directory or beside the programs stays."""
    where = ["--destdir", tmp_path, "--prefix", "/usr"]
    install(*where)
    write_tree(tmp_path, {"var/lib/tlswrapper/empty/kept": "", "usr/bin/other": ""})
    install(*where, "--uninstall")
    assert files(tmp_path) == ["usr/bin/other", "var/lib/tlswrapper/empty/kept"]


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Not root: what is missing is named, and is an error for the build's own packages."""
    tools = {
        "dpkg-query": "#!/bin/sh\necho 'ii make'\n",
        "id": "#!/bin/sh\necho 1000\n",
        "apt-get": "#!/bin/sh\necho called >&2\nexit 99\n",
    }
    for path in (write_tree(tmp_path, tools) / name for name in tools):
        path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = run(ROOT / "build-aux/packages.sh", "build", env=environment)
    assert done.returncode == 1
    assert "MISSING: gcc" in done.stderr
    assert "apt-get install gcc" in done.stderr
    assert "called" not in done.stderr
    lenient = run(ROOT / "build-aux/packages.sh", "test", env=environment)
    assert lenient.returncode == 0
    assert "tlswrapper" in lenient.stderr
    assert "skipped" in lenient.stderr
    strict = run(ROOT / "build-aux/packages.sh", "test", env=environment | {"BEARWRAP_REQUIRE_PEERS": "1"})
    assert strict.returncode == 1


@needs_root
def test_missing_packages_are_installed(tmp_path: Path) -> None:
    """Root: apt-get is called for what is missing, with daemons kept from starting, which is undone again."""
    policy = Path("/usr/sbin/policy-rc.d")
    before = policy.exists()
    tools = {
        "dpkg-query": f"#!/bin/sh\necho 'ii make'\ncat {tmp_path}/have\n",
        "apt-get": f"""#!/bin/sh
echo "$*" >>{tmp_path}/log
[ -x {policy} ] || echo "no policy" >>{tmp_path}/log
case "$*" in
*install*" busybox curl"*|*install*curl) echo "E: no curl today"; exit 100 ;;
*install*) for name; do echo "ii $name"; done >>{tmp_path}/have ;;
esac
""",
        "have": "",
    }
    for path in (write_tree(tmp_path, tools) / name for name in tools):
        path.chmod(0o755)
    done = run(ROOT / "build-aux/packages.sh", "demo", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == 0
    assert "packages: installing busybox curl openssl ucspi-tcp" in done.stdout
    assert "curl cannot be installed: no curl today" in done.stderr
    assert "MISSING: curl" in done.stderr
    log = (tmp_path / "log").read_text()
    first = "-qq install -y --no-install-recommends busybox curl openssl ucspi-tcp"
    assert log.splitlines()[:2] == ["-q update", first]
    assert "no policy" not in log
    assert policy.exists() == before


def test_package_list_is_well_formed() -> None:
    """Each line is a kind, a name and a reason."""
    for line in (ROOT / "build-aux/packages.list").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"(build|fast|test|demo|bench)\s+[a-z0-9.+-]+\s+\S.*", line), line


def test_help_names_every_target() -> None:
    """`make help` lists every target that is not internal, and every variable of the head."""
    makefile = (ROOT / "Makefile").read_text()
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)).split())
    documented = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony - documented == {"all", "packages-test", "packages-demo", "packages-bench"}
    done = run("make", "-C", ROOT, "--no-print-directory", "help", env=os.environ | {"MAKEFLAGS": ""})
    assert done.returncode == 0
    for word in [*documented, "PYTHON=", "PREFIX=", "BEARSSL_ARCHIVE=", "TESTS="]:
        assert word in done.stdout
