"""Fixtures of the wire tests of TLS 1.3."""

from __future__ import annotations

import pytest

from tests.certs import Certs
from tests.wire.identities import Identities


@pytest.fixture(scope="session")
def identities(certs: Certs) -> Identities:
    """Files and client certificates that the rows name."""
    return Identities(certs)
