"""Three pictures and the weather, gathered into one answer: Quant's asynchronous tools as nodes.

    python examples/quant_tools.py            against a fake service, in a few seconds
    python examples/quant_tools.py --real     against Quant: set QUANT_API_TOKEN, QUANT_ORGANISATION

Three nodes draw at the same time, each in a chat of its own, and share their polling. A fourth looks
up the weather. The last one puts it all together. Real pictures are kept in the folder `pictures`.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from contextlib import nullcontext
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from acp_langgraph.nodes.quant import QuantToolNode
from acp_langgraph.quant.polling import IMAGES, Pace
from acp_langgraph.testing.quant import FakeQuant, FakeTool

MODEL = "amazon.nova-pro-v1:0"
PLACES = ("lighthouse", "harbor", "pier")
TINY_IMAGE = "data:image/png;base64," + base64.b64encode(b"\x89PNG...").decode()


def merged(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """Pictures that are drawn at the same time come together."""
    return {**(before or {}), **after}


class Trip(TypedDict, total=False):
    """The graph's state."""

    lighthouse: str
    harbor: str
    pier: str
    weather_question: str
    pictures: Annotated[dict[str, Any], merged]
    weather: Any
    answer: str


def gather(state: Trip) -> dict[str, Any]:
    """Put it all together."""
    images = [
        f"The {place}: {image['file']} ({image['bytes']} bytes)"
        for place in PLACES
        for tool in state["pictures"][place]["tools"]
        for image in tool["result"]["images"]
    ]
    return {"answer": "\n".join([f"It is {state['weather']['text']} there.", *images])}


def build(connection: dict[str, Any], pace: Pace, folder: str) -> Any:
    """The graph: four nodes side by side, and one after them."""
    builder = StateGraph(Trip)
    for place in PLACES:
        draw = QuantToolNode(
            f"draw_{place}",
            model_id=MODEL,
            tools=["generate_image"],
            input_path=place,
            output_path=f"pictures.{place}",
            save_to=folder,
            pace=pace,
            **connection,
        )
        builder.add_node(draw)
        builder.add_edge(START, draw.name)
    weather = QuantToolNode(
        "look_up_weather",
        model_id=MODEL,
        tools=["get_weather"],
        input_path="weather_question",
        output_path="weather",
        answer=True,
        **connection,
    )
    builder.add_node(weather)
    builder.add_edge(START, weather.name)
    builder.add_node("gather", gather)
    builder.add_edge([*(f"draw_{place}" for place in PLACES), weather.name], "gather")
    builder.add_edge("gather", END)
    return builder.compile()


def main() -> None:
    """Run it."""
    real = "--real" in sys.argv
    tools = [
        FakeTool("generate_image", result={"images": [TINY_IMAGE]}),
        FakeTool("get_weather", is_async=False, result="windy, 12 degrees"),
    ]
    with (
        tempfile.TemporaryDirectory() as scratch,
        nullcontext() if real else FakeQuant(tools, scale=0.1) as service,
    ):
        connection: dict[str, Any] = {}
        if service is not None:
            connection = {"configuration": service.url, "organisation": "acme"}
        graph = (
            build(connection, IMAGES, "pictures")
            if real
            else build(connection, Pace(0.2, 0.3, 60.0), scratch)
        )
        questions = {place: f"Draw the {place} of Visby" for place in PLACES}
        asked = {**questions, "weather_question": "How is the weather in Visby?"}
        print(graph.invoke(asked)["answer"])
        if service is not None:
            count = service.requests.count
            print(
                f"{count('chat_inference')} chats, {count('list_ai_tool_executions')} lists, "
                f"{count('get_ai_tool_execution_status')} single looks for 3 pictures"
            )


if __name__ == "__main__":
    main()
