"""A systemd of its own to try units on: PID 1 of new namespaces, over a copy-on-write root (boot.sh)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from tests.building.tools import BUILD_AUX, write_tree
from tests.harness import LIMIT_S, Deadline, require_peer, wait_ready

BOOT = Path(__file__).with_name("boot.sh")
BOOT_S = 60
TARGET = "tests.target"


def own_cgroup() -> Path:
    """A new cgroup (version 2) below ours: what is inside knows no other."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    tops = [Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"]
    ours = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    if not tops or not ours:
        pytest.skip("no systemd in namespaces here: no cgroup2 file system")
    path = tops[0] / ours[0].strip("/") / f"machine-{uuid.uuid4().hex[:8]}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no systemd in namespaces here: {path}: {error.strerror}")
    return path


def remove_cgroup(path: Path) -> None:
    """Take a cgroup and those below it away once their last process has gone."""
    deadline = Deadline(LIMIT_S)
    while "populated 0" not in (path / "cgroup.events").read_text():
        assert not deadline.over(), "processes are left"
        time.sleep(0.01)
    for folder, _, _ in os.walk(path, topdown=False):
        os.rmdir(folder)


class Machine:
    """`make install` into /usr/local of its root, and the files given; then systemd starts.

    Skips where namespaces, an overlay or systemd itself cannot be had; the network is its own loopback.
    """

    def __init__(self, files: dict[str, str]) -> None:
        require_peer("systemctl")
        self._folder = tempfile.TemporaryDirectory(prefix="machine-")
        top = Path(self._folder.name)
        (top / "mount").mkdir()
        self._files = write_tree(top / "files", {
            f"etc/systemd/system/{TARGET}": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n", **files,
        })  # fmt: skip
        install = [sys.executable, BUILD_AUX / "install.py", "--destdir", self._files]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(top / "notify"))
        self._said = (top / "said").open("w+")
        namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "--cgroup", "--net"]
        self._cgroup = own_cgroup()
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self._cgroup]
        self._popen = subprocess.Popen(
            [*enter, "unshare", *namespaces, "sh", BOOT, top, TARGET],
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
        )  # fmt: skip

    def __enter__(self) -> Machine:
        deadline = Deadline(BOOT_S)
        said = ""
        while "READY=1" not in said:
            if not wait_ready(self._notify, limit_s=min(1.0, deadline.left())):
                if self._popen.poll() is None and not deadline.over():
                    continue
                self._said.seek(0)
                why = (self._said.read().splitlines() or ["no word of it"])[-1]
                self.__exit__()
                pytest.skip(f"no systemd in namespaces here: {why}")
            said += self._notify.recv(4096).decode()
        children = Path(f"/proc/{self._popen.pid}/task/{self._popen.pid}/children").read_text()
        self.pid = int(children.split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.wait(LIMIT_S)
        remove_cgroup(self._cgroup)
        self._notify.close()
        self._said.close()
        self._folder.cleanup()

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside as root; its output."""
        root = f"/proc/{self.pid}/root"
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", f"--root={root}", f"--wd={root}"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        done = subprocess.run(
            [*enter, *command], capture_output=True, text=True, check=False, timeout=60, env=environment
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def enter_network(self, *command: str | Path) -> list[str]:
        """The words that run a command of this side in the machine's network."""
        return ["nsenter", f"--target={self.pid}", "--net", *map(str, command)]

    def property(self, unit: str, name: str) -> str:
        """A property of a unit, as systemctl(1) shows it."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def wait_property(self, unit: str, name: str, value: str) -> None:
        """systemd tells nobody outside its bus, so this asks again and again."""
        deadline = Deadline(LIMIT_S)
        while (found := self.property(unit, name)) != value:
            assert not deadline.over(), f"{unit}: {name} is {found}, not {value}\n{self.journal()}"
            time.sleep(0.05)

    def journal(self, *words: str) -> str:
        """What the services have said, and systemd of them, up to now."""
        self.run("journalctl", "--sync", check=False)
        return self.run("journalctl", "--quiet", "--no-pager", "--output=cat", *words, check=False)
