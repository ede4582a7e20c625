"""`acp-langgraph types`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.imported import imported

from acp_langgraph.testing import FakeACPServer
from acp_langgraph.testing.runs import FakeAgent


def test_the_models_are_written_and_told(declaring, run, tmp_path):
    target = tmp_path / "mail.py"
    told = run("types", declaring.url, "reviewer", "-o", str(target))

    assert told.exit_code == 0
    assert told.stdout == f"{target}: Input, Output, Config, ApprovePayload, ApproveResume\n"
    mail = imported(target.read_text())
    assert mail.Input(email="a", audience="general").limit == 3
    assert mail.Config(tone="kind").tone == "kind"
    assert mail.ApproveResume(True).root is True


def test_without_a_file_they_are_printed(declaring, run, tmp_path):
    target = tmp_path / "mail.py"
    run("types", declaring.url, "reviewer", "-o", str(target))

    assert run("types", declaring.url, "reviewer").stdout == target.read_text()


def test_a_file_is_compared_with_what_the_agent_declares(declaring, run, tmp_path):
    target = str(tmp_path / "mail.py")
    arguments = ("types", declaring.url, "reviewer", "-o", target, "--check")

    assert run(*arguments).exit_code == 1
    run("types", declaring.url, "reviewer", "-o", target)
    assert run(*arguments).exit_code == 0
    run("types", declaring.url, "shout", "-o", target)
    told = run(*arguments)
    assert told.exit_code == 1
    assert "is not what the agent declares" in told.stderr


def test_a_file_of_somebody_elses_is_not_replaced_unasked(declaring, run, tmp_path):
    target = tmp_path / "mail.py"
    target.write_text("mine = 1\n")
    arguments = ("types", declaring.url, "reviewer", "-o", str(target))

    refused = run(*arguments)

    assert (refused.exit_code, target.read_text()) == (2, "mine = 1\n")
    assert "--force" in refused.stderr
    assert run(*arguments, "--force").exit_code == 0
    assert run(*arguments).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nobody"], 1, "knows no agent named 'nobody'"),
        (["reviewer", "-o", "no/such/folder/mail.py"], 2, "cannot be written"),
        (["reviewer", "--check"], 2, "name it with -o"),
    ],
)
def test_what_is_wrong_is_told(declaring, run, arguments, code, words):
    told = run("types", declaring.url, *arguments)

    assert told.exit_code == code
    assert words in told.stderr


def test_a_descriptor_that_is_too_large_is_refused(run):
    fields = {f"f{number}": {"type": "string"} for number in range(6000)}
    huge = FakeAgent("huge", [], input={"type": "object", "properties": fields})
    with FakeACPServer(agents=[huge]) as server:
        told = run("types", server.url, "huge")

    assert told.exit_code == 1
    assert "more than 5000 schemas" in told.stderr


def test_without_the_extra_it_is_named(declaring):
    code = (
        "import sys; sys.modules['datamodel_code_generator'] = None\n"
        "from acp_langgraph.__main__ import main\n"
        f"sys.argv = ['acp-langgraph', 'types', {declaring.url!r}, 'reviewer']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )

    assert done.returncode == 2
    assert 'pip install "acp-langgraph[types]"' in done.stderr
