"""Three Restate servers that are one cluster, on this machine, for what needs a server to be lost.

Each is a process of its own, `restate-1` to `restate-3`; a fourth, `restate-front`, is the one
address that clients know. The servers are the embedded ones, whatever `$RESTATE_MODE` says.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench import loopback, process
from workbench.clients import sql_text, wait_until
from workbench.ids import WIDTH
from workbench.loopback import no_proxy
from workbench.restate.install import VERSION, install_ctl, install_server
from workbench.restate.server import (
    Ports,
    Probe,
    Restate,
    choose_ports,
    free_soon,
    launch,
    listens,
    load_ports,
)
from workbench.state_dir import WorkbenchError, created, exclusive, logs, state_dir

__all__ = ["Cluster", "start_cluster"]

_NUMBERS = (1, 2, 3)
_PARTITIONS = 4
_FRONT = "restate-front"
_LIMIT = 60.0
_STILL = 1.5


@dataclass(frozen=True, kw_only=True)
class Cluster(Restate):
    """Three servers behind one address; they are numbered from 1."""

    ports: dict[int, Ports] = field(repr=False)
    say: Callable[[str], None] = field(default=print, repr=False)
    """It is given a line for each act."""

    def start(self, *nodes: int) -> None:
        """Start these nodes, or all, where they do not run.

        When it returns, all nodes that run answer calls, and leadership is at rest.
        """
        if dead := [node for node in nodes or _NUMBERS if node not in self.alive]:
            _start(dead, self.ports)
            self.settle()
            self.say(f"{_named(dead)}: started")

    def kill(self, *nodes: int) -> None:
        """SIGKILL these nodes, or all of them."""
        alive = [node for node in nodes or _NUMBERS if node in self.alive]
        for node in alive:
            if running := process.find(_name(node)):
                running.kill()
        if alive:
            self.say(f"{_named(alive)}: killed with SIGKILL")

    def stop(self) -> None:
        """Stop all nodes and what stands in front of them; their data stay."""
        for name in (_FRONT, *map(_name, _NUMBERS)):
            if running := process.find(name):
                running.kill()  # a node that is asked to end waits for the others

    @property
    def alive(self) -> list[int]:
        """The numbers of the nodes whose processes run."""
        return [node for node in _NUMBERS if process.find(_name(node))]

    def settle(self) -> None:
        """Wait until leadership is at rest: live nodes lead, and none has taken over for a while.

        After a node is lost, and after it is back, a partition may change its leader twice. Each
        time the attempts that are under way in it break off.
        """
        before: object = None
        since = 0.0

        def is_still() -> bool:
            nonlocal before, since
            try:
                leaders = self._leaders()
            except WorkbenchError:  # whom it asked is just dying, or not there yet
                leaders = {0: None}
            if leaders != before or None in leaders.values():
                before, since = leaders, time.monotonic()
            return time.monotonic() - since > _STILL

        wait_until(is_still, what="leadership to be at rest", timeout=_LIMIT, every=0.1)

    def partition(self, invocation_id: str) -> int:
        """The number of the partition that an invocation belongs to.

        Raises WorkbenchError where the invocation is not known.
        """
        where = f"id = {sql_text(invocation_id)}"
        sql = f"SELECT partition_key AS key FROM sys_invocation_status WHERE {where}"
        probe = Probe(self.ingress_url, self.admin_url)
        what = f"{invocation_id} to be known"
        rows = wait_until(lambda: probe.rows(sql), what=what, timeout=_LIMIT)
        return int(rows[0]["key"]) * _PARTITIONS // 2**64

    def leader(self, invocation_id: str) -> int:
        """The number of the live node that leads an invocation's partition, and so runs it."""
        partition = self.partition(invocation_id)
        what = f"a leader of partition {partition}"
        return wait_until(lambda: self._leaders()[partition], what=what, timeout=_LIMIT) or 0

    def _leaders(self) -> dict[int, int | None]:
        """By partition, the number of the node that leads it; None while that is a dead one."""
        alive = self.alive
        rows = self._rows("SELECT partition_id, leader_plain_node_id FROM partitions")
        found = {row["partition_id"]: row.get("leader_plain_node_id", "N0") for row in rows}
        numbers = {partition: int(node.removeprefix("N")) for partition, node in found.items()}
        return {
            partition: number if number in alive else None for partition, number in numbers.items()
        }

    def ctl(self, sql: str) -> list[dict[str, Any]]:
        """The rows that `restatectl sql` selects from the cluster's own tables; print the command.

        It asks all nodes that run. Raises WorkbenchError when none answers.
        """
        command = f'$ restatectl sql "{" ".join(sql.split())}"'
        self.say(textwrap.fill(command, WIDTH, subsequent_indent="    ", break_on_hyphens=False))
        return self._rows(sql)

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        where = ",".join(f"http://127.0.0.1:{self.ports[node].node}" for node in self.alive)
        answer = subprocess.run(
            [install_ctl(), "sql", "--json", "-s", where, sql],
            env=no_proxy(),
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise WorkbenchError(f"restatectl failed: {answer.stderr.strip()[-500:]}")
        rows: list[dict[str, Any]] = json.loads(answer.stdout)
        return rows


def start_cluster(*, progress: Callable[[str], None] = print) -> Cluster:
    """Start the cluster, or what is missing of the one that this state folder's last start left.

    `progress` is given a line for each step that takes long, and for what is later done to nodes.
    Raises WorkbenchError that names the fix.
    """
    with exclusive("restate-cluster", timeout=900):
        install_server(progress)
        install_ctl(progress)
        ports = _node_ports()
        front = process.find(_FRONT)
        doors = Ports(**front.extra) if front else choose_ports(_folder())
        cluster = Cluster(
            mode="cluster",
            version=VERSION,
            ingress_url=doors.ingress_url,
            admin_url=doors.admin_url,
            ports=ports,
            say=progress,
        )
        _start([node for node in _NUMBERS if node not in cluster.alive], ports)
        front = front or _start_front(doors, ports)
        front.wait_ready(Probe(doors.ingress_url, doors.admin_url).ready)
    return cluster


def _start(nodes: list[int], ports: dict[int, Ports]) -> None:
    """Start nodes; return when they and the others that run answer calls."""
    for node in nodes:
        _launch(node, ports)
    running = [node for node in _NUMBERS if node in nodes or process.find(_name(node))]
    wait_until(
        lambda: all(_ready(node, ports) for node in running),
        what="all nodes to answer",
        timeout=_LIMIT,
        last=lambda: f"Their logs are {logs() / 'restate-*.log'}",
    )


def _launch(node: int, ports: dict[int, Ports]) -> None:
    process.stop_lost(_name(node))  # it may hold the ports
    for port in asdict(ports[node]).values():
        if not free_soon(port):
            raise WorkbenchError(
                f"Node {node} of the cluster needs port {port}, which is taken by "
                f"{loopback.port_holder(port)}.\nStop that program, or remove {_folder()}."
            )
    addresses = [f"http://127.0.0.1:{ports[number].node}" for number in _NUMBERS]
    env = {
        "RESTATE_CLUSTER_NAME": "workbench",
        "RESTATE_NODE_NAME": f"n{node}",
        "RESTATE_FORCE_NODE_ID": str(node),
        "RESTATE_ADVERTISED_ADDRESS": addresses[node - 1],
        "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(addresses),
        "RESTATE_DEFAULT_REPLICATION": "2",
        "RESTATE_AUTO_PROVISION": str(node == 1).lower(),
        # A dead node is noticed after this long; its partitions have other leaders soon after.
        "RESTATE_GOSSIP_SUSPECT_INTERVAL": "1s",
    }
    folder = _folder() / f"n{node}"
    launch(_name(node), install_server(), folder=folder, ports=ports[node], env=env)


def _ready(node: int, ports: dict[int, Ports]) -> bool:
    """Whether a node answers calls; each asks the leaders of all partitions.

    Raises WorkbenchError, with the end of its log, when it has died.
    """
    running = process.last(_name(node))
    assert running
    if not running.alive:
        raise WorkbenchError(
            f"Node {node} died while starting. If its data are damaged, remove {_folder()}.\n"
            f"The end of {running.log}:\n{running.log_tail()}"
        )
    doors = ports[node]
    probe = Probe(doors.ingress_url, doors.admin_url)
    return listens(running, doors.ingress, doors.admin) and probe.ready()


def _start_front(doors: Ports, ports: dict[int, Ports]) -> process.Running:
    command = [sys.executable, "-m", "workbench.restate.front"]
    for kind in ("ingress", "admin"):
        servers = ",".join(str(getattr(ports[node], kind)) for node in _NUMBERS)
        command.append(f"{getattr(doors, kind)}={servers}")
    return process.start(_FRONT, command, env={}, extra=asdict(doors))


def _node_ports() -> dict[int, Ports]:
    """The nodes' ports: those of the first start, for the nodes know each other by them."""
    ports = {}
    for node in _NUMBERS:
        folder = created(_folder() / f"n{node}", private=True)
        ports[node] = load_ports(folder) or Ports(*(loopback.free_port() for _ in range(3)))
        (folder / "ports.json").write_text(json.dumps(asdict(ports[node])))
    return ports


def _named(nodes: Iterable[int]) -> str:
    return ", ".join(f"n{node}" for node in nodes)


def _name(node: int) -> str:
    return f"restate-{node}"


def _folder() -> Path:
    return state_dir() / "restate" / "cluster"
