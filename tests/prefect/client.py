"""What scripts do with Prefect's client; prints what came of it as one JSON document."""

import asyncio
import json

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter, LogFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelling, Completed


async def main():
    told = {}
    run = await run_deployment(
        "quick/quick_now",
        parameters={"n": 2},
        tags=["script"],
        idempotency_key="once",
        poll_interval=0.2,
        timeout=30,
        as_subflow=False,
    )
    told["waited"] = run.state.type
    again = await run_deployment("quick/quick_now", idempotency_key="once", timeout=0, as_subflow=False)
    told["repeated"] = again.id == run.id

    waits = await run_deployment("asks/asks_now", timeout=0, as_subflow=False)
    told["at_once"] = waits.state.type
    try:
        await run_deployment("market_report/market_report_quick", parameters={"window": "x"}, timeout=0, as_subflow=False)
    except PrefectHTTPStatusError as refusal:
        told["refused"] = refusal.response.status_code

    async with get_client() as client:
        found = await client.read_flow_runs(
            flow_filter=FlowFilter(name={"any_": ["quick", "asks"]}),
            flow_run_filter=FlowRunFilter(state={"type": {"any_": ["COMPLETED"]}}),
            deployment_filter=DeploymentFilter(name={"any_": ["quick_now"]}),
            sort=FlowRunSort.START_TIME_DESC,
            limit=5,
        )
        told["by_state"] = [one.state.type for one in found]
        told["by_tag"] = len(await client.read_flow_runs(flow_run_filter=FlowRunFilter(tags={"all_": ["script"]})))
        lines = await client.read_logs(LogFilter(flow_run_id={"any_": [run.id]}))
        told["logs"] = [line.message for line in lines]
        told["cancelled"] = (await client.set_flow_run_state(waits.id, Cancelling())).status
        told["aborted"] = (await client.set_flow_run_state(run.id, Cancelling())).status
    print(json.dumps(told, default=str))


asyncio.run(main())
