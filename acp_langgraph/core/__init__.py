"""Calls and flows, without I/O."""
