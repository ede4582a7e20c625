"""What the package works with: `python tests/versions.py` tries it, and prints the table of `docs/versions.md`.

A quick part of the tests (imports, mappings, nodes, the demo, a process that is killed) is run on each of the
Pythons that the package is for, with the newest dependencies, and on this one with the lowest that
`pyproject.toml` allows. Each has an environment of its own, made by uv in a folder that is removed again.

An interpreter is found by its name on the path, in pyenv's folder, or among uv's own; others are named with
`--python`. One that is not there is told, and is no failure.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
QUICK: Final = (
    "tests/test_public_names.py",
    "tests/mapping/test_paths.py",
    "tests/mapping/test_edges.py",
    "tests/nodes/test_acp_node.py",
    "tests/nodes/test_private_names.py",
    "tests/demo/test_demo.py::test_without_an_answer_the_campaign_waits_and_is_resumed",
    "tests/faults/test_kill.py::test_a_killed_graph_has_one_remote_run_in_the_end[sync-async]",
)
SHOWN: Final = ("langgraph", "langchain-core", "pydantic", "httpx", "aiohttp")
# With bytecode, whatever this machine's habit is: a process that is started is ready in a third of the time.
ENVIRONMENT: Final = {
    name: each for name, each in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
# uv brings certificates of its own, and pip trusts this machine's; the older and the newer name of that.
os.environ |= {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}
TELL: Final = (
    "import json, platform, sys\n"
    "from importlib.metadata import version\n"
    "print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))"
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried with what.

    Attributes:
        python: The interpreter.
        lowest: Whether with the lowest dependencies that are allowed.
    """

    python: str
    lowest: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a trial came to.

    Attributes:
        versions: Of Python, and of what is shown.
        said: The last line of the tests.
        passed: Whether all of them passed.
    """

    versions: list[str]
    said: str
    passed: bool


def trials(named: list[str], *, own: bool) -> Iterator[Trial]:
    """What there is to try here.

    Args:
        named: Interpreters that were named.
        own: Whether the newest dependencies are tried on this Python as well, as all of the tests are.
    """
    this = "{}.{}".format(*sys.version_info)
    for version in PYTHONS:
        python = sys.executable if version == this else interpreter(version, named)
        if python is None:
            print(f"Python {version}: not here", flush=True)
        elif version != this or own:
            yield Trial(python)
    yield Trial(sys.executable, lowest=True)


def interpreter(version: str, named: list[str]) -> str | None:
    """An interpreter of a version, e.g. `3.12`, if there is one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    there = [*named, shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")]
    for found in map(str, filter(None, there)):
        # One of pyenv's on the path may be there only to say that it is not in use.
        if said(found, "--version").startswith(f"Python {version}."):
            return found
    return said("uv", "python", "find", "--no-python-downloads", version).strip() or None


def said(*command: str) -> str:
    """What a program printed; nothing if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def lowest() -> list[str]:
    """The lowest versions that the package allows of what it depends on itself; what tests it may be newer."""
    here = str(ROOT / "pyproject.toml")
    found = said(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", here),
        *("--extra", "demo", "--group", f"{here}:test", "--resolution", "lowest-direct"),
    )
    project = tomllib.loads(Path(here).read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["cli"], *extras["server"]]
    names = {re.split(r"[\[><=]", each)[0] for each in declared}
    return [each for each in found.split() if each.partition("==")[0] in names]


def tried(trial: Trial, folder: Path) -> Result:
    """Try it, in an environment in a folder."""
    python = str(folder / "bin" / "python")
    uv = ["uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", trial.python, str(folder)], check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(lowest() if trial.lowest else []))
    subprocess.run(
        [
            *[*uv, "pip", "install", "--python", python, "--constraint", str(constraints)],
            *["--editable", ".[demo]", "--group", "test"],
        ],
        cwd=ROOT,
        check=True,
    )
    versions = json.loads(said(python, "-c", TELL, *SHOWN))
    what = "lowest" if trial.lowest else "newest"
    print(f"Python {versions[0]}, {what} dependencies", flush=True)
    tests = subprocess.run(
        [python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *QUICK],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    last = tests.stdout.rstrip().rpartition("\n")[2]
    if tests.returncode:
        print(tests.stdout)
    passed = None if tests.returncode else re.search(r"\d+ passed", last)
    return Result(
        [versions[0], what, *versions[1:]], passed.group() if passed else last, not tests.returncode
    )


def in_a_folder(trial: Trial) -> Result:
    """Try it, in a folder that is removed again."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = tried(trial, Path(folder) / "environment")
    print(f"{result.said} in {time.monotonic() - begun:.0f} s", flush=True)
    return result


def main() -> int:
    """Try everything, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--python", action="append", default=[], help="an interpreter to try as well"
    )
    parser.add_argument("--own", action="store_true", help="the newest on this Python as well")
    options = parser.parse_args()
    with ThreadPoolExecutor() as pool:  # all at once: each waits for half of its time
        results = list(pool.map(in_a_folder, trials(options.python, own=options.own)))
    print("\n| Python | dependencies |", *(f"{name} |" for name in SHOWN), "the quick tests |")
    print("| --- " * (len(SHOWN) + 3) + "|")
    for result in results:
        print("|", " | ".join([*result.versions, result.said]), "|")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
