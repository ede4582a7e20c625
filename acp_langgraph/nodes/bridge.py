"""`APIBridgeAgentNode`: a service asked in plain words, through AGNTCY's API Bridge, as a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import httpx
from langchain_core.runnables import RunnableConfig
from typing_extensions import override

from acp_langgraph.auth import HeaderAuth, TokenAuth
from acp_langgraph.auth.credentials import Grant
from acp_langgraph.bridge import access
from acp_langgraph.bridge.answers import Check, usable
from acp_langgraph.bridge.calls import (
    APIBridgeInput,
    APIBridgeOutput,
    Generation,
    Mode,
    Query,
    ResponseKind,
    route_to,
)
from acp_langgraph.bridge.flow import confirm, query_once
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.secrets import secrets
from acp_langgraph.errors import (
    ApiTypeError,
    ApiValueError,
    CheckpointerRequiredError,
    NodeConfigurationError,
    NodeInputError,
    QueryRefusedError,
)
from acp_langgraph.jobs.job import one_of
from acp_langgraph.nodes.base import RemoteNode
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Headers
from acp_langgraph.nodes.ports import InputPort, input_of, output_of

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide


class APIBridgeAgentNode(RemoteNode):
    """Asks a service behind an API Bridge in plain words, as a node of a graph.

        send = APIBridgeAgentNode(
            "send",
            "http://localhost:8080",
            "sendgrid",
            input_path="mail_request",
            output_path="mail_result",
            service_api_key=os.environ["SENDGRID_API_KEY"],
            check="(?i)accepted|sent",
            confirm=True,
        )
        builder.add_node(send)

    A query may send a mail, so one execution of the node sends it at most once. With a checkpointer
    that holds over crashes: whoever enters again gets the answer that was stored, or, where the
    process died between sending and storing, an `UnknownOutcomeError`. (With `durability="exit"`
    LangGraph stores nothing on the way, and a crash makes it all not have happened.)

    Args:
        name: The node's name in the graph.
        hostname: The gateway that the bridge is in: a URL, or a whole configuration. With a URL, an
            answer is awaited for 120 seconds.
        service_name: The service's listen path in the gateway, e.g. `sendgrid`; `None` in the modes
            in which the bridge picks the service.
        input_path: Where in the state the query is.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        service_api_key: The service's credential, sent as `Authorization`: with the scheme it names
            (`Basic ...`), else as a bearer token. A function or a `TokenAuth` for one that is each
            user's own. `None` for services that need none.
        input_type: The query's type: a text, or anything with a `query`.
        output_type: The answer's type: `APIBridgeOutput`, any type that can be made of its fields,
            or `str` for just the text. `None` for its fields as a dict.
        apikey: The gateway's key, sent as `apikey`.
        input: Instead of a path, a mapping plan, e.g. `"Please send {mail.subject} to {recipient}"`.
        output: Instead of a path, a mapping plan, e.g. `{"sent": "result"}`.
        llm: A chat model for what only a model can tell, as for `ACPNode`.
        mode: `service`; `direct` for one operation of it, where the gateway is set up for that;
            `cross_api`, `mcp` or `any`, where the bridge picks what answers. See
            `acp_langgraph.bridge.calls`.
        generation: `legacy` for bridges older than May 2025.
        path: A path to use instead of the mode's, exactly as it is.
        operation: For `direct`: the operation's path in the service's API.
        method: For `direct`: the operation's method.
        response: For `direct`: the service's own answer (`upstream`) or words (`nl`).
        any_receiver: Whether the service's credential may go to whichever service the bridge picks.
        headers: Whatever else the gateway or the service wants. The gateway hands it on. A function
            makes them of the invocation's config or runtime, as told in `HeaderAuth`.
        auth: A `TokenAuth` or `HeaderAuth` for what the gateway wants, such as
            `TokenAuth(fetch, header="apikey", scheme="")`; the gateway hands it on.
        check: Tells whether the work was done, which the status does not: a callable that takes an
            `APIBridgeOutput` and returns `False` (or raises) if it was not, or a regular expression
            that the result matches if it was.
        confirm: Whether a human is asked first, by an interrupt of the graph; see
            `acp_langgraph.bridge.flow.confirm` for the question and its answers.
        on_refusal: What a refusal does: `raise` QueryRefusedError, or `skip` the node, so that the
            state stays as it is.
        on_unknown: What to do where it cannot be told whether the query was carried out: `raise`
            UnknownOutcomeError, or `rerun` and accept that it is carried out twice.
        timeout: Seconds to wait for the answer.
        state_type: The type of the graph's state, as for `ACPNode`.
        client: A blocking client of your own.
        async_client: An awaiting client of your own.

    Raises:
        NodeConfigurationError: If the node can never work like that, or would send the service's
            credential where it was not meant to go.
        ApiValueError: If the configuration is not valid.

    Raises, when it runs:
        NodeInputError: If the state does not give a query; nothing was sent.
        NodeOutputError: If the answer does not fit where it should go.
        CheckpointerRequiredError: If `confirm` is set, and nothing here can wait for the answer.
        QueryRefusedError: If the human refused; nothing was sent.
        BridgeError: If the bridge or its gateway refused or failed; the child classes tell which
            way, `AnswerRejectedError` among them where `check` does not take the answer.
        UnknownOutcomeError: If it cannot be told whether the query was carried out.
        ApiConnectionError: If the gateway cannot be reached.
    """

    def __init__(
        self,
        name: str,
        hostname: ApiClientConfiguration | str,
        service_name: str | None,
        input_path: str | None = None,
        output_path: str | None = None,
        service_api_key: str | Callable[..., Any] | TokenAuth | None = None,
        input_type: Any = APIBridgeInput,
        output_type: Any = APIBridgeOutput,
        apikey: str | None = None,
        *,
        input: Any = None,  # noqa: A002 - what it is
        output: Any = None,
        llm: Any = None,
        mode: Mode = "service",
        generation: Generation = "current",
        path: str | None = None,
        operation: str | None = None,
        method: str = "POST",
        response: ResponseKind = "upstream",
        any_receiver: bool = False,
        headers: Headers | None = None,
        auth: HeaderAuth | None = None,
        check: Check | None = None,
        confirm: bool = False,
        on_refusal: Literal["raise", "skip"] = "raise",
        on_unknown: Literal["raise", "rerun"] = "raise",
        timeout: float | None = None,
        state_type: Any = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
    ) -> None:
        try:
            configuration = access.connection(hostname, timeout)
            service_auth: TokenAuth | None = None
            if isinstance(service_api_key, TokenAuth):
                service_auth, service_api_key = service_api_key, None
            elif callable(service_api_key):
                service_auth, service_api_key = _ServiceKey(service_api_key), None
            varying, fixed = (headers, None) if callable(headers) else (None, headers)
            sent = access.gateway_headers(apikey, fixed)
            self._authorization = access.authorization(service_api_key)
            self.route = route_to(
                mode,
                service_name,
                generation=generation,
                path=path,
                operation=operation,
                method=method,
                response=response,
            )
            own = [access.authenticates(each) for each in (client, async_client)]
            if self._authorization is not None or service_auth is not None or any(own):
                self.route.entrust(any_receiver=any_receiver)
            self._check = usable(check)
        except (ApiTypeError, ApiValueError) as error:
            raise NodeConfigurationError(str(error), node=str(name)) from None
        super().__init__(
            name,
            configuration,
            headers=varying,
            fixed_headers=sent,
            auth=auth,
            service_auth=service_auth,
            refuse=access.refuse,
            client=client,
            async_client=async_client,
            on_cancel="detach",  # a bridge has nothing to cancel but the connection
        )
        self.agent = service_name or mode
        own_clients = client is not None or async_client is not None
        self._seconds = timeout if timeout is not None or own_clients else configuration.timeout
        shown = {} if self._authorization is None else {"authorization": self._authorization}
        self._hidden = secrets(configuration.auth_headers(), sent, shown)
        self.input_type, self.output_type = input_type, output_type
        self._confirm = confirm
        self._on_refusal = one_of("on_refusal", on_refusal, ("raise", "skip"), name)
        self._on_unknown = one_of("on_unknown", on_unknown, ("raise", "rerun"), name)
        text = input is not None and not isinstance(input, Mapping)
        taken = str if text and input_type is APIBridgeInput else input_type
        self.input = input_of(name, input, input_path, taken, state_type, llm)
        self.input_path, self.output_path = input_path, output_path
        self.output = output_of(name, output, output_path, output_type, state_type, llm)
        self._wants_text = output_type is str

    @override
    def tool_side(self, config: Any = None) -> ToolSide:
        """What a tool is made from: it takes a query in plain words and gives the answer's text."""
        from acp_langgraph.nodes.tool import ARGUMENTS, AnswerPort, ToolSide  # noqa: PLC0415 - only for those who want it

        self._refuse_configuration(config)
        twin = self._as_called()
        twin.input = InputPort("input", ARGUMENTS, None, self.name)
        twin.output = AnswerPort(self.output_type, self.name)
        said = f"Asks the service {self.agent!r} in plain words to do something, or for something."
        return ToolSide(twin, APIBridgeInput, said)

    @override
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Read the query, have it confirmed, send it once, write the answer."""
        hidden = self._hidden
        if execution.credentials is not None:
            shown = yield from execution.credentials.shown()
            hidden += secrets(*(grant.headers for grant in shown))
        query = self._query((yield from self.input.take(state, config)), hidden)
        if self._confirm:
            if not execution.remembered:
                raise CheckpointerRequiredError(
                    "confirm=True asks a human, and the graph cannot wait for the answer; nothing "
                    f"was sent. {execution.how_to_remember()}",
                    node=self.name,
                )
            try:
                query = yield from confirm(query, self.name, self._sendable)
            except QueryRefusedError:
                if self._on_refusal == "skip":
                    return {}
                raise
        output = yield from query_once(
            query,
            self.transport.retries,
            check=self._check,
            on_unknown=self._on_unknown,
            trace=execution.trace,
            node=self.name,
            seconds=self._seconds,
        )
        answer = output.result if self._wants_text else output.model_dump(mode="json")
        return (yield from self.output.put(state, answer, config))

    @override
    def ending(self, execution: Execution, key: str, run_id: str | None) -> Flow[bool]:
        """Nothing: a bridge cannot be told to stop."""
        yield from ()
        return False

    def _query(self, value: Any, hidden: tuple[str, ...]) -> Query:
        text = value.get("query") if isinstance(value, Mapping) else value
        if not isinstance(text, str):
            raise NodeInputError(
                f"the input is a query: a text, or an object with a text under 'query'; the state "
                f"gives {type(text).__name__}",
                node=self.name,
            )
        return self._sendable(Query(text, self.route, self._authorization, hidden))

    def _sendable(self, query: Query) -> Query:
        """The query, once it is certain that it can be sent: before a human is asked about it."""
        try:
            query.call()
        except (ApiTypeError, ApiValueError) as error:
            raise NodeInputError(str(error), node=self.name) from None
        return query


class _ServiceKey(TokenAuth):
    """What a function gives for `service_api_key`, sent like a text that is given for it."""

    def __init__(self, key: Callable[..., Any]) -> None:
        super().__init__(key, scheme="")

    @override
    def _grant(self, said: Any, who: str) -> Grant:
        grant = super()._grant(said, who)
        value = access.authorization(grant.headers["authorization"])
        assert value is not None  # noqa: S101 - it is given a text
        return replace(grant, headers={"authorization": value})
