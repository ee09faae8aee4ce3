"""Tests of the programs from outside: one file a promise, run over ours and, where both agree, theirs."""
