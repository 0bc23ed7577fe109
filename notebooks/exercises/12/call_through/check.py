"""Sends 12 messages to a cluster; the leader of their session dies in the middle of the sixth."""

import asyncio
import threading
from typing import Any

from restate import ObjectContext, TerminalError, VirtualObject

import workbench as wb
from workbench.checks import EnoughError, count

SERVICE = "CallThrough"
MESSAGES, LOST, REFUSED = 12, 6, 0


class Client:
    """The ingress, for a caller that must come to an end."""

    def __init__(self, ingress: wb.Ingress) -> None:
        self._ingress = ingress
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ingress, name)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        count(self.asked)
        return self._ingress.call(*args, **kwargs)


def check(my_call: Any, bench: wb.Bench) -> str:
    cluster = wb.start_cluster(progress=lambda line: None)
    service, chat = VirtualObject(SERVICE), wb.new_key("check")
    began = threading.Event()

    @service.handler()
    async def add(ctx: ObjectContext, number: int) -> int:
        if number == REFUSED:
            raise TerminalError("no such message", 400)
        if number == LOST and not began.is_set():
            began.set()
            await asyncio.Event().wait()  # until this attempt breaks off
        if number == LOST:  # until the client has lost its patience, however fast the failover is
            for _ in range(20):
                await asyncio.sleep(0.1 if len(client.asked) < 2 else 0)
        noted = await ctx.get("noted", type_hint=list) or []
        ctx.set("noted", [*noted, number])
        return len(noted) + 1

    def kill_the_leader() -> None:
        began.wait()
        cluster.kill(leader)

    with (
        wb.Admin(cluster) as admin,
        wb.Ingress(cluster) as ingress,
        wb.serve_here(service, name=SERVICE) as served,
    ):
        admin.register(served.uri, force=True)
        cluster.settle()
        client = Client(ingress)
        client.call(SERVICE, "add", 1, key=f"{chat}-first")  # the first one takes its time
        _refuse(my_call, client, f"{chat}-refused")
        _say(my_call, client, chat, 1)
        leader = cluster.leader(str(ingress.last_invocation_id))
        killer = threading.Thread(target=kill_the_leader, daemon=True)
        killer.start()
        for number in range(2, MESSAGES + 1):
            try:
                _say(my_call, client, chat, number)
            finally:
                if number >= LOST:
                    began.set()
                    killer.join()
        wb.wait_until(lambda: not _open(admin, chat), what="all to end", timeout=20)
        noted = wb.state_of(admin, SERVICE, chat)["noted"]
    picture = f"  noted: {', '.join(map(str, noted))}"
    if len(noted) > len(set(noted)):
        raise wb.Wrong(
            "One message was noted more than once.",
            picture=picture,
            question="How is Restate to know that a request is the one of before?",
        )
    if noted != [*range(1, MESSAGES + 1)]:
        raise wb.Wrong(
            f"Of {MESSAGES} messages, {len(noted)} was noted.",
            picture=picture,
            question="What does Restate answer to another request with a key that it knows?",
        )
    return f"The leader died in the middle: {MESSAGES} messages, {MESSAGES} notes, in order."


def _say(my_call: Any, client: Client, chat: str, number: int) -> None:
    client.asked.clear()
    try:
        my_call(client, chat, number)
    except EnoughError:
        raise wb.Wrong(
            "One message was sent more than 50 times.",
            question="When does your loop end?",
        ) from None
    except wb.IngressError:
        raise
    except wb.WorkbenchError as error:
        raise wb.Wrong(
            "A message got no answer, and nobody asked again.",
            picture=f"  message {number}: no answer to one request",
            question="Is the message lost, or only the answer? What can the client do?",
        ) from error


def _refuse(my_call: Any, client: Client, chat: str) -> None:
    try:
        client.asked.clear()
        my_call(client, chat, REFUSED)
    except wb.IngressError as error:
        if error.status_code == 400:
            return
    except EnoughError:
        raise wb.Wrong(
            "A message was refused, and sent again and again.",
            question="Which errors are an answer, and which are none?",
        ) from None
    raise wb.Wrong(
        "A message was refused, and the caller does not hear of it.",
        question="What should happen to the handler's own error?",
    )


def _open(admin: wb.Admin, chat: str) -> bool:
    sql = (
        f"SELECT id FROM sys_invocation WHERE target_service_key = '{chat}' "
        "AND status <> 'completed'"
    )
    try:
        return bool(admin.query(sql, echo=False))
    except wb.AdminError:  # a partition without a leader
        return True
