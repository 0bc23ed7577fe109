"""How a probe is run, and the server that it looks at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.claims.claim import find_claim, load_claims
from tests.claims.lab import Lab
from tests.claims.probe import NotThere, Observation, as_recorded, is_missing, not_as_recorded
from tests.claims.run_probes import OBSERVED, SERVER
from tests.stack import Stack
from workbench.state_dir import WorkbenchError, use_state_dir


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run a probe, and compare what it has seen with what is recorded."""
    id = getattr(pyfuncitem.function, "claim", None)
    if id is None:
        return None
    claim = find_claim(id, load_claims())
    wanted = pyfuncitem._fixtureinfo.argnames
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in wanted}
    try:
        observation: Observation = pyfuncitem.function(**arguments)
    except Exception as error:
        if not isinstance(error, NotThere) and not is_missing(error):
            raise
        observation = Observation("not there", str(error))
    seen = {"claim": id, "outcome": observation.verdict, "seen": observation.seen}
    pyfuncitem.user_properties.append((OBSERVED, seen))
    if not as_recorded(claim, observation):
        pytest.fail(not_as_recorded(claim, observation), pytrace=False)
    return True


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server that the probes share, of the version that is looked at."""
    home = tmp_path_factory.mktemp("claims")
    with Lab.started(home, os.environ.get(SERVER) or None) as lab:
        yield lab


@pytest.fixture(scope="session")
def pattern(lab: Lab) -> Stack:
    """This repository's agent and the scripted model, on that server.

    The agent uses what is new in the SDK, and may not start with an older one.
    """
    with use_state_dir(lab.home):
        try:
            return Stack.start(max_attempts=3)
        except WorkbenchError as error:
            last = str(error).splitlines()[-1]
            if not last.startswith(("AttributeError: ", "ImportError: ", "TypeError: ")):
                raise
            reason = last.split(" (/")[0]  # without the path of a file
            raise NotThere(f"this repository's agent does not start: {reason}") from error
