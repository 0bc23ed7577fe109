"""Services served from this kernel: changed and served again, stopped without a trace."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import restate as sdk

from workbench import loopback
from workbench.clients import wait_until
from workbench.restate import Restate
from workbench.serve import serve_here
from workbench.state_dir import WorkbenchError

Kernel = Callable[[str], tuple[str, str]]


def greeter(greeting: str, name: str = "Greeter") -> sdk.Service:
    service = sdk.Service(name)

    @service.handler()
    async def greet(ctx: sdk.Context, whom: str) -> str:
        await ctx.sleep(timedelta(milliseconds=1))
        return f"{greeting} {whom}"

    return service


def register(restate: Restate, uri: str) -> None:
    body = {"uri": uri, "force": True}
    httpx.post(f"{restate.admin_url}/deployments", json=body).raise_for_status()


def greet(restate: Restate, service: str = "Greeter") -> str:
    answer = httpx.post(f"{restate.ingress_url}/{service}/greet", json="you", timeout=10)
    return str(answer.raise_for_status().json())


def test_a_synchronous_call_from_the_same_kernel_is_answered(restate: Restate) -> None:
    threads = threading.active_count()
    with serve_here(greeter("Hello")) as served:
        register(restate, served.uri)
        assert greet(restate) == "Hello you"
        assert str(served) == f"Greeter · {served.uri} · served from this kernel"
    assert loopback.is_free(served.port)
    assert threading.active_count() == threads
    served.stop()  # nothing happens the second time


def test_a_cell_may_be_run_again(restate: Restate) -> None:
    with serve_here(greeter("Hello")) as first:
        register(restate, first.uri)
        assert greet(restate) == "Hello you"
        with serve_here(greeter("Good morning")) as second:
            assert second.uri == first.uri
            assert greet(restate) == "Good morning you"
            first.stop()  # a handle on what is gone does not stop its successor
            assert greet(restate) == "Good morning you"


def test_several_are_served_side_by_side(restate: Restate) -> None:
    with (
        serve_here(greeter("Hello"), greeter("Bye", "Two")) as first,
        serve_here(greeter("Hi"), name="new") as second,
    ):
        assert first.uri != second.uri
        register(restate, second.uri)
        assert greet(restate) == "Hi you"
        register(restate, first.uri)
        assert [greet(restate), greet(restate, "Two")] == ["Hello you", "Bye you"]
        with serve_here(greeter("B", "B"), port=first.port) as third:  # taken over
            assert third.port == first.port


def test_stopping_cuts_off_an_attempt_and_restate_tries_again(
    restate: Restate, capfd: pytest.CaptureFixture[str]
) -> None:
    attempts: list[threading.Event] = []

    def endless(answer: str | None) -> sdk.Service:
        service = sdk.Service("Endless")

        @service.handler()
        async def greet(ctx: sdk.Context, whom: str) -> str:
            attempts.append(threading.Event())
            if answer is None:
                await asyncio.Event().wait()
            return str(answer)

        return service

    served = serve_here(endless(None))
    register(restate, served.uri)
    caller = httpx.post(f"{restate.ingress_url}/Endless/greet/send", json="you").json()
    wait_until(lambda: attempts, what="the first attempt")
    with serve_here(endless("at last")) as again:
        assert again.uri == served.uri
        result = f"{restate.ingress_url}/restate/invocation/{caller['invocationId']}/attach"
        assert httpx.get(result, timeout=10).json() == "at last"
    assert len(attempts) >= 2
    assert capfd.readouterr().err == ""  # neither a traceback nor a word of a pending task


def test_a_port_of_another_program(another_kernel: Kernel) -> None:
    with serve_here(greeter("Hello")) as served:
        _, said = another_kernel(
            "import restate; from workbench.serve import serve_here;"
            f"serve_here(restate.Service('Other'), port={served.port})"
        )
    assert f"WorkbenchError: Cannot serve on port {served.port}: it is taken by" in said
    assert "Leave `port` out to get a free one." in said


def test_the_kernel_ends_while_it_serves(another_kernel: Kernel) -> None:
    printed, complaints = another_kernel(
        "import restate; from workbench.serve import serve_here;"
        "print(serve_here(restate.Service('Other')).port)"
    )
    assert complaints == ""
    assert loopback.is_free(int(printed))


def test_a_handler_that_blocks_is_named(restate: Restate) -> None:
    release, entered = threading.Event(), threading.Event()
    service = sdk.Service("Blocking")

    @service.handler()
    async def greet(ctx: sdk.Context, whom: str) -> str:
        entered.set()
        release.wait()
        return whom

    served = serve_here(service)
    register(restate, served.uri)
    httpx.post(f"{restate.ingress_url}/Blocking/greet/send", json="you").raise_for_status()
    assert entered.wait(10)
    with pytest.raises(WorkbenchError, match="Blocking does not stop: a handler blocks"):
        served.stop(grace=0.2)
    release.set()
    served.stop()
