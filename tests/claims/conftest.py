"""How a claim is tested: the marker that names it, what was observed, and the server."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.claims.claims import load_claims
from tests.claims.columns import ONLY, REPORT, SERVER, Result
from tests.claims.lab import NOT_THERE, Lab

CLAIMS = load_claims()
_RESULTS = pytest.StashKey[dict[str, Result]]()


class Observed:
    """Takes what a test has observed of each of its claims.

    The words are compared with the entry in `claims.toml`, so they are made of what was found, and
    nothing in them changes from run to run.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(self, claim: str, holds: bool, words: str) -> None:
        assert claim in _ids(self._item), f"the test's marker does not name {claim}"
        results = self._item.stash.setdefault(_RESULTS, {})
        results[claim] = Result("holds" if holds else "differs", words, self._item.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claims(*ids): the claims that the test decides")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave only the tests of the chosen claims, if some were chosen."""
    if chosen := os.environ.get(ONLY, "").split():
        items[:] = [item for item in items if set(chosen) & set(_ids(item))]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Compare what a test has observed with what is recorded."""
    returned = yield
    results = pyfuncitem.stash.get(_RESULTS, {})
    complaints = [
        CLAIMS[id].complaint(*results[id][:2]) if id in results else f"{id} was not decided"
        for id in _ids(pyfuncitem)
        if id not in results or not CLAIMS[id].as_recorded(*results[id][:2])
    ]
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
    return returned


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Write a line of JSON for each claim of a test that is over, if a file was given for them."""
    report: pytest.TestReport = yield
    results = item.stash.setdefault(_RESULTS, {})
    for id in _ids(item):
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            outcome = "not there" if reason.startswith(NOT_THERE) else "not tested"
            results[id] = Result(outcome, reason.removeprefix(NOT_THERE), item.nodeid)
        elif report.failed and (id not in results or report.when == "teardown"):
            crash = getattr(report.longrepr, "reprcrash", None)
            message = str(crash.message if crash else report.longrepr)
            results[id] = Result("error", message, item.nodeid)
    if report.when == "teardown" and (file := os.environ.get(REPORT)):
        chosen = os.environ.get(ONLY, "").split() or _ids(item)
        with Path(file).open("a", encoding="utf-8") as out:
            out.writelines(
                f"{json.dumps([id, results[id]])}\n" for id in _ids(item) if id in chosen
            )
    return report


def _ids(item: pytest.Item) -> tuple[str, ...]:
    return tuple(id for mark in item.iter_markers("claims") for id in mark.args)


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Observed:
    return Observed(request.node)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server that the tests share, of the version that is tested."""
    with Lab.started(tmp_path_factory.mktemp("claims"), os.environ.get(SERVER) or None) as lab:
        yield lab
