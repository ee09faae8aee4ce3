"""Tests of delayed encryption and of the companion programs."""
