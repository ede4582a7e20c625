"""`A2ANode`: a task of an agent that speaks A2A, as a node."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, Self

from langchain_core.runnables import RunnableConfig
from typing_extensions import Unpack, override

from acp_langgraph import errors
from acp_langgraph.a2a.calls import GET_EXTENDED_AGENT_CARD
from acp_langgraph.a2a.card import AgentCard, FoundCard, described, find_card, is_text
from acp_langgraph.a2a.job import A2AJob
from acp_langgraph.a2a.listening import FIRST_LOOK, TaskCursor
from acp_langgraph.a2a.parts import parts_of, result_of
from acp_langgraph.a2a.peer import Peer, bindings_of
from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.jobs.listening import Listening
from acp_langgraph.nodes.agent import AgentNode, AgentOptions, PlacedOptions, forwarded_metadata
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.from_agent import node_name
from acp_langgraph.nodes.identity import Headers


class A2AOptions(PlacedOptions, total=False):
    """What `A2ANode` takes beside its name and where the agent is; see there."""

    skill: str | None
    card: AgentCard | Mapping[str, Any] | None
    card_path: str | None
    stream_mode: Literal["auto", "custom"] | None


class A2ANode(AgentNode):
    """Has an agent that speaks A2A do a task, as a node of a graph: one execution, one task.

        baker = A2ANode("baker", "https://baker.example", input_path="order", output_path="pie")
        builder.add_node(baker)

    What is known of the agent is in its card, which is read when the node first runs; `from_card` reads
    it at once. A2A 1.0 is spoken over JSON-RPC and HTTP+JSON, and 0.3 over JSON-RPC, whichever the card
    offers first.

    A `str` is sent as a text, a `FilePart` as a file, a list with one of these as several parts, and
    anything else as data. The answer is what `output_type` says: `str` takes the text, `FilePart` (or
    `list[FilePart]`) the files, anything else the data, or a text that is JSON; without an
    `output_type`, it is the data if there is any, or else the text. It comes from the task's artifacts,
    however many pieces they came in, or from what the agent said last.

    What the agent asks (`input-required`) becomes the graph's interrupt, and its answer goes to the same
    task, by the same rules. Where it wants its user to sign in somewhere (`auth-required`), the
    interrupt's value is `{"state": "auth-required", "message": ...}`, to be answered once that is done.

    Artifacts, their pieces and what the agent says meanwhile appear in the graph's stream as an
    `ACPNode`'s events do: `custom` shows everything, `messages` the texts.

    Args:
        name: The node's name in the graph.
        client_config: The agent's base URL, below which its card is; or a configuration with it, where
            and as whom to connect. `None` takes the `base_url` of `client` and `async_client`.
        input_path: As for `ACPNode`.
        input_type: As for `ACPNode`; also `FilePart`.
        output_path: As for `ACPNode`.
        output_type: As for `ACPNode`; also `FilePart` and `list[FilePart]`.
        auth_header: As for `ACPNode`.
        use_threads: Whether the agent remembers what this node and thread of the graph told it before:
            all of their tasks are in one context. By default each is in its own.
        skill: The id or name of a skill that the card must have. It is sent as `skillId` in the
            message's metadata, for agents that look there: A2A itself leaves the choice to the agent.
        card: The agent's card, where it is not to be asked for.
        card_path: Where the card is below the base URL, e.g. `/.well-known/agent-card.json?assistant_id=...`
            for a graph on `langgraph dev`.
        stream_mode: `auto` or `custom` to show what the agent emits, if anybody watches; `None` for nothing.
        **options: What `ACPNode` takes, too: `input`, `output`, `llm`, `state_type`, `client`,
            `async_client`, `headers`, `auth`, `run_timeout`, `on_timeout`, `on_unknown`, `on_failure` and
            `on_cancel`. A server that dies leaves its tasks as they were, and says that they are at work
            for ever: only `run_timeout` ends the wait then. For servers that list no tasks (those of
            0.3), make contexts of their own, or answer with messages instead of tasks, `on_unknown`
            says what to do where an answer was lost.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.

    Raises, when it runs, what `ACPNode` raises, but:
        A2ATaskError: If the task failed; `A2ATaskRejectedError` if the agent did not take it,
            `A2ATaskCanceledError` if somebody else has ended it.
        NodeConfigurationError: If the agent's card offers nothing that is spoken here, or says that the
            agent is on another host than the configured one.
        UnknownAgentError: If there is no card, or no such skill in it.
    """

    modes = ("custom",)

    def __init__(
        self,
        name: str,
        client_config: ApiClientConfiguration | str | None,
        input_path: str | None = None,
        input_type: Any = None,
        output_path: str | None = None,
        output_type: Any = None,
        auth_header: Headers | None = None,
        use_threads: bool = False,
        *,
        skill: str | None = None,
        card: AgentCard | Mapping[str, Any] | None = None,
        card_path: str | None = None,
        stream_mode: Literal["auto", "custom"] | None = "auto",
        **options: Unpack[AgentOptions],
    ) -> None:
        places = (input_path, input_type, output_path, output_type, None, None, auth_header)
        super().__init__(
            *(name, name, client_config, *places, use_threads), stream_mode=stream_mode, **options
        )
        if card_path is not None and not card_path.startswith("/"):
            raise errors.NodeConfigurationError(
                f"card_path is a path below the base URL, such as '/card.json', not {card_path!r}",
                node=name,
            )
        self.skill = skill
        self._agent_id = card_path
        self._peer: Peer | None = None
        size = self.transport.endpoint.configuration.max_answer_bytes
        self._listening = Listening(name, (), size, cursor_type=TaskCursor, first_look=FIRST_LOOK)
        self._given: FoundCard | None = None
        if card is not None:
            try:
                self._given = described(card, skill)
            except (errors.UnreadableAnswerException, errors.UnknownAgentError) as error:
                raise errors.NodeConfigurationError(f"card: {error}", node=name) from None
            self._meet(self._given)

    @classmethod
    def from_card(
        cls,
        client_config: ApiClientConfiguration | str | None,
        name: str | None = None,
        **options: Unpack[A2AOptions],
    ) -> Self:
        """A node from an agent's card, which is asked for now.

            baker = A2ANode.from_card("https://baker.example", input_path="order", output_path="pie")

        A card has no schemas: where it says that the agent takes, or gives, nothing but text, that is
        the type of the input, or of the answer, unless the options say otherwise.

        Args:
            client_config: As for `A2ANode`.
            name: The node's name in the graph; by default the agent's.
            **options: As for `A2ANode`.

        Raises:
            UnknownAgentError: If there is no card, or no such skill in it.
            NodeConfigurationError: If the card offers nothing that is spoken here.
            OpenApiException: If the server cannot be asked.
        """
        if (card := options.get("card")) is not None:
            return cls._of_agent(client_config, described(card), name, options)
        return cls._looked_up(client_config, options.get("card_path") or "", name, options)

    @classmethod
    async def afrom_card(
        cls,
        client_config: ApiClientConfiguration | str | None,
        name: str | None = None,
        **options: Unpack[A2AOptions],
    ) -> Self:
        """`from_card`, awaiting."""
        if options.get("card") is not None:
            return cls.from_card(client_config, name, **options)
        place = options.get("card_path") or ""
        return await cls._alooked_up(client_config, place, name, options)

    @override
    @classmethod
    def _of_agent(
        cls,
        client_config: ApiClientConfiguration | str | None,
        found: Any,
        name: str | None,
        options: Any,
    ) -> Self:
        _, takes, gives = found.card.of_skill(options.get("skill"))
        given = {**options, "card": found.card}
        for what, modes in {"input": takes, "output": gives}.items():
            if is_text(modes) and options.get(what) is None:
                given.setdefault(f"{what}_type", str)
        node = cls(name or node_name(found), client_config, **given)
        if options.get("card") is None:
            node._given = None  # so that it is asked for again where somebody checks the node
        return node

    @property
    def card(self) -> AgentCard | None:
        """The agent's card, once it was read."""
        return None if self._peer is None else self._peer.card

    @override
    @staticmethod
    def finding(agent: str, retries: int) -> Flow[FoundAgent]:
        """Finds an agent by its card; what is no path stands for where cards are."""
        return find_card(agent, retries)

    @override
    def found(self) -> Flow[FoundCard]:
        """The agent, with what its card says now, or said where it was given."""
        if self._given is not None:
            return self._given
        finding = find_card(self._agent_id or "", self.policy.retries, self.skill)
        return (yield from self._found(finding))

    @override
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Read the input, have the task done, write the answer."""
        value = yield from self.input.take(state, config)
        metadata = forwarded_metadata(config)
        if self.skill is not None:
            metadata["skillId"] = self.skill
        job = replace(
            (yield from self.job_of(execution.key, self._thread(execution))),
            parts=parts_of(value),
            metadata=metadata,
            is_shown=execution.sink.is_there and bool(self.stream_mode),
            wakes=self._wakes(execution),
            as_everybody=execution.credentials is None,
        )
        outcome = yield from self._have_done(job, execution)
        answer = result_of(outcome, self.output.declared)
        return (yield from self.output.put(state, answer, config))

    @override
    def job_of(self, key: str, thread: str | None) -> Flow[A2AJob]:
        """The task of a key."""
        peer = yield from self._known_peer()
        return A2AJob(key, peer, self._listening, self.name, self.policy, thread=thread)

    def _known_peer(self) -> Flow[Peer]:
        return self._peer or self._meet((yield from self.found()))

    @override
    def _read_descriptor(self) -> Flow[AgentACPDescriptor]:
        """What the card says; the one for those who have signed in, if there is one and it is given."""
        peer = yield from self._known_peer()
        if peer.card.has_extended_card:
            with suppress(errors.ApiException):
                card = yield from peer.asked(GET_EXTENDED_AGENT_CARD, {}, self.policy)
                self._meet(described(card, self.skill))
        assert self._descriptor is not None  # noqa: S101 - of the card
        return self._descriptor

    def _meet(self, found: FoundCard) -> Peer:
        bindings = bindings_of(found.card, self.transport.endpoint.base_url, self.name)
        self._descriptor, self._peer = found.descriptor, Peer(found.card, bindings)
        self.agent = self._listening.agent = found.name
        return self._peer
