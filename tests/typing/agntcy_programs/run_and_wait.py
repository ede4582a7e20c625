"""Has an agent work and takes what it came to."""

import os

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration
from acp_langgraph.agntcy.models import Config, RunCreateStateless, RunError, RunResult

client = ACPClient(configuration=ApiClientConfiguration(host=os.environ["ACP_URL"]))
for agent_id, given in (
    (os.environ["ECHO_ID"], {"text": "hello"}),
    (os.environ["FAILING_ID"], {"text": "hello"}),
):
    run = RunCreateStateless(
        agent_id=agent_id,
        input=given,
        config=Config(tags=["one"], configurable={"who": "ada"}),
        metadata={"about": "nothing"},
    )
    answer = client.create_and_wait_for_stateless_run_output(run)
    assert answer.run is not None
    print(answer.run.status, answer.run.creation.metadata)
    output = answer.output.actual_instance if answer.output else None
    if isinstance(output, RunResult):
        print("result", output.type, output.values)
    elif isinstance(output, RunError):
        print("error", output.run_id == answer.run.run_id, output.errcode, output.description)
    print(output is not None and output.to_dict()["type"])
