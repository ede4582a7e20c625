"""Every error of this package, in one tree.

    AcpLangGraphError
    +-- OpenApiException                       what the clients raise
    |   +-- ApiTypeError, ApiValueError        an argument was refused; nothing was sent
    |   |   +-- MissingCredentialsError        nobody can say as whom to make the request
    |   +-- ApiConnectionError             (r) no answer came
    |   |   +-- ApiTimeoutError            (r) none in time
    |   |   +-- CredentialsUnavailableError (r) what gives the credentials failed
    |   +-- AnswerTooLargeError                the answer went over the configured size
    |   +-- EventStreamError                   a stream of events that cannot be read
    |   +-- ApiException                       the server answered with an error
    |       +-- BadRequestException            400
    |       +-- UnauthorizedException          401
    |       +-- ForbiddenException             403
    |       +-- NotFoundException              404
    |       +-- RequestTimeoutException    (r) 408
    |       +-- ConflictException              409
    |       +-- UnprocessableEntityException   422
    |       +-- TooManyRequestsException   (r) 429
    |       +-- ServiceException           (r) 5xx
    |       +-- UnexpectedStatusException      any other status
    |       +-- UnreadableAnswerException      a success that cannot be read (204, HTML, broken JSON)
    |       +-- BridgeError                    what the API Bridge, or the gateway it is in, answered
    |           +-- NoMatchingOperationError   no operation of the service fits the query
    |           +-- NoServiceError             no service fits it, or there is none at the path
    |           +-- QueryTooLargeError         the bridge takes no query of that size
    |           +-- QueryNotUnderstoodError (r) the bridge's model made no request out of it
    |           +-- BridgeSetupError           the bridge is not set up for this
    |           +-- BridgeInternalError        it failed, be it before or after the work
    |           +-- GatewayError               the gateway failed, be it before or after the work
    |           |   +-- GatewayTimeoutError    it gave up waiting
    |           +-- QueryPassedThroughError    no bridge took the query up; the service got it raw
    |           +-- AnswerRejectedError        a success that the caller's own check does not take
    +-- NodeError                              what the nodes raise
    |   +-- NodeConfigurationError             the node can never work like this
    |   |   +-- GraphCheckError                nodes of a graph do not fit their agents
    |   +-- NodeInputError                     the state does not give what the agent needs
    |   +-- NodeOutputError                    the agent's answer does not fit the state
    |   +-- UnknownAgentError                  the server knows no such agent
    |   +-- MappingError                       a value of a mapping could not be made, or does not fit
    |   +-- CheckpointerRequiredError          the agent asks, and the graph could not wait
    |   +-- QueryRefusedError                  the human who was asked did not want it sent
    |   +-- RunError                           about one remote run, whose ids it carries
    |       +-- ACPRunException                the run failed
    |       +-- RemoteGraphError               the run of a remote graph failed
    |       +-- A2ATaskError                   the task failed
    |       |   +-- A2ATaskCanceledError       somebody else has ended it
    |       |   +-- A2ATaskRejectedError       the agent did not want it
    |       +-- QuantRunError                  Quant's tool, orchestration or chat failed
    |       +-- RunLostError                   the server no longer knows the run
    |       |   +-- RunExpiredError            it does not keep runs for that long
    |       +-- RunOutputError                 the run is done, and its output cannot be had
    |       +-- RunTimeoutError                the run outlived its deadline
    |       +-- UnknownOutcomeError            it cannot be told whether the run was started
    |       +-- TaskError                      about one task of Quant's
    |           +-- TaskDependencyError        a task that it depends on will not be completed
    |           +-- TaskFailedError            the work on it failed
    |           +-- TaskTakenError             another worker has it
    +-- ACPDescriptorValidationException       an agent's descriptor contradicts itself or the spec
    +-- ModelGenerationError                   no Python types can be made of an agent's descriptor

A plain LangGraph `RetryPolicy()` repeats what is neither a `ValueError` nor a `RuntimeError` nor one
of a few more built-in types. Errors marked (r) are worth repeating and so inherit from none of them;
all others do.

No message holds a credential or what was in the state; ids, paths, types and what the server itself
said, shortened, are what helps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

__all__ = [
    "A2ATaskCanceledError",
    "A2ATaskError",
    "A2ATaskRejectedError",
    "ACPDescriptorValidationException",
    "ACPRunException",
    "AcpLangGraphError",
    "AnswerRejectedError",
    "AnswerTooLargeError",
    "ApiConnectionError",
    "ApiException",
    "ApiTimeoutError",
    "ApiTypeError",
    "ApiValueError",
    "BadRequestException",
    "BridgeError",
    "BridgeInternalError",
    "BridgeSetupError",
    "CheckpointerRequiredError",
    "ConflictException",
    "CredentialsUnavailableError",
    "EventStreamError",
    "ForbiddenException",
    "GatewayError",
    "GatewayTimeoutError",
    "GraphCheckError",
    "Headers",
    "MappingError",
    "MissingCredentialsError",
    "ModelGenerationError",
    "NoMatchingOperationError",
    "NoServiceError",
    "NodeConfigurationError",
    "NodeError",
    "NodeInputError",
    "NodeOutputError",
    "NotFoundException",
    "OpenApiException",
    "QuantRunError",
    "QueryNotUnderstoodError",
    "QueryPassedThroughError",
    "QueryRefusedError",
    "QueryTooLargeError",
    "RemoteGraphError",
    "RequestTimeoutException",
    "RunError",
    "RunExpiredError",
    "RunLostError",
    "RunOutputError",
    "RunTimeoutError",
    "ServiceException",
    "TaskDependencyError",
    "TaskError",
    "TaskFailedError",
    "TaskTakenError",
    "TooManyRequestsException",
    "UnauthorizedException",
    "UnexpectedStatusException",
    "UnknownAgentError",
    "UnknownOutcomeError",
    "UnprocessableEntityException",
    "UnreadableAnswerException",
    "error_for_status",
]

_MESSAGE_LIMIT: Final = 400


class AcpLangGraphError(Exception):
    """Base of every error of this package."""


class OpenApiException(AcpLangGraphError):
    """Base of what the clients raise."""


class ApiTypeError(OpenApiException, TypeError):
    """An argument has the wrong type; nothing was sent."""


class ApiValueError(OpenApiException, ValueError):
    """An argument has an impossible value; nothing was sent."""


class MissingCredentialsError(ApiValueError):
    """As whom to make a request is not known, or what to show for it; nothing was sent."""


class ApiConnectionError(OpenApiException):
    """No answer came: refused, reset, broken off, no such host.

    Attributes:
        sent: Whether the request may have reached the server. `False` means that it certainly did
            not, so that repeating it is safe.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ApiTimeoutError(ApiConnectionError):
    """No answer came in time."""


