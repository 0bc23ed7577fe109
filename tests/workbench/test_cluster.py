"""Three Restate servers that are one: what the loss of nodes does to calls, and how all ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import restate as sdk

from workbench import Admin, Ingress, WorkbenchError, process
from workbench.lesson import stop_all
from workbench.restate.cluster import Cluster, start_cluster
from workbench.serve import serve_here

names = sdk.VirtualObject("Names")


@names.handler()
async def add(ctx: sdk.ObjectContext, name: str) -> list[str]:
    known = [*(await ctx.get("known", type_hint=list[str]) or []), name]
    ctx.set("known", known)
    return known


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    yield start_cluster()
    stop_all()


def test_a_majority_answers_one_node_does_not_and_all_end(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        Admin(cluster, echo=lambda line: None) as admin,
        Ingress(cluster, echo=lambda line: None) as ingress,
        serve_here(names) as served,
    ):
        admin.register(served.uri)
        assert ingress.call("Names", "add", "Ada", key="k") == ["Ada"]
        leader = cluster.leader(str(ingress.last_invocation_id))
        other = next(node for node in (1, 2, 3) if node != leader)

        cluster.kill(leader)
        assert cluster.alive == [node for node in (1, 2, 3) if node != leader]
        assert ingress.call("Names", "add", "Ben", key="k") == ["Ada", "Ben"]
        assert cluster.leader(str(ingress.last_invocation_id)) != leader

        cluster.kill(other)
        with pytest.raises(WorkbenchError, match="did not answer"):
            ingress.call("Names", "add", "Cid", key="k", idempotency_key="Cid", timeout=1)
        cluster.start()
        known = ingress.call("Names", "add", "Cid", key="k", idempotency_key="Cid")
        assert known == ["Ada", "Ben", "Cid"]
        said = [f"n{leader}: killed with SIGKILL", f"n{other}: killed with SIGKILL"]
        back = ", ".join(f"n{node}" for node in sorted((leader, other)))
        assert capsys.readouterr().out.splitlines() == [*said, f"{back}: started"]

        assert start_cluster().ports == cluster.ports  # found, not started
    assert sorted(stop_all()) == ["restate-1", "restate-2", "restate-3", "restate-front"]
    assert not any(process.find(f"restate-{name}") for name in ("1", "2", "3", "front"))
