"""`python -m agent`: serve the agent at `AGENT_BIND`."""

import asyncio
import sys

from agent.settings import SettingsError, settings


def main() -> int:
    """Serve until told to stop; a fault that the user can mend is one line on stderr and exit code
    2.
    """
    try:
        bind = f"{settings().host}:{settings().port}"
    except SettingsError as error:
        print(f"agent: {error}", file=sys.stderr)
        return 2

    from agent.log import configure
    from agent.server import serve  # reads the settings too, so they are checked first

    configure()
    try:
        asyncio.run(serve())
    except OSError as error:
        print(
            f"agent: cannot listen on {bind}: {error.strerror}. Set AGENT_BIND to a free one.",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
