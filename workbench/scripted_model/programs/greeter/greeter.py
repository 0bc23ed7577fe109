"""A small greeter for the command line, which also says what was asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

REQUEST = "Say hello"


def greeting(name: str, *, excited: bool = False) -> str:
    """Return a greeting for `name`; an empty name raises ValueError."""
    if not name.strip():
        raise ValueError("a greeting needs a name")
    return f"Hello, {name.strip()}{'!' if excited else '.'}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="greeter", description=__doc__)
    parser.add_argument("name", nargs="?", default="world", help="whom to greet")
    parser.add_argument("--excited", action="store_true", help="greet with an exclamation mark")
    args = parser.parse_args(argv)
    try:
        print(greeting(args.name, excited=args.excited))
    except ValueError as error:
        parser.error(str(error))
    print(f"You asked for: {REQUEST}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
