"""The claims as `claims.toml` has them; its head explains the fields."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from workbench.state_dir import WorkbenchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("claims.toml")


@dataclass(frozen=True)
class Claim:
    """One statement of a text, and what is recorded of it."""

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
    """The claims by id, in the order of the file. Raises WorkbenchError if it cannot be read."""
    text = file.read_text(encoding="utf-8")
    starts = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() == "[[claim]]"]
    line = 1
    claims: dict[str, Claim] = {}
    try:
        for line, entry in zip(starts, tomllib.loads(text)["claim"], strict=True):
            claim = Claim(**entry, line=line)
            if claims.setdefault(claim.id, claim) is not claim:
                raise ValueError(f"there is another claim {claim.id!r}")
    except (KeyError, TypeError, ValueError) as error:
        said = str(error).removeprefix("Claim.__init__() ")
        raise WorkbenchError(f"tests/claims/{FILE.name}:{line}: {said}") from error
    return claims
