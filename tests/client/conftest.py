"""Fixtures of the client's tests."""

from __future__ import annotations

import pytest

from tests.certs import Certs

from .material import Material


@pytest.fixture(scope="session")
def material(certs: Certs, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Certificates, keys and anchors in every form, kept for the session."""
    folder = tmp_path_factory.mktemp("material")
    folder.chmod(0o755)
    return Material(certs, folder)
