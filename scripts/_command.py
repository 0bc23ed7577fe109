"""What every command has in common: how it ends, and how it runs other programs."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

# What a child that is asked to end may take for it: pytest stops servers, the series kernels.
_GRACE_SECONDS = 30.0


class CommandError(Exception):
    """The command cannot go on; the message says why and what to do."""


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run `main` with the command line's arguments and exit with what it returns; 130 is Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show becomes "?"
            stream.reconfigure(errors="replace", line_buffering=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # to end is to be interrupted
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        code = main(sys.argv[1:])
    except CommandError as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        code = 130
    sys.exit(code)


@contextlib.contextmanager
def child(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command`; whatever happens in the block, it is gone when the block is left.

    `env` is added to this process's environment. `log` takes the output, which else goes where ours
    goes. The child leads a session of its own, so that Ctrl-C reaches this process alone, and this
    process ends the child in order.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(f"Cannot start {command[0]}: {error.strerror}.") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the child to stop what it does (SIGINT), then end it and what it started (SIGKILL)."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # asked twice: at once
        process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left to signal
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
