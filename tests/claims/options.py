"""The command line of `claims`. Only the standard library: it is read before anything is set up."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

_DESCRIPTION = """\
Set up what is missing; then look, on a real Restate server, whether what the two reference texts
say is so, and print it as a table: claim, what is seen, evidence. The exit code is 1 if something
is not as tests/claims/claims.toml has it, or could not be decided.

With --restate or --sdk the same is done for several released versions, and printed as a matrix:
what differs between them is news and no failure, what could not be decided is one.
"""

_EPILOG = """\
examples:
  ./scripts/claims
  ./scripts/claims --only cancel-reaches-leaves-first kill-spares-one-way-calls
  ./scripts/claims --restate 1.6.2,1.7.2,1.7.12 --sdk 1.1.0,1.2.0,1.3.0 --markdown -
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
    parser.add_argument("--only", nargs="+", metavar="ID", default=[], help="these claims only")
    parser.add_argument("--list", action="store_true", help="print the claims, and run nothing")
    parser.add_argument(
        "--restate",
        type=_versions,
        default=[],
        metavar="VERSION,…",
        help="servers, with the SDK that is pinned here",
    )
    parser.add_argument(
        "--sdk",
        type=_versions,
        default=[],
        metavar="VERSION,…",
        help="releases of restate-sdk, with the server that is pinned here",
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="write the matrix to this file, or with - to stdout",
    )
    chosen = parser.parse_args(arguments)
    if chosen.markdown and not chosen.restate and not chosen.sdk:
        parser.error("--markdown writes a matrix: it goes with --restate or --sdk")
    if chosen.list and (chosen.restate or chosen.sdk):
        parser.error("--list runs nothing: it goes with neither --restate nor --sdk")
    return chosen


def _versions(text: str) -> list[str]:
    versions = list(dict.fromkeys(text.split(",")))
    for version in versions:
        if not re.fullmatch(r"\d+\.\d+\.\d+([-.]?[a-z0-9.]+)?", version, re.ASCII):
            raise argparse.ArgumentTypeError(f"{version!r} is no version, such as 1.7.12")
    return versions
