"""`acp-langgraph wake`."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import typer
from rich.console import Console

from acp_langgraph.cli.connecting import fail, needing
from acp_langgraph.errors import AcpLangGraphError


def wake(
    graph: Annotated[
        str,
        typer.Argument(
            metavar="GRAPH",
            help="The graph, compiled with the checkpointer that its threads are in: "
            "path/to/file.py:graph or package.module:graph. Or a function that makes it, or that yields "
            "it (as for `@contextmanager`), by which its database is closed at the end.",
        ),
    ],
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds from one look to the next.")
    ] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, at all, and end.")] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The LangGraph Server that the graph's threads are on, where that runs it.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what goes on.")] = False,
) -> None:
    """Go on with graphs that are suspended while a remote agent works (`wait="suspend"`).

    Finds the threads that wait, looks at the runs that they wait for, and goes on with those whose run is
    done, asks, or has taken too long. As many of these as you like may be at work at once, and a `WakeApp`
    beside them.

    ```
    acp-langgraph wake my_graph.py:graph --every 30
    acp-langgraph wake my_graph.py:graph --once
    ```
    """
    loading = needing("server", "acp_langgraph.server.loading")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    console = Console(soft_wrap=True, highlight=False)
    try:
        opened = loading.opened(graph, compiled=server is None)
        swept = asyncio.run(_wake(opened, server, None if once else every))
    except AcpLangGraphError as error:
        fail(str(error), 2)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return
    found, woken, failed = swept
    console.print(f"{found} waiting, {woken} woken, {failed} failed")
    if failed:
        raise typer.Exit(1)


async def _wake(opened: Any, server: str | None, every: float | None) -> tuple[int, int, int]:
    from acp_langgraph.waking.langgraph_server import LangGraphServer  # noqa: PLC0415 - for this only
    from acp_langgraph.waking.sweeping import Sweeper  # noqa: PLC0415 - as above

    async with opened as graph:
        sweeper = Sweeper(graph if server is None else LangGraphServer(server))
        if every is not None:
            await sweeper.arun(every)
        return await sweeper.asweep()
