"""The tests of bearwrap; `harness.py` and `certs.py` are shared by every folder."""
