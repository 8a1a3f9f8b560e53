"""What can go wrong by the user's or the environment's doing; each error carries its exit code.

A message says what happened, why if that is known, and what to do. Only `harness.cli` catches these.
An image that does not work is not an error but a result: see `harness.verdict.judge`.
"""

from __future__ import annotations


class StrixbenchError(Exception):
    """Base of all errors that are shown as one line."""

    exit_code = 1


class UsageError(StrixbenchError):
    """The command line asks for what cannot be."""

    exit_code = 2


class CatalogError(UsageError):
    """A catalog file is wrong."""


class AudioError(UsageError):
    """An audio file or a reference cannot be used."""


class HostError(StrixbenchError):
    """Something that this machine should have is missing or refuses."""

    exit_code = 3


class EngineError(HostError):
    """The container engine is absent, does not answer, or refuses."""


class NoRoomError(EngineError):
    """A disk is too small for what an engine is to build."""


class PackageIndexError(HostError):
    """A package index does not answer, or has not what an image is to be built of."""


class ModelsError(HostError):
    """Model files are missing, or not the ones that were pinned."""


class StoreError(HostError):
    """The store cannot be read or written."""


class RecordError(StoreError):
    """A record cannot be kept, or cannot be read: it alone, not the store."""


class NothingMeasuredError(StrixbenchError):
    """There is no launch to speak of."""

    exit_code = 4


class BuildFailed(Exception):  # noqa: N818 - a result of an image, recorded with it; never shown as our own error
    """An image could not be built. ``log_tail`` holds the last lines of the build's log."""

    def __init__(self, message: str, log_tail: str) -> None:
        super().__init__(message)
        self.log_tail = log_tail
