"""What is on the wire of LangGraph's Agent Protocol, as far as a run's life needs it.

Names are those of LangGraph Server's OpenAPI document. Servers differ in what they leave out, so
everything but ids and statuses may be missing, and unknown fields are kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from acp_langgraph.core.wire import Wire, with_zone

KEY: Final = "acp_langgraph_key"
"""Under this name a run's metadata holds the key by which it is found again."""

T = TypeVar("T")
Moment: TypeAlias = Annotated[datetime, AfterValidator(with_zone)]
Object: TypeAlias = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]
Listed: TypeAlias = Annotated[list[T], BeforeValidator(lambda value: value or [])]
Text: TypeAlias = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Run(Wire):
    """A run: a start, or the continuation of a thread after an answer.

    Its status alone never tells what became of it: a run that asks is a `success` on LangGraph's own
    server and `interrupted` on others, which on both is also what a cancelled one is.
    """

    run_id: str
    status: str
    created_at: Moment | None = None
    metadata: dict[str, Any] | None = None
    config: Object = Field(default={})
    error_message: Text = ""

    @property
    def is_at_work(self) -> bool:
        """Whether it is, or is about to be."""
        return self.status in {"pending", "running"}

    @property
    def key(self) -> str | None:
        """The key that it was started under: in its metadata, or where these are not kept its config's."""
        return {**(self.config.get("metadata") or {}), **(self.metadata or {})}.get(KEY)


class Question(Wire):
    """What a graph asks by an `interrupt`."""

    id: str
    value: Any = None


class Task(Wire):
    """What a graph is at, or stopped at: a node of its next step."""

    name: Text = ""
    error: Text = ""
    interrupts: Listed[Question] = Field(default=[])


class ThreadState(Wire):
    """The state of a thread, which is of its latest run."""

    values: Any = None
    next: Listed[str] = Field(default=[])
    tasks: Listed[Task] = Field(default=[])
    metadata: Object = Field(default={})

    @property
    def is_done(self) -> bool:
        """Whether its graph has come to its end: nothing is next, asked, failed or cancelled."""
        return not (self.next or self.tasks)

    @property
    def questions(self) -> dict[str, Any]:
        """What is asked, by the questions' ids; of a subgraph's question its task in the parent tells."""
        return {each.id: each.value for task in self.tasks for each in task.interrupts}


class Assistant(Wire):
    """A graph with a configuration, as a server offers it."""

    assistant_id: str
    graph_id: str
    name: Text = ""
    description: Text = ""
    version: int | None = None
    metadata: Object = Field(default={})

    @property
    def is_the_servers(self) -> bool:
        """Whether the server itself made it, as it does one for each graph."""
        return self.metadata.get("created_by") == "system"


class Schemas(Wire):
    """The JSON Schemas of a graph; a server that cannot tell one says `null`."""

    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    state_schema: dict[str, Any] | None = None
    config_schema: dict[str, Any] | None = None
    context_schema: dict[str, Any] | None = None
