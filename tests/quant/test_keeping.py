"""Binary data does not stay in results."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from acp_langgraph.quant.reading import Keeper

PNG = b"\x89PNG" + bytes(range(256)) * 8
BARE = base64.b64encode(PNG).decode()
URI = f"data:image/png;base64,{BARE}"


def test_images_become_files_named_by_their_content(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "deep" / "er")
    result = {"images": [URI, URI], "s3Urls": ["https://s3/x"], "n": 1}
    kept = keeper.keep(result, "exec_1")
    one, two = kept["images"]
    assert one == two
    assert Path(one["file"]).read_bytes() == PNG
    assert Path(one["file"]).suffix == ".png"
    assert (one["mediaType"], one["bytes"]) == ("image/png", len(PNG))
    assert (kept["s3Urls"], kept["n"]) == (["https://s3/x"], 1)
    assert len(list((tmp_path / "deep" / "er").iterdir())) == 1


def test_images_that_are_not_saved_leave_a_reference_to_their_execution() -> None:
    kept = Keeper().keep({"images": [URI]}, "exec_1")
    assert kept["images"] == [
        {"executionId": "exec_1", "at": "images.0", "mediaType": "image/png", "bytes": len(PNG)}
    ]


def test_a_function_may_save_them() -> None:
    saved: list[Any] = []

    def save(content: bytes, media_type: str) -> str:
        saved.append((content, media_type))
        return "s3://mine/1"

    kept = Keeper(save).keep(URI, "exec_1")
    assert kept["file"] == "s3://mine/1"
    assert saved == [(PNG, "image/png")]


def test_bare_base64_of_a_known_kind_is_binary_too() -> None:
    assert Keeper().keep({"images": [BARE]}, "e")["images"][0]["mediaType"] == "image/png"


@pytest.mark.parametrize(
    "value",
    ["hello", "A" * 5000, "data:text/plain,hi", "data:image/png;base64,%%%not", 7, None, [True]],
)
def test_everything_else_stays_as_it_is(value: Any) -> None:
    kept = Keeper().keep(value, "e")
    assert kept == value or kept["bytes"] == 0


@pytest.mark.parametrize("head", ["data:;base64,", "data:image/png;name=a.png;base64,"])
def test_a_data_uri_with_or_without_parameters_is_binary(head: str) -> None:
    assert Keeper().keep(head + BARE, "e")["mediaType"] == "image/png"
