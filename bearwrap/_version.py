"""The version of bearwrap, alone here so that setup.py, the programs and the manual all read one place."""

__version__ = "0.1.0"
