"""`python -m tests.claims`: what `./scripts/claims` does once all is set up."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

from tests.claims.claims import Claim, ClaimsError, load_claims
from tests.claims.columns import Column, Result, columns, run_tests
from tests.claims.matrix import (
    Found,
    as_markdown,
    is_unexpected,
    rows,
    show_list,
    show_matrix,
    show_results,
    summary,
)
from tests.claims.options import parse
from tests.own_home import own_home
from workbench.command import run_command
from workbench.errors import WorkbenchError
from workbench.home import home

_WIDTH = 150  # where no terminal says how wide it is


def main(arguments: list[str]) -> int:
    """The exit code: 1 if something is not as recorded or could not be decided, 130 for Ctrl-C."""
    chosen = parse(arguments)
    try:
        recorded = load_claims()
        claims = [_find(id, recorded) for id in chosen.only] or list(recorded.values())
    except ClaimsError as error:
        print(error, file=sys.stderr)
        return 1
    # With --markdown - stdout is for the matrix.
    console = Console(highlight=False, stderr=chosen.markdown == "-")
    if not console.is_terminal:
        console.width = _WIDTH
    if chosen.list:
        show_list(console, claims)
        return 0
    command = shlex.join(["./scripts/claims", *arguments])
    return run_command(lambda: _run(chosen, claims, console, command))


def _find(id: str, claims: dict[str, Claim]) -> Claim:
    if id not in claims:
        raise ClaimsError(f"There is no claim {id!r}; ./scripts/claims --list shows all.")
    return claims[id]


def _run(chosen: argparse.Namespace, claims: list[Claim], console: Console, command: str) -> int:
    wanted = columns(chosen.restate, chosen.sdk, chosen.vqueues)
    kept = home() / "logs" / "claims"
    kept.mkdir(parents=True, exist_ok=True)
    found: dict[Column, dict[str, Result]] = {}
    with own_home("claims-") as folder:
        environments = {column: column.prepare(console.print) for column in wanted}
        for column, env in environments.items():
            try:
                found[column] = _run_column(column, env, claims, console)
            finally:
                if (log := folder / "logs" / "claims.log").exists():
                    name = str(column).replace(", ", "-").replace(" ", "-").lower()
                    shutil.copyfile(log, kept / f"{name}.log")
    if len(wanted) == 1:
        show_results(console, claims, found[Column()])
    else:
        matrix = rows(claims, found)
        for column, results in found.items():
            console.print(f"{column}: {summary(claims, results)}")
        show_matrix(console, wanted, matrix)
        if chosen.markdown:
            _write(chosen.markdown, as_markdown(wanted, matrix, command))
    return _complain(claims, found, kept)


def _run_column(
    column: Column, env: dict[str, str], claims: list[Claim], console: Console
) -> dict[str, Result]:
    """Run the tests of a column; a terminal shows how far they are."""
    began, many = time.monotonic(), f"{len(claims)} claim{'s' * (len(claims) != 1)}"
    with console.status(f"{column}: {many}") as status:
        results = run_tests(
            claims, column, env, lambda done: status.update(f"{column}: {done} of {many}")
        )
    console.print(f"{column}: {many} in {time.monotonic() - began:.0f} s")
    return results


def _complain(claims: list[Claim], found: Found, kept: Path) -> int:
    """Say what is wrong: all that is unexpected with the pinned versions, errors with any."""
    code = 0
    for column, results in found.items():
        for claim in claims:
            result = results[claim.id]
            if result.outcome == "error":
                said = (
                    f"Claim {claim.id} could not be decided.\n"
                    f"  place:    {claim.place}\n"
                    f"  evidence: {result.evidence}\n"
                    f"  error:    {result.observed.splitlines()[0]}\n"
                    "  Run it again; the whole report is in its log (see below)."
                )
            elif column.pinned and is_unexpected(claim, result):
                said = f"{claim.complaint(*result[:2])}\n  evidence: {result.evidence}"
            else:
                continue
            print(f"\n{column}\n{said}", file=sys.stderr)
            code = 1
    if code:
        print(f"\nThe logs of this run are in {kept}", file=sys.stderr)
    return code


def _write(target: str, text: str) -> None:
    if target == "-":
        print(text, end="")
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkbenchError(f"Cannot write {target}: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
