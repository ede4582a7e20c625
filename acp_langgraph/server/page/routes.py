"""The files of the page, and what it asks the server beyond the protocol.

The files hold nothing that is anybody's business, so they ask for no key. A browser runs no script in this
page but these, takes no text for markup, asks no other host, and shows it in nobody's frame.

What is asked is all runs in one list, what would be refused, and drawings. These routes are the page's own, and
may change with it. They stand behind the same guards as the operations.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus
from importlib import resources
from secrets import token_hex
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from acp_langgraph.acp.models import RunStatus
from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.database import Database
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.page.layout import drawing
from acp_langgraph.server.page.questions import questions_of
from acp_langgraph.server.records import RunRecord, microseconds, moment_after
from acp_langgraph.server.wire import (
    answer,
    conflict,
    given_id,
    invalid,
    not_found,
    number,
    path_id,
    read_json,
    run_json,
)

MOST: Final = 1000

_COLUMNS: Final = "run_id, agent_id, thread_id, stateless, status, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs to list, newest first; `None` matches all.

    Attributes:
        agent_id: Of this agent.
        status: In this status.
        thread_id: On this thread.
        limit: How many; 0 only counts.
        seen: The version that is known already: how much was stored until then.
    """

    agent_id: str | None
    status: RunStatus | None
    thread_id: str | None
    limit: int
    seen: int | None


async def list_runs(database: Database, wanted: Wanted) -> dict[str, Any] | None:
    """The runs that match, in few words.

    Returns:
        `version`, `now`, the `counts` of all runs by status, and `runs`; times are in microseconds
        since 1970. `None`, if nothing was stored since the version that was seen.
    """
    return await database.run(partial(_list_runs, wanted))


def _list_runs(wanted: Wanted, connection: sqlite3.Connection) -> dict[str, Any] | None:
    version = connection.total_changes
    if wanted.seen == version:
        return None
    counts = connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    rules = {
        "agent_id": wanted.agent_id,
        "status": wanted.status,
        "thread_id": wanted.thread_id,
    }
    given = {column: value for column, value in rules.items() if value is not None}
    where = " AND ".join([f"{column} = ?" for column in given] or ["TRUE"])
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - of the words above
        (*given.values(), wanted.limit),
    )
    names = _COLUMNS.split(", ")
    return {
        "version": version,
        "now": microseconds(moment_after()),
        "counts": dict(counts),
        "runs": [dict(zip(names, row, strict=True)) for row in rows],
    }


_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


def file_routes() -> list[Route]:
    """The page at `/`, and what it is made of at `/page/...`."""
    folder = resources.files(__package__) / "static"
    return [
        _route("/" if each.name == "index.html" else f"/page/{each.name}", each.read_bytes())
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _KINDS
    ]


