"""Fake servers with faults."""
