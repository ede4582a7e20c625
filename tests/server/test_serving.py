from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from support.graphs import Gate, Notes, Text, asking, echo, held, one_node

from acp_langgraph.server import run_server, serve


@pytest.fixture
def left() -> Callable[[], list[threading.Thread]]:
    """The threads of servers that were started since; other tests may have servers of their own."""
    before = set(threading.enumerate())
    return lambda: [
        each
        for each in threading.enumerate()
        if each not in before and each.name.startswith("acp-")
    ]


def test_a_stopped_server_leaves_no_thread_and_no_port(left):
    with serve({"echo": echo()}) as server:
        httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "hi"}}).raise_for_status()

    assert left() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_stopping_cancels_what_runs_and_releases_who_waits(left):
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        with serve({"held": held(gate)}) as server:
            waiting = pool.submit(
                httpx.post, f"{server.url}/runs/wait", json={"input": {"text": "hi"}}, timeout=30
            )
            assert gate.entered.acquire(timeout=10)
        answer = waiting.result(timeout=10)

    assert gate.cancelled.acquire(timeout=10)
    assert (answer.status_code, answer.json()) == (503, "the server is stopping")
    assert left() == []


def test_stopping_ends_open_streams():
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        with serve({"held": held(gate)}) as server:
            streaming = pool.submit(
                httpx.post, f"{server.url}/runs/stream", json={"input": {"text": "x"}}, timeout=30
            )
            assert gate.entered.acquire(timeout=10)
        answer = streaming.result(timeout=10)

    assert answer.status_code == 200
    assert "success" not in answer.text


def test_stopping_waits_for_a_synchronous_node_and_says_so_if_it_takes_too_long(left):
    entered, leave = threading.Event(), threading.Event()

    def block(state: Notes) -> Notes:
        entered.set()
        leave.wait()
        return {"text": "", "notes": []}

    stack = ExitStack()
    server = stack.enter_context(serve({"blocking": one_node(Notes, block)}, stop_timeout=0.5))
    httpx.post(f"{server.url}/runs", json={}).raise_for_status()
    assert entered.wait(10)
    with pytest.raises(TimeoutError, match="a node of a served graph still runs"):
        stack.close()

    leave.set()
    for each in left():
        each.join(10)
    assert left() == []


def test_synchronous_nodes_run_side_by_side():
    together = threading.Barrier(20, timeout=10)

    def meet(state: Text) -> Text:
        together.wait()
        return {"text": "met"}

    with serve({"meet": one_node(Text, meet)}) as server, ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: httpx.post(f"{server.url}/runs/wait", json={}), range(20))
        )

    assert [each.json()["output"]["values"] for each in answers] == [{"text": "met"}] * 20


def test_without_a_key_only_this_machine_is_served():
    everybody = "0.0.0.0"  # noqa: S104 - that is the point

    with pytest.raises(ValueError, match="give an API key"), serve({"a": echo()}, host=everybody):
        pass
    with pytest.raises(ValueError, match="give an API key"):
        run_server({"a": echo()}, host=everybody)


def test_with_a_key_other_machines_may_be_served():
    with serve({"echo": echo()}, host="0.0.0.0", api_key="made up") as server:  # noqa: S104
        assert httpx.get(f"{server.url}/runs").status_code == 401


def test_runs_are_counted_by_status():
    with serve({"echo": echo(), "asking": asking("ok?")}) as server:
        for agent_id in [*server.agent_ids.values(), server.agent_ids["echo"]]:
            httpx.post(
                f"{server.url}/runs/wait", json={"agent_id": agent_id, "input": {"text": "hi"}}
            )
        counted = server.count_runs()

    assert counted == {"success": 2, "interrupted": 1}


def test_a_stopped_server_can_no_longer_be_asked():
    with serve({"echo": echo()}) as server:
        pass

    with pytest.raises(RuntimeError, match="has stopped"):
        server.count_runs()


def test_a_given_port_is_taken_and_a_taken_one_refused():
    with serve({"echo": echo()}) as server:
        port = int(server.url.rpartition(":")[2])

        with pytest.raises(OSError, match="in use"), serve({"echo": echo()}, port=port):
            pass

    with serve({"echo": echo()}, port=port) as again:
        assert again.url == server.url


def test_only_while_it_serves_a_process_looks_for_no_garbage_in_what_it_has_loaded():
    program = """
import gc
from support.graphs import echo
from acp_langgraph.server import run_server
try:
    run_server({"echo": echo()}, on_ready=lambda _: print(gc.get_freeze_count(), flush=True))
except KeyboardInterrupt:
    print(gc.get_freeze_count())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, [".", *sys.path]))},
    ) as process:
        serving = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        after, _ = process.communicate(timeout=20)

    assert serving > 10_000
    assert int(after) == 0


def test_a_process_serves_in_the_foreground_and_stops_at_a_signal():
    program = """
from support.graphs import echo
from acp_langgraph.server import run_server
run_server({"echo": echo()}, on_ready=lambda url: print(url, flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, [".", *sys.path]))},
    ) as process:
        url = process.stdout.readline().strip()
        answer = httpx.post(f"{url}/runs/wait", json={"input": {"text": "hi"}})
        process.terminate()
        out, err = process.communicate(timeout=20)

    assert answer.json()["output"]["values"] == {"text": "HI"}
    assert (out, err) == ("", "")


def test_without_its_extra_the_server_says_what_to_install():
    program = """
import sys
sys.modules["starlette"] = None
try:
    import acp_langgraph.server
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert 'pip install "acp-langgraph[server]"' in done.stdout


def test_what_uvicorn_logs_is_not_printed_by_python_itself() -> None:
    handlers = logging.getLogger("uvicorn").handlers
    assert any(isinstance(each, logging.NullHandler) for each in handlers)
