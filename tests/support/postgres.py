"""A PostgreSQL of the tests' own: in a temporary folder, on a socket there, and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

__all__ = ["ALONE", "AS_SAVERS_NEED_IT", "NoPostgresError", "running_postgres"]

ALONE = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
"""Given a thread, waits until no other connection holds it."""

AS_SAVERS_NEED_IT: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
}

_STARTS_WITHIN = 60.0  # seconds
_OWNERS = ("postgres", "nobody")  # it refuses to be run by root


class NoPostgresError(Exception):
    """There is no PostgreSQL to run; the message says what to do."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """Make a cluster and run it for as long as the block lasts; its URI.

    Raises:
        NoPostgresError: If its programs are not installed.
    """
    initdb, postgres = (_program(name) for name in ("initdb", "postgres"))
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if owner is not None:
            shutil.chown(folder, owner)
        as_owner: dict[str, Any] = {"user": owner, "cwd": folder, "stdin": subprocess.DEVNULL}
        log = folder / "log"
        data = folder / "data"
        made = subprocess.run(
            [*[initdb, "-D", data, "-U", "postgres"], *["-A", "trust", "-E", "UTF8", "--no-sync"]],
            capture_output=True,
            text=True,
            check=False,
            **as_owner,
        )
        assert made.returncode == 0, made.stderr
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (
            log.open("wb") as told,
            subprocess.Popen(
                [postgres, "-D", data, *options], stdout=told, stderr=told, **as_owner
            ) as process,
        ):
            try:
                uri = f"postgresql:///postgres?host={folder}&user=postgres"
                _await_start(uri, process, log)
                yield uri
            finally:
                process.send_signal(signal.SIGINT)  # it does not wait for its clients
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    packaged = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3])
    )
    found = shutil.which(name) or (str(packaged[-1]) if packaged else None)
    if found is None:
        raise NoPostgresError(
            f"there is no {name}, neither on the PATH nor in /usr/lib/postgresql; install "
            "PostgreSQL, e.g. apt-get install postgresql"
        )
    return found


def _owner() -> str | None:
    """Who is to run it; `None` for whoever runs this."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _OWNERS if name in known)


def _await_start(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < give_up and process.poll() is None:
        try:
            psycopg.connect(uri).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())
