"""ARCHITECTURE.md and CONTRIBUTING.md name files, folders and verbs that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import acp_langgraph
from acp_langgraph.jobs.job import Job

PACKAGE = Path(acp_langgraph.__file__).parent
ROOT = Path(__file__).parent.parent
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_on_a_page_is_there(page: str) -> None:
    named = re.findall(r"`([\w./]+(?:\.py|\.txt|/))`", text_of(page))
    named += re.findall(r"\]\((?!http)([\w./]+)\)", text_of(page))
    assert named
    missing = [each for each in named if not any((at / each).exists() for at in (ROOT, PACKAGE))]
    # What a protocol calls its own file is in each protocol's folder.
    assert [each for each in missing if not (PACKAGE / "acp" / each).exists()] == []


def test_every_folder_is_on_the_map() -> None:
    folders = {each.name for each in PACKAGE.iterdir() if (each / "__init__.py").exists()}
    table = text_of("ARCHITECTURE.md").partition("## The folders")[2].partition("\n## ")[0]
    assert folders == set(re.findall(r"`(\w+)/`", table))


def test_a_new_protocol_is_told_all_that_it_must_say() -> None:
    said = text_of("ARCHITECTURE.md").partition("## Where a new protocol goes")[2]
    must = {each for each in Job.__abstractmethods__ if each not in {"ids", "with_"}}
    assert [each for each in sorted(must) if f"`{each}`" not in said] == []