class CredentialsUnavailableError(ApiConnectionError):
    """What gives the credentials failed in a way that may pass; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class AnswerTooLargeError(OpenApiException, RuntimeError):
    """The answer is larger than the configuration allows."""


class EventStreamError(OpenApiException, RuntimeError):
    """A stream of server-sent events that cannot be read, as one event is over the limit."""


class Headers(dict[str, str]):
    """The headers of an answer, by name in lower case; found by their names however these are written."""

    def __missing__(self, name: str) -> str:
        lowered = name.lower()
        if lowered == name:
            raise KeyError(name)
        return self[lowered]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None, /) -> Any:
        """The header of that name."""
        return super().get(name.lower(), default)


class ApiException(OpenApiException):
    """The server answered with an error status.

    Attributes:
        where: Method and URL of the request.
        status: HTTP status code.
        headers: The answer's headers, names in lower case; looked up in whatever case.
        body: The answer's body as text, all of it.
    """

    def __init__(
        self,
        where: str,
        status: int,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        problem: str | None = None,
    ) -> None:
        self.where = where
        self.status = status
        self.headers = Headers(headers or {})
        self.body = content.decode("utf-8", "replace")
        said = problem or self._what_the_server_said(content)
        super().__init__(f"{where} answered {status}" + (f": {said}" if said else ""))

    @property
    def reason(self) -> str:
        """What the server said, as far as it can be read."""
        return self._what_the_server_said(self.body.encode())

    @property
    def data(self) -> Any:
        """The JSON value of the body; `None` if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def retold(self, problem: str) -> Self:
        """The same error in other words; where, status, headers and body stay."""
        return type(self)(
            self.where, self.status, self.headers, self.body.encode(), problem=problem
        )

    def _what_the_server_said(self, content: bytes) -> str:
        return _shorten(_spoken(content))