def _route(path: str, content: bytes) -> Route:
    kind = _KINDS["html" if path == "/" else path.rpartition(".")[2]]
    headers = {**_HEADERS, "etag": f'"{sha256(content).hexdigest()[:32]}"'}

    async def give(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return Route(path, give)


Handlers: TypeAlias = Mapping[str, Callable[[Request], Awaitable[Response]]]
"""What answers at a path, by method."""


class PageData:
    """What the page is told.

    Args:
        engine: Runs the agents.
        database: Where its runs are kept.
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._born = token_hex(4)  # what was seen of another server was not seen of this one
        self._drawn = cache(lambda agent_id: drawing(engine.agents.get(agent_id).graph))

    def routes(self) -> dict[str, Handlers]:
        """What there is, by path."""
        return {
            "/page/data/runs": {"GET": self.list_runs},
            "/page/data/runs/{run_id}": {"GET": self.get_run},
            "/page/data/runs/{run_id}/check": {"POST": self.check_answers},
            "/page/data/agents/{agent_id}/check": {"POST": self.check_creation},
            "/page/data/agents/{agent_id}/graph": {"GET": self.draw},
        }

    async def list_runs(self, request: Request) -> Response:
        """List the newest runs of an agent, status or thread, or all; 204 if nothing has changed."""
        asked = request.query_params
        born, _, seen = asked.get("seen", "").partition(".")
        wanted = Wanted(
            agent_id=_id_in(request, "agent_id"),
            status=_status_in(request),
            thread_id=_id_in(request, "thread_id"),
            limit=number(request, "limit", 100, least=0, most=MOST),
            seen=int(seen) if born == self._born and seen.isdecimal() else None,
        )
        found = await list_runs(self._database, wanted)
        if found is None:
            return _unkept(Response(status_code=HTTPStatus.NO_CONTENT))
        return _unkept(answer({**found, "version": f"{self._born}.{found['version']}"}))

    async def get_run(self, request: Request) -> Response:
        """Tell all of a run, with a form for each of its questions."""
        run = await self._run(request)
        agent = self._engine.agents.find(run.agent_id)
        return _unkept(
            answer(
                {
                    "run": {**run_json(run), "thread_id": run.thread_id},
                    "stateless": run.stateless,
                    "has_thread": run.has_thread,
                    "output": run.output,
                    "questions": questions_of(agent, run) if agent else [],
                }
            )
        )

    async def check_creation(self, request: Request) -> Response:
        """Tell what would be refused of a run's `input` and `configurable`."""
        agent = self._engine.agents.get(path_id(request, "agent"))
        body = await self._object_in(request)

        def check() -> list[Any]:
            return [
                *_placed("input", agent.input_faults(body.get("input", {}))),
                *_placed("configurable", agent.configurable_faults(body.get("configurable", {}))),
            ]

        return await self._faults(check)

    async def check_answers(self, request: Request) -> Response:
        """Tell what would be refused of `answers`, an answer by each question's id."""
        run = await self._run(request)
        if run.status is not RunStatus.INTERRUPTED:
            raise conflict(f"run {run.run_id} is {run.status}, not interrupted")
        agent: HostedAgent = self._engine.agents.get(run.agent_id)
        answers = (await self._object_in(request)).get("answers")
        if not isinstance(answers, dict):
            raise invalid("answers: must be an object")

        def check() -> list[Any]:
            return [
                fault
                for each in run.questions
                if each.id in answers and each.id
                for fault in _placed(
                    each.id, agent.answer_faults(each.value, each.schema, answers[each.id])
                )
            ]

        return await self._faults(check)

    async def draw(self, request: Request) -> Response:
        """Tell where the nodes of an agent's graph stand in a drawing."""
        agent = self._engine.agents.get(path_id(request, "agent"))
        loop = asyncio.get_running_loop()
        return answer(await loop.run_in_executor(self._engine.checks, self._drawn, agent.agent_id))

    async def _run(self, request: Request) -> RunRecord:
        run_id = path_id(request, "run")
        run = await self._engine.storage.get_run(run_id)
        if run is None:
            raise not_found("run", run_id)
        return run

    async def _object_in(self, request: Request) -> dict[str, Any]:
        body = await read_json(request, self._engine.limits)
        if not isinstance(body, dict):
            raise invalid("the body must be a JSON object")
        return body

    async def _faults(self, check: Callable[[], list[Any]]) -> Response:
        loop = asyncio.get_running_loop()
        return answer({"faults": await loop.run_in_executor(self._engine.checks, check)})


_Place: TypeAlias = tuple[str | int, ...]


def _placed(where: str, faults: list[tuple[_Place, str]]) -> list[dict[str, Any]]:
    return [{"at": [where, *place], "rule": rule} for place, rule in faults]


def _id_in(request: Request, name: str) -> str | None:
    text = request.query_params.get(name)
    return given_id(f"query.{name}", text) if text else None


_STATUSES: Final = ", ".join(RunStatus)


def _status_in(request: Request) -> RunStatus | None:
    text = request.query_params.get("status")
    try:
        return RunStatus(text) if text else None
    except ValueError:
        raise invalid(f"query.status: must be one of {_STATUSES}") from None


def _unkept(response: Response) -> Response:
    response.headers["cache-control"] = "no-store"
    return response
