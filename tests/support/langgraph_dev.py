"""`langgraph dev`, where it is installed: in an environment of its own, or in this one.

What it needs and what the tests need do not go together (both want one exact `jsonschema-rs`).
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["HAS_LANGGRAPH_DEV", "HOW_TO_INSTALL", "LangGraphDev"]

PROJECT = Path(__file__).parents[2]
STARTS_WITHIN = 60.0  # seconds
OWN = PROJECT / ".langgraph-dev" / "bin" / "python"
HAS_LANGGRAPH_DEV = OWN.exists() or importlib.util.find_spec("langgraph_api") is not None
HOW_TO_INSTALL = (
    "`langgraph dev` is not installed: python -m venv .langgraph-dev && "
    '.langgraph-dev/bin/pip install -e ".[server]" "langgraph-cli[inmem]"'
)


class LangGraphDev:
    """`langgraph dev` in a folder, on a port of its own.

    Args:
        folder: Where its langgraph.json is.
        log: The file that it logs to.
        **environment: What it gets to know.
    """

    def __init__(self, folder: Path, log: Path, **environment: str) -> None:
        self.log = log
        self._folder = folder
        self._environment = environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Start it; a client of it. It is stopped as by Ctrl-C."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                [
                    *[str(OWN) if OWN.exists() else sys.executable, "-m", "langgraph_cli", "dev"],
                    *["--no-browser", "--no-reload"],
                    *["--port", self.url.rpartition(":")[2], "--n-jobs-per-worker", "20"],
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(PROJECT), **self._environment},
                start_new_session=True,
            ) as process,
            httpx.Client(base_url=self.url, timeout=60) as client,
        ):
            try:
                self._await_start(client, process)
                yield client
                os.killpg(process.pid, signal.SIGINT)
                process.wait(timeout=60)
            finally:
                process.kill()

    def _await_start(self, client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < give_up and process.poll() is None:
            try:
                client.get("/ok").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(self.log.read_text())
