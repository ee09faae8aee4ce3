"""DER as a tree whose pieces are changed and put together again with right lengths, where byte changes seldom come."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

Step = tuple[str, int, int, bytes]


class Node:
    """A piece of DER; an OCTET STRING may hold others."""

    def __init__(self, tag: int, content: bytes) -> None:
        self.tag, self.content = tag, content
        self.children: list[Node] | None = None
        if (tag & 0x20 or tag == 4) and (found := split(content)) is not None:
            self.children = found

    def all(self) -> list[Node]:
        return [self, *(node for child in self.children or () for node in child.all())]

    def encode(self, pad: Node | None = None) -> bytes:
        """pad: the node whose length gets leading zeros, which DER does not have."""
        content = self.content if self.children is None else b"".join(child.encode(pad) for child in self.children)
        n = len(content)
        width = (n.bit_length() + 7) // 8
        size = bytes([n]) if n < 128 else bytes([0x80 | width]) + n.to_bytes(width, "big")
        if self is pad:
            size = bytes([0x80 | width + 2]) + n.to_bytes(width + 2, "big")
        return bytes([self.tag]) + size + content


def split(data: bytes) -> list[Node] | None:
    found = []
    while data:
        if len(data) < 2:
            return None
        n, at = data[1], 2
        if n & 0x80:
            at += n & 0x7F
            n = int.from_bytes(data[2:at], "big")
        if len(data) < at + n:
            return None
        found.append(Node(data[0], data[at : at + n]))
        data = data[at + n :]
    return found


def steps_of(tags: Sequence[int], words: Sequence[bytes]) -> st.SearchStrategy[list[Step]]:
    """Up to three changes: what, where, and the tag and content that it may take."""
    kinds = st.sampled_from(["tag", "content", "drop", "double", "insert", "swap", "pad"])
    one = st.tuples(kinds, st.integers(0, 10**6), st.sampled_from(tags), st.sampled_from(words))
    return st.lists(one, min_size=1, max_size=3)


def changed(der: bytes, steps: list[Step]) -> bytes:
    """One element with these changes made."""
    roots = split(der)
    assert roots
    root, pad = roots[0], None
    for what, at, tag, word in steps:
        nodes = root.all()
        node = nodes[at % len(nodes)]
        if what == "tag":
            node.tag = tag
        elif what == "content":
            node.content, node.children = word, None
        elif what == "pad":
            pad = node
        elif node.children:
            i = at % len(node.children)
            if what == "drop":
                del node.children[i]
            elif what == "double":
                node.children.insert(i, node.children[i])
            elif what == "insert":
                node.children.insert(i, Node(tag, word))
            else:
                node.children.reverse()
    return root.encode(pad)
