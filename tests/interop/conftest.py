"""What kill tests need, of `tests/faults`: processes to kill, and how often to."""

from __future__ import annotations

from faults.conftest import points, zygote

__all__ = ["points", "zygote"]
