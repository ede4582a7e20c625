"""`acp-langgraph serve`."""

from __future__ import annotations

import logging
import webbrowser
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import acp_langgraph
from acp_langgraph.cli.connecting import fail, needing

_uvicorn = logging.getLogger("uvicorn.error")


def serve(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GRAPH",
            help="A langgraph.json, or a graph: path/to/file.py:graph, package.module:graph, or "
            "either with name= before it. By default the langgraph.json of the current folder.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes a free one.")
    ] = 8000,
    database: Annotated[
        str,
        typer.Option(
            help="SQLite file that runs and threads are kept in; :memory: keeps them only for as "
            "long as the server runs."
        ),
    ] = "acp-langgraph.sqlite",
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="ACP_LANGGRAPH_API_KEY",
            help="Demand this key from every client; needed to serve other machines.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name by which clients without a key may reach the server, besides localhost; "
            "* for any. May be given several times."
        ),
    ] = None,
    run_timeout: Annotated[
        float | None, typer.Option(help="Seconds that a run may take until its end or question.")
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            help="Seconds for which runs at work may go on when the server is stopped; by default "
            "they go on at the next start, from their last step."
        ),
    ] = None,
    keep_threads: Annotated[
        float | None,
        typer.Option(
            help="Days after which a thread that nobody uses is deleted; by default none."
        ),
    ] = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            help="Where webhooks may point: public (the default), an origin such as "
            "http://hooks.internal:8080, * for anywhere, or none. May be given several times."
        ),
    ] = None,
    webhook_secret: Annotated[
        list[str] | None,
        typer.Option(
            envvar="ACP_LANGGRAPH_WEBHOOK_SECRET",
            help="Sign webhooks with this secret (whsec_...), as Standard Webhooks says. May be "
            "given twice while it is being changed.",
        ),
    ] = None,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace", help="Let runs take their place in the traces that clients tell of."
        ),
    ] = False,
    page: Annotated[
        bool,
        typer.Option(
            help="Offer a page at / on which people see the agents, start runs and answer questions."
        ),
    ] = True,
    open_: Annotated[bool, typer.Option("--open", help="Open that page in the browser.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say why runs fail, and more.")
    ] = False,
) -> None:
    """Serve LangGraph graphs as agents, over the Agent Connect Protocol.

    Without a GRAPH, those of the current folder's langgraph.json:

    ```
    acp-langgraph serve
    acp-langgraph serve mailer/agent.py:graph
    acp-langgraph serve review=reviewer.py:make_graph --port 8080
    ```

    What each agent takes and gives is made from its graph's own types; `acp-langgraph agents` shows
    it. Runs survive a restart in the database file. The server's own page, which --open shows, is for
    people. Ctrl-C stops the server.
    """
    server = needing("server", "acp_langgraph.server")
    loading = needing("server", "acp_langgraph.server.loading")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    console = Console(soft_wrap=True, highlight=False)

    def ready(url: str) -> None:
        _uvicorn.setLevel(logging.NOTSET)
        _say(console, url, agents, database, page=page)
        if open_ and page:
            webbrowser.open(f"{url}/")

    _uvicorn.setLevel(logging.CRITICAL)  # why the server does not start is said below
    try:
        agents = loading.load_agents(graphs or [])
        server.run_server(
            agents,
            host=host,
            port=port,
            database=database,
            api_key=api_key,
            allow_hosts=allow_host or [],
            limits=server.Limits(
                run_seconds=run_timeout,
                grace_seconds=grace,
                kept_thread_seconds=None if keep_threads is None else keep_threads * 86_400,
            ),
            webhooks=server.WebhookPolicy(
                allow=[each for each in webhook or ["public"] if each != "none"],
                secret=webhook_secret,
            ),
            trace=trace,
            page=page,
            on_ready=ready,
        )
    except loading.LoadError as error:
        if verbose and error.__cause__:
            logging.getLogger(__name__).info("%s", error, exc_info=error.__cause__)
        fail(str(error), 2)
    except (acp_langgraph.AcpLangGraphError, server.DatabaseError, ValueError) as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{host}:{port} cannot be served on: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        console.print("Stopped.")


def _say(console: Console, url: str, agents: list[Any], database: str, *, page: bool) -> None:
    many = "agent" if len(agents) == 1 else "agents"
    console.print(f"[bold]acp-langgraph[/bold] serves {len(agents)} {many} at [bold]{url}[/bold]")
    table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=True)
    for _ in ("name", "version", "id"):
        table.add_column(no_wrap=True)
    for agent in agents:
        table.add_row(
            Text(agent.name, "cyan"), agent.version, agent.id, Text(agent.description, "dim")
        )
    console.print(table)
    if page:
        console.print(f"See them, start runs and answer questions at [bold]{url}/[/bold]")
    console.print(
        "Runs are kept in memory, until the server stops."
        if database == ":memory:"
        else Text(f"Runs are kept in {database}; what is running when you stop goes on next time.")
    )
    console.print("Press Ctrl-C to stop.")
