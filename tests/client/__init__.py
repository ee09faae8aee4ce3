"""Tests of the client mode: s6-tlsc on descriptors 6 and 7."""
