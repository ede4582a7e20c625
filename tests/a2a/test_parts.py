"""Between what is in a state and the parts of a message."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from acp_langgraph.a2a.models import Part
from acp_langgraph.a2a.parts import FilePart, dumped, loaded, parts_of, value_of
from acp_langgraph.core.wire import plain


class Pie(BaseModel):
    size: str


def parts(*given: dict[str, Any]) -> list[Part]:
    return [Part.model_validate(each) for each in given]


PICTURE = FilePart(content=b"\xff\x00pie", media_type="image/png", name="pie.png")
LINK = FilePart(url="https://files.example/pie.png", media_type="image/png")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("pie", [{"text": "pie"}]),
        ("", [{"text": ""}]),
        ({"size": 1}, [{"data": {"size": 1}, "mediaType": "application/json"}]),
        (["a", 1], [{"data": ["a", 1], "mediaType": "application/json"}]),
        (None, [{"data": None, "mediaType": "application/json"}]),
        (PICTURE, [{"raw": "/wBwaWU=", "mediaType": "image/png", "filename": "pie.png"}]),
        (LINK, [{"url": "https://files.example/pie.png", "mediaType": "image/png"}]),
        (
            ["look", LINK, {"n": 1}],
            [
                {"text": "look"},
                {"url": "https://files.example/pie.png", "mediaType": "image/png"},
                {"data": {"n": 1}, "mediaType": "application/json"},
            ],
        ),
    ],
)
def test_what_a_state_holds_is_sent_as_parts_by_what_it_is(value: Any, expected: Any) -> None:
    assert parts_of(plain(value)) == expected


def test_an_object_that_only_looks_like_a_file_is_data() -> None:
    for value in ({"kind": "file", "size": 1}, {"kind": "file"}, {"content": "x", "url": None}):
        assert parts_of(value)[0]["data"] == value


TEXT = [parts({"text": "One "}, {"text": "pie"}), parts({"text": "Two pies"})]
DATA = [parts({"data": {"size": "large"}})]
FILE = [parts({"raw": "/wBwaWU=", "mediaType": "image/png", "filename": "pie.png"})]


@pytest.mark.parametrize(
    ("groups", "declared", "expected"),
    [
        (TEXT, None, "One pie\nTwo pies"),
        (TEXT, str, "One pie\nTwo pies"),
        (DATA, None, {"size": "large"}),
        (DATA, str, '{"size": "large"}'),
        (DATA, Pie, {"size": "large"}),
        ([*TEXT, *DATA], None, {"size": "large"}),
        ([*TEXT, *DATA], str, "One pie\nTwo pies"),
        ([*DATA, *DATA], None, [{"size": "large"}, {"size": "large"}]),
        ([parts({"text": '{"size": "large"}'})], Pie, {"size": "large"}),
        ([parts({"text": '{"size": "large"}'})], None, '{"size": "large"}'),
        ([parts({"text": "[1, 2]"})], list[int], [1, 2]),
        ([parts({"data": [1, 2]})], list[int], [1, 2]),
        ([parts({"data": None})], None, None),
        ([], None, None),
        ([], str, ""),
        (FILE, list[FilePart], [PICTURE.model_dump(mode="json", exclude={"url"})]),
        (FILE, Annotated[FilePart, "a picture"], PICTURE.model_dump(mode="json", exclude={"url"})),
        (FILE, None, PICTURE.model_dump(mode="json", exclude={"url"})),
    ],
)
def test_an_answer_is_read_as_what_is_wanted(groups: Any, declared: Any, expected: Any) -> None:
    assert value_of(groups, declared) == expected


def test_a_file_comes_back_with_its_bytes() -> None:
    found = TypeAdapter(FilePart).validate_python(value_of(FILE, FilePart))
    assert found == PICTURE
    assert found.content == b"\xff\x00pie"


@pytest.mark.parametrize(
    "given", [{}, {"content": b"x", "url": "https://x"}, {"content": "no base64!"}]
)
def test_a_file_is_somewhere_and_its_text_is_base64(given: Any) -> None:
    with pytest.raises(ValidationError):
        FilePart(**given)


def test_files_of_0_3_and_whole_numbers_of_protobuf_are_read() -> None:
    old = {"kind": "file", "file": {"uri": "https://x/y", "mimeType": "image/png", "name": "y"}}
    found = parts(old, {"kind": "data", "data": {"n": 1.0, "x": [2.5, 3.0], "big": 1e300}})
    assert (found[0].url, found[0].media_type, found[0].filename) == (
        "https://x/y",
        "image/png",
        "y",
    )
    assert repr(found[1].data) == "{'n': 1, 'x': [2.5, 3], 'big': 1e+300}"


def test_parts_are_remembered_without_what_is_empty() -> None:
    given = parts({"text": "pie", "filename": "", "mediaType": ""}, {"data": None})
    assert dumped(given) == [{"text": "pie"}, {"data": None}]
    assert value_of([loaded(dumped(given))]) is None
