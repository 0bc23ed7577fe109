"""`python -m workbench.restate install`: install the embedded server ahead of its first start."""

from __future__ import annotations

import sys

from workbench.errors import WorkbenchError
from workbench.restate.install import install_server


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is 2 for an unknown one, 1 when it fails."""
    if arguments != ["install"]:
        print("usage: python -m workbench.restate install", file=sys.stderr)
        return 2
    try:
        print(install_server())
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
