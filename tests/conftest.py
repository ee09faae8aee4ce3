"""Fixtures for every folder, and the loud report of peers that are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.certs import Certs
from tests.harness import OURS, THEIRS, Mailbox, Program


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    """Certificates and keys made on demand, kept for the session."""
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(params=[OURS, THEIRS], ids=lambda program: program.label)
def program(request: pytest.FixtureRequest) -> Program:
    """Both implementations in turn: for what they must do alike."""
    return harness.require_program(request.param)


@pytest.fixture
def ours() -> Program:
    """The implementation under test alone: for what it does better, or as the newer original."""
    return harness.require_program(OURS)


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """A named pipe that wrapped programs report through."""
    os.chmod(tmp_path, 0o755)
    box = Mailbox(tmp_path)
    yield box
    box.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the peers that were not there, so that a skip is not overlooked."""
    if harness.missing_peers:
        terminalreporter.section("PEERS MISSING: what they would have tested was not tested")
        for line in sorted(harness.missing_peers):
            terminalreporter.write_line(f"  {line}", yellow=True, bold=True)
