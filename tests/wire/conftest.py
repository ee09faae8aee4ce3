"""Fixtures of the wire tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.certs import Certs
from tests.harness import Program, Wrapped

from .client import Client
from .identities import Identities
from .row import PROG, Row
from .verdict import drive, judge_program, judge_wire

Judge = Callable[..., list[str]]


@pytest.fixture(scope="session")
def identities(certs: Certs) -> Identities:
    """Files and client certificates that the rows name."""
    return Identities(certs)


@pytest.fixture
def judge(ours: Program, identities: Identities) -> Judge:
    """Runs one row against the wrapper and gives the complaints; `kind` of client, `family` of socket."""

    def run(row: Row, kind: type[Client] = Client, family: str = "tcp") -> list[str]:
        with Wrapped(["-vv", *row.arguments(identities.files)], PROG, program=ours, family=family) as wrapped:
            seen = drive(row, wrapped.client, identities.get(row.identity), kind=kind)
            wrapped.client.close()
            code = wrapped.wait()
            return judge_wire(row, seen) + judge_program(row, seen, code, wrapped.stderr)

    return run