class BadRequestException(ApiException, RuntimeError):
    """400: the server does not accept the request."""


class UnauthorizedException(ApiException, RuntimeError):
    """401: the credentials are missing or wrong."""


class ForbiddenException(ApiException, RuntimeError):
    """403: these credentials may not do that."""


class NotFoundException(ApiException, RuntimeError):
    """404: there is no such agent, run or thread."""


class RequestTimeoutException(ApiException):
    """408: the server or a proxy gave up waiting."""


class ConflictException(ApiException, RuntimeError):
    """409: the thread or run is in a state that does not allow it."""


class UnprocessableEntityException(ApiException, RuntimeError):
    """422: the body does not fit what the agent declares."""


class TooManyRequestsException(ApiException):
    """429: come back later; `headers["retry-after"]` may say when."""


class ServiceException(ApiException):
    """5xx: the server, or something in front of it, failed."""


class UnexpectedStatusException(ApiException, RuntimeError):
    """A status that the protocol does not know, a redirect among them."""


class UnreadableAnswerException(ApiException, RuntimeError):
    """A success that cannot be read: no body, HTML, broken JSON, another type than promised."""


class BridgeError(ApiException):
    """What the API Bridge answered, or the gateway that it is a plugin of."""

    hint: ClassVar[str] = ""

    def __init__(
        self,
        where: str,
        status: int,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        problem: str | None = None,
    ) -> None:
        said = _shorten(_spoken(content))
        hint = problem or self.hint
        told = f"{hint} (it says: {said})" if hint and said else hint or said
        super().__init__(where, status, headers, content, problem=told or None)


class NoMatchingOperationError(BridgeError, RuntimeError):
    """The service has no operation that fits the query; nothing was done."""

    hint = "no operation of the service fits the query; put it in the words of the service's API"


class NoServiceError(BridgeError, RuntimeError):
    """No service fits the query, or there is none at the path; nothing was done."""

    hint = "there is no service for the query"


class QueryTooLargeError(BridgeError, RuntimeError):
    """413: the bridge takes no query of that size; nothing was done."""

    hint = "the query is too large for the bridge; shorten it, or raise the bridge's limit"


class QueryNotUnderstoodError(BridgeError):
    """The bridge's language model made no request out of the query; the service was not called.

    The bridge says the same where its model is not available, so that trying again may help.
    """

    hint = "the bridge's model made no request out of the query, or was not available"


class BridgeSetupError(BridgeError, RuntimeError):
    """The bridge is not set up for what it was asked; nothing was done."""

    hint = "the bridge is not set up for this; see its logs"


class BridgeInternalError(BridgeError, RuntimeError):
    """The bridge failed. It does not say whether that was before or after the service's work."""

    hint = "the bridge failed, be it before or after the work was done; see its logs"


class GatewayError(BridgeError, ServiceException, RuntimeError):
    """The gateway failed. It does not say whether that was before or after the service's work."""

    hint = "the gateway failed, be it before or after the work was done"


class GatewayTimeoutError(GatewayError):
    """408 or 504: the gateway gave up waiting for the service, which may do the work all the same."""

    hint = "the gateway gave up waiting, and the work may be done all the same"


