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


class ClaimsError(Exception):
    """A fault in the file of claims. The message says where, and what to do."""


@dataclass(frozen=True)
class Claim:
    """One statement of a text; the head of `claims.toml` explains the fields."""

    id: str
    text: str
    section: str
    says: str
    verdict: str
    observed: str
    lesson: str = ""
    shown: str = ""
    no_lesson: str = ""
    not_counted: str = ""
    line: int = 0
    """Where in the file the entry begins."""

    @property
    def place(self) -> str:
        return f"tests/claims/{FILE.name}:{self.line}"

    def as_recorded(self, outcome: str, observed: str) -> bool:
        return (outcome, observed) == (self.verdict, self.observed)

    def complaint(self, outcome: str, observed: str) -> str:
        """The message for a result that is not as the entry says."""
        return (
            f"Claim {self.id} is not as recorded.\n"
            f"  says:     {self.says}\n"
            f"            ({self.text}, {self.section!r})\n"
            f"  place:    {self.place}\n"
            f"  expected: {self.verdict}: {self.observed}\n"
            f"  observed: {outcome}: {observed}"
        )


def load_claims(file: Path = FILE) -> dict[str, Claim]:
    """The claims by id, in the order of the file. Raises ClaimsError for the first fault."""
    text = file.read_text(encoding="utf-8")
    try:
        entries = tomllib.loads(text).get("claim", [])
    except tomllib.TOMLDecodeError as error:
        raise ClaimsError(f"{file.name} is not TOML: {error}") from error
    starts = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() == "[[claim]]"]
    claims: dict[str, Claim] = {}
    for line, entry in zip(starts, entries, strict=True):
        if fault := next(_faults(entry, claims), None):
            raise ClaimsError(f"tests/claims/{FILE.name}:{line}: {fault}")
        claims[entry["id"]] = Claim(**entry, line=line)
    return claims


def _faults(entry: dict[str, Any], others: dict[str, Claim]) -> Any:
    known = [field.name for field in fields(Claim) if field.name != "line"]
    for name, value in entry.items():
        if name not in known or not isinstance(value, str):
            yield f"unknown entry {name} = {value!r}."
    for name in known[:6]:
        if not entry.get(name):
            yield f"{name} is missing."
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", entry["id"]):
        yield f"the id {entry['id']!r} is not lower-case words joined by dashes."
    if entry["id"] in others:
        yield f"there is another claim {entry['id']!r}."
    if entry["text"] not in TEXTS:
        yield f"the text is one of {', '.join(TEXTS)}, not {entry['text']!r}."
    if entry["verdict"] not in ("holds", "differs"):
        yield f"the verdict is holds or differs, not {entry['verdict']!r}."
    if bool(entry.get("lesson")) == bool(entry.get("no_lesson")):
        yield "give either lesson, or the reason why there is none in no_lesson."
    if bool(entry.get("lesson")) != bool(entry.get("shown")):
        yield "lesson and shown go together: the section, and words of a code cell in it."
