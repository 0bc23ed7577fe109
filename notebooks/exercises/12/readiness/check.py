"""Asks twice whether the cluster is ready: with all of its nodes, and with one of three."""

import threading
from typing import Any

from restate import Context, Service

import workbench as wb

SERVICE = "Readiness"
LIMIT = 3.0


def check(my_readiness: Any, bench: wb.Bench) -> str:
    cluster = wb.start_cluster(progress=lambda line: None)
    service = Service(SERVICE)

    @service.handler()
    async def ping(ctx: Context) -> None:
        pass

    with (
        wb.Admin(cluster) as admin,
        wb.Ingress(cluster) as ingress,
        wb.serve_here(service, name=SERVICE) as served,
    ):
        admin.register(served.uri, force=True)
        ingress.call(SERVICE, "ping")
        if not _asked(my_readiness, ingress, "All nodes are there"):
            raise wb.Wrong(
                "All nodes are there, and it says: not ready.",
                question="Is what you ask for there at all? Try your request in a cell.",
            )
        cluster.kill(2, 3)
        try:
            ready = _asked(my_readiness, ingress, "Two of three nodes are dead")
        finally:
            cluster.start()
    if ready:
        raise wb.Wrong(
            "Two of three nodes are dead, and it says: ready.",
            question="Who answers `/health`, and whom does that node have to ask for it?",
        )
    return "Ready means that a call is answered, and one node of three answers none."


def _asked(my_readiness: Any, ingress: wb.Ingress, when: str) -> bool:
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(my_readiness(ingress)), daemon=True)
    thread.start()
    thread.join(LIMIT)
    if not said:
        raise wb.Wrong(
            f"{when}, and after {LIMIT:g} s it has not said a word.",
            question="How long does your request wait for an answer?",
        )
    return said[0]