class QueryPassedThroughError(BridgeError, RuntimeError):
    """No bridge answers like this: the gateway seems to have handed on the query as it was."""

    hint = (
        "this is no answer of a bridge; the gateway seems to have handed the query to the service "
        "as it was. Is the bridge's plugin installed for this path?"
    )


class AnswerRejectedError(BridgeError, RuntimeError):
    """The bridge reports success, and the caller's own check does not accept what it says."""

    hint = "the check did not accept the answer"


_BY_STATUS: Final[dict[int, type[ApiException]]] = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    408: RequestTimeoutException,
    409: ConflictException,
    422: UnprocessableEntityException,
    429: TooManyRequestsException,
}


def error_for_status(
    where: str, status: int, headers: Mapping[str, str], content: bytes, *, advice: str = ""
) -> ApiException:
    """The error that stands for an answer with an error status.

    Args:
        where: Method and URL of the request.
        status: The status.
        headers: The answer's headers, names in lower case.
        content: The answer's body.
        advice: Where credentials are set, for whoever has none or wrong ones.
    """
    if status == 401 and advice:  # noqa: PLR2004 - HTTP's
        said = _shorten(_spoken(content)) or "the credentials are missing or wrong"
        problem = f"{said} ({advice})"
        return UnauthorizedException(where, status, headers, content, problem=problem)
    if 500 <= status < 600:  # noqa: PLR2004 - the 5xx of HTTP
        return ServiceException(where, status, headers, content)
    if 300 <= status < 400:  # noqa: PLR2004 - the 3xx of HTTP
        problem = (
            f"a redirect{_whereto(headers)}, which is not followed because credentials go to the "
            "configured host only; configure the host it leads to if you trust it"
        )
        return UnexpectedStatusException(where, status, headers, content, problem=problem)
    kind = _BY_STATUS.get(status, UnexpectedStatusException)
    return kind(where, status, headers, content)


def _whereto(headers: Mapping[str, str]) -> str:
    """Where a redirect leads, without what may be private in it."""
    try:
        parts = urlsplit(headers.get("location", ""))
    except ValueError:
        return ""
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return f" to {_shorten(place)}" if place else ""


class NodeError(AcpLangGraphError, RuntimeError):
    """Base of what the nodes raise.

    Attributes:
        node: The node's name.
    """

    def __init__(self, message: str, *, node: str = "") -> None:
        super().__init__(f"node {node!r}: {message}" if node else message)
        self.node = node


class NodeConfigurationError(NodeError, ValueError):
    """The node can never work the way it was made."""


class GraphCheckError(NodeConfigurationError):
    """Nodes of a graph do not fit the agents that they run, or that could not be told.

    Attributes:
        findings: What was found: `acp_langgraph.Finding`s.
    """

    def __init__(self, findings: Sequence[Any]) -> None:
        lines = "".join(f"\n- {finding}" for finding in findings)
        super().__init__(f"the graph does not fit its agents:{lines}")
        self.findings = list(findings)


class NodeInputError(NodeError, ValueError):
    """The state does not give what the agent needs; nothing was sent."""


class NodeOutputError(NodeError):
    """The agent's answer does not fit where it should go."""


class MappingError(NodeError, ValueError):
    """A value of a mapping could not be made, or does not fit where it should go.

    Attributes:
        edge: Which mapping.
        path: The target that could not be filled.
        value: What was refused, `None` if there was nothing; never part of the message.
        attempts: How often a model was asked, 0 if none was.
    """

    def __init__(
        self,
        problem: str,
        *,
        edge: str,
        path: str,
        value: Any = None,
        attempts: int = 0,
        node: str = "",
    ) -> None:
        asked = f" (a model was asked {attempts} times)" if attempts else ""
        where = path or "the whole target"
        super().__init__(f"mapping {edge!r} cannot fill {where}: {problem}{asked}", node=node)
        self.edge = edge
        self.path = path
        self.value = value
        self.attempts = attempts


