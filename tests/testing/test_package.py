from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from acp_langgraph import testing


def test_the_example_of_the_documentation_runs():
    lines = (testing.__doc__ or "").splitlines()
    example = dedent("\n".join(line for line in lines if line.startswith("    ")))
    namespace: dict = {}
    exec(compile(example, "example", "exec"), namespace)  # noqa: S102 - our own documentation
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_everything_that_is_imported_there_is_public():
    classes = {name for name, value in vars(testing).items() if isinstance(value, type)}
    assert classes <= set(testing.__all__)


def test_the_fakes_need_no_extra():
    program = """
        import sys
        missing = ["starlette", "uvicorn", "typer", "jsonschema", "langgraph.checkpoint.sqlite"]
        sys.modules.update(dict.fromkeys(missing))
        from acp_langgraph.testing import FakeACPServer
        with FakeACPServer() as server:
            print(server.url)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("http://127.0.0.1:"), done.stderr
