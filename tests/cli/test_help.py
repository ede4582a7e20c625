"""What `--help` says."""

from __future__ import annotations

import pytest

COMMANDS = ("agents", "types", "check", "serve", "demo")


def test_every_command_is_listed_with_a_line_that_is_not_cut(run):
    told = run("--help").stdout

    for command in COMMANDS:
        assert f" {command} " in told
    assert "..." not in told.split("Commands")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_shows_how_it_is_used(run, command):
    told = run(command, "--help").stdout

    assert f"\n  acp-langgraph {command}" in told
    assert max(map(len, told.splitlines())) <= 80