class UnknownAgentError(NodeError, LookupError):
    """The server knows no agent of that name."""


class CheckpointerRequiredError(NodeError):
    """The remote agent asks a question, and the graph has no checkpointer to wait with."""


class QueryRefusedError(NodeError):
    """The human who was asked did not want the query sent; nothing was sent.

    Attributes:
        answer: What the human answered.
    """

    def __init__(self, answer: Any, *, node: str = "") -> None:
        super().__init__(
            "whoever was asked did not want the query sent; nothing was sent", node=node
        )
        self.answer = answer


class RunError(NodeError):
    """Something about one remote run.

    Attributes:
        run_id: The run's id on the server, `None` where it could not be learnt.
        thread_id: The run's remote thread, if it has one.
        agent_id: The agent.
    """

    def __init__(
        self,
        message: str,
        *,
        node: str = "",
        run_id: str | None = None,
        thread_id: str | None = None,
        agent_id: str | None = None,
    ) -> None:
        named = (("run", run_id), ("thread", thread_id), ("agent", agent_id))
        ids = ", ".join(f"{what} {value}" for what, value in named if value)
        super().__init__(f"{message} ({ids})" if ids else message, node=node)
        self.run_id = run_id
        self.thread_id = thread_id
        self.agent_id = agent_id


class ACPRunException(RunError):
    """The remote run failed.

    Attributes:
        errcode: The agent's own error code.
        description: The agent's own words.
    """

    def __init__(self, errcode: int | str | None, description: str, **ids: Any) -> None:
        code = "" if errcode is None else f" with code {errcode}"
        super().__init__(f"the remote run failed{code}: {_shorten(description)}", **ids)
        self.errcode = errcode
        self.description = description


class RemoteGraphError(RunError):
    """The run of a remote graph failed.

    Attributes:
        description: What its server told: the error of the node that failed, where it tells that.
        failed_in: The remote nodes that failed, as far as they are known.
    """

    def __init__(self, description: str, *, failed_in: Sequence[str] = (), **ids: Any) -> None:
        where = f" in {', '.join(failed_in)}" if failed_in else ""
        super().__init__(f"the remote graph failed{where}: {_shorten(description)}", **ids)
        self.description = description
        self.failed_in = tuple(failed_in)


class A2ATaskError(RunError):
    """The task of an A2A agent failed.

    Attributes:
        state: What became of it: `failed`, `rejected` or `canceled`.
        description: The agent's own words.
    """

    def __init__(self, state: str, description: str, **ids: Any) -> None:
        said = _shorten(description) or "the agent gave no reason"
        became = "failed" if state == "failed" else f"was {state}"
        super().__init__(f"the remote task {became}: {said}", **ids)
        self.state = state
        self.description = description


class A2ATaskCanceledError(A2ATaskError):
    """The task was ended, and not from here."""


class A2ATaskRejectedError(A2ATaskError):
    """The agent did not take the task."""


class RunLostError(RunError):
    """The server no longer knows a run that it once accepted."""


class RunExpiredError(RunLostError):
    """The server no longer knows the run, most likely because it keeps none for that long."""


class RunOutputError(RunError):
    """The run is done, and the server cannot give what it came to."""


class QuantRunError(RunError):
    """A tool execution, an orchestration or a chat on Quant failed.

    Attributes:
        kind: `tool execution`, `orchestration`, `chat`.
        said: What the server said about it.
        tools: What became of each tool, as far as known: dicts with `name`, `status`, `error`.
    """

    def __init__(
        self, kind: str, said: Any, *, tools: Sequence[Mapping[str, Any]] = (), **ids: Any
    ) -> None:
        self.kind = kind
        self.said = _words(said) if not isinstance(said, str) else said
        self.tools = [dict(tool) for tool in tools]
        failed = [tool for tool in self.tools if tool.get("status") == "failed"]
        told = [
            f"{tool.get('name')} failed: {tool.get('error') or 'no reason given'}"
            for tool in failed
        ]
        why = "; ".join(filter(None, (self.said, *told))) or "the server gave no reason"
        super().__init__(f"the {kind} failed: {_shorten(why)}", **ids)


