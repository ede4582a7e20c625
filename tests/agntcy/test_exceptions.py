"""Errors are made as in the reference, and are children of the package's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import acp_langgraph
from acp_langgraph import agntcy, errors
from acp_langgraph.agntcy import exceptions
from acp_langgraph.agntcy.exceptions import ApiException, told


class Answer:
    status, reason, data = 404, "Not Found", b'{"a": 1}'

    def getheaders(self) -> dict[str, str]:
        return {"Content-Type": "application/json"}


def test_an_error_is_made_of_a_status_and_a_reason() -> None:
    error = ApiException(404, "gone", body="text", data={"a": 1})
    assert (error.status, error.reason, error.body, error.data) == (404, "gone", "text", {"a": 1})
    assert str(error) == "(404)\nReason: gone\nHTTP response body: text\n"


def test_an_error_is_made_of_an_answer() -> None:
    error = ApiException(http_resp=Answer())
    assert (error.status, error.reason, error.body) == (404, "Not Found", '{"a": 1}')
    assert error.headers["CONTENT-type"] == "application/json"


def test_an_answer_is_raised_as_the_class_of_its_status() -> None:
    with pytest.raises(agntcy.NotFoundException) as failed:
        ApiException.from_response(http_resp=Answer(), body="b", data="d")
    assert (failed.value.body, failed.value.data) == ("b", "d")


@pytest.mark.parametrize(
    "name", ["ApiTypeError", "ApiValueError", "ApiKeyError", "ApiAttributeError"]
)
def test_an_error_says_where_in_the_data_it_is(name: str) -> None:
    error = getattr(agntcy, name)("wrong", ["a", 1])
    assert "wrong at ['a'][1]" in str(error)
    assert error.path_to_item == ["a", 1]


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundException("GET u", 404, {"a": "b"}, b"no"),
        errors.TooManyRequestsException("GET u", 429, {}, b"later"),
        errors.ServiceException("GET u", 503, {}, b""),
        errors.ApiTypeError("wrong"),
        errors.ApiValueError("wrong"),
        errors.ACPRunException(7, "it broke", node="n", run_id="r"),
        errors.ApiTimeoutError("late", sent=True),
        errors.MissingCredentialsError("whose?"),
    ],
)
def test_an_error_of_the_package_is_caught_by_either_name(error: Exception) -> None:
    name = type(error).__name__
    with pytest.raises(type(error)) as failed, told():
        raise error
    if hasattr(exceptions, name):
        assert isinstance(failed.value, getattr(exceptions, name))
    for attribute in ("where", "status", "body", "headers", "errcode", "run_id", "sent"):
        assert getattr(failed.value, attribute, None) == getattr(error, attribute, None)


@pytest.mark.parametrize(
    "name", [each for each in errors.__all__ if each[0].isupper() and each != "Headers"]
)
def test_the_package_exports_every_class_of_its_errors(name: str) -> None:
    assert getattr(acp_langgraph, name) is getattr(errors, name)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("ApiClient", "acp_langgraph.agntcy, which"),
        ("ApiKeyError", "acp_langgraph.agntcy, which"),
        ("RunCreateStateless", "acp_langgraph.agntcy.models, as in"),
        ("StreamMode", "acp_langgraph.agntcy.models, as in"),
        ("models", "acp_langgraph.agntcy"),
        ("serve", "acp_langgraph.server"),
        ("FakeACPServer", "acp_langgraph.testing"),
    ],
)
def test_a_name_that_is_elsewhere_is_answered_with_where(name: str, where: str) -> None:
    with pytest.raises(ImportError, match=f"{name} is in {where}"):
        exec(f"from acp_langgraph import {name}", {})  # noqa: S102 - as users write it


@pytest.mark.parametrize("name", ["Nothing", "nothing", "__wrapped__"])
def test_a_name_that_is_nowhere_is_an_attribute_error(name: str) -> None:
    assert not hasattr(acp_langgraph, name)
    assert not hasattr(agntcy, name)


@pytest.mark.parametrize("name", ["AGWS_VERSION", "manifest"])
def test_manifests_are_said_to_be_elsewhere(name: str) -> None:
    with pytest.raises(ImportError, match="manifests"):
        getattr(agntcy, name)


def test_the_headers_of_an_error_are_found_in_any_case() -> None:
    error: Any = errors.ApiException("GET u", 500, {"retry-after": "3"})
    assert error.headers["Retry-After"] == error.headers.get("RETRY-after") == "3"
    assert "Retry-After" in error.headers
    assert error.headers.get("other", "none") == "none"
    with pytest.raises(KeyError):
        error.headers["other"]


def test_the_data_of_an_error_are_of_all_of_its_body() -> None:
    ids = ["x" * 36] * 10_000
    body = str({"ids": ids}).replace("'", '"').encode()
    assert errors.ConflictException("GET u", 409, {}, body).data == {"ids": ids}
    assert errors.ConflictException("GET u", 409, {}, b"no JSON").data is None


def test_modules_are_there_without_being_imported() -> None:
    code = (
        "from acp_langgraph import agntcy; print(agntcy.exceptions.ApiException, agntcy.models.Run)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "acp_langgraph.agntcy.models.Run" in done.stdout
