"""A configuration is made, read and changed as AGNTCY's own is, in every form."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from support.agntcy_forms import FORMS

from acp_langgraph import agntcy

reference: Any = pytest.importorskip(
    "agntcy_acp", reason="test_agntcy_acp.py tells how to install it"
)


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    loggers = [
        logging.getLogger(name) for name in ("acp_langgraph", "agntcy_acp.acp_v0", "urllib3")
    ]
    levels = [each.level for each in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_there_are_at_least_39_forms() -> None:
    assert len(FORMS) >= 39


@pytest.mark.parametrize("form", FORMS)
def test_a_form_gives_the_same_as_with_the_reference(form: str) -> None:
    expected = FORMS[form](reference.ApiClientConfiguration)
    assert FORMS[form](agntcy.ApiClientConfiguration) == expected
