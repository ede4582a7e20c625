"""Starts a run, waits for it later, finds it and removes it."""

import os
import uuid

from acp_langgraph.agntcy import ACPClient, ApiClient, ApiClientConfiguration, NotFoundException
from acp_langgraph.agntcy.models import RunCreateStateless, RunSearchRequest, RunStatus

mark = str(uuid.uuid4())
with ACPClient(ApiClient(ApiClientConfiguration(os.environ["ACP_URL"]))) as client:
    run = client.create_stateless_run(
        RunCreateStateless(
            agent_id=os.environ["ECHO_ID"],
            input={"text": "later"},
            metadata={"mark": mark},
            on_completion="keep",
        )
    )
    outcome = client.wait_for_stateless_run_output(run_id=run.run_id)
    print(outcome.output.to_json() if outcome.output else None)
    again = client.get_stateless_run(run.run_id)
    print(again.status, again.status == RunStatus.SUCCESS, f"{again.status}", again.status.value)
    print(again.created_at <= again.updated_at, again.created_at.tzinfo is not None)
    listed = client.search_stateless_runs(RunSearchRequest(metadata={"mark": mark}, limit=5))
    print([each.run_id == run.run_id for each in listed], listed[0].creation.input)
    client.cancel_stateless_run(run.run_id, wait=True, action="interrupt")
    client.delete_stateless_run(run.run_id)
    try:
        client.get_stateless_run(run.run_id)
    except NotFoundException as error:
        print("gone", error.status)
