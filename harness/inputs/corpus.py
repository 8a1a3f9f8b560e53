"""A folder of recordings with their references -> pairs that can be scored, and the reasons why the others cannot.

The file id in a reference (column 2 of RTTM, column 1 of UEM: https://github.com/nryant/dscore#scoring) is the name of its
recording without the ending. VoxConverse (``audio/ID.wav``, ``dev/ID.rttm``), AMI (``ID/audio/ID.Mix-Headset.wav``,
``only_words/rttms/*/ID.rttm``, ``uems/*/ID.uem``: https://github.com/BUTSpeechFIT/AMI-diarization-setup), DIHARD, and files
that simply lie side by side are laid out like this.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.inputs.corpus_lines import Lines, Turn, parse_rttm, parse_uem
from harness.text import counted

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".sph")

MOST_FILES = 2_000
"""Scored in one run: all results must fit into one journal (`benchmarks.wire.MOST_JOURNAL_BYTES`)."""

MOST_LOOKED_AT = 200_000
"""Files of a folder that are looked at: a folder with more is a disk and no corpus."""

MOST_NAME_CHARACTERS = 100
MOST_NOTES = 20

PREFERRED, PASSED_OVER = "only_words", "word_and_vocalsounds"
"""AMI's two references for each meeting lie in one repository, and its authors and pyannote score against the first."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One recording that can be scored."""

    name: str
    """The file id of its reference."""
    audio: Path
    turns: tuple[Turn, ...]
    regions: tuple[tuple[float, float], ...] | None = None
    """Start and end of each region that a UEM says to score; ``None``: there is no UEM, and everything is scored."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not scored."""

    name: str
    why: str
    is_failure: bool = True
    """Whether the user should have had a result; a recording without a reference can never have one."""


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder holds."""

    pairs: tuple[Pair, ...]
    """By name."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def read_corpus(folder: Path, *, references: Path | None = None, files: str = "*", most_files: int = MOST_FILES) -> Corpus:
    """The pairs of a folder; ``references`` is where its RTTM and UEM files are, ``files`` a glob of recordings to take.

    Raises `UsageError` where there is no folder, or no pair in it.
    """
    found = _files_below(folder)
    texts = _files_below(references) if references is not None else found
    base = references if references is not None else folder
    chosen = [path for path in found if path.suffix.lower() in AUDIO_ENDINGS and _matches(path, folder, files)]
    audio = [path for path in chosen if path.is_file()]
    rttms = [path for path in texts if path.suffix.lower() == ".rttm"]
    notes = []
    if any(PREFERRED in path.parts for path in rttms) and any(PASSED_OVER in path.parts for path in rttms):
        rttms = [path for path in rttms if PASSED_OVER not in path.parts]
        notes.append(f"references are those of {PREFERRED}; the ones of {PASSED_OVER} are passed over")
    corpus = pair_up(
        audio,
        [parse_rttm(_text_of(path), file=_named(path, base), stem=path.stem) for path in rttms],
        [parse_uem(_text_of(path), file=_named(path, base), stem=path.stem) for path in texts if path.suffix.lower() == ".uem"],
        folder=folder,
        odd=[path for path in chosen if not path.is_file()],
    )
    if not corpus.pairs:
        raise UsageError(_no_pairs(folder, chosen, rttms, corpus, files=files))
    if len(corpus.pairs) > most_files:
        raise UsageError(f"{folder} has {len(corpus.pairs)} recordings; at most {most_files} a run: choose some with --files")
    return msgspec.structs.replace(corpus, notes=(*notes, *corpus.notes))


def pair_up(
    audio: Sequence[Path], rttms: Sequence[Lines], uems: Sequence[Lines], *, folder: Path, odd: Sequence[Path] = ()
) -> Corpus:
    """Recordings with their references and scored regions; pure. ``odd`` have the names of recordings and are no plain files."""
    ids = {name for lines in rttms for name in (*lines.of, *lines.bad)}
    recordings: dict[str, list[Path]] = {}
    for path in audio:
        recordings.setdefault(_id_of(path, ids), []).append(path)
    renamed = _renamed(rttms, recordings)
    said, bad = _by_id(rttms, renamed)
    # A UEM may use the id of its recording's reference; it is never taken to belong to another recording.
    regions, bad_regions = _by_id(uems, [each for each in _renamed(uems, recordings) if each in renamed])
    pairs: list[Pair] = []
    left_out: list[LeftOut] = []
    for name, paths in sorted(recordings.items()):
        why = _obstacle(name, paths, said, {**bad_regions, **bad}, regions, folder=folder)
        if why is not None:
            left_out.append(_left_out(name, why, is_failure=name in said or name in bad))
            continue
        turns = next(iter(said[name].values()))
        scored = next(iter(regions[name].values())) if name in regions else None
        of = tuple(Turn(*turn) for turn in turns)  # type: ignore[arg-type]
        pairs.append(Pair(name=name, audio=paths[0], turns=of, regions=scored))  # type: ignore[arg-type]
    refused = {_id_of(path, ids): f"{_named(path, folder)} is not a plain file" for path in odd}
    refused = {name: why for name, why in refused.items() if name not in recordings}
    left_out += [_left_out(name, why, is_failure=name in said or name in bad) for name, why in sorted(refused.items())]
    without = sorted((set(said) | set(bad)) - set(recordings) - set(refused))
    left_out += [_left_out(name, "a reference without a recording", is_failure=False) for name in without]
    known = {*recordings, *refused, *without}
    return Corpus(pairs=tuple(pairs), left_out=tuple(left_out), notes=tuple(_notes(said, uems, regions, bad_regions, known)))


