"""What a lesson holds in its hands: the bench, versions of its code, predictions, exercises."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import restate as sdk

from workbench import deploy, exercises, progress
from workbench.ask import ask
from workbench.bench import Bench, current, up
from workbench.clients import wait_until
from workbench.lesson import new_key, stop_all
from workbench.program import Program
from workbench.replicas import serve_replicas
from workbench.serve import serve_here
from workbench.state_dir import REPOSITORY, WorkbenchError, use_state_dir

Printed = pytest.CaptureFixture[str]
EXERCISE = REPOSITORY / "notebooks" / "exercises" / "02" / "three_messages"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with use_state_dir(tmp_path_factory.mktemp("home")):
        yield up()
        stop_all()


def _greeter(greeting: str) -> sdk.Service:
    service = sdk.Service("BenchGreeter")
    if greeting == "Hello":

        @service.handler()
        async def greet(ctx: sdk.Context, whom: str) -> str:
            await ctx.run_typed("ask the model", ask, prompt=whom)
            return f"Hello {whom}"
    else:

        @service.handler("greet")
        async def bow(ctx: sdk.Context, whom: str) -> str:
            return f"Bow to {whom}"

    return service


def test_each_version_is_a_deployment_and_what_runs_stays_on_its_own(bench: Bench) -> None:
    _, model, _, ingress = bench
    whom = new_key("ann")
    first = deploy.serve(_greeter("Hello"))
    model.hold(whom)
    held = ingress.send("BenchGreeter", "greet", whom)
    model.wait_held(whom)
    second = deploy.serve(_greeter("Bow"))
    assert second != first
    assert ingress.call("BenchGreeter", "greet", whom) == f"Bow to {whom}"
    assert deploy.serve(_greeter("Hello")) == first  # the latest again
    model.release()
    assert ingress.attach(held) == f"Hello {whom}"
    assert ingress.call("BenchGreeter", "greet", whom) == f"Hello {whom}"


def test_at_an_address_of_its_own_a_version_is_replaced(bench: Bench) -> None:
    _, model, _, ingress = bench
    whom = new_key("eve")
    first = deploy.serve(_greeter("Hello"), at="greeter")
    model.hold(whom)
    held = ingress.send("BenchGreeter", "greet", whom)
    model.wait_held(whom)
    assert deploy.serve(_greeter("Hello"), at="greeter") == first
    wait_until(lambda: len(model.requests(whom)) == 2, what="another attempt")
    model.release()
    assert ingress.attach(held) == f"Hello {whom}"
    assert deploy.serve(_greeter("Bow"), at="greeter") == first
    assert ingress.call("BenchGreeter", "greet", whom) == f"Bow to {whom}"


def test_replicas_share_an_address_and_the_work(bench: Bench) -> None:
    _, model, _, ingress = bench
    replicas = serve_replicas("a", "b")
    chat = new_key("chat")
    model.hold(f"{chat}/1/plan")
    task = ingress.call("CodingAgent", "message", {"content": "Write it"}, key=chat)["task_id"]
    model.wait_held(f"{chat}/1/plan")
    replicas[model.requests(chat)[0].model].kill()
    wait_until(lambda: len(model.requests(chat)) == 2, what="the other one to ask")
    model.release()
    assert ingress.attach(task)
    assert {one.model for one in model.requests(f"{chat}/1/plan")} == {"a", "b"}
    replicas.stop()
    assert not any(process.alive for process in replicas.values())


def test_what_is_cut_off_is_tried_again(bench: Bench) -> None:
    _, model, _, ingress = bench
    whom = new_key("bob")
    deploy.serve(_greeter("Hello"))
    model.hold(whom)
    held = ingress.send("BenchGreeter", "greet", whom)
    model.wait_held(whom)
    deploy.cut_off()
    wait_until(lambda: len(model.requests(whom)) == 2, what="another attempt")
    model.release()
    assert ingress.attach(held) == f"Hello {whom}"
    assert [one.status for one in model.requests(whom)] == ["hung up", "completed"]


def test_invocations_of_a_kernel_that_is_gone_are_ended(bench: Bench) -> None:
    _, model, admin, _ = bench
    whom = new_key("gone")
    script = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import workbench as wb
from tests.workbench.test_bench import _greeter
_, model, _, ingress = wb.up()
print("deployment", wb.serve(_greeter("Hello")))
model.hold({whom!r})
ingress.send("BenchGreeter", "greet", {whom!r})
model.wait_held({whom!r})
"""
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout
    (gone,) = re.findall("^deployment (.*)", said, re.MULTILINE)
    model.release()
    with serve_here(sdk.Service("Crashed")) as served:
        crashed = admin.register(served.uri)["id"]
    left = "SELECT id FROM sys_invocation WHERE target_service_name = 'BenchGreeter'"
    assert admin.query(f"{left} AND status <> 'completed'")
    up()
    wait_until(lambda: not admin.query(f"{left} AND status <> 'completed'"), what="their end")
    deployments = [one["id"] for one in admin.get("/deployments")["deployments"]]
    assert crashed in deployments  # a program's, which may come back
    assert gone not in deployments


