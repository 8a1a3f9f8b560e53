"""The command line's entry point: runs a verb of `harness.verbs`, and makes an exit code of what it ends in. The only
catcher of our errors.

Results go to stdout, talk to stderr.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from harness import __version__
from harness.controls import one_line
from harness.errors import HostError, StrixbenchError
from harness.verbs import accuracy, caches, calibrate, images, kernels, runs, stored, supplies, verify  # noqa: F401 - importing makes the verbs known
from harness.verbs.base import app

INTERRUPTED = 130
_HOSTS_DOING = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}
"""Errors of the host's files and disks, not ours."""


def main() -> NoReturn:
    """Entry point of the ``strixbench`` command."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.umask(0o022)  # a container's user reads what we write for it; launch folders are closed by their own mode
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows only ASCII is no reason to fail
    try:
        status = app(standalone_mode=False)
    except StrixbenchError as error:
        print(f"strixbench: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:  # `strixbench list | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _HOSTS_DOING:
            raise
        print(one_line(f"strixbench: {error.filename or 'output'}: {error.strerror}"), file=sys.stderr)  # noqa: T201
        sys.exit(HostError.exit_code)
    except Exception as error:
        # Typer's own errors of usage; anything else is a bug and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)
    if status == INTERRUPTED:  # Typer turns Ctrl-C into this status
        print("strixbench: interrupted; every finished launch is in the store", file=sys.stderr)  # noqa: T201
    sys.exit(status if isinstance(status, int) else 0)


def _interrupt(number: int, frame: object) -> None:
    """SIGTERM ends us as Ctrl-C does: with everything tidied up."""
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strixbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Takes `--version`."""
