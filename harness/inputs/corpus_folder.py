"""A corpus as a launch reads it: one folder with a manifest and each recording as 16 kHz mono WAV. Beside it, and never mounted,
lies the file of its references, by which the host scores."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from harness import places
from harness.errors import AudioError, UsageError
from harness.inputs.audio import Audio, prepare_audio
from harness.inputs.corpus import MOST_NAME_CHARACTERS, Corpus, LeftOut, Pair
from harness.inputs.corpus_lines import Turn
from harness.text import Say

MANIFEST = "manifest.json"
"""`benchmarks.workloads.accuracy`, which reads it, describes its layout."""

RECORDINGS = "recordings"
"""The folder that a guest sees"""

REFERENCES = "references.json"

MOST_OVERHANG_SECONDS = 2.0
"""A reference that reaches at most this far past its recording is cut: annotators round, and encoders drop a last frame."""

SHORTEST_LIMIT_SECONDS = 600.0

LIMIT_FACTOR = 10
"""A pass that takes ten times the recording's length is one that hangs: the slowest CPU seen needs half of it."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in one recording."""

    name: str
    turns: tuple[Turn, ...]
    regions: tuple[tuple[float, float], ...] | None = None
    """Start and end of each part that is scored; ``None``: everything"""


class CorpusFile(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of a corpus that was laid out."""

    name: str
    seconds: float
    limit_seconds: float
    """Its pass is ended after this time."""


class CorpusFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A corpus that was laid out."""

    path: Path
    """What a guest sees"""
    truth: Path
    """The references, in the order of ``files``: see `read_references`"""
    sha256: str
    """The hash of all recordings and references: two runs with the same hash were scored on the same data."""
    first: Audio
    """The recording that a launch loads its pipeline with."""
    files: tuple[CorpusFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The length of all recordings together."""
        return sum(file.seconds for file in self.files)


def lay_out(corpus: Corpus, folder: Path, *, say: Say, limit_seconds: float | None = None) -> CorpusFolder:
    """Normalise a corpus' recordings, from the cache where that was done before, and link them beside a manifest.

    A recording that cannot be read, or in which nothing of its reference lies, is left out with the reason. Raises `UsageError`
    where none is left.
    """
    ready: list[tuple[Pair, Audio]] = []
    left_out, notes = list(corpus.left_out), list(corpus.notes)
    for number, pair in enumerate(corpus.pairs, 1):
        say(f"reading {pair.name} ({number} of {len(corpus.pairs)})")
        name = pair.name[:MOST_NAME_CHARACTERS]
        try:
            audio = prepare_audio(pair.audio)
        except AudioError as error:
            left_out.append(LeftOut(name=name, why=str(error).replace(f"{folder}{os.sep}", "")))
            continue
        found = within(pair, audio.seconds)
        if isinstance(found, str):
            left_out.append(LeftOut(name=name, why=found))
            continue
        cut, note = found
        ready.append((cut, audio))
        notes += [f"{name}: {note}"] if note else []
    if not ready:
        raise UsageError(f"no recording of {folder} can be scored. {left_out[-1].name}: {left_out[-1].why}")
    digest = hashlib.sha256(b"\0".join([_all_of(ready), *(audio.sha256.encode() for _, audio in ready)])).hexdigest()
    path = places.cache() / "corpora" / digest[:32]
    if not (path / RECORDINGS / MANIFEST).exists():
        _write_folder(path, ready)
    return CorpusFolder(
        path=path / RECORDINGS,
        truth=path / REFERENCES,
        sha256=digest,
        first=ready[0][1],
        files=tuple(
            CorpusFile(
                name=pair.name[:MOST_NAME_CHARACTERS],
                seconds=audio.seconds,
                limit_seconds=limit_seconds or max(SHORTEST_LIMIT_SECONDS, LIMIT_FACTOR * audio.seconds),
            )
            for pair, audio in ready
        ),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def within(pair: Pair, seconds: float) -> tuple[Pair, str] | str:
    """A pair cut to its recording's length with a remark (empty: nothing was cut), or the reason why it cannot be scored.

    No image can find a turn after the end of the audio. It would count as missed, and the image would answer for a reference that
    is too long or belongs to another recording.
    """
    ends = max((turn.start + turn.duration for turn in pair.turns), default=0.0)
    if ends > seconds + MOST_OVERHANG_SECONDS:
        return f"its reference ends {ends:.1f} s, the recording {seconds:.1f} s: is it another recording's?"
    turns = tuple(
        turn if turn.start + turn.duration <= seconds else turn._replace(duration=seconds - turn.start)
        for turn in pair.turns
        if turn.start < seconds
    )
    regions = pair.regions
    if regions is not None:
        regions = tuple((start, min(end, seconds)) for start, end in regions if start < seconds)
        if not regions:
            return f"nothing is left to score: all regions of its UEM lie after the recording's end at {seconds:.1f} s"
    areas = ((0.0, math.inf),) if regions is None else regions
    if not any(max(turn.start, begin) < min(turn.start + turn.duration, end) for turn in turns for begin, end in areas):
        where = "in the regions of its UEM" if regions is not None else "in the recording"
        return f"nothing is left to score: its reference has no speech {where}"
    over = {"reference": ends - seconds, "UEM": max((end for _, end in pair.regions or ()), default=0.0) - seconds}
    notes = (f"its {kind} was cut by {by:.2f} s to the recording's end" for kind, by in over.items() if by >= 0.01)
    return msgspec.structs.replace(pair, turns=turns, regions=regions), " and ".join(notes)


def read_references(truth: Path) -> tuple[Reference, ...]:
    """The references of a corpus that was laid out, as `CorpusFolder.truth` has them."""
    return msgspec.json.decode(truth.read_bytes(), type=tuple[Reference, ...])


def _files(ready: list[tuple[Pair, Audio]]) -> list[dict[str, str]]:
    """What a guest is told of the recordings. A file id has no blanks: RTTM's columns are parted by them."""
    return [{"audio": f"{number:04d}.wav", "name": re.sub(r"\s+", "_", pair.name)} for number, (pair, _) in enumerate(ready)]


def _all_of(ready: list[tuple[Pair, Audio]]) -> bytes:
    """All that a corpus says, for its hash: the same corpus gives the same bytes."""
    told = [
        {**file, "turns": pair.turns, "regions": pair.regions} for file, (pair, _) in zip(_files(ready), ready, strict=True)
    ]
    return msgspec.json.encode({"files": told})


def _write_folder(path: Path, ready: list[tuple[Pair, Audio]]) -> None:
    """Make the folder whole or not at all. A container's user may read the recordings. Links take no room; copies are made where
    links fail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, suffix=".part"))
    try:
        seen = part / RECORDINGS
        seen.mkdir()
        for number, (_, audio) in enumerate(ready):
            target = seen / f"{number:04d}.wav"
            try:
                os.link(audio.path, target)
            except OSError:
                shutil.copyfile(audio.path, target)
        (seen / MANIFEST).write_bytes(msgspec.json.encode({"files": _files(ready)}))
        (seen / MANIFEST).chmod(0o644)
        for folder in (seen, part):
            folder.chmod(0o755)
        references = [Reference(name=pair.name, turns=pair.turns, regions=pair.regions) for pair, _ in ready]
        (part / REFERENCES).write_bytes(msgspec.json.encode(references))
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
