"""`acp-langgraph types`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from acp_langgraph import errors
from acp_langgraph.cli.connecting import (
    ApiKey,
    Header,
    Host,
    ProtocolOption,
    Server,
    Token,
    fail,
    found,
    needing,
)
from acp_langgraph.cli.files import described, is_file


def types(
    host: Host,
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="AGENT", help="The agent: its name, or its id; a file describes only one."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Python file to write; without it, the models are printed."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; fail if the file is not what would be written."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that was not written by this command.")
    ] = False,
    api_key: ApiKey = None,
    token: Token = None,
    header: Header = None,
    protocol: ProtocolOption = None,
) -> None:
    """Write pydantic models of what an agent takes, gives and asks.

    ```
    acp-langgraph types http://127.0.0.1:8000 mailcomposer -o mail.py
    acp-langgraph types http://127.0.0.1:8000 mailcomposer -o mail.py --check
    acp-langgraph types manifest.json -o mail.py
    ```

    The models are called `Input`, `Output` and `Config`, and for each kind of question the agent may
    ask its name with `Payload` and with `Resume` after it. They are a node's types:

    ```
    ACPNode("compose", "mailcomposer", host, input_type=mail.Input, output_type=mail.Output)
    ```
    """
    codegen = needing("types", "acp_langgraph.codegen")

    if output is None and (check or force):
        fail("--check and --force are about a file; name it with -o", 2)
    if is_file(host):
        told, where = described(host, agent, protocol), Path(host).name
    elif agent is None:
        fail(f"name one of its agents; acp-langgraph agents {host} lists them", 2)
    else:
        server = Server(host, api_key, token, header)
        told = server.run(found(agent, server.configuration.retries, protocol))
        where = server.configuration.base_url
    try:
        text = codegen.models_of(told, where)
    except errors.ModelGenerationError as error:
        fail(str(error), 1)
    if output is None:
        typer.echo(text, nl=False)
        return
    before = _read(output)
    if check:
        if before != text:
            fail(f"{output} is not what the agent declares; run the command without --check", 1)
        typer.echo(f"{output} is up to date")
        return
    if before is not None and not force and not before.startswith(codegen.HEADER):
        fail(f"{output} was not written by this command; name another file, or add --force", 2)
    _write(output, text)
    typer.echo(f"{output}: {', '.join(codegen.model_names(text))}")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", 2)


def _write(path: Path, text: str) -> None:
    """Write a file as a whole, or not at all."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as draft:
            draft.write(text)
        Path(draft.name).chmod(0o666 & ~_umask())
        Path(draft.name).replace(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}", 2)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
