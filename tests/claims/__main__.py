"""`python -m tests.claims`: what `./scripts/claims` does once all is set up."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from functools import partial
from pathlib import Path

from tests.claims.claims import Claim, load_claims
from tests.claims.columns import Column, columns, run_tests
from tests.claims.matrix import Found, as_markdown, is_unexpected, one_line, overview, summary
from tests.claims.options import parse
from workbench.command import run_command
from workbench.own_home import own_home
from workbench.state_dir import WorkbenchError, state_dir

say = partial(print, file=sys.stderr)


def main(arguments: list[str]) -> int:
    """The exit code: 1 if something is not as recorded or could not be decided, 130 for Ctrl-C."""
    chosen = parse(arguments)
    command = shlex.join(["./scripts/claims", *arguments])
    return run_command(lambda: _run(chosen, command))


def _run(chosen: argparse.Namespace, command: str) -> int:
    recorded = load_claims()
    if unknown := [id for id in chosen.only if id not in recorded]:
        raise WorkbenchError(f"There is no claim {unknown[0]!r} in tests/claims/claims.toml.")
    claims = [recorded[id] for id in chosen.only] or list(recorded.values())
    wanted = columns(chosen.restate, chosen.sdk, chosen.vqueues)
    logs = state_dir() / "logs" / "claims"
    logs.mkdir(parents=True, exist_ok=True)
    found: Found = {}
    with own_home("claims-"):
        environments = {column: column.prepare(say) for column in wanted}
        for column, env in environments.items():
            say(f"{column}: a minute or two …")
            began = time.monotonic()
            found[column] = run_tests(claims, column, env, logs)
            seconds = time.monotonic() - began
            say(f"{column}: {summary(claims, found[column])} ({seconds:.0f} s)")
    if len(wanted) == 1:
        for claim in claims:
            result = found[wanted[0]][claim.id]
            words = result.outcome if result.outcome == "holds" else one_line(str(result))
            print(f"{'✗' if is_unexpected(claim, result) else ' '} {claim.id:42} {words}")
    elif chosen.markdown:
        _write(chosen.markdown, as_markdown(claims, found, command))
    else:
        print(overview(claims, found))
    return _complain(claims, found, logs)


def _complain(claims: list[Claim], found: Found, logs: Path) -> int:
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
            elif column == Column() and is_unexpected(claim, result):
                said = claim.complaint(*result[:2])
            else:
                continue
            say(f"\n{column}\n{said}\n  evidence: {result.evidence}")
            code = 1
    if code:
        say(f"\nThe logs of this run are in {logs}")
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
