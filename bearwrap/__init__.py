"""bearwrap - TLS for programs that have none: BearSSL in jailed processes, orchestrated by Python.

Names are loaded on first use (PEP 562), so that a program pays only for what it calls.
"""

from bearwrap._version import __version__

__all__ = ["__version__"]
