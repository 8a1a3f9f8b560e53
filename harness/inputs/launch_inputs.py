"""What a launch reads, whatever its workload: files and folders of this host by names that the guest's module knows."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.catalog.rows import InputRow, WorkloadRow
from harness.errors import UsageError
from harness.inputs.audio import Audio
from harness.inputs.models import Models
from harness.text import nearest


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a workload with all that it needs. A container is shown ``files`` alone, read-only."""

    name: str
    """The fourth part of the cell's id: ``sample-30s``"""
    amount: float
    """What one pass goes through, in the workload's unit"""
    sha256: str
    files: Mapping[str, Path] = {}
    """Files and folders by the names that the guest's module knows, such as ``audio`` and ``models``"""
    variables: Mapping[str, str] = {}
    """Environment variables that are set to where the guest finds a file: variable -> name of the file"""
    models: tuple[str, ...] = ()
    """``repository@commit`` of what was fetched from a hub"""
    numbers: Mapping[str, int] = {}
    """What the guest is told of it, such as ``batch_size``"""
    truth: Path | None = None
    """What the host scores the output by. The guest never sees it; ``None``: there is nothing to score by"""
    highest_error: float | None = None
    """Above this error rate the output is wrong; ``None``: not known what is right"""


def recording_inputs(audio: Audio, models: Models, folders: Mapping[str, Path] | None = None) -> Inputs:
    """A recording with the models of a pipeline, and further folders."""
    files = {"audio": audio.path, **({"models": models.folder} if models.folder else {}), **(folders or {})}
    return Inputs(
        name=audio.name,
        amount=audio.seconds,
        sha256=audio.sha256,
        files=files,
        variables=dict.fromkeys(models.environment, "models") if models.folder else {},
        models=models.revisions,
        truth=audio.reference,
        highest_error=audio.highest_der,
    )


def row_inputs(row: WorkloadRow, pattern: str = "*") -> tuple[Inputs, ...]:
    """The inputs of a workload that reads no files, those whose names match a pattern. Raises `UsageError` where none does."""
    chosen = {name: given for name, given in row.inputs.items() if fnmatch.fnmatchcase(name, pattern)}
    if not chosen:
        raise UsageError(
            f"no input of {row.name} matches {pattern!r}{nearest(pattern, row.inputs)}: there are {', '.join(row.inputs)}"
        )
    return tuple(
        Inputs(name=name, amount=given.amount, numbers=given.numbers, sha256=_hash_of(row.name, name, given))
        for name, given in chosen.items()
    )


def _hash_of(workload: str, name: str, given: InputRow) -> str:
    """What stands for the content of an input that is no file."""
    return hashlib.sha256(msgspec.json.encode((workload, name, given), order="sorted")).hexdigest()
