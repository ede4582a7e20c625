"""The application inside somebody else's."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from support.asgi import served
from support.graphs import echo

from acp_langgraph.server import create_app


def outer(app: Starlette, *, tells: bool) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette):
        async with app.router.lifespan_context(app):
            yield

    routes = [Route("/", lambda _: PlainTextResponse("home")), Mount("/agents-here", app)]
    return Starlette(routes=routes, lifespan=lifespan if tells else None)


@pytest.mark.parametrize("tells", [True, False])
def test_it_works_mounted_whether_or_not_it_is_told_of_the_start(tmp_path, tells):
    app = create_app({"echo": echo()}, database=tmp_path / "db")

    with served(outer(app, tells=tells)) as client:
        home = client.get("/").text
        answers = [
            client.post("/agents-here/runs/wait", json={"input": {"text": "hi"}}) for _ in range(2)
        ]

    app.state.lifecycle._database.close()  # else its thread stays until the process ends

    assert home == "home"
    assert [each.json()["output"]["values"] for each in answers] == [{"text": "HI"}] * 2