def _left_out(name: str, why: str, *, is_failure: bool) -> LeftOut:
    return LeftOut(name=name[:MOST_NAME_CHARACTERS], why=why, is_failure=is_failure)


def _notes(
    said: Found, uems: Sequence[Lines], regions: Found, bad_regions: Mapping[str, str], known: Collection[str]
) -> list[str]:
    """Remarks on references and UEMs that keep no recording from being scored."""
    notes = []
    twice = [name for name, of in sorted(said.items()) if name in known and len(of) > 1 and len(set(of.values())) == 1]
    if twice:
        notes.append(f"{_listed(said[twice[0]])} say the same of {_listed(twice)}: one of them is read")
    passed_over = [
        lines
        for lines in uems
        if lines.stem in known and lines.stem not in regions and not {*lines.of, *lines.bad} & set(known)
    ]
    notes += [
        f"{lines.file} names {_listed(sorted({*lines.of, *lines.bad}))}, not {lines.stem}: it is not applied to {lines.stem}"
        for lines in passed_over[:MOST_NOTES]
        if lines.stem not in bad_regions
    ]
    told = {name for lines in passed_over for name in (*lines.of, *lines.bad)}
    unknown = sorted((set(regions) | set(bad_regions)) - set(known) - told)
    if unknown:
        notes.append(f"a UEM names {_listed(unknown)}, of which there is neither a recording nor a reference")
    return notes


Found = dict[str, dict[str, tuple[tuple[object, ...], ...]]]
"""File id -> the file that says it -> what it says."""


def _renamed(texts: Iterable[Lines], recordings: Mapping[str, object]) -> list[tuple[str, str]]:
    """(id, name) of each file that holds one id, which no recording has, and that is itself named like a recording."""
    alone = [(lines.stem, {*lines.of, *lines.bad}) for lines in texts if lines.stem in recordings]
    return [(next(iter(names)), stem) for stem, names in alone if len(names) == 1 and not names & set(recordings)]


def _by_id(texts: Iterable[Lines], renamed: Collection[tuple[str, str]]) -> tuple[Found, dict[str, str]]:
    """What the files say about each id. A ``renamed`` one speaks for the recording of its file's name."""
    said: Found = {}
    bad: dict[str, str] = {}
    for lines in texts:
        for name, of in lines.of.items():
            said.setdefault(lines.stem if (name, lines.stem) in renamed else name, {})[lines.file] = of
        for name, why in lines.bad.items():
            bad.setdefault(lines.stem if (name, lines.stem) in renamed else name, why)
    return said, bad


def _obstacle(
    name: str, paths: Sequence[Path], said: Found, bad: Mapping[str, str], regions: Found, *, folder: Path
) -> str | None:
    """Why a recording cannot be scored; ``None``: it can."""
    if name in bad:
        return bad[name]
    if name not in said:
        return "no reference names it"
    if len(paths) > 1:
        return f"ambiguous: {_listed(_named(path, folder) for path in paths)} are recordings of it; choose with --files"
    for kind, found in (("reference", said), ("UEM", regions)):
        of = found.get(name, {})
        if len(set(of.values())) > 1:
            return f"ambiguous: {_listed(of)} each have another {kind} of it; name the folder with --references"
    return None


def _id_of(path: Path, ids: Iterable[str]) -> str:
    """The file id of a recording: its name, or the part before the first dot where a reference has that id."""
    short = path.name.split(".")[0]
    return short if path.stem not in ids and short in ids else path.stem


def _no_pairs(folder: Path, audio: Sequence[Path], rttms: Sequence[Path], corpus: Corpus, *, files: str) -> str:
    """The sentence for a folder in which there is nothing to score."""
    if not audio:
        chosen = f" that matches --files {files}" if files != "*" else ""
        return f"{folder} has no recording{chosen} ({' '.join(AUDIO_ENDINGS)})"
    if not rttms:
        return f"{folder} has {counted(len(audio), 'recording')} and no .rttm file; name their folder with --references"
    first = next((each for each in corpus.left_out if each.is_failure), corpus.left_out[0])
    return (
        f"{folder} has {counted(len(audio), 'recording')} and {counted(len(rttms), '.rttm file')}, and none belong together: a recording is named "
        f"as the second column of its RTTM. {first.name}: {first.why}"
    )


def _files_below(folder: Path) -> list[Path]:
    """Files below a folder, sorted, plain or not; hidden ones and links to folders are passed over. Raises `UsageError`."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name one with recordings and their .rttm files")
    found: list[Path] = []
    looked_at = 0
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        looked_at += len(names)
        if looked_at > MOST_LOOKED_AT:
            raise UsageError(f"{folder} has over {MOST_LOOKED_AT} files; name the folder of the corpus itself")
        found += [Path(at) / name for name in names if not name.startswith(".")]
    return sorted(found)


def _text_of(path: Path) -> str:
    """A reference's text; empty where it cannot be read: the parser then reports it."""
    if not path.is_file():  # reading a pipe would wait for its writer
        return ""
    try:
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _matches(path: Path, folder: Path, pattern: str) -> bool:
    """Whether a recording's name, or its path below the corpus, fits a glob."""
    return fnmatch.fnmatchcase(path.name, pattern) or fnmatch.fnmatchcase(_named(path, folder), pattern)


def _named(path: Path, folder: Path) -> str:
    """A file's path below its folder; the path above it is private."""
    return str(path.relative_to(folder))


def _listed(names: Iterable[str]) -> str:
    """The first three by name, and how many more."""
    words = [name[:MOST_NAME_CHARACTERS] for name in names]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
