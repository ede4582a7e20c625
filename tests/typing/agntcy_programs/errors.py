"""Tells errors by their class, their status and their body."""

import asyncio
import os

from acp_langgraph.agntcy import (
    ACPClient,
    ApiClientConfiguration,
    ApiException,
    AsyncACPClient,
    NotFoundException,
    OpenApiException,
    UnprocessableEntityException,
)
from acp_langgraph.agntcy.exceptions import ACPRunException
from acp_langgraph.agntcy.models import RunCreateStateless, RunSearchRequest

configuration = ApiClientConfiguration(host=os.environ["ACP_URL"])
client = ACPClient(configuration=configuration)
nobody = "11111111-1111-1111-1111-111111111111"

try:
    client.get_stateless_run(nobody)
except NotFoundException as error:
    print(type(error).__name__, error.status, error.reason, error.body, error.data)
    print(error.headers["Content-Type"], OpenApiException.__name__)

try:
    client.create_stateless_run(RunCreateStateless(agent_id=os.environ["ECHO_ID"], input={"no": 1}))
except UnprocessableEntityException as error:
    print(type(error).__name__, error.status, bool(error.body))
except ApiException as error:
    print("another one", error.status)

try:
    client.create_stateless_run(RunCreateStateless(agent_id=nobody, input={}))
except ApiException as error:
    print(type(error).__name__, error.status, str(error).splitlines()[:2])

try:
    RunSearchRequest(limit=0)
except ValueError as error:
    print(type(error).__name__)

own = ApiException(status=500, reason="mine", body="text", data={"a": 1})
print(own.status, own.reason, own.body, own.data, not own.headers)
print(ApiException().status, ACPRunException("it did not work"))


async def main() -> None:
    async with AsyncACPClient(configuration=configuration) as client:
        try:
            await client.wait_for_stateless_run_output(nobody)
        except NotFoundException as error:
            print(error.status, error.body)
        try:
            async for _ in client.stream_stateless_run_output(nobody):
                pass
        except ApiException as error:
            print("stream", error.status)


asyncio.run(main())
