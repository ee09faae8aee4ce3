"""Tests of vendoring, of the build, of the native launcher and of installation."""
