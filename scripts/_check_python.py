"""Ends with a clear line where Python is too old, before anything newer is read.

Nothing in here, nor in the commands that import it first, is newer than Python 2.7.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (this is the check)
    sys.exit(
        "This needs Python 3.10 or newer, and %s is %d.%d.\n"  # noqa: UP031
        "Install a newer one and start the command with it: python3.12 %s"
        % (sys.executable, sys.version_info[0], sys.version_info[1], " ".join(sys.argv))
    )
