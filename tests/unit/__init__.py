"""Unit tests: values in, values out, against independent oracles. No sockets, no processes of ours."""
