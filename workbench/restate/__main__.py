"""`python -m workbench.restate install`: install the embedded server where it will be needed."""

from __future__ import annotations

import sys

from workbench.restate import chosen_mode, docker, install_server
from workbench.state_dir import WorkbenchError


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is 2 for an unknown one, 1 when it fails."""
    if arguments != ["install"]:
        print("usage: python -m workbench.restate install", file=sys.stderr)
        return 2
    try:
        mode = chosen_mode()
        if mode == "embedded" or (mode == "auto" and docker.answering_engine() is None):
            print(install_server())
        else:
            print("No server is installed: Restate runs elsewhere (RESTATE_MODE, or Docker).")
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
