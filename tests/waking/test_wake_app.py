"""What remote servers call: whose calls are taken, and what comes of them."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.receiving import Post, receiving
from support.waking import SECRET, Agents, State, at, serving, suspending

from acp_langgraph import Sweeper, WakeApp, WakeURL, split_interrupts
from acp_langgraph.core.webhooks import key_of, new_secret, signed
from acp_langgraph.errors import NodeConfigurationError


class Woken:
    """A graph that is suspended, its app, and what came of each text."""

    def __init__(self, agents: Agents, post: Post, secret: Any = SECRET, **options: Any) -> None:
        self.done: dict[str, threading.Semaphore] = {}
        self.times: dict[str, int] = {}
        node = suspending(agents, wake_url=WakeURL(f"{post.url}/wake", secret), **options)
        builder = StateGraph(State).add_node(node).add_node("after", self._after)
        builder.add_edge(START, node.name).add_edge(node.name, "after")
        self.graph = builder.compile(checkpointer=InMemorySaver())

    def _after(self, state: State) -> dict[str, Any]:
        text = state["text"].lower()
        self.times[text] = self.times.get(text, 0) + 1
        self.done.setdefault(text, threading.Semaphore(0)).release()
        return {}

    def suspend(self, text: str) -> str:
        """Suspend a thread of the text's name; where its webhook goes."""
        self.done.setdefault(text, threading.Semaphore(0))
        _, waits = split_interrupts(self.graph.invoke({"text": text}, at(text)))
        return str(waits[0].value["key"])

    def await_done(self, text: str) -> None:
        assert self.done[text].acquire(timeout=30)


@pytest.fixture
def post() -> Iterator[Post]:
    with receiving() as post:
        yield post


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def test_a_webhook_wakes_the_graph(agents: Agents, post: Post, text: str) -> None:
    woken = Woken(agents, post)
    post.app = WakeApp(woken.graph, secret=SECRET)
    woken.suspend(text)
    agents.let_go(text)
    woken.await_done(text)
    notice = post.wait_for(1)[0]
    assert (notice.answered, text in notice.path) == (202, False)


def test_a_webhook_that_comes_before_the_graph_is_stored_is_to_come_again(
    agents: Agents, post: Post, text: str
) -> None:
    woken = Woken(agents, post)
    app = post.app = WakeApp(woken.graph, secret=SECRET)
    held, go_on = threading.Event(), threading.Event()
    store = woken.graph.checkpointer.put_writes

    def late(*args: Any, **kwargs: Any) -> None:
        if any(channel == "__interrupt__" for channel, _ in args[1]):
            held.set()
            assert go_on.wait(30)
        store(*args, **kwargs)

    woken.graph.checkpointer.put_writes = late
    agents.let_go(text)
    suspending = threading.Thread(target=woken.suspend, args=(text,))
    suspending.start()
    assert held.wait(30)
    post.wait_for(1, 503)
    go_on.set()
    woken.await_done(text)
    suspending.join(30)
    assert app is post.app
    assert woken.times[text] == 1


def test_notices_twice_and_again_later_wake_once(agents: Agents, post: Post, text: str) -> None:
    woken = Woken(agents, post)
    post.app = WakeApp(woken.graph, secret=SECRET)
    post.times = lambda _: 3
    woken.suspend(text)
    agents.let_go(text)
    woken.await_done(text)
    notice = post.wait_for(1)[0]
    for _ in range(3):
        assert httpx.post(post.url + notice.path, content=notice.body).status_code in {200, 202}
    assert Sweeper(woken.graph).sweep().woken == 0
    assert woken.times[text] == 1