class TaskError(RunError):
    """Something about one of Quant's tasks, which `run_id` names."""


class TaskTakenError(TaskError):
    """Another worker has the task.

    Attributes:
        worker: Who, if it left a name.
    """

    def __init__(self, message: str, *, worker: str | None = None, **ids: Any) -> None:
        super().__init__(message, **ids)
        self.worker = worker


class TaskDependencyError(TaskError):
    """A task that this one depends on failed or was cancelled.

    Attributes:
        dependencies: Those tasks' statuses by id.
    """

    def __init__(self, message: str, *, dependencies: Mapping[str, str], **ids: Any) -> None:
        super().__init__(message, **ids)
        self.dependencies = dict(dependencies)


class TaskFailedError(TaskError):
    """The work on the task failed, as often as the task may be tried."""


class RunTimeoutError(RunError):
    """The remote run outlived its deadline; the ids allow picking it up again."""


class UnknownOutcomeError(RunError):
    """It cannot be told whether the remote side did the work, and doing it again might do it twice.

    Attributes:
        key: What the request was marked with, to look for it on the server by hand.
    """

    def __init__(self, message: str, *, key: str | None = None, **ids: Any) -> None:
        super().__init__(message, **ids)
        self.key = key


class ACPDescriptorValidationException(AcpLangGraphError, ValueError):
    """An agent's descriptor contradicts itself or the specification.

    Attributes:
        faults: Every fault that was found, a sentence each.
    """

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        lines = "".join(f"\n- {fault}" for fault in faults)
        super().__init__(f"the descriptor of {subject} is not valid:{lines}")
        self.faults = list(faults)


class ModelGenerationError(AcpLangGraphError, ValueError):
    """No Python types can be made of an agent's descriptor."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"no types can be made of the agent's descriptor: {problem}")


def _spoken(content: bytes) -> str:
    """The message in an error body: a JSON string, `detail`, `message`, `error`, or the text."""
    if not content.strip():
        return ""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        text = content.decode("utf-8-sig", "replace").strip()
        return "an HTML page" if text.startswith("<") else text
    return _words(body)


def _words(body: Any) -> str:  # noqa: PLR0911 - a return for each shape
    match body:
        case str():
            return body
        case {"detail": [*problems]}:
            # Frameworks list what is wrong as {loc, msg, input}; `input` is the caller's own data.
            return "; ".join(
                f"{'.'.join(map(str, problem.get('loc', ())))}: {problem.get('msg', '')}"
                for problem in problems
                if isinstance(problem, dict)
            )
        case {"errors": {**fields}} if fields:
            # Laravel's: {"errors": {"title": ["is required"]}}
            return "; ".join(f"{field}: {_listed(words)}" for field, words in fields.items())
        case {"error": str(code), "message": str(words)} if code.isupper():
            return f"{code}: {words}"
        case {"detail": str(words)} | {"message": str(words)} | {"error": str(words)}:
            return words
        case {"error": {**inner}} if inner:
            return _words(inner)
        case {"ErrorMessage": str(words)} | {"ErrorType": str(words)}:
            return words
        case _:
            return ""


def _listed(words: Any) -> str:
    return ", ".join(map(str, words)) if isinstance(words, list) else str(words)


def _shorten(text: str) -> str:
    """A text from elsewhere in a line, without what a terminal would obey."""
    seen = text[: 4 * _MESSAGE_LIMIT]
    flat = " ".join("".join(each if each.isprintable() else " " for each in seen).split())
    return flat if len(flat) <= _MESSAGE_LIMIT else flat[: _MESSAGE_LIMIT - 3] + "..."
