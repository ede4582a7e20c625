from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NotRequired, TypedDict
from uuid import UUID

import pytest
from langgraph.graph import MessagesState
from pydantic import BaseModel
from support.graphs import asking, echo, one_node

from acp_langgraph.acp.models import Agent, AgentACPDescriptor
from acp_langgraph.errors import ACPDescriptorValidationException
from acp_langgraph.server import AgentInterrupt, ServedAgent, create_app


class Draft(TypedDict):
    draft: str


class Brief(TypedDict):
    brief: str
    inner: Annotated[NotRequired[dict[str, Draft]], "nested"]


class Approval(BaseModel):
    approved: bool


def specs(client, name="agent"):
    agent_id = client.server.agent_ids[name]
    body = client.get(f"/agents/{agent_id}/descriptor").raise_for_status().json()
    return AgentACPDescriptor.model_validate(body).specs


def test_agents_are_listed_in_the_order_given_and_paged(serving):
    client = serving({"a": echo(), "b": echo(), "c": echo()})

    listed = client.post("/agents/search", json={"limit": 2, "offset": 1}).json()

    names = [Agent.model_validate(each).metadata.ref.name for each in listed]
    assert names == ["b", "c"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "mail"}, ["1.0.0", "2.0.0"]),
        ({"name": "mail", "version": "2.0.0"}, ["2.0.0"]),
        ({"version": "1.0.0"}, ["1.0.0"]),
        ({"name": "post"}, []),
    ],
)
def test_agents_are_found_by_name_and_version(serving, query, found):
    client = serving([ServedAgent("mail", echo()), ServedAgent("mail", echo(), version="2.0.0")])

    listed = client.post("/agents/search", json=query).json()

    assert [each["metadata"]["ref"]["version"] for each in listed] == found


def test_an_agent_keeps_its_id_on_every_server(serving):
    one, other = serving({"mail": echo()}), serving({"x": echo(), "mail": echo()})

    assert one.server.agent_ids["mail"] == other.server.agent_ids["mail"]
    assert UUID(one.server.agent_ids["mail"]).version == 5


def test_an_agent_is_described_by_id(serving):
    client = serving([ServedAgent("mail", echo(), description="Shouts.", agent_id="0" * 32)])

    body = client.get("/agents/00000000-0000-0000-0000-000000000000").json()

    assert Agent.model_validate(body).metadata.description == "Shouts."


@pytest.mark.parametrize("path", ["", "/descriptor"])
@pytest.mark.parametrize("agent_id", ["3d0b5a5e-6c34-4e1f-9e28-3f0d3a2a5a10", "mail"])
def test_an_unknown_agent_is_not_found(serving, agent_id, path):
    answer = serving({"mail": echo()}).get(f"/agents/{agent_id}{path}")

    assert answer.status_code == 404
    assert agent_id in answer.json()


def test_a_descriptor_says_what_the_server_can_do(serving):
    said = specs(serving({"agent": echo()})).capabilities

    assert said.model_dump() == {
        "threads": True,
        "interrupts": True,
        "callbacks": True,
        "streaming": {"values": True, "custom": True},
    }


def test_a_part_of_a_typed_dict_state_is_input_enough(serving):
    class State(TypedDict):
        draft: str
        inner: NotRequired[list[Approval]]

    client = serving({"agent": one_node(State, lambda state: {})})

    assert set(specs(client).input["properties"]) == {"draft", "inner"}
    assert client.post("/runs/wait", json={"input": {}}).status_code == 200


def test_a_declared_input_schema_demands_its_fields(serving):
    client = serving({"agent": one_node(Draft, lambda state: {}, input_schema=Brief)})
    answer = client.post("/runs/wait", json={"input": {}})

    assert specs(client).input["required"] == ["brief"]
    assert (answer.status_code, answer.json()) == (422, "input: misses 'brief'")


def test_pydantic_and_dataclass_states_demand_what_has_no_default(serving):
    class Model(BaseModel):
        draft: str
        tone: str = "kind"

    @dataclass
    class Data:
        draft: str
        tone: str = "kind"

    client = serving(
        {"model": one_node(Model, lambda state: {}), "data": one_node(Data, lambda state: {})}
    )

    assert specs(client, "model").input["required"] == ["draft"]
    assert specs(client, "data").input["required"] == ["draft"]


@pytest.mark.parametrize(
    "message", [{"role": "user", "content": "hi"}, {"type": "human", "content": "hi"}]
)
def test_messages_are_taken_in_either_form(serving, message):
    client = serving({"agent": one_node(MessagesState, lambda state: {})})

    outcome = client.outcome("agent", input={"messages": [message]})

    [said] = outcome["output"]["values"]["messages"]
    assert (said["type"], said["content"]) == ("human", "hi")


def test_declared_interrupts_are_described_by_their_types(serving):
    approve = AgentInterrupt("approve", payload=str, resume=Approval)
    client = serving([ServedAgent("agent", asking("ok?"), interrupts=[approve])])

    [said] = specs(client).interrupts

    assert said.interrupt_type == "approve"
    assert said.interrupt_payload == {"type": "string"}
    assert said.resume_payload["required"] == ["approved"]


def test_an_agent_that_never_asks_says_so(serving):
    said = specs(serving([ServedAgent("agent", echo(), interrupts=[])]))

    assert said.capabilities.interrupts is False
    assert not said.interrupts


def test_a_contradictory_descriptor_stops_the_start_and_lists_every_fault():
    twice = [
        AgentInterrupt("ask", payload={"type": "sentence"}),
        AgentInterrupt("ask", resume={"$ref": "#/$defs/Answer"}),
    ]

    with pytest.raises(ACPDescriptorValidationException) as caught:
        create_app([ServedAgent("agent", echo(), interrupts=twice)])

    unique, no_schema, dangling = caught.value.faults
    assert "'ask'" in unique
    assert "interrupts.0.interrupt_payload" in no_schema
    assert "'#/$defs/Answer'" in dangling


def test_a_state_without_a_json_schema_stops_the_start():
    class State(TypedDict):
        thing: Exception

    with pytest.raises(ACPDescriptorValidationException, match="input cannot be written"):
        create_app({"agent": one_node(State, lambda state: {})})


def test_two_agents_with_one_id_stop_the_start():
    with pytest.raises(ValueError, match="two agents"):
        create_app([ServedAgent("agent", echo()), ServedAgent("agent", echo())])


def test_a_server_without_agents_does_not_start():
    with pytest.raises(ValueError, match="no agent"):
        create_app({})


def test_the_graph_handed_in_stays_without_a_checkpointer():
    graph = echo()

    create_app({"agent": graph})

    assert graph.checkpointer is None