def test_a_program_can_be_killed_and_started_again(bench: Bench, capsys: Printed) -> None:
    program = Program("plain_agent.py")
    bench.model.hold("plain/write")
    program.start()
    bench.model.wait_held("plain/write")
    program.kill()
    with pytest.raises(WorkbenchError, match="plain_agent does not run"):
        program.kill()
    bench.model.release()
    program.start()
    assert program.wait().splitlines() == ["plan: done", "write: done", "review: done"]
    assert "killed with SIGKILL" in capsys.readouterr().out
    with pytest.raises(WorkbenchError, match=r"There is no program 'none\.py'"):
        Program("none.py")


def test_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.bench._bench", None)
    with pytest.raises(WorkbenchError, match="run the lesson's first cell"):
        current()


def test_predictions_and_progress_are_kept(tmp_path: Path, capsys: Printed) -> None:
    with use_state_dir(tmp_path):
        assert progress.next_lesson() == "00_start"
        progress.predict("02.third", " 3 ")
        progress.reveal("02.third", 2)
        progress.predict("02.crowd", "")
        progress.reveal("02.crowd", 1)
        progress.predict("00.plain", "six")
        progress.reveal("00.plain", "Six")
        assert capsys.readouterr().out.splitlines() == [
            "noted: 3",
            "the server says: 2 · you said: 3 · not this time: read on",
            "no prediction yet: guess first, it costs nothing",
            "the server says: 1",
            "noted: six",
            "the server says: Six · you said: six · ✓",
        ]
        progress.record("exercise three_messages", outcome="✓")
        progress.done("00")
        assert progress.next_lesson() == "01_follow_one_message"
        capsys.readouterr()
        progress.show_status()
        said = capsys.readouterr().out
        assert "✓ 00_start" in said
        assert "· 02_interrupt\n    – cancel_and_wait\n    ✓ three_messages\n" in said
        assert said.endswith("What surprised you:\n  02.third: you said 3, the server said 2\n")
        (tmp_path / "progress.json").write_text("not JSON")
        assert progress.read() == {}


def test_hints_and_the_solution(capsys: Printed) -> None:
    exercises.hint("three_messages")
    assert 'wb.hint("three_messages", 2)' in capsys.readouterr().out
    exercises.hint("three_messages", 9)
    assert "Still stuck?" not in capsys.readouterr().out
    exercises.solution("three_messages")
    assert '+    if await ctx.get("current", type_hint=str) == task_id:' in capsys.readouterr().out
    with pytest.raises(WorkbenchError, match="There is no exercise 'none'"):
        exercises.hint("none")


def test_an_answer_that_raises_is_a_verdict(bench: Bench, capsys: Printed) -> None:
    exercises.check("retry_with_the_same_key", lambda post, text: 1 / 0)
    said = capsys.readouterr().out
    assert said == "✗ The check could not finish. ZeroDivisionError: division by zero\n"
    assert progress.read()["exercise retry_with_the_same_key"] == {"outcome": "✗"}
