"""The entry point of the command line: runs a verb of `harness.commands` and turns its end into an exit code.

The only place that catches our errors. Results go to stdout, talk to stderr.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness import __version__, places
from harness.commands import opening, register
from harness.commands.app import app
from harness.errors import HostError, StrixbenchError
from harness.text import one_line

if TYPE_CHECKING:
    from harness.campaign.request import OpenEngine

INTERRUPTED = 130
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command. SIGHUP comes when the terminal is closed."""
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
"""Errors of the host's files and disks, which are no bugs."""


def main(run: Callable[..., object] = app, *, open_engine: OpenEngine = opening.open_engine) -> NoReturn:
    """The ``strixbench`` command. ``run`` executes the command line; its verbs open engines with ``open_engine``."""
    _heed_signals()
    os.umask(0o022)  # a container's user reads what we write for it; launch folders are closed by their own mode
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # so that a terminal that knows only ASCII fails nothing
    register(sys.argv[1:])
    try:
        status = run(standalone_mode=False, obj=open_engine)
    except StrixbenchError as error:
        print(f"strixbench: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:  # `strixbench list | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if not _is_hosts_doing(error):
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
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # Python drops its own handlers before it has ended
        print("strixbench: interrupted; every finished launch is in the store", file=sys.stderr)  # noqa: T201
    sys.exit(status if isinstance(status, int) else 0)


def _is_hosts_doing(error: OSError) -> bool:
    """Whether the host caused it. That includes a folder of ours that cannot be made: /proc answers "No such file or
    directory" to that."""
    ours = (places.cache(), places.results(), places.hub_cache())
    missing = error.errno == errno.ENOENT and error.filename is not None
    return error.errno in _HOSTS_DOING or (
        missing and any(Path(os.fsdecode(error.filename)).is_relative_to(folder) for folder in ours)
    )


def _heed_signals() -> None:
    """Make each signal of `_ENDING` end the command as Ctrl-C does, with everything tidied up."""
    for number in _ENDING:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has SIGHUP
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    """Handle the first signal; further ones do not end the tidying."""
    for each in _ENDING:
        signal.signal(each, lambda *_: None)  # not ignored: a process started to tidy up would inherit that
    if number == signal.SIGHUP:
        _leave_the_terminal()
    raise KeyboardInterrupt


def _leave_the_terminal() -> None:
    """Print nowhere: writing to a terminal that is gone fails, and the tidying would fail with it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(nowhere, number)
    os.close(nowhere)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strixbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options of the program itself."""
