"""Versions, suites and groups from their names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from bearwrap.errors import OptionError
from bearwrap.policy import Policy

CIPHERS = {name: (ecdsa, rsa) for name, _, ecdsa, rsa in _bear.tables()["ciphers"]}
GROUPS = {name: number for name, _, number in _bear.tables()["groups"]}
VERSIONS = dict(_bear.tables()["versions"])
CONFIG_SUITES = 14  # src/config.pxi


def test_defaults() -> None:
    policy = Policy()
    assert policy.suites() == [0xCCA9, 0xCCA8, 0xC02C, 0xC030, 0xC02B, 0xC02F]
    assert policy.groups() == 1 << 29 | 1 << 23
    assert (policy.version_min, policy.version_max) == (0x0303, 0x0304)
    assert policy.server_order is True


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(list(CIPHERS)), min_size=1, max_size=20))
def test_ciphers_keep_the_order_of_the_command_line(names: list[bytes]) -> None:
    policy = Policy()
    added = [policy.add_cipher(name) for name in names]
    assert added == [name not in names[:at] for at, name in enumerate(names)]
    assert policy.suites() == [suite for name in dict.fromkeys(names) for suite in CIPHERS[name]]
    assert len(policy.suites()) <= CONFIG_SUITES


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(list(GROUPS)), min_size=1, max_size=8))
def test_groups_are_a_set(names: list[bytes]) -> None:
    policy = Policy()
    for name in names:
        policy.add_group(name)
    assert policy.groups() == sum(1 << number for number in {GROUPS[name] for name in names})


@pytest.mark.parametrize("name", list(VERSIONS))
def test_versions(name: bytes) -> None:
    assert Policy().version(b"min", name) == Policy().version(b"max", name) == VERSIONS[name]


@pytest.mark.parametrize("name", [b"", b"tls14", b"TLS12", b"x25519 ", b"aes_128_cbc_sha", b"\xff", b"tls12\n"])
def test_unknown_names(name: bytes) -> None:
    policy = Policy()
    for call, what, available in (
        (policy.add_cipher, b"cipher", list(CIPHERS)),
        (policy.add_group, b"ephemeral algorithm", list(GROUPS)),
        (lambda one: policy.version(b"min", one), b"TLS min. version", list(VERSIONS)),
        (lambda one: policy.version(b"max", one), b"TLS max. version", list(VERSIONS)),
    ):
        with pytest.raises(OptionError) as caught:
            call(name)
        assert caught.value.message == b"unable to parse " + what + b" from the string '" + name + b"'"
        assert list(caught.value.available) == available
        assert (caught.value.errno, caught.value.exit_code, caught.value.detail) == (0, 100, b"")
    assert (policy.ciphers, policy.groups_named) == (None, None), "a bad name leaves the defaults"
