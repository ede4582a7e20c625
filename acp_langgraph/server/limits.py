"""How much of everything a server takes on."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
        body: Bytes that a request may have.
        running: Runs that are executed at once; further ones stay pending until one ends.
        pending: Runs that may be pending, running ones included; further ones are refused with
            503.
        run_seconds: Seconds that a run may take from its start, or from an answer, to its end or
            next question; then its status is `timeout`. `None` lets it take any time.
        kept_seconds: Seconds for which a run is kept after it has ended; a week by default. `None`
            keeps it until it is deleted. Threads are kept until they are deleted.
        kept_runs: Ended runs that are kept; beyond, the oldest are forgotten. `None` keeps all.
        keep_alive: Seconds between signs of life on an idle stream.

    Raises:
        ValueError: If one is not positive.
    """

    body: int = 16 * 2**20
    running: int = 200
    pending: int = 10_000
    run_seconds: float | None = None
    kept_seconds: float | None = 7 * _DAY
    kept_runs: int | None = 1_000_000
    keep_alive: float = 15.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value <= 0:
                raise ValueError(f"limit {each.name}: must be positive, got {value}")
