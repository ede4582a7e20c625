"""Fake servers with faults, for tests."""
