from __future__ import annotations

import pytest

from acp_langgraph.acp.agents import validate_descriptor
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.errors import ACPDescriptorValidationException

ASK = {"interrupt_type": "ask", "interrupt_payload": {}, "resume_payload": {}}


def descriptor(name="mail", version="1.0.0", **specs):
    return AgentACPDescriptor.model_validate(
        {
            "metadata": {"ref": {"name": name, "version": version}, "description": ""},
            "specs": {"capabilities": {}, "input": {}, "output": {}, "config": {}, **specs},
        }
    )


def faults(of):
    with pytest.raises(ACPDescriptorValidationException) as caught:
        validate_descriptor(of)
    return caught.value.faults


@pytest.mark.parametrize(
    "specs",
    [
        {},
        {"capabilities": {"interrupts": True}, "interrupts": [ASK]},
        {"capabilities": {"threads": True}, "thread_state": {"type": "object"}},
        {"capabilities": {"streaming": {"custom": True}}, "custom_streaming_update": {}},
        {"input": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}},
        {"input": {"items": {"$ref": "#"}}},
    ],
)
def test_a_sound_descriptor_passes(specs):
    validate_descriptor(descriptor(**specs))


@pytest.mark.parametrize(
    ("specs", "named"),
    [
        ({"capabilities": {"interrupts": True}}, "capabilities.interrupts"),
        ({"interrupts": [ASK]}, "capabilities.interrupts"),
        ({"thread_state": {}}, "capabilities.threads"),
        ({"capabilities": {"streaming": {"custom": True}}}, "custom_streaming_update"),
        ({"custom_streaming_update": {}}, "custom_streaming_update"),
        ({"capabilities": {"interrupts": True}, "interrupts": [ASK, ASK]}, "'ask'"),
        ({"input": {"type": "sentence"}}, "input is no JSON Schema"),
        ({"output": {"$ref": "#/$defs/X"}}, "output refers to '#/$defs/X'"),
        ({"config": {"$ref": "https://example.org/schema"}}, "config refers to"),
    ],
)
def test_a_contradiction_is_named(specs, named):
    [fault] = faults(descriptor(**specs))

    assert named in fault


def test_every_fault_is_listed():
    found = faults(descriptor(name=" ", version="", thread_state={"type": 1}, interrupts=[ASK]))

    assert len(found) == 5
    assert "metadata.ref.name is empty" in found


def test_a_descriptor_may_be_the_json_that_it_is_on_the_wire():
    given = descriptor().model_dump(exclude_unset=True)

    assert validate_descriptor(given) == descriptor()


def test_what_is_no_descriptor_has_all_its_faults_listed():
    found = faults({"metadata": {"ref": {"name": 5}}, "specs": {"input": {"type": "sentence"}}})

    assert [fault.split(" ")[0].rstrip(":") for fault in found] == [
        "metadata.ref.name",
        "metadata.ref.version",
        "specs.capabilities",
        "specs.output",
        "specs.config",
        "input",
    ]
    assert faults([]) == [
        "the descriptor: Input should be a valid dictionary or instance of AgentACPDescriptor"
    ]