def test_a_notice_that_is_replayed_an_hour_later_wakes_nothing_and_answers_nothing(
    agents: Agents, post: Post, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = Woken(agents, post, agent="ask")
    post.app = WakeApp(woken.graph, secret=SECRET)
    woken.suspend(text)
    agents.let_go(text)
    notice = post.wait_for(1, 202)[0]
    while not split_interrupts(woken.graph.get_state(at(text))).questions:
        pass
    later = SimpleNamespace(time=lambda: time.time() + 3700)
    monkeypatch.setattr("acp_langgraph.waking.app.time", later)
    # By all that can be told, the question may just have been answered: it is to come again.
    assert httpx.post(post.url + notice.path, content=notice.body).status_code == 503
    assert len(split_interrupts(woken.graph.get_state(at(text))).questions) == 1
    woken.graph.invoke(Command(resume="blue"), at(text))
    assert httpx.post(post.url + notice.path, content=notice.body).status_code == 202  # a look
    agents.let_go(f"{text} more")
    while woken.graph.get_state(at(text)).next:
        pass
    assert httpx.post(post.url + notice.path, content=notice.body).status_code == 200
    woken.graph.checkpointer.delete_thread(text)
    assert httpx.post(post.url + notice.path, content=notice.body).status_code == 410


def test_an_early_notice_that_comes_again_answers_no_question(
    agents: Agents, post: Post, text: str
) -> None:
    woken = Woken(agents, post, agent="ask")
    post.app = app = WakeApp(woken.graph, secret=SECRET)
    woken.suspend(text)
    agents.let_go(text)
    notice = post.wait_for(1)[0]
    while not split_interrupts(woken.graph.get_state(at(text))).questions:
        assert httpx.post(post.url + notice.path).status_code in {200, 202, 503}
    for _ in range(5):  # whether the question was answered a moment ago cannot be told
        assert httpx.post(post.url + notice.path).status_code == 503
    questions, waits = split_interrupts(woken.graph.get_state(at(text)))
    assert (len(questions), waits) == (1, [])
    assert not app._tasks


@pytest.mark.parametrize("how", ["another secret", "another thread", "another key", "cut", "none"])
def test_a_forged_url_is_not_found(agents: Agents, post: Post, text: str, how: str) -> None:
    woken = Woken(agents, post)
    key = woken.suspend(text)
    post.app = WakeApp(woken.graph, secret=SECRET)
    genuine = WakeURL(post.url, SECRET).of(text, key)
    forged = {
        "another secret": WakeURL(post.url, new_secret()).of(text, key),
        "another thread": genuine.replace(
            genuine.rpartition("/")[2].partition(".")[0],
            WakeURL(post.url, SECRET).of("other", key).rpartition("/")[2].partition(".")[0],
        ),
        "another key": genuine.replace(
            genuine.rpartition("/")[2].partition(".")[0],
            WakeURL(post.url, SECRET).of(text, "other").rpartition("/")[2].partition(".")[0],
        ),
        "cut": genuine[:-1],
        "none": f"{post.url}/",
    }[how]
    assert httpx.post(forged).status_code == 404
    assert httpx.post(genuine).status_code == 202
    agents.let_go(text)
    woken.await_done(text)


def test_a_url_is_good_for_a_while_only(agents: Agents, post: Post, text: str) -> None:
    woken = Woken(agents, post)
    key = woken.suspend(text)
    post.app = WakeApp(woken.graph, secret=SECRET, max_age=-2.0)
    assert httpx.post(WakeURL(post.url, SECRET).of(text, key)).status_code == 410
    agents.let_go(text)


def test_while_the_secret_is_changed_both_are_good(agents: Agents, post: Post, text: str) -> None:
    newer = new_secret()
    woken = Woken(agents, post)
    key = woken.suspend(text)
    post.app = WakeApp(woken.graph, secret=[newer, SECRET])
    for secret in (SECRET, newer, [newer, SECRET]):
        assert httpx.post(WakeURL(post.url, secret).of(text, key)).status_code == 202
    agents.let_go(text)
    woken.await_done(text)


def test_where_notices_are_signed_only_those_that_are_fresh_are_taken(
    post: Post, text: str
) -> None:
    theirs = new_secret()
    with serving(secret=theirs) as agents:
        woken = Woken(agents, post)
        post.app = WakeApp(woken.graph, secret=SECRET, signed_by=theirs)
        woken.suspend(text)
        agents.let_go(text)
        woken.await_done(text)
    notice = post.wait_for(1)[0]
    assert notice.answered == 202
    url = post.url + notice.path
    assert httpx.post(url, content=notice.body).status_code == 401
    headers = {each: notice.headers[each] for each in notice.headers if "webhook-" in each}
    assert httpx.post(url, content=notice.body + b" ", headers=headers).status_code == 401
    old = signed([key_of(theirs)], "msg_1", notice.body, now=1e9)
    assert httpx.post(url, content=notice.body, headers=old).status_code == 401
    fresh = signed([key_of(theirs)], "msg_1", notice.body)
    assert httpx.post(url, content=notice.body, headers=fresh).status_code == 200


def test_a_thread_that_is_nowhere_is_waited_for_and_given_up(agents: Agents, post: Post) -> None:
    woken = Woken(agents, post)
    post.app = WakeApp(woken.graph, secret=SECRET)
    assert httpx.post(WakeURL(post.url, SECRET).of("nowhere", "key")).status_code == 503


def test_what_is_no_post_is_refused(agents: Agents, post: Post) -> None:
    post.app = WakeApp(Woken(agents, post).graph, secret=SECRET)
    assert httpx.get(WakeURL(post.url, SECRET).of("1", "key")).status_code == 405


def test_of_twenty_waits_each_webhook_wakes_its_own(agents: Agents, post: Post, text: str) -> None:
    woken = Woken(agents, post)
    post.app = WakeApp(woken.graph, secret=SECRET)
    texts = [f"{text}{number}" for number in range(20)]
    for each in texts:
        woken.suspend(each)
    agents.let_go(*texts)
    for each in texts:
        woken.await_done(each)
    assert set(woken.times.values()) == {1}


def test_an_app_by_itself_begins_and_ends(agents: Agents, post: Post) -> None:
    app = WakeApp(Woken(agents, post).graph, secret=SECRET)
    said: list[str] = []
    told = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(told)}

    async def send(message: Any) -> None:
        said.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_an_app_needs_a_secret_and_a_checkpointer(agents: Agents, post: Post) -> None:
    graph = Woken(agents, post).graph
    with pytest.raises(NodeConfigurationError, match="secret"):
        WakeApp(graph, secret="hunter2")
    with pytest.raises(NodeConfigurationError, match="secret"):
        WakeApp(graph, secret=[])
    with pytest.raises(NodeConfigurationError, match="checkpointer"):
        WakeApp(
            StateGraph(State).add_node("a", lambda _: {}).add_edge(START, "a").compile(),
            secret=SECRET,
        )


def test_a_server_that_calls_nobody_here_is_asked_without_a_webhook(
    post: Post, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(allow=["http://elsewhere.example:1"]) as agents:
        woken = Woken(agents, post, name=f"node {text}")
        woken.suspend(text)
        assert "takes no webhook" in caplog.text
        agents.let_go(text)
        while Sweeper(woken.graph).sweep().woken == 0:
            pass
        assert (woken.times[text], sum(agents.runs().values())) == (1, 1)
