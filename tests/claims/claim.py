"""The claims as `claims.toml` has them."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("claims.toml")

TEXTS = ("interrupt-and-regenerate", "managing-invocations")
VERDICTS = ("holds", "differs")


class ClaimsError(Exception):
    """The file of claims is not as it must be; the message says where, and what to do."""


@dataclass(frozen=True)
class Claim:
    """One statement of a text."""

    id: str
    text: str
    """The reference text that says it, and the section of it."""
    section: str
    says: str
    """The statement, in our words."""
    verdict: str
    """`holds`, or `differs` where something else was seen, or the same with exceptions."""
    seen: str
    evidence: str
    """The probe, as pytest names it, below tests/claims."""
    lesson: str
    """The notebook, and after a colon a line of its source, where a reader sees it."""
    no_lesson: str
    """Why no lesson shows it."""
    line: int
    """Where in the file the entry begins."""

    @property
    def place(self) -> str:
        return f"tests/claims/{FILE.name}:{self.line}"


def load_claims(file: Path = FILE) -> dict[str, Claim]:
    """The claims by id, in the order of the file. Raises ClaimsError for the first fault."""
    text = file.read_text(encoding="utf-8")
    try:
        entries = tomllib.loads(text).get("claim", [])
    except tomllib.TOMLDecodeError as error:
        raise ClaimsError(f"{file.name} is not TOML: {error}") from error
    lines = [
        number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[claim]]"
    ]
    claims: dict[str, Claim] = {}
    for line, entry in zip(lines, entries, strict=True):
        claim = _claim(entry, line)
        if claim.id in claims:
            raise ClaimsError(f"{claim.place}: there is another claim {claim.id!r}.")
        claims[claim.id] = claim
    return claims


def find_claim(id: str, claims: dict[str, Claim]) -> Claim:
    """Raises ClaimsError when there is none."""
    if id not in claims:
        raise ClaimsError(f"There is no claim {id!r}; ./scripts/claims --list shows all.")
    return claims[id]


def _claim(entry: dict[str, Any], line: int) -> Claim:
    names = [field.name for field in fields(Claim) if field.name != "line"]
    given: dict[str, str] = dict.fromkeys(names, "")
    place = f"tests/claims/{FILE.name}:{line}"
    for name, value in entry.items():
        if name not in given or not isinstance(value, str):
            raise ClaimsError(f"{place}: {name!r} = {value!r} means nothing here.")
        given[name] = value
    claim = Claim(**given, line=line)
    for fault in _faults(claim):
        raise ClaimsError(f"{place}: claim {claim.id!r}: {fault}")
    return claim


def _faults(claim: Claim) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", claim.id):
        faults.append("the id is words in small letters with dashes between them.")
    if claim.text not in TEXTS:
        faults.append(f"the text is one of {', '.join(TEXTS)}, not {claim.text!r}.")
    if claim.verdict not in VERDICTS:
        faults.append(f"the verdict is one of {', '.join(VERDICTS)}, not {claim.verdict!r}.")
    faults += [
        f"{name} is missing."
        for name in ("section", "says", "seen", "evidence")
        if not getattr(claim, name)
    ]
    if not claim.lesson and not claim.no_lesson:
        faults.append("no lesson shows it: say why in no_lesson.")
    if claim.lesson and claim.no_lesson:
        faults.append("either lesson or no_lesson.")
    return faults
