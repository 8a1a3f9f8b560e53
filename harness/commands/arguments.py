"""Parses the words of a command line: images, engine, limits, sizes, prices. A wrong word is refused with the nearest right one.

Imports nothing heavy, because `--dry-run` needs it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.rows import GPU_FAMILIES, Catalog, Image
from harness.catalog.select import foreign_image, is_portable, looks_like_reference, portable, select_images
from harness.errors import UsageError
from harness.inputs.decoding import LONGEST_SECONDS, SAMPLE_RATE_HERTZ
from harness.records.price import Price
from harness.text import Say, nearest

DEFAULT_IMAGE = "local-cpu"

MOST_TIMEOUT_SECONDS = 30 * 24 * 3600

LEAST_MEMORY_BYTES = 64 << 20
"""A limit below this is a slip: an interpreter with torch takes several times as much."""

MOST_DURATIONS = 12

MOST_PRICE = 1_000_000
"""For a kilowatt hour or an hour of the machine, in any currency. A higher price is a slip, and its products overflow."""

MOST_PASTED_BYTES = 10_000_000
"""How much of a log's end is read: no traceback is longer, and a log says at its end why it ends."""


def named_images(
    known: Catalog, names: Sequence[str] | None, *, family: str | None = None, as_portable: bool = False
) -> tuple[Image, ...]:
    """The images that a command line names, each once, or their portable forms. A glob passes over images that have none.

    Raises `UsageError` for a name that matches nothing.
    """
    of_family = parse_family(family)
    chosen: dict[str, Image] = {}
    for name in names or [DEFAULT_IMAGE]:
        matched = select_images(known, name)
        if not matched:
            if not looks_like_reference(name):
                near = nearest(name, known.images)
                raise UsageError(f"no image in the catalog matches {name!r}{near}; `strixbench list` shows them")
            matched = (foreign_image(name, family=of_family),)
        if as_portable:
            possible = tuple(image for image in matched if is_portable(image)) or matched[:1]
            matched = tuple(portable(image, known) for image in possible)
        chosen |= {image.name: image for image in matched}
    return tuple(chosen.values())


def parse_durations(text: str | None, audio_seconds: float | None) -> tuple[float | None, ...]:
    """``--durations`` as lengths in seconds, or the one length of ``--audio-seconds``. Raises `UsageError`.

    Two lengths must differ in whole seconds, because their names have no more.
    """
    if text is None:
        return (audio_seconds,)
    if audio_seconds is not None:
        raise UsageError("--durations and --audio-seconds exclude each other: each gives the audio a length")
    try:
        lengths = tuple(float(word) for word in text.split(",")) if set(text) <= set("0123456789., ") else ()
    except ValueError:
        lengths = ()
    if not lengths:
        raise UsageError(f"--durations {text!r} is not a list of seconds such as 11,30,120,600")
    for length in lengths:
        if not 1 <= length <= LONGEST_SECONDS:
            raise UsageError(f"--durations {text!r}: {length:g} is not between 1 and {LONGEST_SECONDS} seconds")
    as_cut = (round(length * SAMPLE_RATE_HERTZ) / SAMPLE_RATE_HERTZ for length in lengths)
    if len({f"{length:.0f}" for length in as_cut}) < len(lengths):
        raise UsageError(f"--durations {text!r} has one length twice, to the second")
    if not 2 <= len(lengths) <= MOST_DURATIONS:
        raise UsageError(
            f"--durations {text!r}: give 2 to {MOST_DURATIONS} lengths, 3 or more for a fit; for one there is --audio-seconds"
        )
    return lengths


def with_wheelhouse(images: tuple[Image, ...], folder: Path | None) -> tuple[Image, ...]:
    """The images, with a folder of wheels that their builds search first. Raises `UsageError` where there is no such folder."""
    if folder is None:
        return images
    if not folder.is_dir():
        raise UsageError(f"--wheelhouse {folder} is not a folder")
    return tuple(msgspec.structs.replace(image, wheelhouse=str(folder.resolve())) for image in images)


