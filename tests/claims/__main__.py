"""`python -m tests.claims`: what `./scripts/claims` does once all is set up."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from datetime import date
from pathlib import Path

from rich.console import Console

from tests.claims.claim import Claim, ClaimsError, find_claim, load_claims
from tests.claims.column import Column, columns
from tests.claims.look import Result, look
from tests.claims.markdown import as_markdown
from tests.claims.matrix import rows, show_matrix
from tests.claims.options import parse
from tests.claims.progress import Progress
from tests.claims.table import complaint, is_unexpected, show_list, show_results, summary
from tests.own_home import own_home
from workbench.command import run_command
from workbench.state_dir import WorkbenchError, state_dir

_WIDTH = 150  # where no terminal says how wide it is


def main(arguments: list[str]) -> int:
    """The exit code: 1 when something is not as recorded or could not be decided, 130 Ctrl-C."""
    chosen = parse(arguments)
    try:
        recorded = load_claims()
        claims = [find_claim(id, recorded) for id in chosen.only] or list(recorded.values())
    except ClaimsError as error:
        print(error, file=sys.stderr)
        return 1
    # With --markdown - stdout is the matrix's.
    console = Console(highlight=False, stderr=chosen.markdown == "-")
    if not console.is_terminal:
        console.width = _WIDTH
    if chosen.list:
        show_list(console, claims)
        return 0
    command = shlex.join(["./scripts/claims", *arguments])
    return run_command(lambda: _run(chosen, claims, console, command))


def _run(chosen: argparse.Namespace, claims: list[Claim], console: Console, command: str) -> int:
    wanted = columns(chosen.restate, chosen.sdk)
    kept = state_dir() / "logs" / "claims"
    with own_home("claims-") as folder:
        try:
            envs = {column: column.prepare(console.print) for column in wanted}
            found: dict[Column, dict[str, Result]] = {}
            for column, env in envs.items():
                with Progress(console, str(column), len(claims)) as progress:
                    found[column] = look(claims, column, env, progress.done)
                _keep(folder, kept, column)
        except WorkbenchError:
            _keep(folder, kept, None)
            raise
    pinned = found[Column()]
    if len(wanted) == 1:
        show_results(console, claims, pinned)
    else:
        matrix = rows(claims, found)
        for column, results in found.items():
            console.print(f"{column}: {summary(results)}")
        show_matrix(console, wanted, matrix)
        if chosen.markdown:
            _write(chosen.markdown, as_markdown(wanted, matrix, command, date.today()))
    return _complain(claims, found, kept)


def _complain(claims: list[Claim], found: dict[Column, dict[str, Result]], kept: Path) -> int:
    """Say what is wrong: all that is unexpected with the pinned versions, errors with any."""
    code = 0
    for column, results in found.items():
        for claim in claims:
            result = results[claim.id]
            if result.outcome == "error" or (column.pinned and is_unexpected(claim, result)):
                print(f"\n{column}\n{complaint(claim, result)}", file=sys.stderr)
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


def _keep(folder: Path, kept: Path, column: Column | None) -> None:
    """Keep pytest's report of a column, whatever becomes of the run's home."""
    kept.mkdir(parents=True, exist_ok=True)
    name = "last" if column is None else f"restate-{column.server}-sdk-{column.sdk}"
    log = folder / "logs" / "claims.log"
    if log.exists():
        shutil.copyfile(log, kept / f"{name}.log")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
