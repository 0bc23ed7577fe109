"""Probes: functions that look, and say what they have seen.

A probe is a pytest function that returns an `Observation`. What pytest then compares is that with
the claim's entry in `claims.toml`: the verdict, and the words for what is seen. So these words are
made of what was found, and hold nothing that changes from run to run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from workbench import AdminError

if TYPE_CHECKING:
    from tests.claims.claim import Claim

F = TypeVar("F", bound=Callable[..., "Observation"])


@dataclass(frozen=True)
class Observation:
    """What a probe has found: whether the claim holds, and what was seen."""

    verdict: str
    seen: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.seen}"


class NotThere(Exception):
    """This server, or this SDK, does not have what the claim is about."""


def holds_if(condition: bool, seen: str) -> Observation:
    """The claim holds if so, and differs if not; either way, this was seen."""
    return Observation("holds" if condition else "differs", seen)


def probe(claim: str) -> Callable[[F], F]:
    """Make a function the evidence of the claim with that id."""

    def _decorate(look: F) -> F:
        look.claim = claim  # type: ignore[attr-defined]
        return look

    return _decorate


def is_missing(error: Exception) -> bool:
    """Whether an error says that the server has no such endpoint, table or column."""
    if not isinstance(error, AdminError):
        return False
    if error.status_code == 405:
        return True
    if error.status_code == 404:  # for what is known, but not found, it has words of its own
        return error.message in ("Not Found", "")
    return any(words in error.message for words in ("No field named", "table '", "not found: "))


def as_recorded(claim: Claim, observation: Observation) -> bool:
    """Whether the claim's entry says just what was observed."""
    return (claim.verdict, claim.seen) == (observation.verdict, observation.seen)


def not_as_recorded(claim: Claim, observation: object) -> str:
    """The message for a claim that is not as its entry says; it names both places."""
    return (
        f"Claim {claim.id} is not as recorded.\n"
        f"  says:     {claim.says}\n"
        f"            ({claim.text}, {claim.section!r})\n"
        f"  place:    {claim.place}\n"
        f"  evidence: tests/claims/{claim.evidence}\n"
        f"  expected: {claim.verdict}: {claim.seen}\n"
        f"  seen:     {observation}"
    )
