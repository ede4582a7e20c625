"""`acp-langgraph demo`, as a user runs it."""

from __future__ import annotations

import email
import email.policy
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from acp_langgraph.cli import app

BRIEF = """\
To: Zoë Ångström <zoe@example.com>
From: Meadow <hello@meadow.example>
Sign: Grace

Our summer fair is on  the the 3rd of June!! Come and definately bring friends. Ünïcödé is welcome.
"""


def command(outbox: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "acp_langgraph", "demo", "--outbox", str(outbox), *options]


def run(outbox: Path, *options: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(outbox, *options),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(outbox: Path, *options: str) -> Result:
    """What comes of it where nothing is started: in this process, as no other is needed."""
    return CliRunner().invoke(app, ["demo", "--outbox", str(outbox), *options])


@pytest.fixture
def brief(tmp_path: Path) -> Path:
    file = tmp_path / "brief.txt"
    file.write_text(BRIEF, encoding="utf-8")
    return file


def only_mail(outbox: Path) -> Any:
    (file,) = outbox.glob("*.eml")
    with file.open("rb") as opened:
        return email.message_from_binary_file(opened, policy=email.policy.default)


@contextmanager
def asked(outbox: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, once its agent has asked; killed at the latest at the end."""
    with subprocess.Popen(
        command(outbox, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "May this mail be sent?" in line:
                    break
            yield process
        finally:
            process.kill()


def agents_running(outbox: Path) -> list[str]:
    """The agents' processes that belong to an outbox."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            line = (proc / "cmdline").read_bytes().decode().replace("\0", " ")
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if "demo.agents" in line and str(outbox) in line and state != "Z":
            found.append(line)
    return found


def test_a_brief_becomes_a_mail_that_a_mail_program_reads(brief: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "out"
    done = run(outbox, "--yes", "--brief", str(brief))
    assert done.returncode == 0, done.stdout + done.stderr
    mail = only_mail(outbox)
    assert mail["to"] == "Zoë Ångström <zoe@example.com>"
    assert mail["from"] == "Meadow <hello@meadow.example>"
    assert mail["date"].datetime
    body = mail.get_content()
    assert "on the 3rd of June! Come and definitely bring friends." in " ".join(body.split())
    assert "Ünïcödé" in body
    assert "a word twice" in done.stdout
    assert not mail.defects
    assert agents_running(outbox) == []


def test_what_the_human_wants_changed_is_changed(brief: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "out"
    answers = "subject: Come to the fair\nadd: Bring an umbrella\nsign as Ada\nyes\n"
    done = run(outbox, "--brief", str(brief), typed=answers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the answer goes to the same remote run") == len(answers.splitlines())
    mail = only_mail(outbox)
    assert mail["subject"] == "Come to the fair"
    assert "Bring an umbrella." in mail.get_content()
    assert mail.get_content().rstrip().endswith("Ada")


def test_an_empty_line_is_asked_again_and_sends_nothing(brief: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "out"
    asked_again = run(outbox, "--brief", str(brief), typed="\n  \n")
    assert asked_again.returncode == 1
    assert asked_again.stdout.count('> Answer "yes" to send it, or say what to change.') == 2
    assert "the answer goes" not in asked_again.stdout
    assert not list(outbox.glob("*.eml"))


def test_what_is_no_wish_is_asked_again_and_does_not_get_into_the_mail(
    brief: Path, tmp_path: Path
) -> None:
    outbox = tmp_path / "out"
    done = run(outbox, "--brief", str(brief), typed="no\nYes please\nremove cats\nyes\n")
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "It is not sent. What shall change?\n",
        'I did not understand "Yes please".\n',
        'I found nothing to remove: "cats" is not in the text.\n',
    ):
        assert f"{said}May this mail be sent? Answer" in done.stdout
    mail = only_mail(outbox).get_content().lower()
    assert not [word for word in ("no.", "yes", "please", "cats") if word in mail]


def test_agents_that_do_not_start_are_told_in_lines_and_the_campaign_begins_when_resumed(
    brief: Path, tmp_path: Path
) -> None:
    outbox = tmp_path / "out"
    failed = run(outbox, "--brief", str(brief), "--model", "no such:model")
    assert failed.returncode == 1
    assert failed.stderr.startswith("--model ")
    assert "error: the agents did not start (exit 1)\n" in failed.stderr
    assert f"demo --resume --outbox {outbox} --model 'no such:model'\n" in failed.stderr
    assert failed.stderr.count("\n") == 3
    begun = run(outbox, "--resume", "--yes")
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert " starts\n" in begun.stdout
    assert only_mail(outbox)["from"] == "Meadow <hello@meadow.example>"


@pytest.mark.parametrize("inside", ["", "folder"])
def test_an_outbox_that_cannot_be_written_to_is_told_in_a_line(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    outbox = tmp_path / "file" / inside
    done = refused(outbox, "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"error: the outbox {outbox} cannot be written to: Not a directory\n"


def test_without_the_extra_it_is_named() -> None:
    code = (
        "import sys; sys.modules['aiosqlite'] = None\n"
        "from acp_langgraph.__main__ import main\n"
        "sys.argv = ['acp-langgraph', 'demo']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: aiosqlite is missing: pip install "acp-langgraph[demo]"\n'


def test_without_an_answer_the_campaign_waits_and_is_resumed(brief: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "out"
    stopped = run(outbox, "--brief", str(brief))
    assert stopped.returncode == 1
    assert "--resume" in stopped.stdout
    assert not list(outbox.glob("*.eml"))
    done = run(outbox, "--resume", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert only_mail(outbox)["to"]
    assert "drafts the mail" in done.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_however_it_is_stopped_nothing_is_left_running_and_nothing_is_lost(
    brief: Path, tmp_path: Path, how: signal.Signals
) -> None:
    outbox = tmp_path / "out"
    with asked(outbox, "--brief", str(brief)) as process:
        assert agents_running(outbox)
        process.send_signal(how)
        process.communicate(timeout=30)
        assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    done = run(outbox, "--resume", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert only_mail(outbox)["to"]
    assert agents_running(outbox) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe\xfa", "no text in UTF-8"),
        (b"  \n", "is empty"),
        (b"To: nobody\n\nText", "'nobody' is no mail address"),
        (b"Audience: cats\n\nText", "use general, technical, business"),
        (b"x" * 200_000, "longer than 100000 bytes"),
    ],
)
def test_a_brief_that_cannot_be_used_is_refused_before_anything_starts(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "brief.txt"
    if content is not None:
        file.write_bytes(content)
    done = refused(tmp_path / "out", "--yes", "--brief", str(file))
    assert done.exit_code == 2
    assert says in done.stderr
    assert isinstance(done.exception, SystemExit)
    assert not (tmp_path / "out").exists()


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    done = refused(tmp_path / "out", "--resume")
    assert done.exit_code == 2
    assert "nothing to resume" in done.stderr
