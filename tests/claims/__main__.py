"""`python -m tests.claims`: what `./scripts/claims` does once all is set up."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from functools import partial
from pathlib import Path

from tests.claims.claims import Claim, ClaimsError, load_claims
from tests.claims.columns import Column, Result, columns, run_tests
from tests.claims.matrix import (
    Found,
    as_markdown,
    is_unexpected,
    overview,
    result_line,
    rows,
    summary,
)
from tests.claims.options import parse
from tests.own_home import own_home
from workbench.command import run_command
from workbench.state_dir import WorkbenchError, state_dir


def main(arguments: list[str]) -> int:
    """The exit code: 1 if something is not as recorded or could not be decided, 130 for Ctrl-C."""
    chosen = parse(arguments)
    try:
        recorded = load_claims()
    except ClaimsError as error:
        print(error, file=sys.stderr)
        return 1
    if unknown := [id for id in chosen.only if id not in recorded]:
        said = f"There is no claim {unknown[0]!r}; ./scripts/claims --list shows all."
        print(said, file=sys.stderr)
        return 1
    claims = [recorded[id] for id in chosen.only] or list(recorded.values())
    if chosen.list:
        for claim in claims:
            lesson = claim.lesson or f"none: {claim.no_lesson}"
            print(f"{claim.id}\n  {claim.says}\n  {claim.verdict} · lesson {lesson}")
        return 0
    command = shlex.join(["./scripts/claims", *arguments])
    return run_command(lambda: _run(chosen, claims, command))


def _run(chosen: argparse.Namespace, claims: list[Claim], command: str) -> int:
    wanted = columns(chosen.restate, chosen.sdk, chosen.vqueues)
    kept = state_dir() / "logs" / "claims"
    kept.mkdir(parents=True, exist_ok=True)
    # With --markdown - stdout is for the matrix.
    out = sys.stderr if chosen.markdown == "-" else sys.stdout
    found: dict[Column, dict[str, Result]] = {}
    with own_home("claims-") as folder:
        environments = {column: column.prepare(partial(print, file=out)) for column in wanted}
        for column, env in environments.items():
            began = time.monotonic()
            try:
                found[column] = run_tests(claims, column, env, _show)
            finally:
                if (log := folder / "logs" / "claims.log").exists():
                    name = str(column).replace(", ", "-").replace(" ", "-").lower()
                    shutil.copyfile(log, kept / f"{name}.log")
            seconds = time.monotonic() - began
            print(f"{column}: {summary(claims, found[column])} ({seconds:.0f} s)", file=out)
    if len(wanted) == 1:
        print(*(result_line(claim, found[Column()][claim.id]) for claim in claims), sep="\n")
    elif chosen.markdown:
        _write(chosen.markdown, as_markdown(wanted, rows(claims, found), command))
    else:
        print(overview(wanted, rows(claims, found)))
    return _complain(claims, found, kept)


def _show(column: Column, done: int, count: int) -> None:
    """Show on a terminal how many claims of a column are decided; the line goes in the end."""
    if sys.stderr.isatty():
        said = f"{column}: {done} of {count} claims" if done < count else ""
        print(f"\r\033[K{said}", end="", flush=True, file=sys.stderr)


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
                    f"  error:    {result.observed.splitlines()[0]}\n"
                    "  Run it again; the whole report is in its log (see below)."
                )
            elif column.pinned and is_unexpected(claim, result):
                said = claim.complaint(*result[:2])
            else:
                continue
            print(f"\n{column}\n{said}\n  evidence: {result.evidence}", file=sys.stderr)
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
