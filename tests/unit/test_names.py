"""Which files a server name may stand for, against a model; and that no name leaves its folder."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap import _bear

LABEL = rb"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"


def is_dns_name(name: bytes) -> bool:
    bare = name.removesuffix(b".")
    return len(bare) <= 253 and re.fullmatch(LABEL + rb"(?:\." + LABEL + rb")*", bare) is not None


def model(name: bytes) -> list[bytes]:
    if not is_dns_name(name):
        return []
    lower = name.lower().removesuffix(b".")
    _, dot, rest = lower.partition(b".")
    return list(dict.fromkeys([name, lower, *([b"*" + dot + rest] if dot else [])]))


names = st.lists(st.text("aAzZ09_-", max_size=8), min_size=1, max_size=6).map(".".join).map(str.encode)


@settings(max_examples=200, deadline=None)
@given(st.one_of(names, names.map(lambda one: one + b"."), st.binary(max_size=300)))
@example(b"")
@example(b".")
@example(b"..")
@example(b"a..")
@example(b"Test.Example.")
@example(b"*.example")
@example(b"a/b")
@example(b"a\0b")
@example(b"a\n")
@example(b"192.0.2.1")
def test_candidates(name: bytes) -> None:
    assert _bear.candidate_names(name) == model(name)


@pytest.mark.parametrize("last", [60, 61, 62, 63])
@pytest.mark.parametrize("dot", [b"", b"."])
def test_lengths(last: int, dot: bytes) -> None:
    """253 bytes in all, 63 in a label, a trailing dot not counted."""
    name = b".".join([b"A" * 63] * 3 + [b"b" * last]) + dot
    assert _bear.candidate_names(name) == model(name)
    assert bool(model(name)) == (last <= 61)
    assert bool(_bear.candidate_names(b"a" * last + dot))
    assert not _bear.candidate_names(b"a" * (last + 4) + dot)


def test_every_byte_in_a_name() -> None:
    for byte in range(256):
        for name in (bytes([byte]), b"a" + bytes([byte]) + b"b", b"x." + bytes([byte]), bytes([byte]) + b".x"):
            assert _bear.candidate_names(name) == model(name)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"..", b".", b"/", b"a", b"\0", b"*", b"-", b"etc", b"\\", b"A"]), max_size=8))
def test_no_path_leads_out(parts: list[bytes]) -> None:
    """A candidate is a plain file name: no separator, no NUL, no dot in front; only ours begins with a star."""
    for candidate in _bear.candidate_names(b"".join(parts)):
        assert os.path.basename(candidate) == candidate
        assert b"\0" not in candidate
        assert candidate[:1] not in (b".", b"")
        assert b"*" not in candidate[1:]


def test_the_order() -> None:
    assert _bear.candidate_names(b"WWW.Example.ORG.") == [b"WWW.Example.ORG.", b"www.example.org", b"*.example.org"]
    assert _bear.candidate_names(b"www.example.org") == [b"www.example.org", b"*.example.org"]
    assert _bear.candidate_names(b"localhost") == [b"localhost"]
