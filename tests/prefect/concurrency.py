"""Slots of a limit as Prefect's own `concurrency()` takes them; prints what came of it."""

import json

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency


def taken():
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name("database").active_slots


told = {"refused": False}
with concurrency("database", occupy=3, timeout_seconds=10):
    told["inside"] = taken()
    try:
        with concurrency("database", occupy=1, timeout_seconds=0.1):
            pass
    except TimeoutError:
        told["refused"] = True
told["after"] = taken()
print(json.dumps(told))
