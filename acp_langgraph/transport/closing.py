"""What holds connections: it is closed by leaving its `with` block, and copied without them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from acp_langgraph.core.processes import PerProcess


class Closing(ABC):
    """A context manager that closes itself, blocking."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing(ABC):
    """A context manager that closes itself, awaiting."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections of the running event loop."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class Copied:
    """A copy has connections of its own; a client of the caller's is shared, and is never pickled."""

    def __deepcopy__(self, _: Any) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(
            {
                name: copy.deepcopy(each) if isinstance(each, PerProcess) else each
                for name, each in vars(self).items()
            }
        )
        return twin

    def __getstate__(self) -> dict[str, Any]:
        if getattr(self, "_given", None) is not None:
            raise TypeError(
                "what has client= or async_client= of your own cannot be pickled: connections cannot be "
                "carried into another process. Give a client_config instead, or make it there"
            )
        return vars(self)