def parse_family(text: str | None) -> Family | None:
    """``--family``; raises `UsageError` with the nearest."""
    families = (*GPU_FAMILIES, "cpu")
    if text is not None and text not in families:
        raise UsageError(f"--family {text!r}{nearest(text, families)}: there are {', '.join(families)}")
    return text


def parse_engine(text: str) -> str:
    """``--engine``; raises `UsageError` with the nearest."""
    names = ("auto", "podman", "docker", "local")
    if text not in names:
        raise UsageError(f"--engine {text!r}{nearest(text, names)}: there are {', '.join(names)}")
    return text


def parse_time_limit(text: str | None) -> float | None:
    """``--timeout``: ``90``, ``90s``, ``10m`` or ``1.5h``, in seconds. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if not match:
        raise UsageError(f"--timeout {text!r} is not a time such as 90, 10m or 2h")
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    if not 1 <= seconds <= MOST_TIMEOUT_SECONDS:
        raise UsageError(f"--timeout {text} is not between 1 second and {MOST_TIMEOUT_SECONDS // 86400} days")
    return seconds


def parse_prices(per_kwh: float | None, per_hour: float | None) -> Price:
    """``--price-per-kwh`` and ``--price-per-hour``. Raises `UsageError`."""
    for option, value in (("--price-per-kwh", per_kwh), ("--price-per-hour", per_hour)):
        if value is not None:
            parse_number(option, value, 0, MOST_PRICE)
    return Price(per_kwh, per_hour)


def parse_number(option: str, value: float, least: float, most: float, unit: str = "") -> float:
    """A number within its bounds. Raises `UsageError`, also for ``nan``, which Typer's own check lets through."""
    if not least <= value <= most:
        raise UsageError(f"{option} {value:g} is not between {least} and {most}{unit}")
    return value


def parse_size(text: str | None) -> int | None:
    """``--memory``: ``512m``, ``8g``, ``8GiB`` or plain bytes, as bytes. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or int(match[1]) == 0:
        raise UsageError(f"--memory {text!r} is not a size such as 512m or 8g")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]
    if size < LEAST_MEMORY_BYTES:
        unit = "g" if int(match[1]) < 1024 else "m"
        meant = f"; did you mean {match[1]}{unit}?" if text.strip().isdigit() else ""
        raise UsageError(f"--memory {text} is {size} bytes, in which not even Python starts{meant}")
    return size


def read_pasted(name: str, *, say: Say) -> str:
    """The text of a file, or of stdin for ``-``; only the end of a long one. Raises `UsageError` where it is no text."""
    if name == "-":
        if sys.stdin.isatty():
            say("paste the traceback or the log, then press Ctrl-D")
        data = _last_bytes(sys.stdin.buffer)
    elif not name or Path(name).is_dir():
        raise UsageError(f"{name or 'an empty name'} is a folder; name the file with the traceback")
    elif Path(name).exists() and not Path(name).is_file():
        raise UsageError(f"{name} is no plain file; pass it on stdin, as -")
    else:
        with Path(name).open("rb") as file:
            if file.seekable():
                file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_PASTED_BYTES - 1))
            data = _last_bytes(file)
    if len(data) > MOST_PASTED_BYTES:
        say(f"{name} is long: only its last {MOST_PASTED_BYTES // 10**6} MB are read")
    if b"\0" in data:
        raise UsageError(f"{name} is not text; save the traceback or the log as UTF-8")
    text = data.decode("utf-8", "replace")
    if not text.strip():
        raise UsageError(f"{name} is empty; pass a traceback, a log, or a launch's id")
    return text


def _last_bytes(stream: BinaryIO) -> bytes:
    """The end of a stream, with one byte more than `MOST_PASTED_BYTES` if there is more. Stops at once where it is no text."""
    kept = b""
    while data := stream.read(1 << 20):
        kept = (kept + data)[-MOST_PASTED_BYTES - 1 :]
        if b"\0" in data:
            break
    return kept
