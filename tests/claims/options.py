"""The command line of `claims`. Only the standard library: it is read before anything is set up."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

_DESCRIPTION = """\
Set up what is missing; then test on a real Restate server whether the statements of the two
reference texts are true, and print what was observed. The exit code is 1 if something is not as
recorded in tests/claims/claims.toml, or could not be decided.

With --restate, --sdk or --vqueues the same is done for several versions, and printed as a matrix.
A difference between versions is news, not a failure.
"""

_EPILOG = """\
examples:
  ./scripts/claims
  ./scripts/claims --only cancel-reaches-leaves-first kill-spares-one-way-calls
  ./scripts/claims --restate 1.6.2,1.7.2 --sdk 1.1.0,1.2.0 --vqueues --markdown -
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; ends the process for help, with 0, and for mistakes, with 2."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="claims", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=layout
    )
    add = parser.add_argument
    add("--only", nargs="+", metavar="ID", default=[], help="test these claims only")
    versions = {"type": _versions, "default": [], "metavar": "VERSION,…"}
    add("--restate", **versions, help="servers, each with the SDK that is pinned here")
    add("--sdk", **versions, help="releases of restate-sdk, each with the server pinned here")
    add("--vqueues", action="store_true", help="the pinned server with its experimental vqueues")
    add("--markdown", metavar="FILE", help="write the matrix to this file, or with - to stdout")
    chosen = parser.parse_args(arguments)
    if chosen.markdown and not (chosen.restate or chosen.sdk or chosen.vqueues):
        parser.error("--markdown writes a matrix: add --restate, --sdk or --vqueues")
    return chosen


def _versions(text: str) -> list[str]:
    versions = text.split(",")
    for version in versions:
        if not re.fullmatch(r"\d+\.\d+\.\d+([-.]?[a-z0-9.]+)?", version, re.ASCII):
            raise argparse.ArgumentTypeError(f"{version!r} is not a version such as 1.7.12")
    return versions
