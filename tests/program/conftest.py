"""Fixtures of the programs' tests."""

from __future__ import annotations

import pytest

from tests.certs import Certs

from .peers13 import Clients


@pytest.fixture(scope="session")
def clients(certs: Certs, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """The clients of TLS 1.3, and what they need of files."""
    return Clients(certs, tmp_path_factory.mktemp("clients"))
